//! How a directive is written in JSON.

use serde_json::{Map, Value};

use super::fault::Fault;

/// The key that makes a whole mapping one directive.
const ROOT_DIRECTIVE: &str = "__segment_internal_directive";

/// Longest pattern and replacement of `@replace`, in UTF-16 units (Segment's own limit).
pub(super) const MAX_PATTERN: usize = 10;

/// Levels of a mapping; Segment has no limit of its own, a recursion needs one.
pub const MAX_DEPTH: usize = 100;

/// Whether a key is the name of a directive, known or not.
pub(super) fn is_directive(key: &str) -> bool {
    key.starts_with('@')
}

/// The directive of an object, if it is one: a key with `@`, and no key without it but `_metadata`.
pub(super) fn directive(fields: &Map<String, Value>) -> Option<(&str, &Value)> {
    let only = fields.keys().all(|key| is_directive(key) || key == "_metadata");
    let first = fields.iter().find(|(key, _)| is_directive(key))?;
    only.then_some((first.0.as_str(), first.1))
}

/// Checks that a mapping is not nested deeper than [`MAX_DEPTH`].
pub(super) fn check_depth(mapping: &Value) -> Result<(), Fault> {
    if levels(mapping) > MAX_DEPTH {
        return Err(Fault::at_root(format!("is nested more than {MAX_DEPTH} levels deep")));
    }
    Ok(())
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

/// A mapping whose root is a directive, as that directive: the other keys are its `mapping`. None
/// where the root is an ordinary object.
pub(super) fn unwrap_root(mapping: &Value) -> Result<Option<Value>, Fault> {
    let Some(root) = mapping.get(ROOT_DIRECTIVE) else {
        return Ok(None);
    };
    let Value::Object(directive) = root else {
        return Err(Fault::at_root("The root directive must be an object"));
    };
    let mut directives = directive.iter();
    let (Some((name, operand)), None) = (directives.next(), directives.next()) else {
        return Err(Fault::at_root("The root mapping must only have a single directive object"));
    };
    let Value::Object(operand) = operand else {
        return Err(Fault::at_root("The root directive must be an object"));
    };
    let mut siblings = mapping.as_object().cloned().unwrap_or_default();
    siblings.shift_remove(ROOT_DIRECTIVE);
    let mut operand = operand.clone();
    operand.insert("mapping".to_owned(), Value::Object(siblings));
    Ok(Some(Value::Object(Map::from_iter([(name.clone(), Value::Object(operand))]))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn nested(levels: usize) -> Value {
        (1..levels).fold(json!(1), |mapping, level| {
            if level % 2 == 0 { json!({"a": mapping}) } else { json!([mapping]) }
        })
    }

    #[test]
    fn a_mapping_has_at_most_a_hundred_levels() {
        assert!(check_depth(&nested(MAX_DEPTH)).is_ok());
        let fault = check_depth(&nested(MAX_DEPTH + 1)).unwrap_err();
        assert_eq!(fault.to_string(), "/ is nested more than 100 levels deep.");
    }

    #[test]
    fn a_directive_is_an_object_of_one_directive_and_metadata() {
        let found = |value: &Value| {
            directive(value.as_object().unwrap())
                .map(|(name, operand)| (name.to_owned(), operand.clone()))
        };
        assert_eq!(found(&json!({"@path": "$.a"})), Some(("@path".to_owned(), json!("$.a"))));
        assert_eq!(
            found(&json!({"_metadata": {}, "@path": "$.a"})),
            Some(("@path".to_owned(), json!("$.a")))
        );
        assert_eq!(found(&json!({"@path": "$.a", "other": 1})), None);
        assert_eq!(found(&json!({"_metadata": {}})), None);
        assert_eq!(found(&json!({})), None);
    }

    #[test]
    fn the_keys_beside_a_root_directive_are_its_mapping() {
        let mapping = json!({
            "__segment_internal_directive": {"@transform": {"apply": {"x": 1}}},
            "a": {"@path": "$.x"},
        });
        assert_eq!(
            unwrap_root(&mapping),
            Ok(Some(
                json!({"@transform": {"apply": {"x": 1}, "mapping": {"a": {"@path": "$.x"}}}})
            ))
        );
        assert_eq!(unwrap_root(&json!({"a": 1})), Ok(None));
        for (root, message) in [
            (json!(5), "/ The root directive must be an object."),
            (json!({"@transform": 5}), "/ The root directive must be an object."),
            (json!({}), "/ The root mapping must only have a single directive object."),
            (
                json!({"@transform": {}, "@merge": {}}),
                "/ The root mapping must only have a single directive object.",
            ),
        ] {
            let fault = unwrap_root(&json!({"__segment_internal_directive": root})).unwrap_err();
            assert_eq!(fault.to_string(), message);
        }
    }
}
