//! A compiled mapping and an event become a value.
//!
//! Values are borrowed from the event for as long as nothing changes them.

use std::borrow::Cow;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::compile::{Node, too_long};
use super::path::Path;
use super::{Error, MAX_OUTPUT, js, replace, template};

/// What an evaluation may still create.
pub(super) struct Budget {
    left: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: MAX_OUTPUT }
    }
}

impl Budget {
    /// Something of this size was created.
    fn spend(&mut self, size: usize) -> Result<(), Error> {
        self.left = self.left.checked_sub(size).ok_or_else(too_large)?;
        Ok(())
    }

    /// Holds a text that is being made against what is left.
    pub(super) fn text(&self, text: &str) -> Result<(), Error> {
        if text.len() > self.left {
            Err(too_large())
        } else {
            Ok(())
        }
    }
}

fn too_large() -> Error {
    Error(format!("the mapping creates more than {MAX_OUTPUT} bytes"))
}

/// A value while it is evaluated.
#[derive(Debug, Clone)]
enum V<'e> {
    Undefined,
    /// As it is in the event, or a scalar.
    Json(Cow<'e, Value>),
    Array(Vec<Self>),
    /// Fields may be undefined until the end: in `@merge` they overwrite.
    Object(IndexMap<String, Self>),
}

impl<'e> V<'e> {
    fn owned(value: impl Into<Value>) -> Self {
        Self::Json(Cow::Owned(value.into()))
    }

    fn of(value: Option<Cow<'e, Value>>) -> Self {
        value.map_or(Self::Undefined, Self::Json)
    }

    fn is_missing(&self) -> bool {
        match self {
            Self::Undefined => true,
            Self::Json(value) => value.is_null(),
            Self::Array(_) | Self::Object(_) => false,
        }
    }

    fn type_name(&self) -> &'static str {
        match self {
            Self::Undefined => "undefined",
            Self::Json(value) => js::type_name(Some(value)),
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    fn as_str(&self) -> Option<&str> {
        match self {
            Self::Json(value) => value.as_str(),
            _ => None,
        }
    }

    /// Without what is undefined: fields disappear, elements become null.
    fn json(self) -> Option<Cow<'e, Value>> {
        match self {
            Self::Undefined => None,
            Self::Json(value) => Some(value),
            Self::Array(items) => {
                let items = items
                    .into_iter()
                    .map(|item| item.json().map_or(Value::Null, Cow::into_owned));
                Some(Cow::Owned(items.collect()))
            }
            Self::Object(fields) => {
                let mut object = Map::new();
                for (key, value) in fields {
                    match value.json() {
                        Some(value) => object.insert(key, value.into_owned()),
                        None => object.shift_remove(&key),
                    };
                }
                Some(Cow::Owned(Value::Object(object)))
            }
        }
    }

    fn into_static(self) -> V<'static> {
        match self {
            Self::Undefined => V::Undefined,
            Self::Json(value) => V::Json(Cow::Owned(value.into_owned())),
            Self::Array(items) => V::Array(items.into_iter().map(V::into_static).collect()),
            Self::Object(fields) => V::Object(
                fields
                    .into_iter()
                    .map(|(key, value)| (key, value.into_static()))
                    .collect(),
            ),
        }
    }
}

/// The value of a mapping for an event; none is undefined.
pub(super) fn evaluate(root: &Node, event: &Value) -> Result<Option<Value>, Error> {
    let value = resolve(root, Some(event), &mut Budget::default())?;
    Ok(value.json().map(Cow::into_owned))
}

