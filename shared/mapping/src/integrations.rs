//! Whether a raw Segment event is for Pushwoosh: its `integrations`.
//!
//! Segment's engine obeys them before a destination sees the event; a webhook receives the event all the
//! same. The Track calls that the source sends to Segment say no, so that they do not come back as events.
//! <https://segment.com/docs/guides/filtering-data/#filtering-with-the-integrations-object>

use serde_json::{Map, Value};

/// The destination's name in `integrations`; Segment compares names as they are written.
/// <https://www.twilio.com/docs/segment/connections/destinations/catalog/actions-pushwoosh>
const PUSHWOOSH: &str = "Pushwoosh";

/// Stands for every destination that has no entry of its own.
const ALL: &str = "All";

/// The name of the entry that withholds the event from Pushwoosh; nothing where the event is for
/// Pushwoosh. Without an object in `integrations` it is for everyone.
pub(crate) fn withheld_by(event: &Value) -> Option<&'static str> {
    let integrations = event.get("integrations")?.as_object()?;
    let named = |name: &'static str| Some((name, entry(integrations, name)?));
    let (name, allowed) = named(PUSHWOOSH).or_else(|| named(ALL))?;
    (!allowed).then_some(name)
}

/// What an entry says: options for the destination mean yes. Null says nothing.
fn entry(integrations: &Map<String, Value>, name: &str) -> Option<bool> {
    match integrations.get(name)? {
        Value::Null => None,
        value => Some(is_truthy(value)),
    }
}

/// As JavaScript has it, in which Segment's libraries and engine are written.
fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_of_its_own_counts_before_that_for_all() {
        for (integrations, expected) in [
            (json!({"Pushwoosh": 0}), Some(PUSHWOOSH)),
            (json!({"Pushwoosh": "", "All": true}), Some(PUSHWOOSH)),
            (json!({"Pushwoosh": "on", "All": false}), None),
            (json!({"Pushwoosh": null, "All": true}), None),
            (json!({"Pushwoosh": null, "All": 0}), Some(ALL)),
            (json!({"Pushwoosh": []}), None),
            (json!({"Pushwoosh": 1, "All": false}), None),
        ] {
            let event = json!({ "integrations": integrations });
            assert_eq!(withheld_by(&event), expected, "{event}");
        }
        assert_eq!((withheld_by(&json!({})), withheld_by(&json!([]))), (None, None));
    }
}
