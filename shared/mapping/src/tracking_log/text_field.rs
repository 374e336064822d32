//! One field of a record: text or a number, plain or wrapped as Avro's JSON encoding wraps it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// One field as it stands in the record: text or number; anything else counts as absent.
#[derive(Debug, Default)]
pub(super) struct TextField<'a>(pub(super) Option<Cow<'a, str>>);

impl TextField<'_> {
    /// Trimmed, and nothing where nothing is left.
    pub(super) fn text(&self) -> Option<&str> {
        self.0.as_deref().map(trim).filter(|text| !text.is_empty())
    }

    /// The same field, with text of its own.
    pub(super) fn into_owned<'o>(self) -> TextField<'o> {
        TextField(self.0.map(|text| Cow::Owned(text.into_owned())))
    }
}

/// The text without blanks at its ends. Most have none, which two bytes tell.
fn trim(text: &str) -> &str {
    match text.as_bytes() {
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => text.trim(),
    }
}

impl<'de> Deserialize<'de> for TextField<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextFieldVisitor)
    }
}

struct TextFieldVisitor;

impl<'de> Visitor<'de> for TextFieldVisitor {
    type Value = TextField<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(TextField(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(TextField(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(TextField(Some(Cow::Owned(number.to_string()))))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(TextField(Some(Cow::Owned(number.to_string()))))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(TextField(Some(Cow::Owned(number.to_string()))))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(TextField(None))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(TextField(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(TextField(None))
    }

    /// Avro's JSON wraps the value of a nullable field: `{"string": "u1"}`.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut field = TextField(None);
        // A `Cow` as key would be copied; `TextField` borrows.
        while let Some(TextField(Some(key))) = map.next_key::<TextField<'de>>()? {
            if matches!(key.as_ref(), "string" | "int" | "long" | "float" | "double") {
                field = map.next_value()?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> Option<String> {
        serde_json::from_str::<TextField<'_>>(json).unwrap().text().map(str::to_owned)
    }

    #[test]
    fn text_and_numbers_are_read_and_anything_else_counts_as_absent() {
        for (json, expected) in [
            (r#"" u1 ""#, Some("u1")),
            (r#"" u1""#, Some("u1")),
            (r#""u1\u00a0""#, Some("u1")),
            (r#""u""#, Some("u")),
            (r#""éa é""#, Some("éa é")),
            (r#""a\"b""#, Some("a\"b")),
            ("18446744073709551615", Some("18446744073709551615")),
            ("-5", Some("-5")),
            ("1.5", Some("1.5")),
            (r#"" ""#, None),
            ("true", None),
            ("null", None),
            (r#"["u1", {"a": [1]}]"#, None),
            (r#"{"string": "u1"}"#, Some("u1")),
            (r#"{"other": {"string": "u2"}, "long": 7, "more": [1]}"#, Some("7")),
            (r#"{"other": 1}"#, None),
        ] {
            assert_eq!(text(json).as_deref(), expected, "{json}");
        }
    }
}
