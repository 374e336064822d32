//! The few rules of JavaScript that show in the results of mappings.

use serde_json::{Map, Number, Value};

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

/// Whether `if (value)` is taken.
pub(crate) fn truthy(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Bool(value)) => *value,
        Some(Value::Number(number)) => number.as_f64().is_some_and(|number| number != 0.0),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(_) | Value::Object(_)) => true,
    }
}

/// Text of a number: `1e+21`, `0.1`, `5`.
pub(crate) fn number_text(number: &Number) -> String {
    match (number.as_i64(), number.as_f64()) {
        (Some(whole), _) if whole.unsigned_abs() <= MAX_SAFE => whole.to_string(),
        (_, Some(number)) => ryu_js::Buffer::new().format(number).to_owned(),
        (_, None) => number.to_string(),
    }
}

/// Largest whole number that a double holds exactly, with all below it.
const MAX_SAFE: u64 = (1 << 53) - 1;

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

/// `Number(text)`; what is no number is NaN.
pub(crate) fn to_number(text: &str) -> f64 {
    let text = text.trim();
    let based = |digits: &str, base| u64::from_str_radix(digits, base).ok();
    let prefixed = [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)];
    if let Some((prefix, base)) = prefixed.iter().find(|(prefix, _)| text.starts_with(prefix)) {
        let digits = text.strip_prefix(prefix).unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "a double is what JavaScript has too")]
        return based(digits, *base).map_or(f64::NAN, |number| number as f64);
    }
    match text {
        "" => 0.0,
        "Infinity" | "+Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        // Rust also reads words such as `inf` and `nan`.
        text if text
            .bytes()
            .any(|byte| byte.is_ascii_alphabetic() && !matches!(byte, b'e' | b'E')) =>
        {
            f64::NAN
        }
        text => text.parse().unwrap_or(f64::NAN),
    }
}

/// `value == ""`, loosely.
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

/// A key that is an array index comes before the others.
fn index(key: &str) -> Option<u32> {
    let index: u32 = key.parse().ok()?;
    (index < u32::MAX && index.to_string() == key).then_some(index)
}

/// `JSON.stringify`: keys in JavaScript's order, numbers in its form.
pub(crate) fn stringify(value: &Value, out: &mut String) {
    match value {
        Value::Number(number) => {
            let text = number_text(number);
            out.push_str(if text == "-0" { "0" } else { &text });
        }
        Value::Array(items) => {
            out.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                stringify(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            for (position, (key, value)) in ordered(fields).into_iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                stringify(value, out);
            }
            out.push('}');
        }
        Value::Null | Value::Bool(_) | Value::String(_) => out.push_str(&value.to_string()),
    }
}

fn ordered(fields: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut fields: Vec<_> = fields.iter().collect();
    // Stable: the others keep their order.
    fields.sort_by_key(|(key, _)| index(key).map_or(u64::MAX, u64::from));
    fields
}

/// A number as `JSON.parse` reads it: always a double.
pub fn as_double(value: Value) -> Value {
    match value {
        Value::Number(number) => double(&number).map_or(Value::Number(number), Value::Number),
        Value::Array(items) => items.into_iter().map(as_double).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(key, value)| (key, as_double(value))).collect()
        }
        other => other,
    }
}

fn double(number: &Number) -> Option<Number> {
    if number.as_i64().is_some_and(|whole| whole.unsigned_abs() <= MAX_SAFE) {
        return None;
    }
    let value = number.as_f64()?;
    // What is whole is written without a fraction, as JavaScript does.
    let text = ryu_js::Buffer::new().format(value).to_owned();
    let text = if text == "-0" { "0" } else { &text };
    serde_json::from_str(text).ok()
}
/// Objects of up to this many fields are searched from the first on: that is faster than hashing.
const FEW: usize = 16;

/// A field of an object.
pub(crate) fn get<'v>(fields: &'v Map<String, Value>, key: &str) -> Option<&'v Value> {
    if fields.len() > FEW {
        return fields.get(key);
    }
    let mut fields = fields.iter();
    fields.find(|(name, _)| *name == key).map(|(_, value)| value)
}
