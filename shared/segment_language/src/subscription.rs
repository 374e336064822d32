//! What a customer edits in Segment's Mappings tab: a trigger, an action, and a mapping that fills the
//! action's fields. Without any of the customer's own, the two presets apply.
//!
//! Invariants: compiled once, used for every event. A subscription with an error is reported with the
//! path of each fault; the others still work.
//!
//! # Layout
//! No file imports one that stands below it.
//! * `entry`: a trigger, an action and a mapping.
//! * `list`: reads what a customer wrote, and reports what is wrong with it.
//! * `presets`: the subscriptions that apply if the customer has none.

mod entry;
mod list;
mod presets;

pub use entry::{PayloadError, Subscription};
pub use list::{SubscriptionList, read, read_any};
pub use presets::{preset_entries, presets};
