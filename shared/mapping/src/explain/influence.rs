//! Where values come from, found by trial: one part of an item is changed at a time, and what then
//! differs in the calls follows that part.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::PlannedCall;

/// Parts of an item that are looked at. Each costs up to eight plans.
const MAX_PARTS: usize = 400;

/// A part of a value that has no parts itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Its keys with dots between.
    pub(super) path: String,
    keys: Vec<String>,
}

/// The parts of a value, in their order; at most [`MAX_PARTS`].
pub(super) fn parts(value: &Value) -> Vec<Part> {
    fn walk(value: &Value, keys: &mut Vec<String>, parts: &mut Vec<Part>) {
        if parts.len() >= MAX_PARTS {
            return;
        }
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (key, value) in fields {
                    keys.push(key.clone());
                    walk(value, keys, parts);
                    keys.pop();
                }
            }
            Value::Array(items) if !items.is_empty() => {
                for (index, value) in items.iter().enumerate() {
                    keys.push(index.to_string());
                    walk(value, keys, parts);
                    keys.pop();
                }
            }
            _ if keys.is_empty() => {}
            _ => parts.push(Part { path: keys.join("."), keys: keys.clone() }),
        }
    }
    let mut parts = Vec::new();
    walk(value, &mut Vec::new(), &mut parts);
    parts
}

/// What the parts of an item do to its calls.
#[derive(Debug, Default)]
pub(super) struct Influence {
    /// Per call: field → the parts that it follows.
    pub(super) fields: Vec<BTreeMap<String, Vec<String>>>,
    /// Parts that decide which calls there are.
    pub(super) decisive: Vec<String>,
    /// Parts without any effect.
    pub(super) idle: Vec<String>,
}

impl Influence {
    /// Tries changes of every part. `run` gives the calls for a changed item, or nothing where it is
    /// refused.
    pub(super) fn find(
        value: &Value,
        parts: &[Part],
        calls: &[PlannedCall],
        run: impl Fn(&Value) -> Option<Vec<PlannedCall>>,
    ) -> Self {
        let mut found = Self { fields: vec![BTreeMap::new(); calls.len()], ..Self::default() };
        if calls.is_empty() {
            return found;
        }
        let before: Vec<_> = calls.iter().map(|call| fields(&call.body)).collect();
        for part in parts {
            let (mut decides, mut followed) = (false, false);
            for changed in changes(value, &part.keys) {
                let Some(after) = run(&changed).filter(|after| same_paths(after, calls)) else {
                    decides = true;
                    continue;
                };
                for ((call, before), found) in after.iter().zip(&before).zip(&mut found.fields) {
                    let after = fields(&call.body);
                    let differs =
                        before.iter().filter(|(name, value)| after.get(*name) != Some(value));
                    for (name, _) in differs {
                        found.entry(name.clone()).or_default().push(part.path.clone());
                        followed = true;
                    }
                }
                if followed {
                    break;
                }
            }
            if decides {
                found.decisive.push(part.path.clone());
            } else if !followed {
                found.idle.push(part.path.clone());
            }
        }
        found
    }

    /// Whether a field of a call follows this part.
    pub(super) fn is_followed(&self, path: &str) -> bool {
        self.fields.iter().flat_map(BTreeMap::values).flatten().any(|input| input == path)
    }
}

fn same_paths(calls: &[PlannedCall], others: &[PlannedCall]) -> bool {
    calls.iter().map(|call| &call.path).eq(others.iter().map(|call| &call.path))
}

/// A body's parts with their values.
fn fields(body: &Value) -> BTreeMap<String, Value> {
    let of = |part: &Part| body.pointer(&pointer(&part.keys)).cloned();
    parts(body).into_iter().filter_map(|part| Some((part.path.clone(), of(&part)?))).collect()
}

/// A JSON pointer to the place where these keys lead.
fn pointer(keys: &[String]) -> String {
    keys.iter()
        .flat_map(|key| ["/".to_owned(), key.replace('~', "~0").replace('/', "~1")])
        .collect()
}

/// Values of fields that take only certain ones: without them a change of such a field would look
/// like a refusal only.
const VALID: [&str; 5] = ["2001-02-03T04:05:06Z", "ios", "android", "Email Sent", "Push Sent"];

/// The value with one part changed, in several ways. The first that shows an effect is enough.
fn changes(value: &Value, keys: &[String]) -> Vec<Value> {
    let pointer = pointer(keys);
    let Some(now) = value.pointer(&pointer) else {
        return Vec::new();
    };
    let mut others: Vec<Value> = match now {
        Value::String(text) => std::iter::once(format!("{text}~").into())
            .chain(VALID.into_iter().filter(|valid| valid != text).map(Value::from))
            .collect(),
        Value::Number(number) => vec![json!(number.as_f64().unwrap_or_default() + 1.0), json!(7)],
        _ => vec!["~".into()],
    };
    others.push(Value::Null);
    let changed = others.into_iter().map(|other| {
        let mut changed = value.clone();
        if let Some(place) = changed.pointer_mut(&pointer) {
            *place = other;
        }
        changed
    });
    changed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(value: &Value) -> Vec<String> {
        parts(value).into_iter().map(|part| part.path).collect()
    }

    #[test]
    fn parts_are_what_has_no_parts_itself() {
        let value = json!({"a": {"b": 1, "c": []}, "d": [true, {"e": null}], "f": {}});
        assert_eq!(paths(&value), ["a.b", "a.c", "d.0", "d.1.e", "f"]);
        assert_eq!(paths(&json!("text")), [""; 0]);
        let many: Value = (0..2 * MAX_PARTS).map(Value::from).collect();
        assert_eq!(paths(&many).len(), MAX_PARTS);
    }

    #[test]
    fn keys_of_any_characters_are_changed_in_their_place() {
        let value = json!({"a/b~c": 1, "d": 2});
        let changed = changes(&value, &["a/b~c".to_owned()]);
        assert!(changed.iter().all(|changed| changed["d"] == 2 && changed["a/b~c"] != 1));
        assert_eq!(changed.last().unwrap()["a/b~c"], Value::Null);
        assert!(changes(&value, &["absent".to_owned()]).is_empty());
    }

    #[test]
    fn a_part_is_followed_decisive_or_idle() {
        let call = |body: Value| PlannedCall { stage: 0, path: "/p".to_owned(), body };
        // The body copies `x`; without `key` there is no call.
        let run = |value: &Value| {
            (value["key"] == "k").then(|| vec![call(json!({"copy": value["x"], "fixed": 1}))])
        };
        let value = json!({"key": "k", "x": 5, "other": false});
        let found = Influence::find(&value, &parts(&value), &run(&value).unwrap(), run);
        assert_eq!(found.fields, [BTreeMap::from([("copy".to_owned(), vec!["x".to_owned()])])]);
        assert_eq!(
            (found.decisive, found.idle),
            (vec!["key".to_owned()], vec!["other".to_owned()])
        );
    }

    #[test]
    fn another_number_of_calls_is_decisive() {
        let call = |path: &str| PlannedCall { stage: 0, path: path.to_owned(), body: json!({}) };
        let run = |value: &Value| {
            Some(if value["two"] == true { vec![call("/a"), call("/b")] } else { vec![call("/a")] })
        };
        let value = json!({"two": true});
        let found = Influence::find(&value, &parts(&value), &run(&value).unwrap(), run);
        assert_eq!(found.decisive, ["two"]);
        assert!(!found.is_followed("two"));
    }
}
