//! A compiled mapping, as data.

use serde_json::Value;

use crate::path::Path;

/// A part of a compiled mapping.
#[derive(Debug)]
pub(super) enum Node {
    Scalar(Value),
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
    Path(Path),
    /// A path that is itself the result of a directive.
    PathFrom(Box<Self>),
    Template(Box<Self>),
    If {
        exists: bool,
        value: Box<Self>,
        then: Option<Box<Self>>,
        otherwise: Option<Box<Self>>,
    },
    Case {
        operator: Box<Self>,
        value: Box<Self>,
    },
    Replace {
        /// Applied one after the other; `None` gives an empty text.
        replacements: Option<Vec<Replacement>>,
        value: Box<Self>,
    },
    ArrayPath {
        root: Box<Self>,
        shape: Option<Box<Self>>,
    },
    Encode(Box<Self>),
    Decode(Box<Self>),
    /// Evaluated, since it may fail; then undefined.
    Discard(Box<Self>),
    Flatten {
        separator: Box<Self>,
        value: Box<Self>,
        omit_arrays: bool,
    },
    /// In the order in which they are assigned.
    Merge(Vec<Self>),
    Transform {
        apply: Box<Self>,
        mapping: Box<Self>,
    },
    ExcludeWhenNull(Box<Self>),
    Undefined,
    /// Fails with this message when it is evaluated.
    Fail(String),
}

/// What `@replace` does once.
#[derive(Debug, Clone)]
pub(super) struct Replacement {
    /// Literal text.
    pub(super) pattern: String,
    /// May contain JavaScript's `$$`, `$&`, `` $` `` and `$'`.
    pub(super) with: String,
    pub(super) ignore_case: bool,
    /// Every occurrence, not only the first.
    pub(super) global: bool,
}

impl Node {
    /// The name of its directive.
    pub(super) fn directive(&self) -> &'static str {
        match self {
            Self::Scalar(_) | Self::Array(_) | Self::Object(_) => "@literal",
            Self::Path(_) | Self::PathFrom(_) => "@path",
            Self::Template(_) => "@template",
            Self::If { .. } | Self::Undefined => "@if",
            Self::Case { .. } => "@case",
            Self::Replace { .. } => "@replace",
            Self::ArrayPath { .. } => "@arrayPath",
            Self::Encode(_) | Self::Decode(_) | Self::Discard(_) => "@json",
            Self::Flatten { .. } => "@flatten",
            Self::Merge(_) => "@merge",
            Self::Transform { .. } => "@transform",
            Self::ExcludeWhenNull(_) => "@excludeWhenNull",
            Self::Fail(_) => "none",
        }
    }
}
