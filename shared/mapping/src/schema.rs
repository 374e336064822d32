//! What Segment does with a mapped value before it is sent: empty values are removed, types are
//! coerced, and what does not fit drops the event.
//!
//! The rules are those of its JSON schema validator with coercion of types, as measured: a union
//! with null behaves differently from a type alone.

use serde_json::{Number, Value};

use crate::instant::instant;
use crate::kit::js::{number_text, to_number};

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    base: Base,
    /// A list of these.
    multiple: bool,
    /// Null is allowed too.
    nullable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    Text,
    Number,
    Integer,
    Boolean,
    DateTime,
    Object,
}

/// How the event came to be mapped: in batches empty texts are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One event at a time.
    Single,
    /// As part of a batch.
    Batch,
}

impl Kind {
    /// Reads a type: `string`, `number|null`, `string[]`.
    pub fn parse(text: &str) -> Option<Self> {
        let (text, nullable) = text
            .strip_suffix("|null")
            .map_or((text, false), |text| (text, true));
        let (text, multiple) = text
            .strip_suffix("[]")
            .map_or((text, false), |text| (text, true));
        let base = match text {
            "string" | "text" | "password" => Base::Text,
            "number" => Base::Number,
            "integer" => Base::Integer,
            "boolean" => Base::Boolean,
            "datetime" => Base::DateTime,
            "object" => Base::Object,
            _ => return None,
        };
        Some(Self {
            base,
            multiple,
            nullable,
        })
    }

    fn takes_empty_text(self) -> bool {
        !self.multiple && matches!(self.base, Base::Text | Base::DateTime)
    }

    fn noun(self) -> String {
        let noun = match self.base {
            Base::Text => "a string",
            Base::Number => "a number",
            Base::Integer => "an integer",
            Base::Boolean => "a boolean",
            Base::DateTime if self.nullable => return "a string, number, or null".to_owned(),
            Base::DateTime => "a string or number",
            Base::Object => "an object",
        };
        if self.nullable {
            format!("{noun} or null")
        } else {
            noun.to_owned()
        }
    }

    /// Whether a value has the type as it is.
    fn has(self, value: &Value) -> bool {
        match (self.base, value) {
            (_, Value::Null) => self.nullable,
            (Base::Text | Base::DateTime, Value::String(_))
            | (Base::Number | Base::DateTime, Value::Number(_))
            | (Base::Boolean, Value::Bool(_))
            | (Base::Object, Value::Object(_)) => true,
            (Base::Integer, Value::Number(number)) => is_whole(number),
            _ => false,
        }
    }
}

/// The value that is sent for a field; none where the field is left out. The error is what Segment
/// shows.
pub fn coerce(
    field: &str,
    kind: Kind,
    mode: Mode,
    value: Option<&Value>,
) -> Result<Option<Value>, String> {
    let label = label(field);
    let Some(value) = value else { return Ok(None) };
    if kind.multiple {
        let items = match value {
            Value::Null if kind.nullable => return Ok(Some(Value::Null)),
            Value::Null => return Ok(None),
            Value::String(text) if text.is_empty() => return Ok(None),
            Value::Array(items) => items.clone(),
            other => vec![other.clone()],
        };
        let item = Kind {
            multiple: false,
            nullable: false,
            ..kind
        };
        let kept = items.into_iter().filter(|value| !is_empty(item, value));
        let (mut coerced, mut errors) = (Vec::new(), Vec::new());
        for (index, value) in kept.enumerate() {
            match one(
                item,
                &value,
                &format!("The value at /{field}/{index}"),
                false,
            ) {
                Ok(value) => coerced.push(value),
                Err(error) => errors.push(error),
            }
        }
        return if errors.is_empty() {
            Ok(Some(Value::Array(coerced)))
        } else {
            Err(errors.join(" "))
        };
    }
    let emptied = mode == Mode::Single && value.as_str() == Some("");
    if emptied || is_empty(kind, value) {
        return Ok(None);
    }
    one(kind, value, &label, true).map(Some)
}

/// Null, and an empty text, where the type has neither.
fn is_empty(kind: Kind, value: &Value) -> bool {
    match value {
        Value::Null => !kind.nullable,
        Value::String(text) => text.is_empty() && !kind.takes_empty_text(),
        _ => false,
    }
}

