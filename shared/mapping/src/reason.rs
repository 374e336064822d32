//! Why an item was disregarded, skipped or rejected. Codes are stable: alarms, saved queries and
//! the operations guide are built on them.

use std::fmt;

/// The reason an item was not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// The bytes are not JSON text.
    NotJson,
    /// JSON, but not the object that was expected.
    NotAnObject,
    /// A Kafka tombstone: the record has a key and no value.
    Tombstone,
    /// The record names no application.
    NoApplication,
    /// The event is not one of those that Segment receives.
    EventNotExported,
    /// Neither a user id nor a device id.
    NoIdentity,
    /// The time is missing or cannot be read.
    BadTimestamp,
}

impl Reason {
    /// Stable, machine-readable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::Tombstone => "tombstone",
            Self::NoApplication => "no_application",
            Self::EventNotExported => "event_not_exported",
            Self::NoIdentity => "no_identity",
            Self::BadTimestamp => "bad_timestamp",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
