//! A value while it is evaluated: unlike JSON, it tells undefined from null.

use std::borrow::Cow;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::js;

/// A value while it is evaluated; borrowed from the event for as long as nothing changes it.
#[derive(Debug, Clone)]
pub(super) enum Computed<'e> {
    Undefined,
    /// As it is in the event, or a scalar.
    Json(Cow<'e, Value>),
    Array(Vec<Self>),
    /// Fields may be undefined until the end: in `@merge` they overwrite.
    Object(IndexMap<String, Self>),
}

impl<'e> Computed<'e> {
    pub(super) fn owned(value: impl Into<Value>) -> Self {
        Self::Json(Cow::Owned(value.into()))
    }

    /// A value that was looked up; none is undefined.
    pub(super) fn from_lookup(value: Option<Cow<'e, Value>>) -> Self {
        value.map_or(Self::Undefined, Self::Json)
    }

    /// Whether it is undefined or null.
    pub(super) fn is_missing(&self) -> bool {
        match self {
            Self::Undefined => true,
            Self::Json(value) => value.is_null(),
            Self::Array(_) | Self::Object(_) => false,
        }
    }

    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Undefined => "undefined",
            Self::Json(value) => js::type_name(Some(value)),
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Json(value) => value.as_str(),
            _ => None,
        }
    }

    /// As JSON, without what is undefined: fields disappear, elements become null.
    pub(super) fn json(self) -> Option<Cow<'e, Value>> {
        match self {
            Self::Undefined => None,
            Self::Json(value) => Some(value),
            Self::Array(items) => {
                let items =
                    items.into_iter().map(|item| item.json().map_or(Value::Null, Cow::into_owned));
                Some(Cow::Owned(items.collect()))
            }
            Self::Object(fields) => {
                let fields = fields
                    .into_iter()
                    .filter_map(|(key, value)| Some((key, value.json()?.into_owned())));
                Some(Cow::Owned(Value::Object(fields.collect::<Map<_, _>>())))
            }
        }
    }

    pub(super) fn into_static(self) -> Computed<'static> {
        match self {
            Self::Undefined => Computed::Undefined,
            Self::Json(value) => Computed::Json(Cow::Owned(value.into_owned())),
            Self::Array(items) => {
                Computed::Array(items.into_iter().map(Computed::into_static).collect())
            }
            Self::Object(fields) => Computed::Object(
                fields.into_iter().map(|(key, value)| (key, value.into_static())).collect(),
            ),
        }
    }
}
