//! How values of tags are written.
//! <https://docs.pushwoosh.com/developer/guides/audience-and-segmentation/tags>

use serde_json::{Map, Value, json};

/// Writes tags: a value replaces, null removes, `{"operation","value"}` changes what is there.
pub fn set(tags: &mut Map<String, Value>, values: impl IntoIterator<Item = (String, Value)>) {
    for (tag, value) in values {
        let before = tags.get(&tag).unwrap_or(&Value::Null);
        let after = match (value.get("operation").and_then(Value::as_str), value.get("value")) {
            (Some(operation), Some(change)) => operate(operation, before, change),
            _ => value,
        };
        if after.is_null() {
            tags.shift_remove(&tag);
        } else {
            tags.insert(tag, after);
        }
    }
}

fn operate(operation: &str, before: &Value, change: &Value) -> Value {
    let list = |value: &Value| match value {
        Value::Array(list) => list.clone(),
        Value::Null => Vec::new(),
        other => vec![other.clone()],
    };
    match operation {
        "increment" => match (before.as_i64().unwrap_or_default(), change.as_i64()) {
            (before, Some(change)) => before.saturating_add(change).into(),
            (_, None) => {
                json!(before.as_f64().unwrap_or_default() + change.as_f64().unwrap_or_default())
            }
        },
        "append" => {
            let mut values = list(before);
            values.extend(list(change).into_iter().filter(|value| !list(before).contains(value)));
            values.into()
        }
        "remove" => {
            let removed = list(change);
            list(before).into_iter().filter(|value| !removed.contains(value)).collect()
        }
        _ => before.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_replace_null_removes_and_operations_change() {
        let mut tags = Map::new();
        for (value, expected) in [
            (json!(1), json!(1)),
            (json!({"operation": "increment", "value": 2}), json!(3)),
            (json!({"operation": "increment", "value": 0.5}), json!(3.5)),
            (json!(["a"]), json!(["a"])),
            (json!({"operation": "append", "value": ["a", "b"]}), json!(["a", "b"])),
            (json!({"operation": "remove", "value": ["a"]}), json!(["b"])),
            (json!({"a": 1}), json!({"a": 1})),
        ] {
            set(&mut tags, [("t".to_owned(), value)]);
            assert_eq!(tags["t"], expected);
        }
        set(&mut tags, [("t".to_owned(), Value::Null)]);
        assert!(tags.is_empty());
    }
}
