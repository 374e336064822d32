//! Segment's mapping language, triggers, coercion and presets, as pure functions.
//!
//! Invariants: no I/O, no clock. The same input gives the same output as Segment's own packages, and
//! nothing panics or runs without end, whatever a customer writes.
//!
//! # Layout
//! * [`action`]: the actions of Segment's Pushwoosh destination, their fields, and what they send.
//! * [`fql`]: triggers.
//! * [`instant`]: points in time, in every form that Segment lets through.
//! * [`kit`]: the mapping language.
//! * [`schema`]: what Segment does with a mapped value before it is sent.
//! * [`subscription`]: a trigger, an action and a mapping; the presets.

pub mod action;
pub mod fql;
pub mod instant;
pub mod js;
pub mod kit;
mod path;
pub mod schema;
pub mod subscription;
