//! What Segment does with a mapped value before it is sent: empty values are removed, types are
//! coerced, and what does not fit drops the event.
//!
//! The rules are those of its JSON schema validator with coercion of types, as measured: a union
//! with null behaves differently from a type alone.

use std::borrow::Cow;

use serde_json::{Number, Value};

use crate::instant::instant;
use crate::js::{number_text, to_number};
use crate::kit;

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
    const fn plain(base: Base) -> Self {
        Self { base, multiple: false, nullable: false }
    }

    /// `string`.
    pub const TEXT: Self = Self::plain(Base::Text);
    /// `string|null`.
    pub const TEXT_OR_NULL: Self = Self { nullable: true, ..Self::TEXT };
    /// `number`.
    pub const NUMBER: Self = Self::plain(Base::Number);
    /// `boolean`.
    pub const BOOLEAN: Self = Self::plain(Base::Boolean);
    /// `datetime`.
    pub const DATE_TIME: Self = Self::plain(Base::DateTime);
    /// `object`.
    pub const OBJECT: Self = Self::plain(Base::Object);

    /// Reads a type: `string`, `number|null`, `string[]`.
    pub fn parse(text: &str) -> Option<Self> {
        let (text, nullable) =
            text.strip_suffix("|null").map_or((text, false), |text| (text, true));
        let (text, multiple) = text.strip_suffix("[]").map_or((text, false), |text| (text, true));
        let base = match text {
            "string" | "text" | "password" => Base::Text,
            "number" => Base::Number,
            "integer" => Base::Integer,
            "boolean" => Base::Boolean,
            "datetime" => Base::DateTime,
            "object" => Base::Object,
            _ => return None,
        };
        Some(Self { base, multiple, nullable })
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
        if self.nullable { format!("{noun} or null") } else { noun.to_owned() }
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

/// A field of an action.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name in mappings.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Without it the event is dropped.
    pub required: bool,
    /// The fields of an object that declares them.
    pub parts: &'static [Self],
}

/// Why a mapped value does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Which field.
    pub field: &'static str,
    /// It is required, and not there.
    pub missing: bool,
    /// What Segment shows.
    pub message: String,
}

/// The payload of an action: its fields with their values.
pub type Payload<'e> = Vec<(&'static str, Cow<'e, Value>)>;

/// What was mapped, without what is empty and what the action has no field for, in the order of the
/// fields.
pub fn fit<'e>(
    fields: &[Field],
    mode: Mode,
    mut mapped: Vec<kit::OutputField<'_, 'e>>,
) -> Result<Payload<'e>, Vec<Misfit>> {
    let (mut payload, mut misfits) = (Vec::with_capacity(fields.len()), Vec::new());
    // Most mappings have the order of the fields.
    let mut next = 0;
    for field in fields {
        let place = (next..mapped.len())
            .chain(0..next)
            .find(|place| mapped.get(*place).is_some_and(|(name, _)| name == field.name));
        let value = place.and_then(|place| {
            next = place + 1;
            mapped.get_mut(place).map(|(_, value)| std::mem::take(value))
        });
        match fit_one(field, mode, value) {
            Ok(Some(value)) => payload.push((field.name, value)),
            Ok(None) if field.required => misfits.push(Misfit {
                field: field.name,
                missing: true,
                message: format!("The root value is missing the required field '{}'.", field.name),
            }),
            Ok(None) => {}
            Err(within) => misfits.extend(within),
        }
    }
    if misfits.is_empty() { Ok(payload) } else { Err(misfits) }
}

fn fit_one<'e>(
    field: &Field,
    mode: Mode,
    value: Option<Cow<'e, Value>>,
) -> Result<Option<Cow<'e, Value>>, Vec<Misfit>> {
    match value.as_deref() {
        Some(Value::Object(parts)) if !field.parts.is_empty() => {
            let fits = |(name, value): (&String, &Value)| {
                let part = field.parts.iter().find(|part| part.name == name);
                part.is_some_and(|part| part.kind.has(value))
            };
            if parts.iter().all(fits) {
                return Ok(value);
            }
            let parts = parts
                .iter()
                .map(|(name, value)| (Cow::Borrowed(name.as_str()), Cow::Borrowed(value)));
            // Only at the root are empty texts removed from fields of text.
            let parts = fit(field.parts, Mode::Batch, parts.collect())?;
            let parts =
                parts.into_iter().map(|(name, value)| (name.to_owned(), value.into_owned()));
            Ok(Some(Cow::Owned(Value::Object(parts.collect()))))
        }
        _ => coerce(field.name, field.kind, mode, value)
            .map_err(|message| vec![Misfit { field: field.name, missing: false, message }]),
    }
}

