//! The values of the property `message_type` (spec S3).

use crate::field::folds_alike;

/// All values there are. Who builds on the property compares with exactly these.
const VALUES: [&str; 4] = ["Push", "Email", "In-App", "SMS"];

/// Reads a value in any case and with any separator: `in_app`, `IN-APP`, `e-mail`. The topic's producer
/// states no other form; a number means nothing here.
pub(super) fn parse(text: &str) -> Option<&'static str> {
    let spelt = VALUES.into_iter().find(|value| *value == text);
    spelt.or_else(|| VALUES.into_iter().find(|value| folds_alike(text, value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracking_log::MessageEvent;

    #[test]
    fn every_value_reads_back_and_every_event_has_one() {
        for value in VALUES {
            assert_eq!(parse(value), Some(value));
            assert_eq!(parse(&value.to_uppercase().replace('-', "_")), Some(value));
        }
        for event in MessageEvent::ALL {
            assert_eq!(parse(event.message_type()), Some(event.message_type()));
        }
        for other in ["", "3", "Push Sent", "fax"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
