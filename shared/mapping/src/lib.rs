//! Every mapping between Segment and Pushwoosh, as pure functions.
//!
//! Invariants: no I/O, no clock, no AWS types. The same input gives the same output, on a laptop
//! and in Lambda. Bad data is a [`Reason`], never a panic.
//!
//! # Layout
//! * [`call`]: a call of the Pushwoosh API.
//! * [`deletion`], [`event`], [`profile`]: the bodies of delete-user, post-events and track-user.
//! * [`explain`]: where everything in a call comes from, and what went nowhere.
//! * `field`: tolerant reading of single fields.
//! * [`outcome`]: how an item ended, one enum for the whole system.
//! * [`device_platform`]: Pushwoosh's platform numbers and names.
//! * [`reason`]: why an item was not delivered, one enum for the whole system.
//! * [`segment_event`]: a raw Segment event, through the mappings that select it.
//! * [`tracking_log`]: a record of the topic `channels-tracking-log` becomes a Segment Track call.
//! * [`value`]: JSON values in the forms that Pushwoosh keeps.

pub mod call;
pub mod deletion;
pub mod device_platform;
pub mod event;
pub mod explain;
mod field;
pub mod outcome;
pub mod profile;
pub mod reason;
pub mod segment_event;
pub mod tracking_log;
pub mod value;

pub use call::{Call, Method, Plan};
pub use device_platform::Platform;
pub use field::identity_of;
pub use outcome::Outcome;
pub use reason::{Disposition, Reason, Refusal};
