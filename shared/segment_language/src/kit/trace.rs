//! Where the fields of an output come from.
//!
//! The evaluation reports every path that it looks up, with the value that it found there. A value is
//! borrowed from the event for as long as nothing changes it, so its address tells which part of the
//! event it is. A value at any other address was made by a directive; what that directive read was
//! reported before. Ordinary evaluation does not pay for this: the recorder is a type parameter
//! ([`Reads`]), and `()` records nothing.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;

use super::node::Node;
use super::reads::Reads;
use super::resolve::resolve;
use super::state::State;
use crate::path::Path;

/// A field of an output.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Traced {
    /// Its name, with dots for parts of objects. Empty if the mapping is a single directive.
    pub field: String,
    /// The directive that made it.
    pub directive: &'static str,
    /// The paths in the event that were read for it.
    pub inputs: Vec<String>,
    /// The paths that were looked up and not found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// Its value; absent if it is undefined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Why the evaluation failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The fields of a mapping's output.
pub(super) fn trace(root: &Node, event: &Value) -> Vec<Traced> {
    let mut places = HashMap::new();
    note_places(event, "$", &mut places);
    let mut traced = Vec::new();
    trace_node(root, String::new(), event, &places, &mut traced);
    traced
}

/// The names of the fields of a mapping's output, whatever the event.
pub(super) fn output_names(root: &Node) -> Vec<String> {
    fn walk(node: &Node, name: String, names: &mut Vec<String>) {
        match node {
            Node::Object(fields) if !fields.is_empty() => {
                for (key, node) in fields {
                    let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                    walk(node, name, names);
                }
            }
            _ => names.push(name),
        }
    }
    let mut names = Vec::new();
    walk(root, String::new(), &mut names);
    names
}

/// Adds the path of each part of an event by its address.
fn note_places(value: &Value, place: &str, places: &mut HashMap<usize, String>) {
    places.insert(address(value), place.to_owned());
    let below = |key: &str| {
        if place == "$" { key.to_owned() } else { format!("{place}.{key}") }
    };
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                note_places(value, &below(key), places);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                note_places(value, &below(&index.to_string()), places);
            }
        }
        _ => {}
    }
}

fn address(value: &Value) -> usize {
    std::ptr::from_ref(value).addr()
}

fn trace_node(
    node: &Node,
    field: String,
    event: &Value,
    places: &HashMap<usize, String>,
    traced: &mut Vec<Traced>,
) {
    if let Node::Object(fields) = node
        && !fields.is_empty()
    {
        for (key, node) in fields {
            let name = if field.is_empty() { key.clone() } else { format!("{field}.{key}") };
            trace_node(node, name, event, places, traced);
        }
        return;
    }
    let mut state = State::<Recorder>::default();
    let result = resolve(node, Some(event), &mut state).map(|value| {
        let value = value.json();
        value.map(Cow::into_owned)
    });
    let (mut inputs, mut missing) = (Vec::new(), Vec::new());
    for (path, address) in state.reads.0 {
        match address {
            Some(address) => inputs.extend(places.get(&address).cloned()),
            None => missing.push(path),
        }
    }
    for list in [&mut inputs, &mut missing] {
        list.sort_unstable();
        list.dedup();
    }
    let (value, error) = match result {
        Ok(value) => (value, None),
        Err(error) => (None, Some(error.0)),
    };
    traced.push(Traced { field, directive: node.directive(), inputs, missing, value, error });
}

/// The paths that were looked up, with the address of the value that was found.
#[derive(Default)]
struct Recorder(Vec<(String, Option<usize>)>);

impl Reads for Recorder {
    fn read(&mut self, path: &Path, found: Option<&Cow<'_, Value>>) {
        self.0.push((path.text(), found.map(|value| address(value))));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kit::Mapping;

    #[test]
    fn every_field_lists_what_it_was_made_from() {
        let mapping = json!({
            "name": {"@if": {"exists": {"@path": "$.event"}, "then": {"@path": "$.event"}, "else": {"@path": "$.name"}}},
            "location": {"lat": {"@path": "$.context.location.lat"}},
            "items": {"@arrayPath": ["$.properties.products", {"sku": {"@path": "$.sku"}}]},
            "greeting": {"@template": "{{userId}} {{traits.nobody}}"},
            "fixed": 5,
            "broken": {"@path": {"@path": "$.nothing"}},
        });
        let event = json!({
            "userId": "u1", "name": "Home", "context": {"location": {"lat": 1}},
            "properties": {"products": [{"sku": "a"}, {"sku": "b"}]},
        });
        let traced = Mapping::compile(&mapping).unwrap().trace(&event);
        let found: Vec<_> = traced
            .iter()
            .map(|traced| {
                let inputs = traced.inputs.join(" ");
                let missing = traced.missing.join(" ");
                (traced.field.as_str(), traced.directive, inputs, missing)
            })
            .collect();
        let row = |field, directive, inputs: &str, missing: &str| {
            (field, directive, inputs.to_owned(), missing.to_owned())
        };
        assert_eq!(
            found,
            [
                row("name", "@if", "name", "event"),
                row("location.lat", "@path", "context.location.lat", ""),
                row(
                    "items",
                    "@arrayPath",
                    "properties.products properties.products.0.sku properties.products.1.sku",
                    ""
                ),
                row("greeting", "@template", "userId", "traits.nobody"),
                row("fixed", "@literal", "", ""),
                row("broken", "@path", "", "nothing"),
            ]
        );
        assert!(traced.last().unwrap().error.is_some());
        let names = Mapping::compile(&mapping).unwrap().output_names();
        assert_eq!(names, traced.iter().map(|one| one.field.clone()).collect::<Vec<_>>());
    }
}
