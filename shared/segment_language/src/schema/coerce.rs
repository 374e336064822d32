//! The value that is sent for one field.

use std::borrow::Cow;

use serde_json::Value;

use super::convert::convert;
use super::date::is_date_like;
use super::field_type::{BaseType, FieldType};

/// Whether Segment maps the event alone or in a batch: in batches it keeps empty strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One event at a time.
    Single,
    /// As part of a batch.
    Batch,
}

/// The value that is sent for a field, or `None` if the field is omitted. The error is what Segment
/// shows.
pub fn coerce<'e>(
    field: &str,
    field_type: FieldType,
    mode: Mode,
    value: Option<Cow<'e, Value>>,
) -> Result<Option<Cow<'e, Value>>, String> {
    let Some(value) = value else { return Ok(None) };
    if field_type.multiple {
        return coerce_list(field, field_type, value);
    }
    // Most values have the type and are not empty.
    let settled = field_type.base != BaseType::DateTime && value.as_str() != Some("");
    if settled && field_type.has(&value) {
        return Ok(Some(value));
    }
    let emptied = mode == Mode::Single && value.as_str() == Some("");
    if emptied || field_type.is_empty(&value) {
        return Ok(None);
    }
    let value = coerce_one(field_type, value, || label(field))?;
    if let Value::String(text) = value.as_ref()
        && field_type.base == BaseType::DateTime
        && !is_date_like(text)
    {
        return Err(format!("{} must be a valid date-like string but it was not.", label(field)));
    }
    Ok(Some(value))
}

/// A list; a single value becomes a list of one. The form of dates is not checked in lists.
fn coerce_list<'e>(
    field: &str,
    field_type: FieldType,
    value: Cow<'e, Value>,
) -> Result<Option<Cow<'e, Value>>, String> {
    let items = match value.as_ref() {
        Value::Null => return Ok(field_type.nullable.then_some(value)),
        Value::String(text) if text.is_empty() => return Ok(None),
        Value::Array(items) => items.as_slice(),
        other => std::slice::from_ref(other),
    };
    let element = field_type.element();
    let kept = items.iter().filter(|value| !element.is_empty(value));
    let (mut coerced, mut errors) = (Vec::new(), Vec::new());
    for (index, value) in kept.enumerate() {
        let label = || format!("The value at /{field}/{index}");
        match coerce_one(element, Cow::Borrowed(value), label) {
            Ok(value) => coerced.push(value.into_owned()),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(Some(Cow::Owned(Value::Array(coerced))))
    } else {
        Err(errors.join(" "))
    }
}

/// A single value.
fn coerce_one(
    field_type: FieldType,
    mut value: Cow<'_, Value>,
    label: impl Fn() -> String,
) -> Result<Cow<'_, Value>, String> {
    if field_type.has(&value) {
        return Ok(value);
    }
    // Nothing can be converted to a plain object, so a list of one is not unwrapped for it.
    let convertible = field_type.base != BaseType::Object || field_type.nullable;
    if convertible
        && let Value::Array(items) = value.as_ref()
        && let [only] = items.as_slice()
    {
        value = Cow::Owned(only.clone());
    }
    // For a union the validator checks the unwrapped element against every type at once; that fails.
    let union = field_type.nullable || field_type.base == BaseType::DateTime;
    if !union && field_type.has(&value) {
        return Ok(value);
    }
    match convert(field_type, &value) {
        Some(converted) => Ok(Cow::Owned(converted)),
        None => Err(wrong_type(&label(), field_type, &value)),
    }
}

fn wrong_type(label: &str, field_type: FieldType, value: &Value) -> String {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    format!("{label} must be {} but it was {found}.", field_type.noun())
}

/// `external_id` → `External Id`, as Segment shows fields.
fn label(field: &str) -> String {
    let words = field.split('_').map(|word| {
        let mut chars = word.chars();
        chars
            .next()
            .map(|first| first.to_uppercase().chain(chars).collect::<String>())
            .unwrap_or_default()
    });
    words.collect::<Vec<_>>().join(" ")
}
