//! Segment's mapping language, as its own mapping kit evaluates it.
//!
//! A mapping is compiled once and evaluated many times. Invariants: the same output as Segment's
//! engine for every directive but `@liquid`, which is refused when the mapping is compiled;
//! undefined and null are different things; no input makes it panic, recurse without bound or
//! grow without bound ([`MAX_OUTPUT`], [`MAX_DEPTH`]).
//!
//! # Layout
//! * `compile`: JSON becomes a [`Mapping`].
//! * `validate`: what is wrong with a mapping, with the path of every fault.
//! * `evaluate`: a mapping and an event become a value.
//! * `path`: how Segment looks up `$.a.b[0]`.
//! * `js`: the few rules of JavaScript that show: texts of numbers, truth, JSON in its key order.
//! * `template`, `replace`: the directives that work on text.
//! * `trace`: where the fields of an output come from.

mod compile;
mod evaluate;
pub(crate) mod js;
pub(crate) mod path;
mod replace;
mod template;
mod trace;
mod validate;

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use compile::Node;
pub use js::as_double;
pub use trace::Traced;

/// Bytes that an evaluation may create; events have at most 32 KB, mappings a few.
pub const MAX_OUTPUT: usize = 8 * 1024 * 1024;

/// Levels of a mapping.
pub const MAX_DEPTH: usize = 100;

/// A compiled mapping.
#[derive(Debug)]
pub struct Mapping {
    root: Node,
}

/// A field of a mapping's output.
pub type Field<'m, 'e> = (Cow<'m, str>, Cow<'e, Value>);

/// What is wrong with a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, e.g. `/x/@replace/pattern`.
    pub path: String,
    /// What is expected there.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}.", self.path, self.message)
    }
}

/// Why an event cannot be mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(pub String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl Mapping {
    /// Compiles a mapping, or tells all of its faults.
    pub fn compile(mapping: &Value) -> Result<Self, Vec<Fault>> {
        compile::root(mapping).map(|root| Self { root })
    }

    /// The value for an event; none is JavaScript's undefined.
    pub fn evaluate(&self, event: &Value) -> Result<Option<Value>, Error> {
        expect_object(event)?;
        evaluate::evaluate(&self.root, event)
    }

    /// The fields of the value for an event, borrowed from it where nothing changes them; none where
    /// the value is no object.
    pub fn fields<'m, 'e>(&'m self, event: &'e Value) -> Result<Option<Vec<Field<'m, 'e>>>, Error> {
        expect_object(event)?;
        evaluate::fields(&self.root, event)
    }

    /// Every field of the output with what it was made of.
    pub fn trace(&self, event: &Value) -> Vec<Traced> {
        trace::trace(&self.root, event)
    }
}

fn expect_object(event: &Value) -> Result<(), Error> {
    if event.is_object() {
        return Ok(());
    }
    Err(Error(format!("data must be an object, got {}", js::type_name(Some(event)))))
}
