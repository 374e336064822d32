//! A parsed trigger, as data.

use crate::path::Path;

/// Conditions that all hold, or of which one does.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// One of the conditions is enough.
    pub(super) any: bool,
    pub(super) children: Vec<Condition>,
}

#[derive(Debug, Clone)]
pub(super) enum Condition {
    Group(Group),
    /// Empty parentheses: Segment fails where it evaluates them.
    Nothing,
    Leaf {
        field: EventField,
        operator: Operator,
        expected: Expected,
    },
}

/// Which part of an event.
#[derive(Debug, Clone)]
pub(super) enum EventField {
    /// `type`, `event`, `name` or `userId`.
    Named(&'static str),
    /// A path below `properties`, `traits` or `context`.
    Below(&'static str, Path),
}

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
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

/// What a field is compared with.
#[derive(Debug, Clone)]
pub(super) enum Expected {
    Text(String),
    Number(f64),
    Bool(bool),
}