#[expect(clippy::too_many_lines, reason = "one arm per directive")]
fn resolve<'e>(node: &Node, data: Option<&'e Value>, budget: &mut Budget) -> Result<V<'e>, Error> {
    // Also what a mapping repeats for every element of an array has its price.
    budget.spend(16)?;
    Ok(match node {
        Node::Undefined => V::Undefined,
        Node::Fail(message) => return Err(Error(message.clone())),
        Node::Scalar(value) => V::owned(value.clone()),
        Node::Array(items) => V::Array(
            items
                .iter()
                .map(|item| resolve(item, data, budget))
                .collect::<Result<_, _>>()?,
        ),
        Node::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(key, value)| Ok((key.clone(), resolve(value, data, budget)?)));
            V::Object(fields.collect::<Result<_, Error>>()?)
        }
        Node::Path(path) => V::of(path.get(data)),
        Node::PathOf(path) => {
            let path = resolve(path, data, budget)?;
            V::of(Path::of_directive(expect_text(&path, "@path")?).get(data))
        }
        Node::Template(template) => {
            let template = resolve(template, data, budget)?;
            let text = template::render(expect_text(&template, "@template")?, data, budget)?;
            budget.spend(text.len())?;
            V::owned(text)
        }
        Node::If {
            exists,
            value,
            then,
            otherwise,
        } => {
            let value = resolve(value, data, budget)?;
            let blank = || {
                value
                    .clone()
                    .json()
                    .is_some_and(|value| js::loosely_empty(&value))
            };
            let holds = !value.is_missing() && (*exists || !blank());
            match if holds { then } else { otherwise } {
                Some(branch) => resolve(branch, data, budget)?,
                None => V::Undefined,
            }
        }
        Node::Case { operator, value } => case(
            &resolve(operator, data, budget)?,
            resolve(value, data, budget)?,
        )?,
        Node::Replace {
            pairs,
            flags,
            value,
        } => {
            let value = resolve(value, data, budget)?.json();
            let text = match value.as_deref() {
                Some(Value::String(text)) => Some(text.clone()),
                Some(value @ (Value::Number(_) | Value::Bool(_))) => Some(js::text(value)),
                _ => None,
            };
            let (Some(mut text), Some(pairs)) = (text, pairs) else {
                return Ok(V::owned(""));
            };
            for (pattern, replacement) in pairs {
                if let Some(message) = too_long(pattern, replacement) {
                    return Err(Error(message));
                }
                text = replace::replace(&text, pattern, replacement, *flags, budget)?;
            }
            budget.spend(text.len())?;
            V::owned(text)
        }
        Node::ArrayPath { root, shape } => {
            let root = resolve(root, data, budget)?;
            match shape {
                Some(shape) => each(root, shape, budget)?,
                None => root,
            }
        }
        Node::Encode(value) => match resolve(value, data, budget)?.json() {
            Some(value) => {
                let mut text = String::new();
                js::stringify(&value, &mut text);
                budget.spend(text.len())?;
                V::owned(text)
            }
            None => V::Undefined,
        },
        Node::Decode(value) => {
            let value = resolve(value, data, budget)?;
            let decoded = value
                .as_str()
                .and_then(|text| serde_json::from_str(text).ok());
            match decoded.map(js::as_double) {
                Some(decoded) => V::owned(decoded),
                None => value,
            }
        }
        Node::Flatten {
            separator,
            value,
            omit_arrays,
        } => {
            let separator = resolve(separator, data, budget)?;
            let separator = expect_text(&separator, "@flatten separator")?;
            let value = resolve(value, data, budget)?.json();
            let mut flat = IndexMap::new();
            if let Some(value) = &value {
                flatten(value, "", separator, *omit_arrays, &mut flat, budget)?;
            }
            V::Object(flat).into_static()
        }
        Node::Merge(objects) => {
            let mut merged = IndexMap::new();
            for object in objects {
                for (key, value) in spread(resolve(object, data, budget)?) {
                    budget.spend(16)?;
                    merged.insert(key, value);
                }
            }
            V::Object(merged)
        }
        Node::Transform { apply, mapping } => {
            if !matches!(data, Some(Value::Object(_))) {
                return Err(Error(format!(
                    "data must be an object, got {}",
                    js::type_name(data)
                )));
            }
            let applied = resolve(apply, data, budget)?.json();
            resolve(mapping, applied.as_deref(), budget)?.into_static()
        }
        Node::ExcludeWhenNull(value) => match resolve(value, data, budget)?.json() {
            Some(value) => exclude_nulls(&value).map_or(V::Undefined, V::owned),
            None => V::Undefined,
        },
    })
}

