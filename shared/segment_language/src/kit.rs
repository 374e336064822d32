//! Segment's mapping language, as its own mapping kit evaluates it.
//!
//! A mapping is compiled once and evaluated many times. Invariants: the same output as Segment's
//! engine for every directive but `@liquid`, which is refused when the mapping is compiled;
//! undefined and null are different things; no input makes it panic, recurse without bound or
//! grow without bound ([`MAX_OUTPUT`], [`MAX_DEPTH`]).
//!
//! # Layout
//! No file imports one that stands below it.
//! * `fault`, `error`: what is wrong with a mapping, and why one fails for an event.
//! * `syntax`: how a directive is written in JSON.
//! * `node`: a compiled mapping, as data.
//! * `validate`: finds the faults of a mapping, with the path of each.
//! * `compile`: JSON becomes a compiled mapping.
//! * `computed`, `undefined`: values while they are evaluated.
//! * `reads`, `state`: the state of an evaluation, and who observes what it reads.
//! * `template`, `replace`, `directives`: what single directives do.
//! * `resolve`: a part of a mapping and an event become a value.
//! * `walk`: looks up many paths in one event.
//! * `evaluate`: a whole mapping and an event become a value.
//! * `trace`: where the fields of an output come from.
//! * `mapping`: [`Mapping`].

mod compile;
mod computed;
mod directives;
mod error;
mod evaluate;
mod fault;
mod mapping;
mod node;
mod reads;
mod replace;
mod resolve;
mod state;
mod syntax;
mod template;
mod trace;
mod undefined;
mod validate;
mod walk;

pub use error::EvaluationError;
pub use evaluate::OutputField;
pub use fault::Fault;
pub use mapping::Mapping;
pub use state::MAX_OUTPUT;
pub use syntax::MAX_DEPTH;
pub use trace::Traced;
