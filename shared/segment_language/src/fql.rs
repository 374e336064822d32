//! Segment's triggers (FQL): the language in which a subscription states which events it is for.
//!
//! Parsed as Segment's own subscriptions parse it, quirks included, so that a trigger copied from
//! there selects the same events; [`lint`] reports what its author may not expect. No text makes it
//! panic.
//!
//! # Layout
//! No file imports one that stands below it.
//! * `token`, `lexer`: text becomes tokens.
//! * `condition`: a parsed trigger, as data.
//! * `names`: the fields and functions of the language.
//! * `parser`: tokens become conditions.
//! * `evaluate`: whether an event meets them.
//! * `clause`: which parts of a trigger an event meets.
//! * `lint`: what a trigger does that its author may not expect.
//! * `trigger`: [`Trigger`].

mod clause;
mod condition;
mod evaluate;
mod lexer;
mod lint;
mod names;
mod parser;
mod token;
mod trigger;

pub use clause::Clause;
pub use lint::lint;
pub(crate) use parser::in_words;
pub use trigger::Trigger;