/// A single value. The elements of lists are not held against the form of dates.
fn one(kind: Kind, value: &Value, label: &str, dated: bool) -> Result<Value, String> {
    let mut value = value.clone();
    if !kind.has(&value) {
        let union = kind.nullable || kind.base == Base::DateTime;
        // An object alone has nothing to coerce to, so that its list is not looked into.
        let coercible = kind.base != Base::Object || kind.nullable;
        if coercible
            && let Value::Array(items) = &value
            && let [only] = items.as_slice()
        {
            value = only.clone();
        }
        // A union wants the element to be of all its types at once, which it never is.
        let fits = !union && kind.has(&value);
        if !fits {
            value = convert(kind, &value).ok_or_else(|| wrong_type(label, kind, &value))?;
        }
    }
    if dated
        && kind.base == Base::DateTime
        && let Value::String(text) = &value
        && !is_date_like(text)
    {
        return Err(format!(
            "{label} must be a valid date-like string but it was not."
        ));
    }
    Ok(value)
}

/// The conversions that the validator makes, in the order of the types.
fn convert(kind: Kind, value: &Value) -> Option<Value> {
    let to_text = || match value {
        Value::Number(number) => Some(number_text(number).into()),
        Value::Bool(value) => Some(value.to_string().into()),
        Value::Null => Some("".into()),
        _ => None,
    };
    let to_number = |whole: bool| {
        let number = match value {
            Value::Bool(value) => f64::from(u8::from(*value)),
            Value::Null => 0.0,
            Value::String(text) if !text.is_empty() => to_number(text),
            _ => return None,
        };
        // What is infinite is sent as null.
        let fits = number.is_infinite() || (!number.is_nan() && (!whole || number % 1.0 == 0.0));
        fits.then(|| as_number(number).unwrap_or_default())
    };
    let converted = match kind.base {
        Base::Text => to_text(),
        Base::DateTime => to_text().or_else(|| to_number(false)),
        Base::Number => to_number(false),
        Base::Integer => to_number(true),
        Base::Boolean => match value {
            Value::Null => Some(false.into()),
            Value::String(text) if text == "false" => Some(false.into()),
            Value::String(text) if text == "true" => Some(true.into()),
            Value::Number(number) if number.as_f64() == Some(0.0) => Some(false.into()),
            Value::Number(number) if number.as_f64() == Some(1.0) => Some(true.into()),
            _ => None,
        },
        Base::Object => None,
    };
    let nothing = match value {
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Bool(value) => !value,
        _ => false,
    };
    converted.or_else(|| (kind.nullable && nothing).then_some(Value::Null))
}

fn wrong_type(label: &str, kind: Kind, value: &Value) -> String {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    format!("{label} must be {} but it was {found}.", kind.noun())
}

/// `external_id` → `External Id`, as Segment shows fields.
fn label(field: &str) -> String {
    let words = field.split('_').map(|word| {
        let mut chars = word.chars();
        chars
            .next()
            .map(|first| first.to_uppercase().chain(chars).collect::<String>())
            .unwrap_or_default()
    });
    words.collect::<Vec<_>>().join(" ")
}

fn is_whole(number: &Number) -> bool {
    number.as_f64().is_some_and(|number| number % 1.0 == 0.0)
}

/// Whole numbers are written without a fraction.
fn as_number(number: f64) -> Option<Value> {
    let text = ryu_js::Buffer::new().format(number).to_owned();
    serde_json::from_str(if text == "-0" { "0" } else { &text }).ok()
}

/// Largest unix time of JavaScript's dates, in seconds.
const MAX_SECONDS: f64 = 8.64e12;

/// A unix time as text, or a date that Segment's date library takes.
fn is_date_like(text: &str) -> bool {
    let number = to_number(text);
    let is_number = number.abs() <= MAX_SECONDS && ryu_js::Buffer::new().format(number) == text;
    // What has no separator between its parts is left to the form of digits.
    let separated = text.contains(['-', '/', ' ', ',']) && number.is_nan();
    is_number || (separated && instant(text).is_some()) || is_loose_date(text)
}

/// Digits in the places of a date, whatever their values: `20260102`, `2026-13-45`, `2026-001`.
fn is_loose_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |from: usize, most: usize| {
        bytes
            .iter()
            .skip(from)
            .take(most)
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    if digits(0, 4) < 4 {
        return false;
    }
    let skip = |at: usize, of: &[u8]| {
        at + usize::from(bytes.get(at).is_some_and(|byte| of.contains(byte)))
    };
    let mut at = skip(4, b"-/");
    at += digits(at, 2);
    at = skip(at, b"-/");
    at += digits(at, 2);
    while bytes
        .get(at)
        .is_some_and(|byte| matches!(byte, b'T' | b't') || byte.is_ascii_whitespace())
    {
        at += 1;
    }
    for _ in 0..2 {
        at += digits(at, 2);
        at = skip(at, b":");
    }
    at += digits(at, 2);
    at = skip(at, b".:");
    at += digits(at, usize::MAX);
    at == bytes.len()
}
