//! A parsed trigger, as data.

use crate::path::Path;

/// Conditions of which all must hold, or one.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// One condition is enough.
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

/// The part of an event that is compared.
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
    /// Segment accepts any token as an operator; this one never holds.
    Unknown,
}

/// What a field is compared with.
#[derive(Debug, Clone)]
pub(super) enum Expected {
    Text(String),
    Number(f64),
    Bool(bool),
}