/// The value that is sent for a field; none where the field is left out. The error is what Segment
/// shows.
pub fn coerce<'e>(
    field: &str,
    kind: Kind,
    mode: Mode,
    value: Option<Cow<'e, Value>>,
) -> Result<Option<Cow<'e, Value>>, String> {
    let Some(value) = value else { return Ok(None) };
    // What most values are: of the type, and not empty.
    let settled = !kind.multiple && kind.base != Base::DateTime && value.as_str() != Some("");
    if settled && kind.has(&value) {
        return Ok(Some(value));
    }
    if kind.multiple {
        let items = match value.as_ref() {
            Value::Null if kind.nullable => return Ok(Some(value)),
            Value::Null => return Ok(None),
            Value::String(text) if text.is_empty() => return Ok(None),
            Value::Array(items) => items.as_slice(),
            other => std::slice::from_ref(other),
        };
        let item = Kind { multiple: false, nullable: false, ..kind };
        let kept = items.iter().filter(|value| !is_empty(item, value));
        let (mut coerced, mut errors) = (Vec::new(), Vec::new());
        for (index, value) in kept.enumerate() {
            let label = || format!("The value at /{field}/{index}");
            match one(item, Cow::Borrowed(value), label, false) {
                Ok(value) => coerced.push(value.into_owned()),
                Err(error) => errors.push(error),
            }
        }
        return if errors.is_empty() {
            Ok(Some(Cow::Owned(Value::Array(coerced))))
        } else {
            Err(errors.join(" "))
        };
    }
    let emptied = mode == Mode::Single && value.as_str() == Some("");
    if emptied || is_empty(kind, &value) {
        return Ok(None);
    }
    one(kind, value, || label(field), true).map(Some)
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
fn one(
    kind: Kind,
    mut value: Cow<'_, Value>,
    label: impl Fn() -> String,
    dated: bool,
) -> Result<Cow<'_, Value>, String> {
    if !kind.has(&value) {
        let union = kind.nullable || kind.base == Base::DateTime;
        // An object alone has nothing to coerce to, so that its list is not looked into.
        let coercible = kind.base != Base::Object || kind.nullable;
        if coercible
            && let Value::Array(items) = value.as_ref()
            && let [only] = items.as_slice()
        {
            value = Cow::Owned(only.clone());
        }
        // A union wants the element to be of all its types at once, which it never is.
        let fits = !union && kind.has(&value);
        if !fits {
            let converted =
                convert(kind, &value).ok_or_else(|| wrong_type(&label(), kind, &value))?;
            value = Cow::Owned(converted);
        }
    }
    if dated
        && kind.base == Base::DateTime
        && let Value::String(text) = value.as_ref()
        && !is_date_like(text)
    {
        return Err(format!("{} must be a valid date-like string but it was not.", label()));
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
    // The usual form first: no number has it.
    if text.get(4..5) == Some("-") && instant(text).is_some() {
        return true;
    }
    let number = to_number(text);
    if ryu_js::Buffer::new().format(number) == text && !number.is_nan() {
        return number.abs() <= MAX_SECONDS;
    }
    // What has no separator between its parts is left to the form of digits.
    let separated = text.contains(['-', '/', ' ', ',']) && number.is_nan();
    (separated && instant(text).is_some()) || is_loose_date(text) || is_lone_number(text)
}

/// Largest year of JavaScript's dates.
const MAX_YEAR: u32 = 275_760;

/// A month or a year with blanks or a sign around it, as JavaScript takes it for a date.
fn is_lone_number(text: &str) -> bool {
    let digits = text.trim().trim_start_matches('-').trim_start();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number && matches!(digits.parse(), Ok(0..=12 | 32..=MAX_YEAR))
}

/// Digits in the places of a date, whatever their values: `20260102`, `2026-13-45`, `2026-001`.
fn is_loose_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |from: usize, most: usize| {
        bytes.iter().skip(from).take(most).take_while(|byte| byte.is_ascii_digit()).count()
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
