//! Whether an event meets the conditions of a trigger.

use std::borrow::Cow;

use serde_json::Value;

use super::condition::{Condition, EventField, Expected, Group, Operator};
use crate::js;

/// Whether an event is selected; `None` where Segment fails, which is at empty parentheses.
pub(super) fn evaluate(group: &Group, event: &Value) -> Option<bool> {
    group.evaluate(&mut Subject::of(event))
}

/// What an event has in a field.
pub(super) fn found(field: &EventField, event: &Value) -> Option<Value> {
    field.find(&mut Subject::of(event)).map(Cow::into_owned)
}

/// An event, with the field that was looked up last: the next condition often needs the same one.
pub(super) struct Subject<'e> {
    event: &'e Value,
    last: (&'static str, Option<&'e Value>),
}

impl<'e> Subject<'e> {
    pub(super) fn of(event: &'e Value) -> Self {
        Self { event, last: ("", None) }
    }

    fn get(&mut self, name: &'static str) -> Option<&'e Value> {
        if self.last.0 != name {
            let fields = self.event.as_object();
            self.last = (name, fields.and_then(|fields| js::get(fields, name)));
        }
        self.last.1
    }
}

impl Group {
    /// Evaluates the conditions in their order, until the result is known.
    pub(super) fn evaluate(&self, subject: &mut Subject<'_>) -> Option<bool> {
        for child in &self.children {
            if child.evaluate(subject)? == self.any {
                return Some(self.any);
            }
        }
        Some(!self.any)
    }
}

impl EventField {
    fn find<'e>(&self, subject: &mut Subject<'e>) -> Option<Cow<'e, Value>> {
        match self {
            Self::Named(name) => subject.get(name).map(Cow::Borrowed),
            Self::Below(part, path) => path.get(subject.get(part)),
        }
    }
}

impl Condition {
    pub(super) fn evaluate(&self, subject: &mut Subject<'_>) -> Option<bool> {
        match self {
            Self::Group(group) => group.evaluate(subject),
            Self::Nothing => None,
            Self::Leaf { field, operator, expected } => {
                Some(operator.holds(field.find(subject).as_deref(), expected))
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

impl Expected {
    pub(super) fn text(&self) -> Cow<'_, str> {
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
