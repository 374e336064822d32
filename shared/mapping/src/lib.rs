//! Every mapping between Segment and Pushwoosh, as pure functions.
//!
//! Invariants: no I/O, no clock, no AWS types. The same input gives the same output, on a laptop
//! and in Lambda. Bad data is a [`Reason`], never a panic.
//!
//! # Layout
//! * [`action`]: what Segment's destination makes of a mapped event.
//! * [`call`]: a call of the Pushwoosh API.
//! * [`deletion`], [`event`], [`profile`]: the bodies of delete-user, post-events and track-user.
//! * [`explain`]: where everything in a call comes from, and what went nowhere.
//! * `field`, `instant`: tolerant reading of single fields and of times.
//! * [`fql`]: Segment's triggers.
//! * [`kit`]: Segment's mapping language.
//! * [`outcome`]: how an item ended, one enum for the whole system.
//! * [`platform`]: Pushwoosh's platform numbers and names.
//! * [`reason`]: why an item was not delivered, one enum for the whole system.
//! * [`schema`]: what Segment does with a mapped value before it is sent.
//! * [`segment_event`]: a raw Segment event, through the mappings that select it.
//! * [`subscription`]: a trigger, an action and a mapping; the presets.
//! * [`tracking_log`]: a record of the topic `channels-tracking-log` becomes a Segment Track call.
//! * [`value`]: JSON values in the forms that Pushwoosh keeps.

pub mod action;
pub mod call;
pub mod deletion;
pub mod event;
pub mod explain;
mod field;
pub mod fql;
mod instant;
pub mod kit;
pub mod outcome;
pub mod platform;
pub mod profile;
pub mod reason;
pub mod schema;
pub mod segment_event;
pub mod subscription;
pub mod tracking_log;
pub mod value;

pub use call::{Call, Method, Plan};
pub use field::identity_of;
pub use outcome::Outcome;
pub use platform::Platform;
pub use reason::{Disposition, Reason, Refusal};
