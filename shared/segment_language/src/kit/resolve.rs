//! The value of every part of a mapping, one arm per directive.
//!
//! Values are borrowed from the event for as long as nothing changes them.

use std::borrow::Cow;

use indexmap::IndexMap;
use serde_json::Value;

use super::computed::Computed;
use super::directives::{change_case, exclude_nulls, flatten, spread};
use super::error::EvaluationError;
use super::node::{Node, Replacement};
use super::reads::Reads;
use super::replace::replace;
use super::state::State;
use super::template::render;
use super::undefined::mark;
use crate::js;
use crate::path::Path;

/// What a part costs, and a field of a merged object: a mapping may repeat either for every element
/// of an array.
const STEP: usize = 16;

/// The value of a part for an event, or for what a directive around it made of the event.
pub(super) fn resolve<'e, R: Reads>(
    node: &Node,
    data: Option<&'e Value>,
    state: &mut State<R>,
) -> Result<Computed<'e>, EvaluationError> {
    state.spend(STEP)?;
    Ok(match node {
        Node::Undefined => Computed::Undefined,
        Node::Fail(message) => return Err(EvaluationError::new(message)),
        Node::Scalar(value) => Computed::owned(value.clone()),
        Node::Array(items) => Computed::Array(
            items.iter().map(|item| resolve(item, data, state)).collect::<Result<_, _>>()?,
        ),
        Node::Object(fields) => {
            let fields =
                fields.iter().map(|(key, value)| Ok((key.clone(), resolve(value, data, state)?)));
            Computed::Object(fields.collect::<Result<_, EvaluationError>>()?)
        }
        Node::Path(path) => state.look_up(path, data),
        Node::PathFrom(path) => {
            let path = resolve(path, data, state)?;
            state.look_up(&Path::from_directive(expect_text(&path, "@path")?), data)
        }
        Node::Template(template) => {
            let template = resolve(template, data, state)?;
            let text = render(expect_text(&template, "@template")?, data, state)?;
            created(text, state)?
        }
        Node::If { exists, value, then, otherwise } => {
            let value = resolve(value, data, state)?;
            let holds = !value.is_missing() && (*exists || !is_blank(value));
            match if holds { then } else { otherwise } {
                Some(branch) => resolve(branch, data, state)?,
                None => Computed::Undefined,
            }
        }
        Node::Case { operator, value } => {
            change_case(&resolve(operator, data, state)?, resolve(value, data, state)?)?
        }
        Node::Replace { replacements, value } => {
            let value = resolve(value, data, state)?;
            replaced(value, replacements.as_deref(), state)?
        }
        Node::ArrayPath { root, shape } => {
            let root = resolve(root, data, state)?;
            match shape {
                Some(shape) => each(root, shape, state)?,
                None => root,
            }
        }
        Node::Encode(value) => match resolve(value, data, state)?.json() {
            Some(value) => {
                let mut text = String::new();
                js::stringify(&value, &mut text);
                created(text, state)?
            }
            None => Computed::Undefined,
        },
        Node::Decode(value) => {
            let value = resolve(value, data, state)?;
            let decoded = value.as_str().and_then(|text| serde_json::from_str(text).ok());
            match decoded.map(js::as_double) {
                Some(decoded) => Computed::owned(decoded),
                None => value,
            }
        }
        Node::Discard(value) => {
            resolve(value, data, state)?;
            Computed::Undefined
        }
        Node::Flatten { separator, value, omit_arrays } => {
            let separator = resolve(separator, data, state)?;
            let separator = expect_text(&separator, "@flatten separator")?;
            flatten(resolve(value, data, state)?, separator, *omit_arrays, state)?
        }
        Node::Merge(objects) => {
            let mut merged = IndexMap::new();
            for object in objects {
                for (key, value) in spread(resolve(object, data, state)?) {
                    state.spend(STEP)?;
                    merged.insert(key, value);
                }
            }
            Computed::Object(merged)
        }
        Node::Transform { apply, mapping } => {
            expect_object(data)?;
            let applied = resolve(apply, data, state)?;
            resolve_on(applied, mapping, state)?
        }
        Node::ExcludeWhenNull(value) => match resolve(value, data, state)?.json() {
            Some(value) => exclude_nulls(&value).map_or(Computed::Undefined, Computed::owned),
            None => Computed::Undefined,
        },
    })
}

/// Fails as Segment does where a mapping is evaluated on anything but an object.
pub(super) fn expect_object(data: Option<&Value>) -> Result<(), EvaluationError> {
    if data.is_some_and(Value::is_object) {
        return Ok(());
    }
    Err(EvaluationError::new(format!("data must be an object, got {}", js::type_name(data))))
}

fn expect_text<'v>(value: &'v Computed<'_>, who: &str) -> Result<&'v str, EvaluationError> {
    value.as_str().ok_or_else(|| {
        EvaluationError::new(format!("{who}: expected string, got {}", value.type_name()))
    })
}

/// A text that a directive made.
fn created<'e, R: Reads>(
    text: String,
    state: &mut State<R>,
) -> Result<Computed<'e>, EvaluationError> {
    state.spend(text.len())?;
    Ok(Computed::owned(text))
}

fn is_blank(value: Computed<'_>) -> bool {
    value.json().is_some_and(|value| js::loosely_empty(&value))
}

/// A text, a number or a boolean with the replacements made in it; anything else is an empty text.
fn replaced<'e, R: Reads>(
    value: Computed<'_>,
    replacements: Option<&[Replacement]>,
    state: &mut State<R>,
) -> Result<Computed<'e>, EvaluationError> {
    let text = match value.json().as_deref() {
        Some(value @ (Value::String(_) | Value::Number(_) | Value::Bool(_))) => js::text(value),
        _ => return Ok(Computed::owned("")),
    };
    let Some(replacements) = replacements else {
        return Ok(Computed::owned(""));
    };
    let text = replacements
        .iter()
        .try_fold(text, |text, replacement| replace(&text, replacement, state))?;
    created(text, state)
}

/// A part evaluated on a value that was itself evaluated.
fn resolve_on<R: Reads>(
    data: Computed<'_>,
    node: &Node,
    state: &mut State<R>,
) -> Result<Computed<'static>, EvaluationError> {
    let (data, marked) = mark(data);
    let before = state.set_marked(marked);
    let value = resolve(node, data.as_deref(), state)?.into_static();
    state.set_marked(before);
    Ok(value)
}

/// The shape for every element of an array, or for an object as the only one.
fn each<'e, R: Reads>(
    root: Computed<'e>,
    shape: &Node,
    state: &mut State<R>,
) -> Result<Computed<'e>, EvaluationError> {
    let items: Vec<Computed<'e>> = match root {
        Computed::Array(items) => items,
        Computed::Object(_) | Computed::Json(Cow::Owned(Value::Object(_))) => vec![root],
        Computed::Json(Cow::Borrowed(Value::Array(items))) => {
            let items = items.iter().map(|item| resolve(shape, Some(item), state));
            return Ok(Computed::Array(items.collect::<Result<_, _>>()?));
        }
        Computed::Json(Cow::Borrowed(item @ Value::Object(_))) => {
            return Ok(Computed::Array(vec![resolve(shape, Some(item), state)?]));
        }
        Computed::Json(Cow::Owned(Value::Array(items))) => {
            items.into_iter().map(Computed::owned).collect()
        }
        other => return Ok(other),
    };
    let items = items.into_iter().map(|item| resolve_on(item, shape, state));
    Ok(Computed::Array(items.collect::<Result<_, _>>()?))
}
