//! For comparison with another engine: reads a case per line, writes its result per line.
//!
//! * `{"kind":"mapping","mapping":…,"input":…}` → `{"output":…}` (`{}` for undefined) or `{"error":"…"}`
//! * `{"kind":"fql","fql":…,"event":…}` → `{"matches":true|false}`, or `{"error":"…"}` where it does not parse
//! * `{"kind":"coerce","field":…,"mode":"single"|"batch","input":…}` → `{"output":…}`, `{"absent":true}` or `{"error":"…"}`
//! * `{"kind":"body","action":…,"mapping":…,"mode":"single"|"batch","input":…}` → `{"output":…}`, what the action sends
//!   for the application `A`, or `{"error":"…"}`
//!
//! Any other line gives an error; reading goes on.

use std::borrow::Cow;
use std::io::{self, BufRead, BufWriter, Write};

use segment_language::fql::Trigger;
use segment_language::js::as_double;
use segment_language::kit::Mapping;
use segment_language::schema::{self, Mode};
use segment_language::subscription;
use serde_json::{Value, json};

fn main() -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().split(b'\n') {
        let reply = serde_json::from_slice(&line?)
            .map_or_else(|error| json!({"error": error.to_string()}), reply_to);
        writeln!(out, "{reply}")?;
    }
    out.flush()
}

fn reply_to(case: Value) -> Value {
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
        Some("body") => body(&case),
        _ => json!({"error": "kind must be mapping, fql, coerce or body"}),
    }
}

fn mapping(mapping: &Value, input: &Value) -> Value {
    let output = match Mapping::compile(mapping) {
        Ok(mapping) => mapping.evaluate(input).map_err(|error| error.to_string()),
        Err(faults) => Err(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")),
    };
    match output {
        Ok(Some(output)) => json!({ "output": output }),
        Ok(None) => json!({}),
        Err(error) => json!({ "error": error }),
    }
}

fn body(case: &Value) -> Value {
    let part = |name: &str| case.get(name).unwrap_or(&Value::Null);
    let entry = json!([{"subscribe": "type = \"any\"", "action": part("action"), "mapping": part("mapping")}]);
    let read = subscription::read_any(&entry);
    let [subscription] = read.subscriptions.as_slice() else {
        return json!({"error": read.problems.join(" ")});
    };
    let mode = mode(part("mode"));
    match subscription.payload(part("input"), mode) {
        Ok(payload) => json!({"output": subscription.action.body("A", mode, payload)}),
        Err(error) => json!({"error": error.to_string()}),
    }
}

fn mode(name: &Value) -> Mode {
    if name == "batch" { Mode::Batch } else { Mode::Single }
}

fn coerce(field: &Value, mode: &Value, input: Option<&Value>) -> Value {
    let Some(field_type) = field.as_str().and_then(schema::FieldType::parse) else {
        return json!({"error": "field must be a type, e.g. string, number|null or string[]"});
    };
    match schema::coerce("f", field_type, self::mode(mode), input.map(Cow::Borrowed)) {
        Ok(Some(output)) => json!({ "output": output }),
        Ok(None) => json!({"absent": true}),
        Err(error) => json!({ "error": error }),
    }
}
