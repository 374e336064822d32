//! The directives that work on values alone: `@case`, `@flatten`, `@merge`, `@excludeWhenNull`.

use std::borrow::Cow;

use indexmap::IndexMap;
use serde_json::Value;

use super::computed::Computed;
use super::error::EvaluationError;
use super::reads::Reads;
use super::state::State;
use super::undefined::{mark, unmark};

/// `@case`: anything but a text stays as it is.
pub(super) fn change_case<'e>(
    operator: &Computed<'_>,
    value: Computed<'e>,
) -> Result<Computed<'e>, EvaluationError> {
    let Some(text) = value.as_str() else {
        return Ok(value);
    };
    match operator.as_str() {
        Some("lower") => Ok(Computed::owned(text.to_lowercase())),
        Some("upper") => Ok(Computed::owned(text.to_uppercase())),
        _ => Err(EvaluationError::new("@case: unknown operator")),
    }
}

/// What a field of a flattened object costs beside its name.
const FIELD: usize = 16;

/// `@flatten`: one level, the keys of the levels joined.
pub(super) fn flatten<R: Reads>(
    value: Computed<'_>,
    separator: &str,
    omit_arrays: bool,
    state: &mut State<R>,
) -> Result<Computed<'static>, EvaluationError> {
    let mut flat = Flat { separator, omit_arrays, fields: IndexMap::new(), state };
    if let (Some(value), _) = mark(value) {
        flat.add("", &value)?;
    }
    Ok(Computed::Object(flat.fields))
}

/// An object that is being flattened.
struct Flat<'s, R> {
    separator: &'s str,
    omit_arrays: bool,
    fields: IndexMap<String, Computed<'static>>,
    state: &'s mut State<R>,
}

impl<R: Reads> Flat<'_, R> {
    fn add(&mut self, name: &str, value: &Value) -> Result<(), EvaluationError> {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    self.add(&self.below(name, key), value)?;
                }
            }
            Value::Array(items) if !self.omit_arrays => {
                for (index, value) in items.iter().enumerate() {
                    self.add(&self.below(name, &index.to_string()), value)?;
                }
            }
            other => {
                self.state.spend(name.len() + FIELD)?;
                self.fields.insert(name.to_owned(), unmark(other));
            }
        }
        Ok(())
    }

    fn below(&self, name: &str, key: &str) -> String {
        if name.is_empty() { key.to_owned() } else { format!("{name}{}{key}", self.separator) }
    }
}

/// The fields that `Object.assign` copies from a value, as `@merge` does.
pub(super) fn spread(value: Computed<'_>) -> Vec<(String, Computed<'_>)> {
    match value {
        Computed::Undefined => Vec::new(),
        Computed::Object(fields) => fields.into_iter().collect(),
        Computed::Array(items) => numbered(items),
        Computed::Json(Cow::Borrowed(Value::Object(fields))) => fields
            .iter()
            .map(|(key, value)| (key.clone(), Computed::Json(Cow::Borrowed(value))))
            .collect(),
        Computed::Json(value) => match value.into_owned() {
            Value::Object(fields) => {
                fields.into_iter().map(|(key, value)| (key, Computed::owned(value))).collect()
            }
            Value::Array(items) => numbered(items.into_iter().map(Computed::owned)),
            Value::String(text) => {
                let units = text.encode_utf16().map(|unit| String::from_utf16_lossy(&[unit]));
                numbered(units.map(Computed::owned))
            }
            _ => Vec::new(),
        },
    }
}

fn numbered<'e>(items: impl IntoIterator<Item = Computed<'e>>) -> Vec<(String, Computed<'e>)> {
    items.into_iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect()
}

/// `@excludeWhenNull`: without null in objects at any depth; elements of arrays stay. None where the
/// value is null itself.
pub(super) fn exclude_nulls(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Object(fields) => {
            let fields =
                fields.iter().filter_map(|(key, value)| Some((key.clone(), exclude_nulls(value)?)));
            Some(Value::Object(fields.collect()))
        }
        other => Some(other.clone()),
    }
}
