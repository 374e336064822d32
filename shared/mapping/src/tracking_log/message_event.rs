//! The message steps that Segment receives (spec S2). Everything else on the topic is skipped.

use crate::field::folds_alike;

/// A row per event: variant, the name of its Track call, its `message_type`.
macro_rules! message_events {
    ($($variant:ident, $name:literal, $message_type:literal;)*) => {
        /// A message step.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum MessageEvent {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl MessageEvent {
            /// Every event that Segment receives.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name of the Track call.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The property `message_type` where the record names none that is known.
            pub(super) fn message_type(self) -> &'static str {
                match self { $(Self::$variant => $message_type,)* }
            }
        }
    };
}

message_events! {
    EmailSent, "Email Sent", "Email";
    PushSent, "Push Sent", "Push";
    SmsSent, "SMS Sent", "SMS";
    EmailDelivered, "Email Delivered", "Email";
    PushDelivered, "Push Delivered", "Push";
    SmsDelivered, "SMS Delivered", "SMS";
    // Returned to the sender: a permanent error.
    EmailBounced, "Email Bounced", "Email";
}

impl MessageEvent {
    /// Reads a name in any case and with any separator: `Push Sent`, `push_sent`, `PUSH-SENT`.
    pub fn parse(text: &str) -> Option<Self> {
        // Most are spelt as we spell them.
        let named = |alike: fn(&str, &str) -> bool| {
            Self::ALL.iter().copied().find(|event| alike(text, event.name()))
        };
        named(|text, name| text == name).or_else(|| named(folds_alike))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_reads_back_from_its_name_in_any_spelling() {
        for event in MessageEvent::ALL {
            let name = event.name();
            let (snake, kebab) = (name.replace(' ', "_").to_lowercase(), name.replace(' ', "-"));
            for spelling in [name, &snake, &kebab, &format!("  {name} ")] {
                assert_eq!(MessageEvent::parse(spelling), Some(*event), "{spelling}");
            }
            assert!(name.starts_with(event.message_type()), "{name}");
        }
        for other in ["", "Push", "Push Opened", "Email Unsubscribed"] {
            assert_eq!(MessageEvent::parse(other), None, "{other}");
        }
    }
}
