//! Types, truth, texts and fields of values.

use serde_json::{Map, Value};

use super::number::number_text;

/// `typeof`, with arrays and null told apart.
pub(crate) fn type_name(value: Option<&Value>) -> &'static str {
    match value {
        None => "undefined",
        Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "boolean",
        Some(Value::Number(_)) => "number",
        Some(Value::String(_)) => "string",
        Some(Value::Array(_)) => "array",
        Some(Value::Object(_)) => "object",
    }
}

/// JavaScript's truth of a value.
pub(crate) fn truthy(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Bool(value)) => *value,
        Some(Value::Number(number)) => number.as_f64().is_some_and(|number| number != 0.0),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(_) | Value::Object(_)) => true,
    }
}

/// `String(value)`.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number_text(number),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items
                .iter()
                .map(|item| if item.is_null() { String::new() } else { text(item) })
                .collect();
            items.join(",")
        }
        Value::Object(_) => "[object Object]".to_owned(),
    }
}

/// `value == ""`, which converts types.
pub(crate) fn loosely_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Object(_) => false,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(_) => text(value).is_empty(),
    }
}

/// Length in UTF-16 units.
pub(crate) fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Objects of up to this many fields are searched from the start: that is faster than hashing.
const FEW: usize = 16;

/// The value of an object's field.
pub(crate) fn get<'v>(fields: &'v Map<String, Value>, key: &str) -> Option<&'v Value> {
    if fields.len() > FEW {
        return fields.get(key);
    }
    let mut fields = fields.iter();
    fields.find(|(name, _)| *name == key).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A value with its type, its truth, whether it loosely equals an empty text, and its text.
    #[test]
    fn values_have_the_type_truth_and_text_that_javascript_gives_them() {
        for (value, type_of, truth, empty, string) in [
            (json!(null), "null", false, false, "null"),
            (json!(true), "boolean", true, false, "true"),
            (json!(false), "boolean", false, true, "false"),
            (json!(0), "number", false, true, "0"),
            (json!(-0.0), "number", false, true, "0"),
            (json!(1.5), "number", true, false, "1.5"),
            (json!(""), "string", false, true, ""),
            (json!("0"), "string", true, false, "0"),
            (json!([]), "array", true, true, ""),
            (json!([null]), "array", true, true, ""),
            (json!([1, null, [2, "a"]]), "array", true, false, "1,,2,a"),
            (json!({}), "object", true, false, "[object Object]"),
        ] {
            assert_eq!(type_name(Some(&value)), type_of, "{value}");
            assert_eq!(truthy(Some(&value)), truth, "{value}");
            assert_eq!(loosely_empty(&value), empty, "{value}");
            assert_eq!(text(&value), string, "{value}");
        }
        assert_eq!(type_name(None), "undefined");
        assert!(!truthy(None));
    }

    #[test]
    fn the_length_of_a_text_is_in_utf16_units() {
        assert_eq!((length(""), length("é"), length("😀")), (0, 1, 2));
    }

    #[test]
    fn a_field_is_found_in_small_and_in_large_objects() {
        for size in [1, FEW, FEW + 1, 100] {
            let fields: Map<String, Value> =
                (0..size).map(|number| (format!("f{number}"), number.into())).collect();
            assert_eq!(get(&fields, &format!("f{}", size - 1)), Some(&json!(size - 1)));
            assert_eq!(get(&fields, "none"), None);
        }
    }
}
