//! The state of an evaluation: how much it may still create, and who observes what it reads.

use serde_json::Value;

use super::computed::Computed;
use super::error::EvaluationError;
use super::reads::Reads;
use super::undefined::unmark;
use crate::path::Path;

/// Bytes that an evaluation may create; events have at most 32 KB, mappings a few.
pub const MAX_OUTPUT: usize = 8 * 1024 * 1024;

/// The state of an evaluation.
pub(super) struct State<R = ()> {
    /// Bytes that may still be created.
    left: usize,
    /// The data holds marks in the place of undefined elements.
    marked: bool,
    pub(super) reads: R,
}

impl<R: Default> Default for State<R> {
    fn default() -> Self {
        Self { left: MAX_OUTPUT, marked: false, reads: R::default() }
    }
}

impl<R: Reads> State<R> {
    /// The value at a path.
    pub(super) fn look_up<'e>(&mut self, path: &Path, data: Option<&'e Value>) -> Computed<'e> {
        let found = path.get(data);
        self.reads.read(path, found.as_ref());
        if self.marked {
            found.map_or(Computed::Undefined, |value| unmark(&value))
        } else {
            Computed::from_lookup(found)
        }
    }

    /// Sets whether the data holds marks; returns what it was.
    pub(super) fn set_marked(&mut self, marked: bool) -> bool {
        std::mem::replace(&mut self.marked, marked)
    }

    /// Takes the size of what was created.
    pub(super) fn spend(&mut self, size: usize) -> Result<(), EvaluationError> {
        self.left = self.left.checked_sub(size).ok_or_else(too_large)?;
        Ok(())
    }

    /// Checks that a text which is being made still fits.
    pub(super) fn check(&self, text: &str) -> Result<(), EvaluationError> {
        if text.len() > self.left { Err(too_large()) } else { Ok(()) }
    }
}

fn too_large() -> EvaluationError {
    EvaluationError::new(format!("the mapping creates more than {MAX_OUTPUT} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_left_may_be_created_and_no_more() {
        let mut state = State::<()>::default();
        assert!(state.check(&"x".repeat(MAX_OUTPUT)).is_ok());
        assert!(state.check(&"x".repeat(MAX_OUTPUT + 1)).is_err());
        state.spend(MAX_OUTPUT - 3).unwrap();
        assert!(state.check("abc").is_ok());
        assert!(state.check("abcd").is_err());
        assert!(state.spend(4).is_err());
        assert!(state.spend(3).is_ok());
    }
}
