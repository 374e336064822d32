//! Why an item was disregarded or rejected. Codes are stable: alarms, saved queries and the
//! operations guide are built on them.

use std::borrow::Cow;
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
    /// The record's value is not base64 text.
    NotBase64,
    /// The record has no value.
    Tombstone,
    /// The record names no application.
    NoApplication,
    /// The application has no settings for this direction.
    NotConfigured,
    /// The event is not one of those that Segment receives.
    EventNotExported,
    /// The same record or event was seen before.
    Duplicate,
    /// No mapping selects the event.
    NoMapping,
    /// The mapping fails on the event.
    MappingFailed,
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
    /// Larger than the upstream takes.
    TooLarge,
    /// Pushwoosh refused it for good.
    RefusedByPushwoosh,
    /// Segment refused it for good.
    RefusedBySegment,
}

/// What is known of a reason.
struct About {
    code: &'static str,
    disposition: Disposition,
    cause: &'static str,
    cure: &'static str,
}

impl Reason {
    /// Every reason, in the order in which an item meets them.
    pub const ALL: &[Self] = &[
        Self::NotJson,
        Self::NotAnObject,
        Self::NotBase64,
        Self::Tombstone,
        Self::NoApplication,
        Self::NotConfigured,
        Self::EventNotExported,
        Self::Duplicate,
        Self::NoMapping,
        Self::MappingFailed,
        Self::NoIdentity,
        Self::NoPlatform,
        Self::UnknownPlatform,
        Self::NothingToSave,
        Self::NoEventName,
        Self::BadTimestamp,
        Self::BadField,
        Self::TooLarge,
        Self::RefusedByPushwoosh,
        Self::RefusedBySegment,
    ];

    #[expect(clippy::too_many_lines, reason = "a table")]
    fn about(self) -> About {
        use Disposition::{Disregard, Reject};
        match self {
            Self::NotJson => About {
                code: "not_json",
                disposition: Reject,
                cause: "The bytes are not JSON text.",
                cure: "The producer must send JSON text; correct it and send the item again.",
            },
            Self::NotAnObject => About {
                code: "not_an_object",
                disposition: Reject,
                cause: "JSON, but not the object that was expected.",
                cure: "The producer must send a JSON object; correct it and send the item again.",
            },
            Self::NotBase64 => About {
                code: "not_base64",
                disposition: Reject,
                cause: "The record's value is not base64 text.",
                cure: "The event source mapping sends base64; whatever called the function by hand must too.",
            },
            Self::Tombstone => About {
                code: "tombstone",
                disposition: Disregard,
                cause: "The record has no value.",
                cure: "None: such a record says nothing.",
            },
            Self::NoApplication => About {
                code: "no_application",
                disposition: Disregard,
                cause: "The record names no application.",
                cure: "The producer must fill `application_code`.",
            },
            Self::NotConfigured => About {
                code: "not_configured",
                disposition: Disregard,
                cause: "The application has no settings for this direction.",
                cure: "None, unless the application should have Segment: then add `segment.write_key` to its secret.",
            },
            Self::EventNotExported => About {
                code: "event_not_exported",
                disposition: Disregard,
                cause: "The event is not one of those that Segment receives.",
                cure: "None, unless it is wanted: then add it to `segment.events` of the application's secret.",
            },
            Self::Duplicate => About {
                code: "duplicate",
                disposition: Disregard,
                cause: "It was seen before: the same record in the batch, or an event with the same `messageId`.",
                cure: "None: it was sent once.",
            },
            Self::NoMapping => About {
                code: "no_mapping",
                disposition: Disregard,
                cause: "No mapping's trigger selects the event.",
                cure: "None, unless it is wanted: then see with `cargo run -- explain` which condition fails, and correct `mappings` of the application's secret.",
            },
            Self::MappingFailed => About {
                code: "mapping_failed",
                disposition: Reject,
                cause: "The mapping fails on the event.",
                cure: "Read the item's message, try the event with `cargo run -- explain`, correct `mappings` of the application's secret, and redrive the item.",
            },
            Self::NoIdentity => About {
                code: "no_identity",
                disposition: Disregard,
                cause: "Neither a user id nor a device id.",
                cure: "Map a user id or a device id in Segment; the producer of the topic must fill `hwid`.",
            },
            Self::NoPlatform => About {
                code: "no_platform",
                disposition: Disregard,
                cause: "The device's platform is missing.",
                cure: "Map `device_platform` in Segment to ios, android or web.",
            },
            Self::UnknownPlatform => About {
                code: "unknown_platform",
                disposition: Disregard,
                cause: "The device's platform is none that Pushwoosh has.",
                cure: "Map `device_platform` in Segment to one of Pushwoosh's: ios, android, web.",
            },
            Self::NothingToSave => About {
                code: "nothing_to_save",
                disposition: Disregard,
                cause: "A profile without anything to save.",
                cure: "Map at least one attribute in Segment.",
            },
            Self::NoEventName => About {
                code: "no_event_name",
                disposition: Reject,
                cause: "The event has no name.",
                cure: "Map the name of the event in Segment; pages and screens may have none.",
            },
            Self::BadTimestamp => About {
                code: "bad_timestamp",
                disposition: Reject,
                cause: "The time is missing or cannot be read.",
                cure: "It must be RFC 3339 text or a unix time; correct the mapping or the producer.",
            },
            Self::BadField => About {
                code: "bad_field",
                disposition: Reject,
                cause: "A field has a type that cannot be read.",
                cure: "The field must have the type that the item's message names; correct the mapping.",
            },
            Self::TooLarge => About {
                code: "too_large",
                disposition: Reject,
                cause: "Larger than the upstream takes.",
                cure: "Shorten the item; Segment takes calls of up to 32 KB.",
            },
            Self::RefusedByPushwoosh => About {
                code: "refused_by_pushwoosh",
                disposition: Reject,
                cause: "Pushwoosh refused it for good.",
                cure: "Read Pushwoosh's answer in the item's message, correct what it names, and redrive the item.",
            },
            Self::RefusedBySegment => About {
                code: "refused_by_segment",
                disposition: Reject,
                cause: "Segment refused it for good.",
                cure: "Read Segment's answer in the item's message, correct what it names, and redrive the item.",
            },
        }
    }

    /// Stable, machine-readable code.
    pub fn code(self) -> &'static str {
        self.about().code
    }

    /// What becomes of the item.
    pub fn disposition(self) -> Disposition {
        self.about().disposition
    }

    /// What happened, for people.
    pub fn cause(self) -> &'static str {
        self.about().cause
    }

    /// What the operator does about it.
    pub fn cure(self) -> &'static str {
        self.about().cure
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
    pub message: Cow<'static, str>,
}

impl Refusal {
    /// A refusal.
    pub fn new(reason: Reason, message: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, message: message.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}

impl std::error::Error for Refusal {}
