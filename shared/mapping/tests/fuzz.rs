//! Whatever comes in, nothing panics, and everything ends. `cargo test` tries a few thousand inputs;
//! `cargo bolero test --package mapping fuzz_mappings` searches for as long as it is let.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::borrow::Cow;

use mapping::explain::explain;
use mapping::{Item, ItemKind, Origin, Rules};
use segment_language::fql::{self, Trigger};
use segment_language::kit::Mapping;
use segment_language::schema::{self, Kind, Mode};
use segment_language::subscription::read_any;
use serde_json::{Map, Value, json};

/// Makes values of bytes, with the words that matter.
struct Maker<'b>(std::slice::Iter<'b, u8>);

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

impl Maker<'_> {
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

    fn value(&mut self, depth: usize) -> Value {
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

#[test]
fn fuzz_mappings() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let mut maker = Maker(bytes.iter());
        let (mapping, input) = (maker.value(6), maker.value(5));
        if let Ok(compiled) = Mapping::compile(&mapping) {
            // Tracing is evaluation with a witness: what it finds for a whole is the same.
            let output = compiled.evaluate(&input);
            if input.is_object() && !mapping.is_object() {
                assert_eq!(
                    compiled.trace(&input).pop().and_then(|one| one.value),
                    output.unwrap_or_default()
                );
            } else {
                compiled.trace(&input);
            }
        }
        let read = read_any(&mapping);
        let own = Rules { subscriptions: &read.subscriptions, ..Rules::of_presets("A") };
        for rules in [own, Rules::of_presets("A")] {
            explain(ItemKind::recognise(&input), &input, &rules);
        }
        for kind in ["string|null", "number", "integer[]", "boolean", "datetime|null", "object"] {
            let kind = Kind::parse(kind).unwrap();
            schema::coerce("f", kind, Mode::Single, Some(Cow::Borrowed(&input))).ok();
        }
    });
}

#[test]
fn fuzz_triggers() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        fql::lint(&text);
        if let Ok(trigger) = Trigger::parse(&text) {
            trigger.matches(&Maker(bytes.iter()).value(3));
        }
    });
}

#[test]
fn fuzz_bytes() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let made = serde_json::to_vec(&Maker(bytes.iter()).value(4)).unwrap();
        for bytes in [bytes, &made] {
            for kind in ItemKind::ALL {
                let item =
                    Item { kind, application: Some("A"), origin: Origin::Message("m"), bytes };
                item.plan(&Rules::of_presets("A")).ok();
            }
        }
    });
}

/// What a hostile customer could write, at its full size.
#[test]
fn hostile_mappings_end() {
    // Deeper than any JSON text that is read.
    let nested =
        |levels: usize| (0..levels).fold(json!({"@path": "$."}), |value, _| json!([value]));
    let list = json!(vec![json!({"a": vec![1; 100]}); 100]);
    let each = |shape: Value| json!({"@arrayPath": ["$.list", shape]});
    let mappings = [
        json!({"a": {"@template": "{{a}}".repeat(200_000)}}),
        json!({"a": {"@template": "{".repeat(1_000_000)}}),
        json!({"a": {"@template": "{{{".repeat(100_000) + &"}}".repeat(100_000)}}),
        json!({"a": {"@replace": {"pattern": "a", "replacement": "$`$'$`$'", "value": {"@path": "$.long"}}}}),
        json!({"a": {"@replace": {"pattern": "aaaaaaaaab", "ignorecase": true, "value": {"@path": "$.long"}}}}),
        json!({"a": {"@path": ".".repeat(1_000_000)}}),
        json!({"a": {"@path": "[\"]".repeat(300_000)}}),
        json!({"a": nested(98)}),
        json!({"a": nested(150)}),
        json!({"a": each(each(each(json!({"x": {"@path": "$."}}))))}),
        json!({"a": {"@merge": {"direction": "left", "objects": vec![json!({"@path": "$.long"}); 1000]}}}),
        json!({"a": {"@flatten": {"separator": "x".repeat(1_000_000), "value": {"@path": "$.list"}}}}),
    ];
    let event = json!({"long": "a".repeat(30_000), "list": list});
    for mapping in mappings {
        if let Ok(compiled) = Mapping::compile(&mapping) {
            compiled.evaluate(&event).ok();
        }
    }
    Trigger::parse(&"(".repeat(1_000_000)).ok();
    Trigger::parse(&"contains(".repeat(100_000)).ok();
    fql::lint(&"type = \"track\" and ".repeat(50_000));
}
