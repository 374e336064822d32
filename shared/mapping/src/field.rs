//! Tolerant reading of single fields. Segment's client turns numbers and booleans into text, sends
//! null for what it does not know, and leaves out the rest.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::reason::{Reason, Refusal};

/// Reads JSON text.
pub(crate) fn json(text: &[u8]) -> Result<Value, Refusal> {
    crate::json::read(text).map_err(|_| Refusal::new(Reason::NotJson, "JSON is expected"))
}

/// Reads a JSON object. A derived `Deserialize` would also take an array, field by field in their
/// order, and make a user id of its first element.
pub(crate) fn object<T: DeserializeOwned>(value: Value) -> Result<T, Refusal> {
    if !value.is_object() {
        return Err(Refusal::new(Reason::NotAnObject, "a JSON object is expected"));
    }
    serde_json::from_value(value)
        .map_err(|_| Refusal::new(Reason::NotAnObject, "a JSON object is expected"))
}

/// Text or number as trimmed text; none for anything else and for empty text.
pub(crate) fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// What Segment's client makes of an id of `false` (`context.device: false` gives a device id
/// `"false"`): it identifies no one.
const NO_ID: &str = "false";

/// Text as it came, unless it is blank: names are never changed.
pub(crate) fn verbatim(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => (!text.trim().is_empty()).then(|| text.clone()),
        other => text(other),
    }
}

/// A user or device id.
pub(crate) fn id(value: &Value) -> Option<String> {
    text(value).filter(|id| id != NO_ID)
}

/// Lower case without blanks and separators, so that `Push Sent`, `push_sent` and `PUSH-SENT` meet.
pub(crate) fn fold(text: &str) -> String {
    folded(text).collect()
}

/// Whether two spellings fold to the same. Nothing is allocated, and ASCII is compared by bytes: it is asked about every record.
pub(crate) fn folds_alike(one: &str, other: &str) -> bool {
    if one.is_ascii() && other.is_ascii() {
        return folded_ascii(one).eq(folded_ascii(other));
    }
    folded(one).eq(folded(other))
}

fn folded_ascii(text: &str) -> impl Iterator<Item = u8> {
    let bytes = text.bytes().filter(|byte| !is_left_out(char::from(*byte)));
    bytes.map(|byte| byte.to_ascii_lowercase())
}

fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|c| !is_left_out(*c)).flat_map(char::to_lowercase)
}

fn is_left_out(c: char) -> bool {
    c.is_whitespace() || c == '_' || c == '-'
}

/// Whose item this is: items of one person keep their order, and `erase` removes them.
pub fn identity_of(item: &[u8]) -> Option<String> {
    let item: Value = crate::json::read(item).ok()?;
    ["user_id", "external_id", "userId", "device_id", "hwid", "anonymousId"]
        .iter()
        .find_map(|name| item.get(name).and_then(id))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_are_texts_or_numbers_but_never_false() {
        for (value, expected) in [
            (json!(" u1 "), Some("u1")),
            (json!(5), Some("5")),
            (json!("false"), None),
            (json!(" "), None),
            (json!(true), None),
            (json!(["u1"]), None),
        ] {
            assert_eq!(id(&value).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn a_name_stays_as_it_came_unless_it_is_blank() {
        assert_eq!(verbatim(&json!(" A b ")).as_deref(), Some(" A b "));
        assert_eq!(verbatim(&json!(7)).as_deref(), Some("7"));
        assert_eq!(verbatim(&json!("false")).as_deref(), Some("false"));
        assert_eq!((verbatim(&json!("  ")), verbatim(&json!(null))), (None, None));
    }

    #[test]
    fn spellings_of_a_name_fold_to_one() {
        for name in ["Push Sent", "push_sent", "PUSH-SENT", "  pushsent\t"] {
            assert_eq!(fold(name), "pushsent", "{name}");
            assert!(folds_alike(name, "Push Sent") && !folds_alike(name, "Push Sen"), "{name}");
        }
    }

    #[test]
    fn ascii_folds_as_any_text_does() {
        let ascii: Vec<String> =
            (0..128_u8).map(|byte| format!("a{}b", char::from(byte))).collect();
        for one in &ascii {
            for other in &ascii {
                assert_eq!(folds_alike(one, other), fold(one) == fold(other), "{one:?} {other:?}");
            }
        }
        assert!(folds_alike("\u{212a}", "k"), "the sign of the kelvin is a K");
    }

    #[test]
    fn the_user_comes_before_the_device_in_whatever_kind_of_item() {
        for (item, expected) in [
            (r#"{"device_id":"d","user_id":"u"}"#, Some("u")),
            (r#"{"external_id":5}"#, Some("5")),
            (r#"{"anonymousId":"a","userId":"false"}"#, Some("a")),
            (r#"{"hwid":"h"}"#, Some("h")),
            (r#"{"user_id":"u","name":"cut \ud83d"}"#, Some("u")),
            ("{}", None),
            ("no json", None),
        ] {
            assert_eq!(identity_of(item.as_bytes()).as_deref(), expected, "{item}");
        }
    }

    #[test]
    fn a_list_is_not_an_object() {
        assert_eq!(object::<Value>(json!([1])).unwrap_err().reason, Reason::NotAnObject);
        assert_eq!(json(b"{").unwrap_err().reason, Reason::NotJson);
    }
}
