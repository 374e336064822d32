//! Why a mapping fails for an event.

/// Why a mapping cannot be evaluated for an event, in Segment's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EvaluationError(pub String);

impl EvaluationError {
    /// An error with this text.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}
