//! The conversions that Segment's validator makes where a value does not have the type of its field.

use serde_json::Value;

use super::field_type::{BaseType, FieldType};
use crate::js::{from_double, is_whole, number_text, to_number};

/// The value converted to the type; `None` if it cannot be converted.
pub(super) fn convert(field_type: FieldType, value: &Value) -> Option<Value> {
    let converted = match field_type.base {
        BaseType::Text => as_text(value),
        BaseType::DateTime => as_text(value).or_else(|| as_number(value, |_| true)),
        BaseType::Number => as_number(value, |_| true),
        BaseType::Integer => as_number(value, is_whole),
        BaseType::Boolean => as_boolean(value).map(Value::Bool),
        BaseType::Object => None,
    };
    converted.or_else(|| (field_type.nullable && becomes_null(value)).then_some(Value::Null))
}

fn as_text(value: &Value) -> Option<Value> {
    match value {
        Value::Number(number) => Some(number_text(number).into()),
        Value::Bool(value) => Some(value.to_string().into()),
        Value::Null => Some("".into()),
        _ => None,
    }
}

fn as_number(value: &Value, fits: fn(f64) -> bool) -> Option<Value> {
    let number = match value {
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::Null => 0.0,
        Value::String(text) if !text.is_empty() => to_number(text),
        _ => return None,
    };
    // JSON has no infinity, so it is sent as null, also for an integer.
    if number.is_infinite() {
        return Some(Value::Null);
    }
    from_double(number).filter(|_| fits(number)).map(Value::Number)
}

fn as_boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Null => Some(false),
        Value::String(text) => text.parse().ok(),
        Value::Number(number) if number.as_f64() == Some(0.0) => Some(false),
        Value::Number(number) if number.as_f64() == Some(1.0) => Some(true),
        _ => None,
    }
}

/// Whether a nullable type converts the value to null.
fn becomes_null(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Bool(value) => !value,
        _ => false,
    }
}
