//! A compiled mapping and an event become a value.
//!
//! Values are borrowed from the event for as long as nothing changes them.

use std::borrow::Cow;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::compile::{Node, too_long};
use super::path::{Path, Walk};
use super::trace::Reads;
use super::{Error, MAX_OUTPUT, js, replace, template};

/// What an evaluation may still create, and who wants to know what it reads.
pub(super) struct Budget<R = ()> {
    left: usize,
    /// The data holds marks in the place of undefined elements.
    marked: bool,
    pub(super) reads: R,
}

impl<R: Default> Default for Budget<R> {
    fn default() -> Self {
        Self { left: MAX_OUTPUT, marked: false, reads: R::default() }
    }
}

impl<R: Reads> Budget<R> {
    /// The value at a path.
    pub(super) fn look_up<'e>(&mut self, path: &Path, data: Option<&'e Value>) -> V<'e> {
        let found = path.get(data);
        self.reads.read(path, found.as_ref());
        if self.marked {
            found.map_or(V::Undefined, |value| unmarked(&value))
        } else {
            V::of(found)
        }
    }

    /// Something of this size was created.
    fn spend(&mut self, size: usize) -> Result<(), Error> {
        self.left = self.left.checked_sub(size).ok_or_else(too_large)?;
        Ok(())
    }

    /// Holds a text that is being made against what is left.
    pub(super) fn text(&self, text: &str) -> Result<(), Error> {
        if text.len() > self.left { Err(too_large()) } else { Ok(()) }
    }
}

fn too_large() -> Error {
    Error(format!("the mapping creates more than {MAX_OUTPUT} bytes"))
}

/// A value while it is evaluated.
#[derive(Debug, Clone)]
pub(super) enum V<'e> {
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
                fields.into_iter().map(|(key, value)| (key, value.into_static())).collect(),
            ),
        }
    }
}

/// The value of a mapping for an event; none is undefined.
pub(super) fn evaluate(root: &Node, event: &Value) -> Result<Option<Value>, Error> {
    let value = resolve(root, Some(event), &mut Budget::<()>::default())?;
    Ok(value.json().map(Cow::into_owned))
}

/// The fields of an object that a mapping gives.
pub(super) fn fields<'m, 'e>(
    root: &'m Node,
    event: &'e Value,
) -> Result<Option<Vec<super::Field<'m, 'e>>>, Error> {
    let mut budget = Budget::<()>::default();
    if let Node::Object(nodes) = root {
        let mut walk = Walk::new(event);
        let mut fields = Vec::with_capacity(nodes.len());
        for (name, node) in nodes {
            if let Some(value) = field(node, event, &mut walk, &mut budget)? {
                fields.push((Cow::Borrowed(name.as_str()), value));
            }
        }
        return Ok(Some(fields));
    }
    let value = resolve(root, Some(event), &mut budget)?;
    Ok(match value.json() {
        Some(Cow::Borrowed(Value::Object(fields))) => {
            let fields = fields.iter();
            Some(
                fields
                    .map(|(name, value)| (Cow::Owned(name.clone()), Cow::Borrowed(value)))
                    .collect(),
            )
        }
        Some(Cow::Owned(Value::Object(fields))) => {
            let fields = fields.into_iter();
            Some(fields.map(|(name, value)| (Cow::Owned(name), Cow::Owned(value))).collect())
        }
        _ => None,
    })
}

/// The value of one field. Paths and objects of them, which most fields are, need no detour.
fn field<'m, 'e>(
    node: &'m Node,
    event: &'e Value,
    walk: &mut Walk<'m, 'e>,
    budget: &mut Budget,
) -> Result<Option<Cow<'e, Value>>, Error> {
    match node {
        Node::Path(path) => Ok(walk.get(path)),
        Node::Object(parts) => {
            let mut object = Map::new();
            for (name, node) in parts {
                if let Some(value) = field(node, event, walk, budget)? {
                    object.insert(name.clone(), value.into_owned());
                }
            }
            Ok(Some(Cow::Owned(Value::Object(object))))
        }
        _ => Ok(resolve(node, Some(event), budget)?.json()),
    }
}

/// Stands for an undefined element while a value is the data of `@transform`.
const MARK: &str = "\u{10ffff}undefined\u{10ffff}";

/// A value as data: undefined fields disappear, undefined elements become marks. Tells whether there
/// are any.
fn marked(value: V<'_>) -> (Option<Cow<'_, Value>>, bool) {
    let mut any = false;
    let value = match value {
        V::Array(items) => {
            let items = items.into_iter().map(|item| {
                let (item, within) = marked(item);
                any |= within || item.is_none();
                item.map_or_else(|| MARK.into(), Cow::into_owned)
            });
            Some(Cow::Owned(items.collect()))
        }
        V::Object(fields) => {
            let mut object = Map::new();
            for (key, value) in fields {
                let (value, within) = marked(value);
                any |= within;
                match value {
                    Some(value) => object.insert(key, value.into_owned()),
                    None => object.shift_remove(&key),
                };
            }
            Some(Cow::Owned(Value::Object(object)))
        }
        other => other.json(),
    };
    (value, any)
}

