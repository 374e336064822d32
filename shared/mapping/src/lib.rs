//! Every mapping between Segment and Pushwoosh, as pure functions.
//!
//! Invariants: no I/O, no clock, no AWS types. The same input gives the same output, on a laptop
//! and in Lambda. Bad data is a [`Reason`], never a panic.
//!
//! # Layout
//! * [`item`]: everything that comes in, and its one plan. Start here. [`item_kind`]: what its bytes are.
//! * [`profile`], [`event`], [`deletion`]: the bodies of track-user, post-events and delete-user.
//! * [`raw_event`]: a raw Segment event, through the mappings that select it.
//! * [`tracking_log`]: a record of the topic `channels-tracking-log` becomes a Segment Track call.
//! * [`rules`]: what an application's settings say about its items.
//! * [`work`]: what is to be sent for an item; [`parked`]: how it waits on the retry queue.
//! * [`call`]: a call of the Pushwoosh API.
//! * [`device_platform`]: Pushwoosh's platform numbers and names.
//! * [`value`]: JSON values in the forms that Pushwoosh keeps.
//! * [`outcome`], [`reason`], [`cause`]: how an item ended, why it was not delivered, and why it is
//!   not delivered yet. One enum each for the whole system.
//! * [`about`]: what an item is known by.
//! * [`explain`]: where everything in a call comes from, and what went nowhere.
//! * [`json`]: JSON text that others wrote.
//! * `integrations`: whether a raw event is for Pushwoosh; `field`: tolerant reading of single fields.

pub mod about;
pub mod call;
pub mod cause;
pub mod deletion;
pub mod device_platform;
pub mod event;
pub mod explain;
mod field;
mod integrations;
pub mod item;
pub mod item_kind;
pub mod json;
pub mod outcome;
pub mod parked;
pub mod profile;
pub mod raw_event;
pub mod reason;
pub mod remedy;
pub mod rules;
pub mod tracking_log;
pub mod value;
pub mod work;

pub use about::About;
pub use call::{Call, Method, Plan};
pub use cause::Cause;
pub use device_platform::Platform;
pub use field::identity_of;
pub use item::{Item, Origin};
pub use item_kind::ItemKind;
pub use outcome::Outcome;
pub use parked::Parked;
pub use reason::{Disposition, Reason, Refusal};
pub use rules::Rules;
pub use work::{Planned, Work};
