//! How Segment looks up a path: quirks included, since mappings were written against them.

use std::borrow::Cow;

use serde_json::Value;

use super::js;

/// A path, read once.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    parts: Vec<String>,
}

impl Path {
    /// A path as it stands in `@path`: the first `$.` in it does not count, wherever it is.
    pub(crate) fn of_directive(text: &str) -> Self {
        Self::parse(&text.replacen("$.", "", 1))
    }

    /// A path as it stands in a placeholder.
    pub(crate) fn parse(text: &str) -> Self {
        if text.is_empty() || text == "." {
            return Self { parts: Vec::new() };
        }
        let parts = split(text).into_iter().filter(|part| !part.is_empty());
        Self { parts: parts.map(|part| part.replace(['\'', '"'], "")).collect() }
    }

    /// As a person would write it; `$` is everything.
    pub(crate) fn text(&self) -> String {
        if self.parts.is_empty() { "$".to_owned() } else { self.parts.join(".") }
    }

    /// The value there, or undefined. A falsy value on the way is the result.
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

/// Looks up one path after the other in the same data: what two have in common is walked once.
pub(super) struct Walk<'m, 'e> {
    data: &'e Value,
    parts: &'m [String],
    /// The values after each of the parts, as many as are known.
    values: [&'e Value; WALK],
    known: usize,
}

/// Parts of a path that a walk remembers.
const WALK: usize = 6;

impl<'m, 'e> Walk<'m, 'e> {
    pub(super) fn new(data: &'e Value) -> Self {
        Self { data, parts: &[], values: [data; WALK], known: 0 }
    }

    /// As [`Path::get`].
    pub(super) fn get(&mut self, path: &'m Path) -> Option<Cow<'e, Value>> {
        let same = self.parts.iter().zip(&path.parts).take(self.known);
        self.known = same.take_while(|(a, b)| a == b).count();
        self.parts = &path.parts;
        let mut value = match self.known.checked_sub(1) {
            Some(last) => *self.values.get(last)?,
            None => self.data,
        };
        for part in path.parts.iter().skip(self.known) {
            if !js::truthy(Some(value)) {
                return Some(Cow::Borrowed(value));
            }
            let (Value::Object(fields), Some(next)) = (value, self.values.get_mut(self.known))
            else {
                return path.get(Some(self.data));
            };
            value = js::get(fields, part)?;
            *next = value;
            self.known += 1;
        }
        Some(Cow::Borrowed(value))
    }
}

/// A property as JavaScript reads it: lengths and single characters too.
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
            b']' if at > 0 && marks(bytes.get(at - 1)) => {
                while bytes.get(end) == Some(&b']') {
                    end += 1;
                }
            }
            _ => {}
        }
        if end > at {
            // Both are at ASCII characters.
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
    fn a_walk_finds_what_each_path_finds_alone() {
        let data = json!({"a": {"b": {"c": 1, "d": [1, {"e": 2}], "g": {"h": {"i": {"j": {"k": {"l": 1}}}}}}, "f": 0}, "g": "text"});
        let texts = [
            "a.b.c",
            "a.b.d",
            "a.b",
            "a.b.d[1].e",
            "a.f",
            "a.f.x",
            "a.f.y",
            "a.none",
            "a.none.b",
            "g.length",
            "g",
            "",
            "a",
            "a.b.c.x",
            "a.b.c",
            "h",
            "a.b.d.0",
        ];
        let paths: Vec<Path> = texts.iter().map(|text| Path::of_directive(text)).collect();
        let mut walk = Walk::new(&data);
        // Every path after every other.
        for first in &paths {
            for second in &paths {
                assert_eq!(walk.get(first), first.get(Some(&data)), "{first:?}");
                assert_eq!(walk.get(second), second.get(Some(&data)), "{first:?}, {second:?}");
            }
        }
    }

    #[test]
    fn paths_are_read_with_all_their_quirks() {
        let data = json!({"a": {"b": [7, {"c": 1}]}, "a b": 2, "a[*]": 3, "its": 4, "ab": 5, "s": "héé😀", "0": 6});
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
            ("$", None),
        ] {
            let found = Path::of_directive(path).get(Some(&data)).map(Cow::into_owned);
            assert_eq!(found, expected, "{path}");
        }
        assert_eq!(Path::of_directive("$.").get(Some(&data)).map(Cow::into_owned), Some(data));
    }
}
