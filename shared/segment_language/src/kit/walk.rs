//! Looks up one path after another in the same data: what two paths have in common is walked once.

use std::borrow::Cow;

use serde_json::Value;

use crate::js;
use crate::path::Path;

/// The data, and the steps of the last path.
pub(super) struct Walk<'m, 'e> {
    data: &'e Value,
    parts: &'m [String],
    /// The values after the first parts, as far as they are in the data.
    values: Vec<&'e Value>,
}

impl<'m, 'e> Walk<'m, 'e> {
    pub(super) fn new(data: &'e Value) -> Self {
        Self { data, parts: &[], values: Vec::new() }
    }

    /// As [`Path::get`].
    pub(super) fn get(&mut self, path: &'m Path) -> Option<Cow<'e, Value>> {
        let common = self.parts.iter().zip(path.parts()).take_while(|(a, b)| a == b).count();
        self.values.truncate(common);
        self.parts = path.parts();
        let mut value = self.values.last().copied().unwrap_or(self.data);
        for part in path.parts().iter().skip(self.values.len()) {
            if !js::truthy(Some(value)) {
                return Some(Cow::Borrowed(value));
            }
            let Value::Object(fields) = value else {
                return path.get(Some(self.data));
            };
            value = js::get(fields, part)?;
            self.values.push(value);
        }
        Some(Cow::Borrowed(value))
    }
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
        let paths: Vec<Path> = texts.iter().map(|text| Path::from_directive(text)).collect();
        let mut walk = Walk::new(&data);
        // Every path after every other.
        for first in &paths {
            for second in &paths {
                assert_eq!(walk.get(first), first.get(Some(&data)), "{first:?}");
                assert_eq!(walk.get(second), second.get(Some(&data)), "{first:?}, {second:?}");
            }
        }
    }
}
