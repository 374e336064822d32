//! Every case that was observed from Segment's own packages gives the same here.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::borrow::Cow;

use segment_language::fql::Trigger;
use segment_language::kit::Mapping;
use segment_language::schema::{self, FieldType, Mode};
use serde_json::Value;

fn cases(file: &str) -> Value {
    let file = format!("{}/../../tests/conformance/{file}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// Fails with the list of all cases that differ.
fn report(differences: &[String]) {
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn mappings() {
    let mut differences = Vec::new();
    for case in cases("mapping").as_array().unwrap() {
        // `@liquid` is refused when the mapping is compiled.
        if case["mapping"].to_string().contains("@liquid") {
            assert!(Mapping::compile(&case["mapping"]).is_err());
            continue;
        }
        let found = match Mapping::compile(&case["mapping"]) {
            Ok(mapping) => {
                mapping.evaluate(&case["input"]).map_err(|error| vec![error.to_string()])
            }
            Err(faults) => Err(faults.iter().map(ToString::to_string).collect()),
        };
        let same = match (&found, case.get("error")) {
            (Err(errors), Some(expected)) => serde_json::json!(errors) == *expected,
            (Ok(output), None) => same(output.as_ref(), case.get("output")),
            _ => false,
        };
        if !same {
            differences.push(format!("{case}\n  found {found:?}"));
        }
    }
    report(&differences);
}

#[test]
fn triggers() {
    let golden = cases("fql");
    let mut differences = Vec::new();
    for case in golden["cases"].as_array().unwrap() {
        let found = Trigger::parse(case["fql"].as_str().unwrap())
            .map(|trigger| trigger.matches(&golden["event"]));
        let same = match (&found, case.get("error")) {
            (Err(error), Some(expected)) => error == expected,
            (Ok(matches), None) => case["matches"] == *matches,
            _ => false,
        };
        if !same {
            differences.push(format!("{case}\n  found {found:?}"));
        }
    }
    report(&differences);
}

#[test]
fn coercions() {
    let mut differences = Vec::new();
    for case in cases("coercion").as_array().unwrap() {
        let field_type = FieldType::parse(case["field"].as_str().unwrap()).unwrap();
        let mode = if case["mode"] == "batch" { Mode::Batch } else { Mode::Single };
        let found = schema::coerce("f", field_type, mode, case.get("input").map(Cow::Borrowed));
        let same = match (&found, case.get("error")) {
            (Err(error), Some(expected)) => error == expected,
            (Ok(output), None) => same(output.as_deref(), case.get("output")),
            _ => false,
        };
        if !same {
            differences.push(format!("{case}\n  found {found:?}"));
        }
    }
    report(&differences);
}

/// Equal as JavaScript's values: 5 and 5.0 are one number.
fn same(found: Option<&Value>, expected: Option<&Value>) -> bool {
    match (found, expected) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => a.as_f64() == b.as_f64(),
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(Some(a), Some(b)))
        }
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            a.len() == b.len() && a.iter().all(|(key, a)| same(Some(a), b.get(key)))
        }
        (a, b) => a == b,
    }
}
