//! Segment's JSON values in the forms that Pushwoosh keeps as tag and attribute values.
//!
//! | Segment | Pushwoosh |
//! |---|---|
//! | text | the same text |
//! | text that is a full RFC 3339 date and time | `YYYY-MM-DD HH:mm`, UTC |
//! | true, false | the same |
//! | whole number within 32 bits, fraction | the same |
//! | whole number beyond 32 bits | its digits as text |
//! | list | list of texts; `null` elements are left out, objects and lists become JSON text |
//! | object | JSON text |
//! | null | a tag is removed; an event attribute is left out |
//!
//! Tags: <https://docs.pushwoosh.com/developer/api-reference/tags>. Integers are 32-bit in
//! Pushwoosh's own protocol definition.

use jiff::Timestamp;
use serde_json::Value;

/// The value as Pushwoosh keeps it; null stays null.
pub fn to_pushwoosh(value: &Value) -> Value {
    match value {
        Value::String(text) => date(text).map_or_else(|| value.clone(), Value::String),
        Value::Number(number) => match number.as_i128() {
            Some(whole) if i32::try_from(whole).is_err() => Value::String(number.to_string()),
            _ => value.clone(),
        },
        Value::Array(items) => items.iter().filter_map(element).map(Value::String).collect(),
        Value::Object(_) => Value::String(value.to_string()),
        Value::Null | Value::Bool(_) => value.clone(),
    }
}

fn element(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// Pushwoosh's date form, if the text is a full RFC 3339 date and time. Shorter and other forms that the
/// parser knows stay as they are.
fn date(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let is_full = bytes.get(4) == Some(&b'-') && bytes.get(16) == Some(&b':');
    if !is_full {
        return None;
    }
    let instant: Timestamp = text.parse().ok()?;
    Some(instant.strftime("%Y-%m-%d %H:%M").to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_value_has_its_documented_form() {
        for (input, expected) in [
            (json!("text"), json!("text")),
            (json!("2026-01-02T03:04:05.678Z"), json!("2026-01-02 03:04")),
            (json!("2026-01-02T01:04:05+02:00"), json!("2026-01-01 23:04")),
            (json!("2026-01-02"), json!("2026-01-02")),
            (json!("2026-01-02 03:04:05Z"), json!("2026-01-02 03:04")),
            (json!("2026-01-02T03:04Z"), json!("2026-01-02T03:04Z")),
            (json!("+002026-01-02T03:04:05Z"), json!("+002026-01-02T03:04:05Z")),
            (json!("20260102T030405.000Z"), json!("20260102T030405.000Z")),
            (json!("2026-13-02T03:04:05Z"), json!("2026-13-02T03:04:05Z")),
            (json!(true), json!(true)),
            (json!(2_147_483_647), json!(2_147_483_647)),
            (json!(2_147_483_648_i64), json!("2147483648")),
            (json!(-2_147_483_649_i64), json!("-2147483649")),
            (json!(u64::MAX), json!("18446744073709551615")),
            (json!(19.95), json!(19.95)),
            (json!(["a", 1, null, true, {"b": 2}]), json!(["a", "1", "true", "{\"b\":2}"])),
            (json!({"a": {"b": [1]}}), json!("{\"a\":{\"b\":[1]}}")),
            (json!(null), json!(null)),
        ] {
            assert_eq!(to_pushwoosh(&input), expected, "{input}");
        }
    }
}
