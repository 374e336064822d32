//! Holds the engine against another one: reads a case per line, writes what it gives per line.
//!
//! * `{"kind":"mapping","mapping":…,"input":…}` → `{"output":…}` (`{}` for undefined) or `{"error":"…"}`
//! * `{"kind":"fql","fql":…,"event":…}` → `{"matches":true|false}`, or `{"error":"…"}` where it does not parse
//! * `{"kind":"coerce","field":…,"mode":"single"|"batch","input":…}` → `{"output":…}`, `{"absent":true}` or `{"error":"…"}`
//!
//! A line that is none of these gives an error, and the next one is read.

use std::io::{self, BufRead, BufWriter, Write};

use mapping::fql::Trigger;
use mapping::kit::{Mapping, as_double};
use mapping::schema::{self, Mode};
use serde_json::{Value, json};

fn main() -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().split(b'\n') {
        let answer = serde_json::from_slice(&line?)
            .map_or_else(|error| json!({"error": error.to_string()}), answer);
        writeln!(out, "{answer}")?;
    }
    out.flush()
}

fn answer(case: Value) -> Value {
    // Numbers as JavaScript reads them.
    let case = as_double(case);
    let part = |name: &str| case.get(name).unwrap_or(&Value::Null);
    match part("kind").as_str() {
        Some("mapping") => mapping(part("mapping"), part("input")),
        Some("fql") => match Trigger::parse(part("fql").as_str().unwrap_or_default()) {
            Ok(trigger) => match trigger.evaluate(part("event")) {
                Some(matches) => json!({ "matches": matches }),
                None => json!({"error": "parentheses select by nothing"}),
            },
            Err(error) => json!({ "error": error }),
        },
        Some("coerce") => coerce(part("field"), part("mode"), case.get("input")),
        _ => json!({"error": "kind must be mapping, fql or coerce"}),
    }
}

fn mapping(mapping: &Value, input: &Value) -> Value {
    let output = match Mapping::compile(mapping) {
        Ok(mapping) => mapping.evaluate(input).map_err(|error| error.to_string()),
        Err(faults) => Err(faults
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")),
    };
    match output {
        Ok(Some(output)) => json!({ "output": output }),
        Ok(None) => json!({}),
        Err(error) => json!({ "error": error }),
    }
}

fn coerce(field: &Value, mode: &Value, input: Option<&Value>) -> Value {
    let Some(kind) = field.as_str().and_then(schema::Kind::parse) else {
        return json!({"error": "field must be a type, e.g. string, number|null or string[]"});
    };
    let mode = if mode == "batch" {
        Mode::Batch
    } else {
        Mode::Single
    };
    match schema::coerce("f", kind, mode, input) {
        Ok(Some(output)) => json!({ "output": output }),
        Ok(None) => json!({"absent": true}),
        Err(error) => json!({ "error": error }),
    }
}
