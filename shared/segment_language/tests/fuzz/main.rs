//! Whatever comes in, nothing panics, and everything ends. `cargo test` tries a few thousand inputs;
//! `cargo bolero test --package segment_language fuzz_mappings` searches until it is stopped.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod maker;

use std::borrow::Cow;

use maker::Maker;
use segment_language::fql::{self, Trigger};
use segment_language::kit::Mapping;
use segment_language::schema::{self, FieldType, Mode};
use segment_language::subscription::{presets, read_any};
use serde_json::{Value, json};

#[test]
fn fuzz_mappings() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let mut maker = Maker::new(bytes);
        let (mapping, input) = (maker.value(6), maker.value(5));
        if let Ok(compiled) = Mapping::compile(&mapping) {
            // A trace evaluates too, and must find the same value.
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
        let list = read_any(&mapping);
        let subscriptions =
            if list.subscriptions.is_empty() { presets() } else { &list.subscriptions };
        for subscription in subscriptions {
            for mode in [Mode::Single, Mode::Batch] {
                if let Ok(payload) = subscription.payload(&input, mode) {
                    subscription.action.body("A", mode, payload);
                }
            }
        }
        for field_type in
            ["string|null", "number", "integer[]", "boolean", "datetime|null", "object"]
        {
            let field_type = FieldType::parse(field_type).unwrap();
            schema::coerce("f", field_type, Mode::Single, Some(Cow::Borrowed(&input))).ok();
        }
    });
}

#[test]
fn fuzz_triggers() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        fql::lint(&text);
        if let Ok(trigger) = Trigger::parse(&text) {
            trigger.matches(&Maker::new(bytes).value(3));
        }
    });
}

/// The largest mappings and triggers that a hostile customer could write.
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
