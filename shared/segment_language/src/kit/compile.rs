//! JSON becomes a mapping, once it is valid.
//!
//! Segment validates neither the elements of arrays nor what is inside `@literal`: a wrong directive
//! there fails only when it is evaluated, and so it does here ([`Node::Fail`]).

use serde_json::{Map, Value};

use super::fault::Fault;
use super::node::{Node, Replacement};
use super::syntax::{check_depth, directive, unwrap_root};
use super::validate::validate;
use crate::js::{truthy, type_name};
use crate::path::Path;

/// Compiles a whole mapping.
pub(super) fn compile(mapping: &Value) -> Result<Node, Vec<Fault>> {
    check_depth(mapping).map_err(|fault| vec![fault])?;
    let unwrapped = unwrap_root(mapping).map_err(|fault| vec![fault])?;
    let mapping = unwrapped.as_ref().unwrap_or(mapping);
    let faults = validate(mapping);
    if faults.is_empty() { Ok(node(mapping)) } else { Err(faults) }
}

fn node(value: &Value) -> Node {
    match value {
        Value::Array(items) => Node::Array(items.iter().map(node).collect()),
        Value::Object(fields) => match directive(fields) {
            Some((name, operand)) => directive_node(name, operand).unwrap_or_else(Node::Fail),
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

/// A directive; the error is the message with which it fails when it is evaluated.
fn directive_node(name: &str, operand: &Value) -> Result<Node, String> {
    Ok(match name {
        "@path" => path_node(operand),
        "@template" => Node::Template(boxed(operand)),
        "@literal" => node(operand),
        "@if" => if_node(operand)?,
        "@case" => case_node(operand)?,
        "@replace" => replace_node(operand)?,
        "@arrayPath" => array_path_node(operand)?,
        "@json" => json_node(operand)?,
        "@flatten" => flatten_node(operand)?,
        "@merge" => merge_node(operand)?,
        "@transform" => transform_node(operand)?,
        "@excludeWhenNull" => Node::ExcludeWhenNull(boxed(operand)),
        "@liquid" => return Err("@liquid is not supported".to_owned()),
        other => return Err(format!("{other} is not a valid directive, got undefined")),
    })
}

fn object<'v>(operand: &'v Value, message: &str) -> Result<&'v Map<String, Value>, String> {
    operand.as_object().ok_or_else(|| message.to_owned())
}

/// The field of an operand, unless JavaScript takes it for false.
fn truthy_field<'v>(fields: &'v Map<String, Value>, key: &str) -> Option<&'v Value> {
    fields.get(key).filter(|value| truthy(Some(value)))
}

fn required<'v>(
    fields: &'v Map<String, Value>,
    key: &str,
    directive: &str,
) -> Result<&'v Value, String> {
    truthy_field(fields, key).ok_or_else(|| format!("{directive} requires a \"{key}\" key"))
}

fn path_node(operand: &Value) -> Node {
    match operand {
        Value::String(path) => Node::Path(Path::from_directive(path)),
        other => Node::PathFrom(boxed(other)),
    }
}

fn if_node(operand: &Value) -> Result<Node, String> {
    let fields = object(operand, "@if requires an object with an \"exists\" key")?;
    if truthy_field(fields, "exists").is_none() && truthy_field(fields, "blank").is_none() {
        return Err("@if requires an \"exists\" key or a \"blank\" key".to_owned());
    }
    let exists = fields.get("exists");
    let Some(value) = exists.or_else(|| fields.get("blank")) else {
        return Ok(Node::Undefined);
    };
    Ok(Node::If {
        exists: exists.is_some(),
        value: boxed(value),
        then: fields.get("then").map(boxed),
        otherwise: truthy_field(fields, "else").map(boxed),
    })
}

fn case_node(operand: &Value) -> Result<Node, String> {
    let fields = object(operand, "@case requires an object")?;
    let operator = required(fields, "operator", "@case")?;
    Ok(match truthy_field(fields, "value") {
        Some(value) => Node::Case { operator: boxed(operator), value: boxed(value) },
        None => Node::Undefined,
    })
}

fn replace_node(operand: &Value) -> Result<Node, String> {
    let fields = object(operand, "@replace requires an object with a \"pattern\" key")?;
    required(fields, "pattern", "@replace")?;
    let Some(value) = truthy_field(fields, "value") else {
        return Ok(Node::Undefined);
    };
    Ok(Node::Replace { replacements: replacements(fields), value: boxed(value) })
}

/// One or two replacements; none where a field has a wrong type.
fn replacements(fields: &Map<String, Value>) -> Option<Vec<Replacement>> {
    let given = |key: &str| fields.get(key).filter(|value| !value.is_null());
    let text = |key: &str| given(key).map_or(Some(""), Value::as_str);
    let flag = |key: &str, default: bool| given(key).map_or(Some(default), Value::as_bool);
    let (ignore_case, global) = (flag("ignorecase", false)?, flag("global", true)?);
    let pair = |pattern: &str, with: &str| {
        Some(Replacement {
            pattern: text(pattern)?.to_owned(),
            with: text(with)?.to_owned(),
            ignore_case,
            global,
        })
    };
    let second = pair("pattern2", "replacement2").filter(|second| !second.pattern.is_empty());
    Some(std::iter::once(pair("pattern", "replacement")?).chain(second).collect())
}

