//! Why an item was disregarded or rejected. Codes are stable: alarms, saved queries and the
//! operations guide are built on them.

use std::fmt;

/// What becomes of an item that is not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// By rule not ours to deliver: counted, logged, forgotten.
    Disregard,
    /// Was meant to be delivered and never can be: its bytes go to the rejects queue.
    Reject,
}

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
    /// The device's platform is missing.
    NoPlatform,
    /// The device's platform is none that Pushwoosh has.
    UnknownPlatform,
    /// A profile without anything to save.
    NothingToSave,
    /// The event has no name.
    NoEventName,
    /// The time is missing or cannot be read.
    BadTimestamp,
    /// A field has a type that cannot be read.
    BadField,
    /// The record's value is not base64 text.
    NotBase64,
    /// The same record was already in the batch.
    Duplicate,
    /// The application has no settings for this direction.
    NotConfigured,
    /// Larger than the upstream takes.
    TooLarge,
    /// Pushwoosh refused it for good.
    RefusedByPushwoosh,
    /// Segment refused it for good.
    RefusedBySegment,
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
            Self::NoPlatform => "no_platform",
            Self::UnknownPlatform => "unknown_platform",
            Self::NothingToSave => "nothing_to_save",
            Self::NoEventName => "no_event_name",
            Self::BadTimestamp => "bad_timestamp",
            Self::BadField => "bad_field",
            Self::NotBase64 => "not_base64",
            Self::Duplicate => "duplicate",
            Self::NotConfigured => "not_configured",
            Self::TooLarge => "too_large",
            Self::RefusedByPushwoosh => "refused_by_pushwoosh",
            Self::RefusedBySegment => "refused_by_segment",
        }
    }

    /// What becomes of the item.
    pub fn disposition(self) -> Disposition {
        match self {
            Self::Tombstone
            | Self::NoApplication
            | Self::EventNotExported
            | Self::NoIdentity
            | Self::NoPlatform
            | Self::UnknownPlatform
            | Self::NothingToSave
            | Self::Duplicate
            | Self::NotConfigured => Disposition::Disregard,
            Self::NotJson
            | Self::NotAnObject
            | Self::NoEventName
            | Self::BadTimestamp
            | Self::BadField
            | Self::NotBase64
            | Self::TooLarge
            | Self::RefusedByPushwoosh
            | Self::RefusedBySegment => Disposition::Reject,
        }
    }
}

impl Reason {
    /// What the operator does about it, for `docs/OPERATIONS.md` and the rejects queue.
    pub fn cure(self) -> &'static str {
        match self {
            Self::NotJson => "the producer must send JSON text; correct it and send the item again",
            Self::NotAnObject => {
                "the producer must send a JSON object; correct it and send the item again"
            }
            Self::Tombstone => "none: a record without a value says nothing",
            Self::NoApplication => "the producer must fill application_code",
            Self::EventNotExported => {
                "none, unless the event is wanted: then add it to segment.events of the application's secret"
            }
            Self::NoIdentity => {
                "map a user id or a device id in Segment; the producer of the topic must fill hwid"
            }
            Self::NoPlatform => "map device_platform in Segment to ios, android or web",
            Self::UnknownPlatform => {
                "map device_platform in Segment to one of Pushwoosh's platforms: ios, android, web"
            }
            Self::NothingToSave => "map at least one attribute in Segment",
            Self::NoEventName => {
                "map the name of the event in Segment; pages and screens may have none"
            }
            Self::BadTimestamp => {
                "the time must be RFC 3339 text or a unix time; correct the mapping or the producer"
            }
            Self::BadField => {
                "the field must have the type that the message names; correct the mapping"
            }
            Self::NotBase64 => {
                "the event source mapping sends base64; whatever called the function by hand must too"
            }
            Self::Duplicate => "none: the same record was sent once",
            Self::NotConfigured => {
                "none, unless the application should have Segment: then add segment.write_key to its secret"
            }
            Self::TooLarge => "shorten the item; Segment takes calls of up to 32 KB",
            Self::RefusedByPushwoosh => {
                "read Pushwoosh's answer in the item's message, correct what it names, and redrive the item"
            }
            Self::RefusedBySegment => {
                "read Segment's answer in the item's message, correct what it names, and redrive the item"
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A reason with what a person needs to cure it. Holds no data of the item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// Which field, and what was expected of it.
    pub message: &'static str,
}

impl Refusal {
    /// A refusal.
    pub fn new(reason: Reason, message: &'static str) -> Self {
        Self { reason, message }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}

impl std::error::Error for Refusal {}
