//! Segment's mapping language, triggers, coercion and presets, as pure functions.
//!
//! Invariants: no I/O, no clock. The same input gives the same output as Segment's own packages, and
//! nothing panics or runs without end, whatever a customer writes.
//!
//! # Layout
//! No file imports one that imports it. From the bottom:
//! * [`js`]: the rules of JavaScript that are visible in results.
//! * `path`: how Segment looks up `$.a.b[0]`.
//! * [`instant`]: points in time, in every form that Segment lets through.
//! * [`kit`]: the mapping language.
//! * [`fql`]: the language of triggers.
//! * [`schema`]: what Segment does with a mapped value before it is sent.
//! * [`action`]: the actions of Segment's Pushwoosh destination, their fields, and what they send.
//! * [`subscription`]: a trigger, an action and a mapping; the presets.

pub mod action;
pub mod fql;
pub mod instant;
pub mod js;
pub mod kit;
mod path;
pub mod schema;
pub mod subscription;
