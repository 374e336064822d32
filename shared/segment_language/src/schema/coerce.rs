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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The coerced value, `undefined`, or the error.
    fn coerced(field_type: &str, mode: Mode, value: Value) -> Value {
        let field_type = FieldType::parse(field_type).unwrap();
        match coerce("external_id", field_type, mode, Some(Cow::Owned(value))) {
            Ok(value) => value.map_or_else(|| "undefined".into(), Cow::into_owned),
            Err(error) => error.into(),
        }
    }

    #[test]
    fn a_value_is_converted_to_the_type_of_its_field() {
        for (field_type, value, expected) in [
            ("string", json!("a"), json!("a")),
            ("string", json!(1e21), json!("1e+21")),
            ("string", json!(true), json!("true")),
            ("string", json!([5]), json!("5")),
            ("string", json!(["a"]), json!("a")),
            ("string", json!([5, 6]), json!("External Id must be a string but it was an array.")),
            ("string", json!({}), json!("External Id must be a string but it was an object.")),
            ("string|null", json!(null), json!(null)),
            ("string|null", json!(false), json!("false")),
            ("string|null", json!([null]), json!("")),
            (
                "string|null",
                json!(["a"]),
                json!("External Id must be a string or null but it was a string."),
            ),
            ("number", json!("5.5"), json!(5.5)),
            ("number", json!("5"), json!(5)),
            ("number", json!(true), json!(1)),
            ("number", json!([null]), json!(0)),
            ("number", json!([""]), json!("External Id must be a number but it was a string.")),
            ("number", json!("x"), json!("External Id must be a number but it was a string.")),
            ("number", json!("Infinity"), json!(null)),
            (
                "number|null",
                json!([5]),
                json!("External Id must be a number or null but it was a number."),
            ),
            ("integer", json!("5"), json!(5)),
            ("integer", json!("Infinity"), json!(null)),
            ("integer", json!("5.5"), json!("External Id must be an integer but it was a string.")),
            ("integer", json!(5.5), json!("External Id must be an integer but it was a number.")),
            (
                "integer|null",
                json!(0.5),
                json!("External Id must be an integer or null but it was a number."),
            ),
            ("boolean", json!("true"), json!(true)),
            ("boolean", json!("false"), json!(false)),
            ("boolean", json!(0), json!(false)),
            ("boolean", json!(1), json!(true)),
            ("boolean", json!([null]), json!(false)),
            ("boolean", json!(2), json!("External Id must be a boolean but it was a number.")),
            ("boolean", json!("yes"), json!("External Id must be a boolean but it was a string.")),
            ("object", json!({"a": 1}), json!({"a": 1})),
            (
                "object",
                json!([{"a": 1}]),
                json!("External Id must be an object but it was an array."),
            ),
            ("object", json!(true), json!("External Id must be an object but it was a boolean.")),
            ("object", json!([null]), json!("External Id must be an object but it was an array.")),
            ("object|null", json!(0), json!(null)),
            ("object|null", json!(false), json!(null)),
            ("object|null", json!([false]), json!(null)),
            ("object|null", json!([""]), json!(null)),
            (
                "object|null",
                json!(1),
                json!("External Id must be an object or null but it was a number."),
            ),
            (
                "object|null",
                json!("a"),
                json!("External Id must be an object or null but it was a string."),
            ),
            (
                "object|null",
                json!(true),
                json!("External Id must be an object or null but it was a boolean."),
            ),
            (
                "object|null",
                json!([[]]),
                json!("External Id must be an object or null but it was an array."),
            ),
            ("datetime", json!("2026-01-02"), json!("2026-01-02")),
            ("datetime", json!(5), json!(5)),
            (
                "datetime",
                json!(true),
                json!("External Id must be a valid date-like string but it was not."),
            ),
            (
                "datetime",
                json!("today"),
                json!("External Id must be a valid date-like string but it was not."),
            ),
            (
                "datetime",
                json!({}),
                json!("External Id must be a string or number but it was an object."),
            ),
        ] {
            assert_eq!(
                coerced(field_type, Mode::Batch, value.clone()),
                expected,
                "{field_type} {value}"
            );
        }
    }

    #[test]
    fn an_empty_text_is_kept_only_in_batches_and_where_the_type_has_it() {
        for (field_type, mode, expected) in [
            ("string", Mode::Single, "undefined"),
            ("string", Mode::Batch, ""),
            ("string|null", Mode::Single, "undefined"),
            ("number", Mode::Batch, "undefined"),
            ("boolean|null", Mode::Batch, "undefined"),
        ] {
            assert_eq!(
                coerced(field_type, mode, json!("")),
                json!(expected),
                "{field_type} {mode:?}"
            );
        }
        assert_eq!(coerced("string", Mode::Batch, json!(null)), json!("undefined"));
        let absent = coerce("f", FieldType::TEXT, Mode::Single, None);
        assert_eq!(absent, Ok(None));
    }

    #[test]
    fn the_elements_of_a_list_are_converted() {
        for (field_type, value, expected) in [
            ("string[]", json!(["a", 5, true]), json!(["a", "5", "true"])),
            ("string[]", json!("a"), json!(["a"])),
            ("string[]", json!(""), json!("undefined")),
            ("string[]", json!(["", "a", null]), json!(["", "a"])),
            ("number[]", json!(["", "5", null]), json!([5])),
            ("string[]", json!(null), json!("undefined")),
            ("string[]|null", json!(null), json!(null)),
            ("datetime[]", json!(["today"]), json!(["today"])),
            (
                "integer[]",
                json!([1.5, null, 2, "x"]),
                json!(
                    "The value at /external_id/0 must be an integer but it was a number. The value at /external_id/2 must be an integer but it was a string."
                ),
            ),
        ] {
            assert_eq!(
                coerced(field_type, Mode::Single, value.clone()),
                expected,
                "{field_type} {value}"
            );
        }
    }
}
