//! Everything that comes in is an item: bytes of a kind, for an application, from somewhere. Every item
//! has one plan, whoever asks for it: the endpoints, the source, the retries, a redrive, an
//! explanation.

use std::borrow::Cow;
use std::fmt;

use crate::item_kind::ItemKind;
use crate::parked::Parked;
use crate::reason::Refusal;
use crate::rules::Rules;
use crate::tracking_log::Record;
use crate::work::Planned;
use crate::{deletion, event, profile, raw_event};

/// Where an item came from: enough to find it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin<'a> {
    /// An HTTP request, by its id, and the item's place in the body.
    Request(&'a str, usize),
    /// A record, by the key that its partition has in the event (`topic-partition`), and its offset.
    Record(&'a str, i64),
    /// A message of the retry queue, by its id.
    Message(&'a str),
    /// As it was written down when the item came in.
    First(&'a str),
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(id, index) => write!(f, "{id} {index}"),
            Self::Record(partition, offset) => write!(f, "{partition}-{offset}"),
            Self::Message(id) | Self::First(id) => f.write_str(id),
        }
    }
}

/// Something that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// What the bytes are.
    pub kind: ItemKind,
    /// Application code, where it is known without reading the bytes.
    pub application: Option<&'a str>,
    /// Where it came from.
    pub origin: Origin<'a>,
    /// The bytes as they came.
    pub bytes: &'a [u8],
}

impl<'a> Item<'a> {
    /// Application code, also where it is known only by reading the bytes.
    pub fn application_code(&self) -> Option<Cow<'a, str>> {
        if let (None, ItemKind::Record) = (self.application, self.kind) {
            let record = Record::read(self.bytes).ok()?;
            return record.application().ok().map(|code| Cow::Owned(code.to_owned()));
        }
        self.application.map(Cow::Borrowed)
    }

    /// What is to be sent for the item under these rules, or why it is not delivered.
    pub fn plan(&self, rules: &Rules<'_>) -> Result<Planned, Refusal> {
        let Rules { application, now, .. } = *rules;
        match self.kind {
            ItemKind::Event => Ok(event::plan(application, self.bytes, now)?.into()),
            ItemKind::Profile => Ok(profile::plan(application, self.bytes, now)?.into()),
            ItemKind::Deletion => Ok(deletion::plan(application, self.bytes)?.into()),
            ItemKind::RawEvent => raw_event::plan(rules, self.bytes),
            ItemKind::Record => Record::read(self.bytes)?.plan(rules),
            ItemKind::Parked => Ok(Parked::read(self.bytes)?.plan(rules)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::Reason;
    use crate::work::Work;

    fn plan(kind: ItemKind, bytes: &[u8]) -> Result<Planned, Refusal> {
        let origin = Origin::Message("m");
        Item { kind, application: Some("A"), origin, bytes }.plan(&Rules::of_presets("A"))
    }

    #[test]
    fn every_kind_has_a_plan() {
        let record =
            r#"{"event_name":"Push Sent","timestamp":1,"application_code":"A","hwid":"H"}"#;
        let parked = r#"{"application":"A","work":{"pushwoosh":[]},"first_seen":"1970-01-01T00:00:00Z","attempts":1,"cause":"timeout"}"#;
        for (kind, bytes, upstream) in [
            (ItemKind::Event, r#"{"user_id":"u","device_platform":"ios","name":"E"}"#, "pushwoosh"),
            (ItemKind::Profile, r#"{"user_id":"u","attributes":{"a":1}}"#, "pushwoosh"),
            (ItemKind::Deletion, r#"{"external_id":"u"}"#, "pushwoosh"),
            (ItemKind::RawEvent, r#"{"type":"delete","userId":"u"}"#, "pushwoosh"),
            (ItemKind::Record, record, "segment"),
            (ItemKind::Parked, parked, "pushwoosh"),
        ] {
            let planned = plan(kind, bytes.as_bytes()).unwrap();
            let found = match planned.work {
                Work::Pushwoosh(_) => "pushwoosh",
                Work::Segment(_) => "segment",
            };
            assert_eq!(found, upstream, "{kind:?}");
            assert_eq!(plan(kind, b"no json").unwrap_err().reason, Reason::NotJson, "{kind:?}");
        }
    }

    #[test]
    fn only_a_record_is_read_for_its_application() {
        let code = |kind, application, bytes: &str| {
            let item =
                Item { kind, application, origin: Origin::Message("m"), bytes: bytes.as_bytes() };
            item.application_code().map(Cow::into_owned)
        };
        let record =
            r#"{"event_name":"Push Sent","timestamp":1,"application_code":"B","hwid":"H"}"#;
        assert_eq!(code(ItemKind::Record, None, record).as_deref(), Some("B"));
        assert_eq!(code(ItemKind::Record, None, "no json"), None);
        assert_eq!(code(ItemKind::Record, Some("A"), record).as_deref(), Some("A"));
        let profile = r#"{"application_code":"B","user_id":"u"}"#;
        assert_eq!(code(ItemKind::Profile, Some("A"), profile).as_deref(), Some("A"));
        assert_eq!(code(ItemKind::Profile, None, profile), None);
    }

    /// JSON allows the escape, Rust's strings do not hold it.
    #[test]
    fn half_a_surrogate_pair_costs_no_item() {
        let record = r#"{"event_name":"Push Sent","timestamp":1,"application_code":"A","hwid":"H","payload":"\ud83d"}"#;
        let raw = r#"{"type":"identify","userId":"u","traits":{"cut":"\ud83d"}}"#;
        for (kind, bytes) in [
            (ItemKind::Event, r#"{"user_id":"u","device_platform":"ios","name":"cut \ud83d"}"#),
            (ItemKind::Profile, r#"{"user_id":"u","attributes":{"a":"\ude00"}}"#),
            (ItemKind::Deletion, r#"{"external_id":"u\ud83d"}"#),
            (ItemKind::RawEvent, raw),
            (ItemKind::Record, record),
        ] {
            let planned = plan(kind, bytes.as_bytes());
            assert!(planned.is_ok(), "{kind:?}: {planned:?}");
        }
    }

    #[test]
    fn an_origin_reads_as_operators_know_it() {
        assert_eq!(Origin::Request("r-1", 3).to_string(), "r-1 3");
        assert_eq!(Origin::Record("topic-0", 16).to_string(), "topic-0-16");
        assert_eq!(Origin::Message("m-1").to_string(), "m-1");
    }
}
