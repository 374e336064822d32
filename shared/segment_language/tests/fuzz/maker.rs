//! Makes values from the bytes of a fuzzer.

use serde_json::{Map, Value, json};

/// Makes values from bytes, with the words that matter.
pub(crate) struct Maker<'b>(std::slice::Iter<'b, u8>);

const WORDS: [&str; 40] = [
    "@path",
    "@template",
    "@literal",
    "@if",
    "@case",
    "@replace",
    "@arrayPath",
    "@json",
    "@flatten",
    "@merge",
    "@transform",
    "@excludeWhenNull",
    "@liquid",
    "_metadata",
    "__segment_internal_directive",
    "exists",
    "then",
    "else",
    "blank",
    "value",
    "pattern",
    "replacement",
    "mode",
    "encode",
    "decode",
    "separator",
    "objects",
    "direction",
    "apply",
    "mapping",
    "operator",
    "upper",
    "$.a.b[0]",
    "$.",
    "{{{a}}} {{b}}",
    "a",
    "b",
    "type",
    "userId",
    "\u{1F600}é",
];

impl<'b> Maker<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self(bytes.iter())
    }

    fn byte(&mut self) -> u8 {
        self.0.next().copied().unwrap_or_default()
    }

    fn text(&mut self) -> String {
        let byte = usize::from(self.byte());
        if let Some(word) = WORDS.get(byte % 50) {
            return (*word).to_owned();
        }
        let bytes: Vec<u8> = (0..byte % 12).map(|_| self.byte()).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A value of at most this many levels.
    pub(crate) fn value(&mut self, depth: usize) -> Value {
        match self.byte() % if depth == 0 { 6 } else { 10 } {
            0 => Value::Null,
            1 => (self.byte().is_multiple_of(2)).into(),
            2 => i64::from(self.byte()).into(),
            3 => json!(f64::from(self.byte()) * 1e30),
            4 | 5 => self.text().into(),
            6 => (0..self.byte() % 5).map(|_| self.value(depth - 1)).collect(),
            _ => {
                let fields = (0..self.byte() % 4).map(|_| (self.text(), self.value(depth - 1)));
                Value::Object(fields.collect::<Map<_, _>>())
            }
        }
    }
}
