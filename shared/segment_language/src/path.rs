//! How Segment looks up a path, quirks included: customers' mappings depend on them.

use std::borrow::Cow;

use serde_json::Value;

use crate::js;

/// A parsed path.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    parts: Vec<String>,
}

impl Path {
    /// Parses the operand of `@path`: the first `$.` in it is dropped, wherever it is.
    pub(crate) fn from_directive(text: &str) -> Self {
        Self::parse(&text.replacen("$.", "", 1))
    }

    /// Parses a path as in a placeholder of `@template`.
    pub(crate) fn parse(text: &str) -> Self {
        let parts = split(text).into_iter().filter(|part| !part.is_empty());
        Self { parts: parts.map(|part| part.replace(['\'', '"'], "")).collect() }
    }

    /// The keys to follow, in their order.
    pub(crate) fn parts(&self) -> &[String] {
        &self.parts
    }

    /// The path in dotted form; `$` is the whole data.
    pub(crate) fn text(&self) -> String {
        if self.parts.is_empty() { "$".to_owned() } else { self.parts.join(".") }
    }

    /// The value at the path; `None` is undefined. A falsy value on the way is the result.
    pub(crate) fn get<'e>(&self, data: Option<&'e Value>) -> Option<Cow<'e, Value>> {
        let mut value = Cow::Borrowed(data?);
        for part in &self.parts {
            if !js::truthy(Some(&value)) {
                return Some(value);
            }
            value = property(&value, part)?;
        }
        Some(value)
    }
}

/// A property as in JavaScript: also the length and the characters of a text.
fn property<'e>(value: &Cow<'e, Value>, key: &str) -> Option<Cow<'e, Value>> {
    match value {
        Cow::Borrowed(Value::Object(fields)) => js::get(fields, key).map(Cow::Borrowed),
        Cow::Borrowed(Value::Array(items)) if key != "length" => {
            items.get(index(key)?).map(Cow::Borrowed)
        }
        _ => match value.as_ref() {
            Value::Array(items) => (key == "length").then(|| Cow::Owned(items.len().into())),
            Value::String(text) if key == "length" => Some(Cow::Owned(js::length(text).into())),
            Value::String(text) => {
                let unit = text.encode_utf16().nth(index(key)?)?;
                Some(Cow::Owned(String::from_utf16_lossy(&[unit]).into()))
            }
            _ => None,
        },
    }
}

fn index(key: &str) -> Option<usize> {
    let index: usize = key.parse().ok()?;
    (index.to_string() == key).then_some(index)
}

/// Splits at `.`, at `[` before a quote or a digit, and at `]` after one.
fn split(text: &str) -> Vec<&str> {
    let marks =
        |byte: Option<&u8>| byte.is_some_and(|byte| matches!(byte, b'"' | b'\'' | b'0'..=b'9'));
    let bytes = text.as_bytes();
    let mut parts = Vec::new();
    let (mut start, mut at) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        let mut end = at;
        match byte {
            b'.' => end = at + 1,
            b'[' if marks(bytes.get(at + 1)) => end = at + 1,
            b']' if marks(at.checked_sub(1).and_then(|before| bytes.get(before))) => {
                while bytes.get(end) == Some(&b']') {
                    end += 1;
                }
            }
            _ => {}
        }
        if end > at {
            // Both offsets are at ASCII characters.
            parts.extend(text.get(start..at));
            start = end;
            at = end;
        } else {
            at += 1;
        }
    }
    parts.extend(text.get(start..));
    parts
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_are_looked_up_as_segment_does() {
        let data = json!({"a": {"b": [7, {"c": 1}]}, "a b": 2, "a[*]": 3, "its": 4, "ab": 5, "s": "héé😀", "0": 6, "]x": 8});
        for (path, expected) in [
            ("$.a.b[0]", Some(json!(7))),
            ("a.b.1.c", Some(json!(1))),
            ("$['a b']", None),
            ("['a b']", Some(json!(2))),
            ("$.a[*]", Some(json!(3))),
            ("it's", Some(json!(4))),
            ("a$.b", Some(json!(5))),
            ("..a.b[\"0\"]", Some(json!(7))),
            ("$.s.length", Some(json!(5))),
            ("$.s[1]", Some(json!("é"))),
            ("$.a.b.length", Some(json!(2))),
            ("$.a.b[-1]", None),
            ("$.0", Some(json!(6))),
            ("]x", Some(json!(8))),
            ("$", None),
        ] {
            let found = Path::from_directive(path).get(Some(&data)).map(Cow::into_owned);
            assert_eq!(found, expected, "{path}");
        }
        assert_eq!(Path::from_directive("$.").get(Some(&data)).map(Cow::into_owned), Some(data));
    }
}
