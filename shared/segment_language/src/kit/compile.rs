//! JSON becomes a mapping, once it is valid.
//!
//! Segment validates neither the elements of arrays nor what is inside `@literal`: a wrong directive
//! there fails only when it is evaluated, and so it does here ([`Node::Fail`]).

use serde_json::{Map, Value};

use super::js::{length, truthy, type_name};
use super::path::Path;
use super::replace::Flags;
use super::{Fault, MAX_DEPTH, validate};

/// The key that lets a whole mapping be one directive.
const ROOT_DIRECTIVE: &str = "__segment_internal_directive";

/// Longest pattern and replacement, in UTF-16 units.
pub(super) const MAX_PATTERN: usize = 10;

/// A part of a compiled mapping.
#[derive(Debug)]
pub(super) enum Node {
    Scalar(Value),
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
    Path(Path),
    /// A path that is itself the result of a directive.
    PathOf(Box<Self>),
    Template(Box<Self>),
    If {
        exists: bool,
        value: Box<Self>,
        then: Option<Box<Self>>,
        otherwise: Option<Box<Self>>,
    },
    Case {
        operator: Box<Self>,
        value: Box<Self>,
    },
    Replace {
        pairs: Option<Vec<(String, String)>>,
        flags: Flags,
        value: Box<Self>,
    },
    ArrayPath {
        root: Box<Self>,
        shape: Option<Box<Self>>,
    },
    Encode(Box<Self>),
    Decode(Box<Self>),
    /// Evaluated, since it may fail; then undefined.
    Discard(Box<Self>),
    Flatten {
        separator: Box<Self>,
        value: Box<Self>,
        omit_arrays: bool,
    },
    /// In the order in which they are assigned.
    Merge(Vec<Self>),
    Transform {
        apply: Box<Self>,
        mapping: Box<Self>,
    },
    ExcludeWhenNull(Box<Self>),
    Undefined,
    Fail(String),
}

impl Node {
    /// The directive that it is.
    pub(super) fn directive(&self) -> &'static str {
        match self {
            Self::Scalar(_) | Self::Array(_) | Self::Object(_) => "@literal",
            Self::Path(_) | Self::PathOf(_) => "@path",
            Self::Template(_) => "@template",
            Self::If { .. } | Self::Undefined => "@if",
            Self::Case { .. } => "@case",
            Self::Replace { .. } => "@replace",
            Self::ArrayPath { .. } => "@arrayPath",
            Self::Encode(_) | Self::Decode(_) | Self::Discard(_) => "@json",
            Self::Flatten { .. } => "@flatten",
            Self::Merge(_) => "@merge",
            Self::Transform { .. } => "@transform",
            Self::ExcludeWhenNull(_) => "@excludeWhenNull",
            Self::Fail(_) => "none",
        }
    }
}

/// Compiles a whole mapping.
pub(super) fn root(mapping: &Value) -> Result<Node, Vec<Fault>> {
    if levels(mapping) > MAX_DEPTH {
        return Err(vec![Fault {
            path: "/".to_owned(),
            message: format!("is nested more than {MAX_DEPTH} levels deep"),
        }]);
    }
    let unwrapped = unwrap_root(mapping)?;
    let mapping = unwrapped.as_ref().unwrap_or(mapping);
    let faults = validate::faults(mapping);
    if faults.is_empty() { Ok(node(mapping)) } else { Err(faults) }
}

/// How deep a value is nested.
fn levels(value: &Value) -> usize {
    let deepest = match value {
        Value::Object(fields) => fields.values().map(levels).max(),
        Value::Array(items) => items.iter().map(levels).max(),
        _ => None,
    };
    1 + deepest.unwrap_or(0)
}

/// A mapping whose root is a directive: the other keys are that directive's mapping.
fn unwrap_root(mapping: &Value) -> Result<Option<Value>, Vec<Fault>> {
    let Some(root) = mapping.get(ROOT_DIRECTIVE) else {
        return Ok(None);
    };
    let fault = |message: &str| vec![Fault { path: "/".to_owned(), message: message.to_owned() }];
    let Value::Object(directive) = root else {
        return Err(fault("The root directive must be an object"));
    };
    let mut directives = directive.iter();
    let (Some((name, operand)), None) = (directives.next(), directives.next()) else {
        return Err(fault("The root mapping must only have a single directive object"));
    };
    let Value::Object(operand) = operand else {
        return Err(fault("The root directive must be an object"));
    };
    let mut siblings = mapping.as_object().cloned().unwrap_or_default();
    siblings.shift_remove(ROOT_DIRECTIVE);
    let mut operand = operand.clone();
    operand.insert("mapping".to_owned(), Value::Object(siblings));
    Ok(Some(Value::Object(Map::from_iter([(name.clone(), Value::Object(operand))]))))
}

