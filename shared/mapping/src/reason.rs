//! Why an item was disregarded or rejected. Codes are stable: alarms, saved queries and the
//! operations guide are built on them.

use std::borrow::Cow;
use std::fmt;

/// What becomes of an item that is not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// Intentionally skipped: counted and logged.
    Disregard,
    /// Was meant to be delivered and never can be as it is: its bytes go to the rejects queue.
    Reject,
}

/// A row per reason: variant, code, disposition, what happened, what the operator does about it.
macro_rules! reasons {
    ($($variant:ident, $code:literal, $disposition:ident, $cause:literal, $remedy:literal;)*) => {
        /// The reason an item was not delivered.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Reason {
            $(#[doc = $cause] $variant,)*
        }

        impl Reason {
            /// Every reason, in the order in which an item meets them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Stable, machine-readable code.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// What becomes of the item.
            pub fn disposition(self) -> Disposition {
                match self { $(Self::$variant => Disposition::$disposition,)* }
            }

            /// What happened, for people.
            pub fn cause(self) -> &'static str {
                match self { $(Self::$variant => $cause,)* }
            }

            /// What the operator does about it.
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)* }
            }
        }
    };
}

reasons! {
    NotJson, "not_json", Reject,
        "The bytes are not JSON text.",
        "The producer must send JSON text. Correct it and send the item again.";
    NotAnObject, "not_an_object", Reject,
        "The bytes are JSON, but not an object.",
        "The producer must send a JSON object. Correct it and send the item again.";
    NotBase64, "not_base64", Reject,
        "The record's value is not base64 text.",
        "The event source mapping sends base64. Whoever invokes the function by hand must send it too.";
    Tombstone, "tombstone", Disregard,
        "The record has no value.",
        "None: the record holds nothing to send.";
    NoApplication, "no_application", Disregard,
        "The record names no application.",
        "The producer must fill `application_code`.";
    NotConfigured, "not_configured", Disregard,
        "The application has no settings for this direction.",
        "None, unless the application should send to Segment: then add `segment.write_key` to its secret.";
    EventNotExported, "event_not_exported", Disregard,
        "The event is not one of those that Segment receives.",
        "None, unless it is wanted: then add it to `segment.events` of the application's secret.";
    Duplicate, "duplicate", Disregard,
        "It was seen before: the same record in the batch, the same raw event, known by its `messageId` and bytes, or an item of a failed request that came again.",
        "None: it was sent once, or what became of it the first time stands.";
    NotForPushwoosh, "not_for_pushwoosh", Disregard,
        "The event's `integrations` withhold it from Pushwoosh.",
        "None, unless it is wanted: then its sender must set `Pushwoosh` in `integrations` to true. Track calls that `source` sent to Segment always withhold themselves.";
    UnsignedDeletion, "unsigned_deletion", Reject,
        "Only the first event of the list is signed, and the deletion is another one.",
        "Switch batching off in Segment for the mapping that sends deletions, or sign the whole body. Redrive the item if the deletion is genuine.";
    NoMapping, "no_mapping", Disregard,
        "No mapping's trigger selects the event.",
        "None, unless it is wanted: then find the condition that fails with `cargo run -- explain`, and correct `mappings` of the application's secret.";
    MappingFailed, "mapping_failed", Reject,
        "The mapping fails on the event.",
        "Read the item's message, try the event with `cargo run -- explain`, correct `mappings` of the application's secret, and redrive the item.";
    NoIdentity, "no_identity", Disregard,
        "The item has neither a user id nor a device id.",
        "Map a user id or a device id in Segment. The producer of the topic must fill `hwid`.";
    NoPlatform, "no_platform", Disregard,
        "The device's platform is missing.",
        "Map `device_platform` in Segment to ios, android or web.";
    UnknownPlatform, "unknown_platform", Disregard,
        "Pushwoosh has no such device platform.",
        "Map `device_platform` in Segment to one that Pushwoosh has: ios, android, web.";
    NothingToSave, "nothing_to_save", Disregard,
        "The profile has nothing to save.",
        "Map at least one attribute in Segment.";
    NoEventName, "no_event_name", Reject,
        "The event has no name.",
        "Map the name of the event in Segment. Pages and screens may have none.";
    BadTimestamp, "bad_timestamp", Reject,
        "The time is missing or cannot be read.",
        "It must be RFC 3339 text or a unix time. Correct the mapping or the producer.";
    BadField, "bad_field", Reject,
        "A field has a type that cannot be read.",
        "The field must have the type that the item's message names. Correct the mapping.";
    UserDeleted, "user_deleted", Disregard,
        "The user was deleted after the item came in.",
        "None: nothing that came before a deletion is delivered after it.";
    Overtaken, "overtaken", Disregard,
        "While the item waited, newer values of all its tags came.",
        "None: the newer values are delivered.";
    UserReturned, "user_returned", Disregard,
        "It is a rejected deletion that was sent again, and newer values of its user were accepted since.",
        "None, if the user is to stay. Otherwise delete the user once more, through Segment or with `delete-user`.";
    TooLarge, "too_large", Reject,
        "The item is larger than the upstream takes.",
        "Shorten the item. Segment takes calls of up to 32 KB.";
    RefusedByPushwoosh, "refused_by_pushwoosh", Reject,
        "Pushwoosh refused the item for good.",
        "Read Pushwoosh's answer (`words` of the log line and the message), correct what it names, and redrive the item.";
    RefusedBySegment, "refused_by_segment", Reject,
        "Segment refused the item for good.",
        "Read Segment's answer (`words` of the log line and the message), correct what it names, and redrive the item.";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A reason with what a person needs to correct the item. Holds no data of the item.
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

impl From<Reason> for Refusal {
    /// A refusal of the item as a whole: there is no field to name.
    fn from(reason: Reason) -> Self {
        Self::new(reason, reason.cause())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_code_of_its_own_and_says_what_to_do() {
        let codes: std::collections::HashSet<_> =
            Reason::ALL.iter().map(|one| one.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert!(reason.cause().ends_with('.') && reason.remedy().ends_with('.'), "{reason}");
        }
    }

    #[test]
    fn a_refusal_reads_as_reason_and_message() {
        let refusal = Refusal::new(Reason::NoPlatform, "device_platform: ios is expected");
        assert_eq!(refusal.to_string(), "no_platform: device_platform: ios is expected");
        assert_eq!(Refusal::from(Reason::Duplicate).message, Reason::Duplicate.cause());
    }
}