fn array_path_node(operand: &Value) -> Result<Node, String> {
    let Value::Array(items) = operand else {
        return Err(format!("@arrayPath expected array, got {}", type_name(Some(operand))));
    };
    let root = match items.first() {
        Some(Value::String(path)) => Node::Path(Path::from_directive(path)),
        Some(other) => node(other),
        None => Node::Undefined,
    };
    let shape =
        items.get(1).filter(|shape| shape.as_object().is_some_and(|fields| !fields.is_empty()));
    Ok(Node::ArrayPath { root: Box::new(root), shape: shape.map(boxed) })
}

fn json_node(operand: &Value) -> Result<Node, String> {
    let fields = object(operand, "@json requires an object")?;
    let mode = required(fields, "mode", "@json")?;
    let value = boxed(required(fields, "value", "@json")?);
    // Validation accepts `Encode` too, evaluation knows lower case only.
    Ok(match mode.as_str() {
        Some("encode") => Node::Encode(value),
        Some("decode") => Node::Decode(value),
        _ => Node::Discard(value),
    })
}

fn flatten_node(operand: &Value) -> Result<Node, String> {
    let fields = object(operand, "@flatten requires an object")?;
    let separator = required(fields, "separator", "@flatten")?;
    Ok(Node::Flatten {
        separator: boxed(separator),
        value: Box::new(fields.get("value").map_or(Node::Undefined, node)),
        omit_arrays: truthy_field(fields, "omitArrays").is_some(),
    })
}

fn merge_node(operand: &Value) -> Result<Node, String> {
    let fields = object(operand, "@merge requires an object")?;
    let direction = required(fields, "direction", "@merge")?;
    let Value::Array(objects) = required(fields, "objects", "@merge")? else {
        return Err("@merge: expected array".to_owned());
    };
    let mut objects: Vec<Node> = objects.iter().map(node).collect();
    if direction == "left" {
        objects.reverse();
    }
    Ok(Node::Merge(objects))
}

fn transform_node(operand: &Value) -> Result<Node, String> {
    let fields = object(operand, "@transform requires an object")?;
    let (Some(apply), Some(mapping)) = (fields.get("apply"), truthy_field(fields, "mapping"))
    else {
        return Err("@transform requires \"apply\" and \"mapping\" keys".to_owned());
    };
    // Segment evaluates `apply` as a mapping of its own, validation included.
    let apply = compile(apply)
        .map_err(|faults| faults.first().map(ToString::to_string).unwrap_or_default())?;
    Ok(Node::Transform { apply: Box::new(apply), mapping: boxed(mapping) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The message of a part that is not validated and fails when it is evaluated.
    fn failure(directive: &str, operand: &Value) -> String {
        let compiled = compile(&json!({"x": [{directive: operand}]})).unwrap();
        let Node::Object(fields) = compiled else { return "not an object".to_owned() };
        match &fields[..] {
            [(_, Node::Array(items))] => match &items[..] {
                [Node::Fail(message)] => message.clone(),
                other => format!("{other:?}"),
            },
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_wrong_directive_in_an_array_fails_with_segments_message() {
        for (directive, operand, message) in [
            ("@nope", json!(1), "@nope is not a valid directive, got undefined"),
            ("@liquid", json!("a"), "@liquid is not supported"),
            ("@if", json!(1), "@if requires an object with an \"exists\" key"),
            ("@if", json!({}), "@if requires an \"exists\" key or a \"blank\" key"),
            ("@if", json!({"exists": 0}), "@if requires an \"exists\" key or a \"blank\" key"),
            ("@case", json!(1), "@case requires an object"),
            ("@case", json!({"operator": ""}), "@case requires a \"operator\" key"),
            ("@replace", json!(1), "@replace requires an object with a \"pattern\" key"),
            ("@replace", json!({"pattern": ""}), "@replace requires a \"pattern\" key"),
            ("@arrayPath", json!({}), "@arrayPath expected array, got object"),
            ("@json", json!(1), "@json requires an object"),
            ("@json", json!({"value": 1}), "@json requires a \"mode\" key"),
            ("@json", json!({"mode": "encode"}), "@json requires a \"value\" key"),
            ("@flatten", json!(1), "@flatten requires an object"),
            ("@flatten", json!({"separator": ""}), "@flatten requires a \"separator\" key"),
            ("@merge", json!(1), "@merge requires an object"),
            ("@merge", json!({"objects": []}), "@merge requires a \"direction\" key"),
            ("@merge", json!({"direction": "left"}), "@merge requires a \"objects\" key"),
            ("@merge", json!({"direction": "left", "objects": 1}), "@merge: expected array"),
            ("@transform", json!(1), "@transform requires an object"),
            (
                "@transform",
                json!({"apply": {}}),
                "@transform requires \"apply\" and \"mapping\" keys",
            ),
            (
                "@transform",
                json!({"mapping": {}}),
                "@transform requires \"apply\" and \"mapping\" keys",
            ),
            (
                "@transform",
                json!({"apply": {"a": {"@nope": 1}}, "mapping": {"a": 1}}),
                "/a has an invalid directive: @nope.",
            ),
        ] {
            assert_eq!(failure(directive, &operand), message, "{directive} {operand}");
        }
    }

    #[test]
    fn a_mapping_that_is_nested_too_deep_is_refused() {
        let nested = (0..150).fold(json!(1), |mapping, _| json!([mapping]));
        let faults = compile(&json!({"a": nested})).unwrap_err();
        assert_eq!(faults, [Fault::at_root("is nested more than 100 levels deep")]);
    }

    #[test]
    fn a_mapping_with_faults_is_refused() {
        let faults = compile(&json!({"a": {"@nope": 1}, "b": {"@path": 5}})).unwrap_err();
        assert_eq!(faults.len(), 2);
        assert!(compile(&json!({"__segment_internal_directive": 5})).is_err());
    }
}