/// The directive of an object, if it is one: a key with `@` and no other but `_metadata`.
pub(super) fn directive(fields: &Map<String, Value>) -> Option<(&str, &Value)> {
    let only = fields.keys().all(|key| key.starts_with('@') || key == "_metadata");
    let first = fields.iter().find(|(key, _)| key.starts_with('@'))?;
    only.then_some((first.0.as_str(), first.1))
}

fn node(value: &Value) -> Node {
    match value {
        Value::Array(items) => Node::Array(items.iter().map(node).collect()),
        Value::Object(fields) => match directive(fields) {
            Some((name, operand)) => directive_node(name, operand),
            None => {
                Node::Object(fields.iter().map(|(key, value)| (key.clone(), node(value))).collect())
            }
        },
        scalar => Node::Scalar(scalar.clone()),
    }
}

fn boxed(value: &Value) -> Box<Node> {
    Box::new(node(value))
}

fn optional(fields: &Map<String, Value>, key: &str) -> Option<Box<Node>> {
    fields.get(key).map(boxed)
}

fn fail(message: impl Into<String>) -> Node {
    Node::Fail(message.into())
}

fn directive_node(name: &str, operand: &Value) -> Node {
    match name {
        "@path" => match operand {
            Value::String(path) => Node::Path(Path::of_directive(path)),
            other => Node::PathOf(boxed(other)),
        },
        "@template" => Node::Template(boxed(operand)),
        "@literal" => node(operand),
        "@if" => if_node(operand),
        "@case" => case_node(operand),
        "@replace" => replace_node(operand),
        "@arrayPath" => array_path_node(operand),
        "@json" => json_node(operand),
        "@flatten" => flatten_node(operand),
        "@merge" => merge_node(operand),
        "@transform" => transform_node(operand),
        "@excludeWhenNull" => Node::ExcludeWhenNull(boxed(operand)),
        "@liquid" => fail("@liquid is not supported"),
        other => fail(format!("{other} is not a valid directive, got undefined")),
    }
}

fn if_node(operand: &Value) -> Node {
    let Value::Object(fields) = operand else {
        return fail("@if requires an object with an \"exists\" key");
    };
    let (exists, blank) = (fields.get("exists"), fields.get("blank"));
    if !truthy(exists) && !truthy(blank) {
        return fail("@if requires an \"exists\" key or a \"blank\" key");
    }
    let Some(value) = exists.or(blank) else {
        return Node::Undefined;
    };
    let otherwise = fields.get("else").filter(|value| truthy(Some(value))).map(boxed);
    Node::If {
        exists: exists.is_some(),
        value: boxed(value),
        then: optional(fields, "then"),
        otherwise,
    }
}

fn case_node(operand: &Value) -> Node {
    let Value::Object(fields) = operand else {
        return fail("@case requires an object");
    };
    let Some(operator) = fields.get("operator").filter(|operator| truthy(Some(operator))) else {
        return fail("@case requires a \"operator\" key");
    };
    match fields.get("value").filter(|value| truthy(Some(value))) {
        Some(value) => Node::Case { operator: boxed(operator), value: boxed(value) },
        None => Node::Undefined,
    }
}

fn replace_node(operand: &Value) -> Node {
    let Value::Object(fields) = operand else {
        return fail("@replace requires an object with a \"pattern\" key");
    };
    if !truthy(fields.get("pattern")) {
        return fail("@replace requires a \"pattern\" key");
    }
    let Some(value) = fields.get("value").filter(|value| truthy(Some(value))) else {
        return Node::Undefined;
    };
    let given = |key: &str| fields.get(key).filter(|value| !value.is_null());
    // What has a wrong type where nothing is validated gives an empty text.
    let text = |key: &str| given(key).map_or(Some(""), Value::as_str);
    let flag = |key: &str, default: bool| given(key).map_or(Some(default), Value::as_bool);
    let pair = |pattern: &str, replacement: &str| {
        Some((text(pattern)?.to_owned(), text(replacement)?.to_owned()))
    };
    let flags = flag("ignorecase", false).zip(flag("global", true));
    let (Some((ignore_case, global)), Some(first)) = (flags, pair("pattern", "replacement")) else {
        return Node::Replace {
            pairs: None,
            flags: Flags { ignore_case: false, global: true },
            value: boxed(value),
        };
    };
    let second = pair("pattern2", "replacement2").filter(|(pattern, _)| !pattern.is_empty());
    let pairs = std::iter::once(first).chain(second).collect();
    Node::Replace { pairs: Some(pairs), flags: Flags { ignore_case, global }, value: boxed(value) }
}

