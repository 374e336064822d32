//! Input that a command cannot use. The command ends with [`EXIT`], as for wrong flags, and changed nothing.

/// What the process ends with.
pub const EXIT: u8 = 2;

/// One line that says what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadInput(pub String);
