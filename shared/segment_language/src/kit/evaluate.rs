//! A compiled mapping and an event become a value, or the fields of one.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::error::EvaluationError;
use super::node::Node;
use super::resolve::resolve;
use super::state::State;
use super::walk::Walk;

/// A field of a mapping's output.
pub type OutputField<'m, 'e> = (Cow<'m, str>, Cow<'e, Value>);

/// The value of a mapping for an event; `None` is undefined.
pub(super) fn evaluate(root: &Node, event: &Value) -> Result<Option<Value>, EvaluationError> {
    let value = resolve(root, Some(event), &mut State::<()>::default())?;
    Ok(value.json().map(Cow::into_owned))
}

/// The fields of the object that a mapping gives; `None` if it gives no object.
pub(super) fn fields<'m, 'e>(
    root: &'m Node,
    event: &'e Value,
) -> Result<Option<Vec<OutputField<'m, 'e>>>, EvaluationError> {
    let mut state = State::<()>::default();
    if let Node::Object(nodes) = root {
        let mut walk = Walk::new(event);
        let mut fields = Vec::with_capacity(nodes.len());
        for (name, node) in nodes {
            if let Some(value) = field(node, event, &mut walk, &mut state)? {
                fields.push((Cow::Borrowed(name.as_str()), value));
            }
        }
        return Ok(Some(fields));
    }
    let value = resolve(root, Some(event), &mut state)?;
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

/// The value of one field. Most fields are paths and objects of paths: these are looked up directly.
fn field<'m, 'e>(
    node: &'m Node,
    event: &'e Value,
    walk: &mut Walk<'m, 'e>,
    state: &mut State,
) -> Result<Option<Cow<'e, Value>>, EvaluationError> {
    match node {
        Node::Path(path) => Ok(walk.get(path)),
        Node::Object(parts) => {
            let mut object = Map::new();
            for (name, node) in parts {
                if let Some(value) = field(node, event, walk, state)? {
                    object.insert(name.clone(), value.into_owned());
                }
            }
            Ok(Some(Cow::Owned(Value::Object(object))))
        }
        _ => Ok(resolve(node, Some(event), state)?.json()),
    }
}
