//! Every mapping between Segment and Pushwoosh, as pure functions.
//!
//! Invariants: no I/O, no clock, no AWS types. The same input gives the same output, on a laptop
//! and in Lambda. Bad data is a [`Reason`], never a panic.
//!
//! # Layout
//! * [`platform`]: Pushwoosh's platform numbers and names.
//! * [`reason`]: why an item was not delivered, one enum for the whole system.
//! * [`tracking_log`]: a record of the topic `channels-tracking-log` becomes a Segment Track call.

pub mod platform;
pub mod reason;
pub mod tracking_log;

pub use platform::Platform;
pub use reason::Reason;
