//! `JSON.stringify`: keys in JavaScript's order, numbers in its form.

use serde_json::{Map, Value};

use super::number::number_text;

/// Appends a value's JSON text.
pub(crate) fn stringify(value: &Value, out: &mut String) {
    match value {
        Value::Number(number) => {
            let text = number_text(number);
            out.push_str(if text == "-0" { "0" } else { &text });
        }
        Value::Array(items) => {
            out.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                stringify(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            for (position, (key, value)) in ordered(fields).into_iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                stringify(value, out);
            }
            out.push('}');
        }
        Value::Null | Value::Bool(_) | Value::String(_) => out.push_str(&value.to_string()),
    }
}

/// Array indices first, ascending; the other keys keep their order.
fn ordered(fields: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut fields: Vec<_> = fields.iter().collect();
    // A stable sort.
    fields.sort_by_key(|(key, _)| array_index(key).map_or(u64::MAX, u64::from));
    fields
}

/// The key as an array index: at most 2^32 - 2, written as JavaScript writes it.
fn array_index(key: &str) -> Option<u32> {
    let index: u32 = key.parse().ok()?;
    (index < u32::MAX && index.to_string() == key).then_some(index)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_written_as_javascript_writes_it() {
        let value = json!({
            "b": [1, -0.0, 1e21, null, true],
            "10": {},
            "a\"": "q\"",
            "2": [],
            "01": 1,
            "4294967295": "not an index",
            "4294967294": "an index",
        });
        let mut text = String::new();
        stringify(&value, &mut text);
        assert_eq!(
            text,
            r#"{"2":[],"10":{},"4294967294":"an index","b":[1,0,1e+21,null,true],"a\"":"q\"","01":1,"4294967295":"not an index"}"#
        );
    }
}
