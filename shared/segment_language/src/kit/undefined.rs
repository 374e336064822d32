//! Undefined values inside data. `@transform` and `@arrayPath` evaluate on a value that was itself
//! evaluated; JSON has no undefined, so marks stand for it there.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::computed::Computed;

/// Stands for an undefined element; no event holds this text by accident.
const MARK: &str = "\u{10ffff}undefined\u{10ffff}";

/// A value as data: undefined fields disappear, undefined elements become marks. Tells whether there
/// are any.
pub(super) fn mark(value: Computed<'_>) -> (Option<Cow<'_, Value>>, bool) {
    let mut any = false;
    let value = match value {
        Computed::Array(items) => {
            let items = items.into_iter().map(|item| {
                let (item, within) = mark(item);
                any |= within || item.is_none();
                item.map_or_else(|| MARK.into(), Cow::into_owned)
            });
            Some(Cow::Owned(items.collect()))
        }
        Computed::Object(fields) => {
            let fields = fields.into_iter().filter_map(|(key, value)| {
                let (value, within) = mark(value);
                any |= within;
                Some((key, value?.into_owned()))
            });
            Some(Cow::Owned(Value::Object(fields.collect::<Map<_, _>>())))
        }
        other => other.json(),
    };
    (value, any)
}

/// Data as a value: marks become undefined again.
pub(super) fn unmark(value: &Value) -> Computed<'static> {
    match value {
        Value::String(text) if text == MARK => Computed::Undefined,
        Value::Array(items) => Computed::Array(items.iter().map(unmark).collect()),
        Value::Object(fields) => {
            let fields = fields.iter();
            Computed::Object(fields.map(|(key, value)| (key.clone(), unmark(value))).collect())
        }
        other => Computed::owned(other.clone()),
    }
}
