//! Numbers, which are always doubles in JavaScript.

use serde_json::{Number, Value};

/// Text of a number: `1e+21`, `0.1`, `5`.
pub(crate) fn number_text(number: &Number) -> String {
    let double = number.as_f64().unwrap_or(f64::NAN);
    ryu_js::Buffer::new().format(double).to_owned()
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
        Value::Number(number) => {
            number.as_f64().and_then(from_double).map_or(Value::Null, Value::Number)
        }
        Value::Array(items) => items.into_iter().map(as_double).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(key, value)| (key, as_double(value))).collect()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_written_as_javascript_writes_them() {
        for (number, text) in [
            (json!(5), "5"),
            (json!(-3), "-3"),
            (json!(5.0), "5"),
            (json!(0.1), "0.1"),
            (json!(1e21), "1e+21"),
            (json!(9_007_199_254_740_991_i64), "9007199254740991"),
            (json!(-9_007_199_254_740_991_i64), "-9007199254740991"),
            (json!(9_007_199_254_740_993_i64), "9007199254740992"),
            (json!(u64::MAX), "18446744073709552000"),
        ] {
            assert_eq!(number_text(number.as_number().unwrap()), text);
        }
    }

    #[test]
    fn texts_are_read_as_numbers_as_javascript_reads_them() {
        for (text, number) in [
            ("", 0.0),
            (" ", 0.0),
            (" 7 ", 7.0),
            ("-0.5", -0.5),
            ("1e3", 1000.0),
            ("1E3", 1000.0),
            ("0x1F", 31.0),
            ("0X1f", 31.0),
            ("0o17", 15.0),
            ("0O17", 15.0),
            ("0b101", 5.0),
            ("0B101", 5.0),
            ("Infinity", f64::INFINITY),
            ("+Infinity", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
        ] {
            assert_eq!(to_number(text).to_bits(), number.to_bits(), "{text}");
        }
        for text in ["inf", "nan", "infinity", "1_000", "0x", "0xg", "5px", "e", "1.2.3", "a"] {
            assert!(to_number(text).is_nan(), "{text}");
        }
    }

    #[test]
    fn whole_doubles_are_written_without_a_fraction() {
        for (number, text) in [(5.0, "5"), (-0.0, "0"), (0.5, "0.5"), (-2.0, "-2"), (1e21, "1e+21")]
        {
            assert_eq!(from_double(number).unwrap().to_string(), text);
        }
        assert_eq!(from_double(f64::NAN), None);
        assert_eq!(from_double(f64::INFINITY), None);
    }

    #[test]
    fn large_numbers_lose_the_digits_that_a_double_cannot_hold() {
        let value = json!({"a": [9_007_199_254_740_993_i64, 9_007_199_254_740_991_i64, 1.5, "x"]});
        let double = json!({"a": [9_007_199_254_740_992_i64, 9_007_199_254_740_991_i64, 1.5, "x"]});
        assert_eq!(as_double(value), double);
    }

    #[test]
    fn a_number_is_whole_if_it_has_no_fraction() {
        assert!(is_whole(0.0) && is_whole(-2.0) && is_whole(1e21));
        assert!(!is_whole(0.5) && !is_whole(f64::NAN) && !is_whole(f64::INFINITY));
    }
}
