//! How an item ended, as its caller is told.

use mapping::Outcome;

/// How an item ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ItemResult {
    /// Its outcome.
    pub(crate) outcome: Outcome,
    /// What was wrong with it, where it could not be decoded.
    pub(crate) undecodable: Option<String>,
}
