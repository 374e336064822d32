//! Segment's triggers: the small language in which a mapping says which events it is for.
//!
//! Read as Segment's own subscriptions read it, quirks included, so that a trigger copied from
//! there selects the same events; [`lint`] names what will surprise. No text makes it panic.
//!
//! # Layout
//! * `lexer`: text becomes tokens.
//! * `parser`: tokens become conditions.

mod lexer;
mod parser;

use std::borrow::Cow;

use serde_json::Value;

use crate::js;
use crate::path::Path;

/// A parsed trigger.
#[derive(Debug, Clone)]
pub struct Trigger {
    group: Group,
}

/// Conditions that all hold, or of which one does.
#[derive(Debug, Clone)]
struct Group {
    any: bool,
    children: Vec<Condition>,
}

#[derive(Debug, Clone)]
enum Condition {
    Group(Group),
    /// Parentheses that select by nothing: where Segment gets to them it fails.
    Nothing,
    Leaf {
        field: Field,
        operator: Operator,
        expected: Expected,
    },
}

/// Which part of an event.
#[derive(Debug, Clone)]
enum Field {
    /// `type`, `event`, `name` or `userId`.
    Named(&'static str),
    /// A path below `properties`, `traits` or `context`.
    Below(&'static str, Path),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equals,
    NotEquals,
    NumberEquals,
    NumberNotEquals,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Contains(bool),
    StartsWith(bool),
    EndsWith(bool),
    Exists(bool),
    Is(bool),
    /// Segment takes any token for an operator; this one never holds.
    Unknown,
}

#[derive(Debug, Clone)]
enum Expected {
    Text(String),
    Number(f64),
    Bool(bool),
}

impl Expected {
    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Number(number) => ryu_js::Buffer::new().format(*number).to_owned().into(),
            Self::Bool(value) => value.to_string().into(),
        }
    }

    fn number(&self) -> f64 {
        match self {
            Self::Text(text) => js::to_number(text),
            Self::Number(number) => *number,
            Self::Bool(value) => f64::from(u8::from(*value)),
        }
    }
}

impl Trigger {
    /// Reads a trigger, or tells why Segment would not.
    pub fn parse(text: &str) -> Result<Self, String> {
        parser::parse(lexer::tokens(text)).map(|group| Self { group })
    }

    /// Whether an event is selected.
    pub fn matches(&self, event: &Value) -> bool {
        self.evaluate(event) == Some(true)
    }

    /// Whether an event is selected, or nothing where Segment fails over it: at parentheses that
    /// select by nothing.
    pub fn evaluate(&self, event: &Value) -> Option<bool> {
        self.group.evaluate(&mut Subject { event, last: ("", None) })
    }
}

/// An event under a trigger, with the field that was looked up last: the next condition often has
/// the same.
struct Subject<'e> {
    event: &'e Value,
    last: (&'static str, Option<&'e Value>),
}

impl<'e> Subject<'e> {
    fn get(&mut self, name: &'static str) -> Option<&'e Value> {
        if self.last.0 != name {
            let fields = self.event.as_object();
            self.last = (name, fields.and_then(|fields| js::get(fields, name)));
        }
        self.last.1
    }
}

impl Group {
    /// Conditions are looked at in their order, and no further than needed.
    fn evaluate(&self, subject: &mut Subject<'_>) -> Option<bool> {
        for child in &self.children {
            if child.evaluate(subject)? == self.any {
                return Some(self.any);
            }
        }
        Some(!self.any)
    }
}

impl Condition {
    fn evaluate(&self, subject: &mut Subject<'_>) -> Option<bool> {
        match self {
            Self::Group(group) => group.evaluate(subject),
            Self::Nothing => None,
            Self::Leaf { field, operator, expected } => {
                let actual = match field {
                    Field::Named(name) => subject.get(name).map(Cow::Borrowed),
                    Field::Below(part, path) => path.get(subject.get(part)),
                };
                Some(operator.holds(actual.as_deref(), expected))
            }
        }
    }
}

impl Operator {
    fn holds(self, actual: Option<&Value>, expected: &Expected) -> bool {
        let text = actual.and_then(Value::as_str);
        let number = actual.filter(|actual| actual.is_number()).and_then(Value::as_f64);
        let numbers = |holds: fn(&f64, &f64) -> bool| {
            number.is_some_and(|number| holds(&number, &expected.number()))
        };
        let texts = |holds: fn(&str, &str) -> bool, wanted: bool| {
            text.is_some_and(|text| holds(text, &expected.text()) == wanted)
        };
        match self {
            Self::Equals => text.is_some_and(|text| text == expected.text()),
            Self::NotEquals => text.is_none_or(|text| text != expected.text()),
            #[expect(clippy::float_cmp, reason = "as JavaScript compares")]
            Self::NumberEquals => numbers(|a, b| a == b),
            #[expect(clippy::float_cmp, reason = "as JavaScript compares")]
            Self::NumberNotEquals => numbers(|a, b| a != b),
            Self::Less => numbers(|a, b| a < b),
            Self::LessOrEqual => numbers(|a, b| a <= b),
            Self::Greater => numbers(|a, b| a > b),
            Self::GreaterOrEqual => numbers(|a, b| a >= b),
            Self::Contains(wanted) => texts(|text, part| text.contains(part), wanted),
            Self::StartsWith(wanted) => texts(|text, part| text.starts_with(part), wanted),
            Self::EndsWith(wanted) => texts(|text, part| text.ends_with(part), wanted),
            Self::Exists(wanted) => actual.is_some_and(|actual| !actual.is_null()) == wanted,
            Self::Is(wanted) => actual == Some(&Value::Bool(wanted)),
            Self::Unknown => false,
        }
    }
}

/// What of a trigger will surprise its author, if anything.
pub fn lint(text: &str) -> Vec<String> {
    parser::lint(text, &lexer::tokens(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_surprises_is_named() {
        assert!(lint("type = \"track\" and event = \"A\"").is_empty());
        assert!(lint("(type = \"track\" or type = \"page\") and userId != null").is_empty());
        for (text, part) in [
            ("type = \"a\" or type = \"b\" and event = \"c\"", "the last one"),
            ("type = 'track'", "single quotes"),
            ("!(type = \"track\")", "`!` before a parenthesis"),
            ("type = \"track\" and anonymousId = \"x\"", "anonymousId"),
            ("type = \"track\"or type = \"page\"", "white space"),
            ("type = \"track\" AND event = \"x\"", "lower case"),
            (
                "(contains(event, \"x\") or type = \"b\") and name = \"c\"",
                "functions in parentheses",
            ),
            ("match(event, \"Order\")", "`*`"),
            ("type = $x", "cannot be read"),
        ] {
            let lints = lint(text);
            assert!(lints.iter().any(|lint| lint.contains(part)), "{text}: {lints:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z.()!=<>\"' \\\\*,0-9-]{0,40}|\\PC{0,20}") {
            lint(&text);
            if let Ok(trigger) = Trigger::parse(&text) {
                trigger.matches(&json!({"type": "track", "properties": {"a": 1}}));
            }
        }
    }
}
