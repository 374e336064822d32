//! Observes what an evaluation reads.

use std::borrow::Cow;

use serde_json::Value;

use crate::path::Path;

/// Notified of every path that an evaluation looks up.
pub(super) trait Reads {
    /// A path was looked up.
    fn read(&mut self, path: &Path, found: Option<&Cow<'_, Value>>);
}

/// Ordinary evaluation: nothing is observed, at no cost.
impl Reads for () {
    fn read(&mut self, _path: &Path, _found: Option<&Cow<'_, Value>>) {}
}