fn expect_text<'v>(value: &'v V<'_>, who: &str) -> Result<&'v str, Error> {
    value
        .as_str()
        .ok_or_else(|| Error(format!("{who}: expected string, got {}", value.type_name())))
}

fn case<'e>(operator: &V<'_>, value: V<'e>) -> Result<V<'e>, Error> {
    let Some(text) = value.as_str() else {
        return Ok(value);
    };
    match operator.as_str() {
        Some("lower") => Ok(V::owned(text.to_lowercase())),
        Some("upper") => Ok(V::owned(text.to_uppercase())),
        _ => Err(Error("@case: unknown operator".to_owned())),
    }
}

/// The shape for every element of an array, or for an object as the only one.
fn each<'e>(root: V<'e>, shape: &Node, budget: &mut Budget) -> Result<V<'e>, Error> {
    let items: Vec<V<'e>> = match root {
        V::Array(items) => items,
        V::Object(_) | V::Json(Cow::Owned(Value::Object(_))) => vec![root],
        V::Json(Cow::Borrowed(Value::Array(items))) => {
            let items = items.iter().map(|item| resolve(shape, Some(item), budget));
            return Ok(V::Array(items.collect::<Result<_, _>>()?));
        }
        V::Json(Cow::Borrowed(item @ Value::Object(_))) => {
            return Ok(V::Array(vec![resolve(shape, Some(item), budget)?]));
        }
        V::Json(Cow::Owned(Value::Array(items))) => items.into_iter().map(V::owned).collect(),
        other => return Ok(other),
    };
    let items = items.into_iter().map(|item| {
        let item = item.json();
        Ok(resolve(shape, item.as_deref(), budget)?.into_static())
    });
    Ok(V::Array(items.collect::<Result<_, Error>>()?))
}

fn flatten(
    value: &Value,
    prefix: &str,
    separator: &str,
    omit_arrays: bool,
    out: &mut IndexMap<String, V<'static>>,
    budget: &mut Budget,
) -> Result<(), Error> {
    let name = |key: &str| {
        if prefix.is_empty() {
            key.to_owned()
        } else {
            format!("{prefix}{separator}{key}")
        }
    };
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                flatten(value, &name(key), separator, omit_arrays, out, budget)?;
            }
        }
        Value::Array(items) if !omit_arrays => {
            for (index, value) in items.iter().enumerate() {
                flatten(
                    value,
                    &name(&index.to_string()),
                    separator,
                    omit_arrays,
                    out,
                    budget,
                )?;
            }
        }
        other => {
            budget.spend(prefix.len() + 16)?;
            out.insert(prefix.to_owned(), V::owned(other.clone()));
        }
    }
    Ok(())
}

/// What `Object.assign` takes from a value.
fn spread(value: V<'_>) -> Vec<(String, V<'_>)> {
    let numbered = |items: Vec<Value>| {
        items
            .into_iter()
            .enumerate()
            .map(|(index, item)| (index.to_string(), V::owned(item)))
            .collect()
    };
    match value {
        V::Object(fields) => fields.into_iter().collect(),
        V::Array(items) => items
            .into_iter()
            .enumerate()
            .map(|(index, item)| (index.to_string(), item))
            .collect(),
        V::Json(Cow::Borrowed(Value::Object(fields))) => fields
            .iter()
            .map(|(key, value)| (key.clone(), V::Json(Cow::Borrowed(value))))
            .collect(),
        V::Json(value) => match value.into_owned() {
            Value::Object(fields) => fields
                .into_iter()
                .map(|(key, value)| (key, V::owned(value)))
                .collect(),
            Value::Array(items) => numbered(items),
            Value::String(text) => numbered(
                text.encode_utf16()
                    .map(|unit| String::from_utf16_lossy(&[unit]).into())
                    .collect(),
            ),
            _ => Vec::new(),
        },
        V::Undefined => Vec::new(),
    }
}

/// Without null, but for elements of arrays; nothing where it is null itself.
fn exclude_nulls(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), exclude_nulls(value)?)));
            Some(Value::Object(fields.collect()))
        }
        other => Some(other.clone()),
    }
}
