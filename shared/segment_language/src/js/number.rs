//! Numbers, which are always doubles in JavaScript.

use serde_json::{Number, Value};

/// Up to this a double holds every whole number exactly (`Number.MAX_SAFE_INTEGER`).
const MAX_SAFE: u64 = (1 << 53) - 1;

/// Text of a number: `1e+21`, `0.1`, `5`.
pub(crate) fn number_text(number: &Number) -> String {
    match (safe_integer(number), number.as_f64()) {
        (Some(whole), _) => whole.to_string(),
        (None, Some(number)) => ryu_js::Buffer::new().format(number).to_owned(),
        (None, None) => number.to_string(),
    }
}

fn safe_integer(number: &Number) -> Option<i64> {
    number.as_i64().filter(|whole| whole.unsigned_abs() <= MAX_SAFE)
}

/// Whether a number has no fraction.
pub(crate) fn is_whole(number: f64) -> bool {
    number % 1.0 == 0.0
}

/// `Number(text)`; NaN where the text is not a number.
pub(crate) fn to_number(text: &str) -> f64 {
    let text = text.trim();
    let prefixed = [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)];
    let digits = prefixed
        .iter()
        .find_map(|(prefix, base)| text.strip_prefix(prefix).map(|digits| (digits, *base)));
    if let Some((digits, base)) = digits {
        #[expect(clippy::cast_precision_loss, reason = "a double is what JavaScript has too")]
        return u64::from_str_radix(digits, base).map_or(f64::NAN, |number| number as f64);
    }
    match text {
        "" => 0.0,
        "Infinity" | "+Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        // Rust also parses words such as `inf` and `nan`.
        text if text
            .bytes()
            .any(|byte| byte.is_ascii_alphabetic() && !matches!(byte, b'e' | b'E')) =>
        {
            f64::NAN
        }
        text => text.parse().unwrap_or(f64::NAN),
    }
}

/// A double as JSON: whole numbers have no fraction, as JavaScript writes them; `None` if it is not
/// finite.
pub(crate) fn from_double(number: f64) -> Option<Number> {
    let text = ryu_js::Buffer::new().format(number).to_owned();
    serde_json::from_str(if text == "-0" { "0" } else { &text }).ok()
}

/// A value with its numbers as `JSON.parse` reads them: as doubles.
pub fn as_double(value: Value) -> Value {
    match value {
        Value::Number(number) => double(&number).map_or(Value::Number(number), Value::Number),
        Value::Array(items) => items.into_iter().map(as_double).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(key, value)| (key, as_double(value))).collect()
        }
        other => other,
    }
}

/// The number as a double; `None` if it stays as it is.
fn double(number: &Number) -> Option<Number> {
    if safe_integer(number).is_some() {
        return None;
    }
    from_double(number.as_f64()?)
}
