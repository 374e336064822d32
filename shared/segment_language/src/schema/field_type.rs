//! The types that a field of an action may have.

use serde_json::Value;

use crate::js::is_whole;

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldType {
    pub(super) base: BaseType,
    /// The value is a list of these.
    pub(super) multiple: bool,
    /// Null is allowed too.
    pub(super) nullable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BaseType {
    Text,
    Number,
    Integer,
    Boolean,
    DateTime,
    Object,
}

impl FieldType {
    const fn plain(base: BaseType) -> Self {
        Self { base, multiple: false, nullable: false }
    }

    /// `string`.
    pub const TEXT: Self = Self::plain(BaseType::Text);
    /// `string|null`.
    pub const TEXT_OR_NULL: Self = Self { nullable: true, ..Self::TEXT };
    /// `number`.
    pub const NUMBER: Self = Self::plain(BaseType::Number);
    /// `boolean`.
    pub const BOOLEAN: Self = Self::plain(BaseType::Boolean);
    /// `datetime`.
    pub const DATE_TIME: Self = Self::plain(BaseType::DateTime);
    /// `object`.
    pub const OBJECT: Self = Self::plain(BaseType::Object);

    /// Parses a type: `string`, `number|null`, `string[]`.
    pub fn parse(text: &str) -> Option<Self> {
        let (text, nullable) =
            text.strip_suffix("|null").map_or((text, false), |text| (text, true));
        let (text, multiple) = text.strip_suffix("[]").map_or((text, false), |text| (text, true));
        let base = match text {
            "string" | "text" | "password" => BaseType::Text,
            "number" => BaseType::Number,
            "integer" => BaseType::Integer,
            "boolean" => BaseType::Boolean,
            "datetime" => BaseType::DateTime,
            "object" => BaseType::Object,
            _ => return None,
        };
        Some(Self { base, multiple, nullable })
    }

    /// Whether a value is empty for this type: null, and an empty text, unless the type has them.
    pub(super) fn is_empty(self, value: &Value) -> bool {
        match value {
            Value::Null => !self.nullable,
            Value::String(text) => {
                let takes_text = matches!(self.base, BaseType::Text | BaseType::DateTime);
                text.is_empty() && !takes_text
            }
            _ => false,
        }
    }

    /// The type of one element of a list of this type.
    pub(super) fn element(self) -> Self {
        Self { multiple: false, nullable: false, ..self }
    }

    /// As Segment's messages name the type.
    pub(super) fn noun(self) -> String {
        let noun = match self.base {
            BaseType::Text => "a string",
            BaseType::Number => "a number",
            BaseType::Integer => "an integer",
            BaseType::Boolean => "a boolean",
            BaseType::DateTime if self.nullable => return "a string, number, or null".to_owned(),
            BaseType::DateTime => "a string or number",
            BaseType::Object => "an object",
        };
        if self.nullable { format!("{noun} or null") } else { noun.to_owned() }
    }

    /// Whether a value already has the base type, or is an allowed null.
    pub(super) fn has(self, value: &Value) -> bool {
        match (self.base, value) {
            (_, Value::Null) => self.nullable,
            (BaseType::Text | BaseType::DateTime, Value::String(_))
            | (BaseType::Number | BaseType::DateTime, Value::Number(_))
            | (BaseType::Boolean, Value::Bool(_))
            | (BaseType::Object, Value::Object(_)) => true,
            (BaseType::Integer, Value::Number(number)) => number.as_f64().is_some_and(is_whole),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_type_is_parsed_and_named_as_segment_names_it() {
        for (text, noun) in [
            ("string", "a string"),
            ("text", "a string"),
            ("password", "a string"),
            ("string|null", "a string or null"),
            ("number", "a number"),
            ("number|null", "a number or null"),
            ("integer", "an integer"),
            ("boolean", "a boolean"),
            ("datetime", "a string or number"),
            ("datetime|null", "a string, number, or null"),
            ("object", "an object"),
            ("object|null", "an object or null"),
        ] {
            assert_eq!(
                FieldType::parse(text).map(FieldType::noun).as_deref(),
                Some(noun),
                "{text}"
            );
        }
        for text in ["", "null", "date", "string|", "string[]|", "[]", "|null"] {
            assert_eq!(FieldType::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_type_may_be_a_list_and_nullable() {
        let field_type = FieldType::parse("string[]|null").unwrap();
        assert!(field_type.multiple && field_type.nullable);
        assert_eq!(field_type.element(), FieldType::TEXT);
        assert_eq!(FieldType::parse("string|null"), Some(FieldType::TEXT_OR_NULL));
    }

    #[test]
    fn a_value_has_a_type_or_not() {
        let values =
            [json!("a"), json!(1), json!(1.5), json!(true), json!({}), json!([]), json!(null)];
        for (text, expected) in [
            ("string", [true, false, false, false, false, false, false]),
            ("number", [false, true, true, false, false, false, false]),
            ("integer", [false, true, false, false, false, false, false]),
            ("boolean", [false, false, false, true, false, false, false]),
            ("datetime", [true, true, true, false, false, false, false]),
            ("object", [false, false, false, false, true, false, false]),
            ("object|null", [false, false, false, false, true, false, true]),
        ] {
            let field_type = FieldType::parse(text).unwrap();
            assert_eq!(values.each_ref().map(|value| field_type.has(value)), expected, "{text}");
        }
    }

    #[test]
    fn null_and_an_empty_text_are_empty_unless_the_type_has_them() {
        for (text, null, empty_text) in [
            ("string", true, false),
            ("datetime", true, false),
            ("string|null", false, false),
            ("number", true, true),
            ("number|null", false, true),
            ("object", true, true),
        ] {
            let field_type = FieldType::parse(text).unwrap();
            let empty =
                [json!(null), json!(""), json!("a"), json!(0)].map(|v| field_type.is_empty(&v));
            assert_eq!(empty, [null, empty_text, false, false], "{text}");
        }
    }
}
