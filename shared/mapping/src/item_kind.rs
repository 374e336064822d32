//! What the bytes of an item are: the endpoints, the topic and the queues have their own.

use serde::{Deserialize, Serialize};

/// What an item's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemKind {
    /// One event of a post-events body.
    Event,
    /// A track-user body.
    Profile,
    /// A delete-user body.
    Deletion,
    /// A raw Segment event.
    #[serde(alias = "segment_event")]
    RawEvent,
    /// A record of the tracking log.
    Record,
    /// A message of the retry queue.
    Parked,
}

impl ItemKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Event, Self::Profile, Self::Deletion, Self::RawEvent, Self::Record, Self::Parked];

    /// Its name, for people and machines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Profile => "profile",
            Self::Deletion => "deletion",
            Self::RawEvent => "raw_event",
            Self::Record => "record",
            Self::Parked => "parked",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_on_the_wire_and_older_rejects_stay_readable() {
        for kind in ItemKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        let older: ItemKind = serde_json::from_value("segment_event".into()).unwrap();
        assert_eq!(older, ItemKind::RawEvent);
    }
}