/// Patterns and replacements are short, or the evaluation fails once there is a text to work on.
pub(super) fn too_long(pattern: &str, replacement: &str) -> Option<String> {
    [("pattern", pattern), ("replacement", replacement)]
        .into_iter()
        .find(|(_, text)| length(text) > MAX_PATTERN)
        .map(|(name, _)| format!("@replace requires a \"{name}\" less than 10 characters"))
}

fn array_path_node(operand: &Value) -> Node {
    let Value::Array(items) = operand else {
        return fail(format!("@arrayPath expected array, got {}", type_name(Some(operand))));
    };
    let root = match items.first() {
        Some(Value::String(path)) => Node::Path(Path::of_directive(path)),
        Some(other) => node(other),
        None => Node::Undefined,
    };
    let shape =
        items.get(1).filter(|shape| shape.as_object().is_some_and(|fields| !fields.is_empty()));
    Node::ArrayPath { root: Box::new(root), shape: shape.map(boxed) }
}

fn json_node(operand: &Value) -> Node {
    let Value::Object(fields) = operand else {
        return fail("@json requires an object");
    };
    if !truthy(fields.get("mode")) {
        return fail("@json requires a \"mode\" key");
    }
    let Some(value) = fields.get("value").filter(|value| truthy(Some(value))) else {
        return fail("@json requires a \"value\" key");
    };
    // The validation lets any case pass, the evaluation does not.
    match fields.get("mode").and_then(Value::as_str) {
        Some("encode") => Node::Encode(boxed(value)),
        Some("decode") => Node::Decode(boxed(value)),
        _ => Node::Discard(boxed(value)),
    }
}

fn flatten_node(operand: &Value) -> Node {
    let Value::Object(fields) = operand else {
        return fail("@flatten requires an object");
    };
    let Some(separator) = fields.get("separator").filter(|separator| truthy(Some(separator)))
    else {
        return fail("@flatten requires a \"separator\" key");
    };
    Node::Flatten {
        separator: boxed(separator),
        value: optional(fields, "value").unwrap_or_else(|| Box::new(Node::Undefined)),
        omit_arrays: truthy(fields.get("omitArrays")),
    }
}

fn merge_node(operand: &Value) -> Node {
    let Value::Object(fields) = operand else {
        return fail("@merge requires an object");
    };
    let Some(direction) = fields.get("direction").filter(|direction| truthy(Some(direction)))
    else {
        return fail("@merge requires a \"direction\" key");
    };
    let Some(objects) = fields.get("objects").filter(|objects| truthy(Some(objects))) else {
        return fail("@merge requires a \"objects\" key");
    };
    let Value::Array(objects) = objects else {
        return fail("@merge: expected array");
    };
    let mut objects: Vec<Node> = objects.iter().map(node).collect();
    if direction == "left" {
        objects.reverse();
    }
    Node::Merge(objects)
}

fn transform_node(operand: &Value) -> Node {
    let Value::Object(fields) = operand else {
        return fail("@transform requires an object");
    };
    let (Some(apply), Some(mapping)) =
        (fields.get("apply"), fields.get("mapping").filter(|m| truthy(Some(m))))
    else {
        return fail("@transform requires \"apply\" and \"mapping\" keys");
    };
    match root(apply) {
        Ok(apply) => Node::Transform { apply: Box::new(apply), mapping: boxed(mapping) },
        Err(faults) => fail(faults.first().map(ToString::to_string).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mapping_without_end_is_a_fault() {
        let mut mapping = json!(1);
        for level in 0..120 {
            mapping = if level % 2 == 0 { json!({"a": mapping}) } else { json!([mapping]) };
        }
        assert!(root(&mapping).unwrap_err()[0].message.contains("levels deep"));
    }
}