/// The other way round.
fn unmarked(value: &Value) -> V<'static> {
    match value {
        Value::String(text) if text == MARK => V::Undefined,
        Value::Array(items) => V::Array(items.iter().map(unmarked).collect()),
        Value::Object(fields) => {
            let fields = fields.iter();
            V::Object(fields.map(|(key, value)| (key.clone(), unmarked(value))).collect())
        }
        other => V::owned(other.clone()),
    }
}

#[expect(clippy::too_many_lines, reason = "one arm per directive")]
pub(super) fn resolve<'e, R: Reads>(
    node: &Node,
    data: Option<&'e Value>,
    budget: &mut Budget<R>,
) -> Result<V<'e>, Error> {
    // Also what a mapping repeats for every element of an array has its price.
    budget.spend(16)?;
    Ok(match node {
        Node::Undefined => V::Undefined,
        Node::Fail(message) => return Err(Error(message.clone())),
        Node::Scalar(value) => V::owned(value.clone()),
        Node::Array(items) => V::Array(
            items.iter().map(|item| resolve(item, data, budget)).collect::<Result<_, _>>()?,
        ),
        Node::Object(fields) => {
            let fields =
                fields.iter().map(|(key, value)| Ok((key.clone(), resolve(value, data, budget)?)));
            V::Object(fields.collect::<Result<_, Error>>()?)
        }
        Node::Path(path) => budget.look_up(path, data),
        Node::PathOf(path) => {
            let path = resolve(path, data, budget)?;
            budget.look_up(&Path::of_directive(expect_text(&path, "@path")?), data)
        }
        Node::Template(template) => {
            let template = resolve(template, data, budget)?;
            let text = template::render(expect_text(&template, "@template")?, data, budget)?;
            budget.spend(text.len())?;
            V::owned(text)
        }
        Node::If { exists, value, then, otherwise } => {
            let value = resolve(value, data, budget)?;
            let blank = || value.clone().json().is_some_and(|value| js::loosely_empty(&value));
            let holds = !value.is_missing() && (*exists || !blank());
            match if holds { then } else { otherwise } {
                Some(branch) => resolve(branch, data, budget)?,
                None => V::Undefined,
            }
        }
        Node::Case { operator, value } => {
            case(&resolve(operator, data, budget)?, resolve(value, data, budget)?)?
        }
        Node::Replace { pairs, flags, value } => {
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
            let decoded = value.as_str().and_then(|text| serde_json::from_str(text).ok());
            match decoded.map(js::as_double) {
                Some(decoded) => V::owned(decoded),
                None => value,
            }
        }
        Node::Discard(value) => {
            resolve(value, data, budget)?;
            V::Undefined
        }
        Node::Flatten { separator, value, omit_arrays } => {
            let separator = resolve(separator, data, budget)?;
            let separator = expect_text(&separator, "@flatten separator")?;
            let (value, _) = marked(resolve(value, data, budget)?);
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
                return Err(Error(format!("data must be an object, got {}", js::type_name(data))));
            }
            let (applied, any) = marked(resolve(apply, data, budget)?);
            let before = std::mem::replace(&mut budget.marked, any);
            let mapped = resolve(mapping, applied.as_deref(), budget)?.into_static();
            budget.marked = before;
            mapped
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
fn each<'e, R: Reads>(root: V<'e>, shape: &Node, budget: &mut Budget<R>) -> Result<V<'e>, Error> {
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
        let (item, any) = marked(item);
        let before = std::mem::replace(&mut budget.marked, any);
        let shaped = resolve(shape, item.as_deref(), budget)?.into_static();
        budget.marked = before;
        Ok(shaped)
    });
    Ok(V::Array(items.collect::<Result<_, Error>>()?))
}

fn flatten<R: Reads>(
    value: &Value,
    prefix: &str,
    separator: &str,
    omit_arrays: bool,
    out: &mut IndexMap<String, V<'static>>,
    budget: &mut Budget<R>,
) -> Result<(), Error> {
    let name = |key: &str| {
        if prefix.is_empty() { key.to_owned() } else { format!("{prefix}{separator}{key}") }
    };
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                flatten(value, &name(key), separator, omit_arrays, out, budget)?;
            }
        }
        Value::Array(items) if !omit_arrays => {
            for (index, value) in items.iter().enumerate() {
                flatten(value, &name(&index.to_string()), separator, omit_arrays, out, budget)?;
            }
        }
        other => {
            budget.spend(prefix.len() + 16)?;
            out.insert(prefix.to_owned(), unmarked(other));
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
        V::Array(items) => {
            items.into_iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect()
        }
        V::Json(Cow::Borrowed(Value::Object(fields))) => {
            fields.iter().map(|(key, value)| (key.clone(), V::Json(Cow::Borrowed(value)))).collect()
        }
        V::Json(value) => match value.into_owned() {
            Value::Object(fields) => {
                fields.into_iter().map(|(key, value)| (key, V::owned(value))).collect()
            }
            Value::Array(items) => numbered(items),
            Value::String(text) => numbered(
                text.encode_utf16().map(|unit| String::from_utf16_lossy(&[unit]).into()).collect(),
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
            let fields =
                fields.iter().filter_map(|(key, value)| Some((key.clone(), exclude_nulls(value)?)));
            Some(Value::Object(fields.collect()))
        }
        other => Some(other.clone()),
    }
}
