//! Segment's own static validation, with its words and the path of every fault.
//!
//! Elements of arrays are not validated, nor what is in a plain object below `@literal` and
//! `@excludeWhenNull`: a wrong directive there fails when it is evaluated.
//!
//! # Layout
//! * `checker`: checks values against kinds, and collects faults.
//! * `operands`: what the operand of every directive may be.

mod checker;
mod operands;

use serde_json::Value;

use super::fault::Fault;
use checker::Checker;
use operands::OPERANDS;

/// The faults of a whole mapping.
pub(super) fn validate(mapping: &Value) -> Vec<Fault> {
    let mut checker = Checker::new(OPERANDS);
    checker.object_or_directive(Some(mapping));
    checker.into_faults()
}

#[cfg(test)]
mod tests;
