//! A mapping, as used by the other modules.

use serde_json::Value;

use super::compile::compile;
use super::error::EvaluationError;
use super::evaluate::{OutputField, evaluate, fields};
use super::fault::Fault;
use super::node::Node;
use super::resolve::expect_object;
use super::trace::{Traced, output_names, trace};

/// A compiled mapping.
#[derive(Debug)]
pub struct Mapping {
    root: Node,
}

impl Mapping {
    /// Compiles a mapping; the error is all of its faults.
    pub fn compile(mapping: &Value) -> Result<Self, Vec<Fault>> {
        compile(mapping).map(|root| Self { root })
    }

    /// The value for an event; none is JavaScript's undefined.
    pub fn evaluate(&self, event: &Value) -> Result<Option<Value>, EvaluationError> {
        expect_object(Some(event))?;
        evaluate(&self.root, event)
    }

    /// The fields of the value for an event, borrowed from it where nothing changes them; none where
    /// the value is not an object.
    pub fn fields<'m, 'e>(
        &'m self,
        event: &'e Value,
    ) -> Result<Option<Vec<OutputField<'m, 'e>>>, EvaluationError> {
        expect_object(Some(event))?;
        fields(&self.root, event)
    }

    /// Every field of the output with what it was made from.
    pub fn trace(&self, event: &Value) -> Vec<Traced> {
        trace(&self.root, event)
    }

    /// The names that the fields of [`Self::trace`] have.
    pub fn output_names(&self) -> Vec<String> {
        output_names(&self.root)
    }
}

#[cfg(test)]
mod tests;
