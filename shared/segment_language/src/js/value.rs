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
