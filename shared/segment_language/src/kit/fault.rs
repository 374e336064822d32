//! What is wrong with a mapping.

use std::fmt;

/// One thing that is wrong with a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, e.g. `/x/@replace/pattern`.
    pub path: String,
    /// What is expected there.
    pub message: String,
}

impl Fault {
    /// A fault of the mapping as a whole.
    pub(super) fn at_root(message: impl Into<String>) -> Self {
        Self { path: "/".to_owned(), message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}.", self.path, self.message)
    }
}
