//! What a customer edits in Segment's Mappings tab: a trigger, an action, and a mapping that fills the
//! action's fields. Without any of the customer's own the two presets are on (spec D6).
//!
//! Invariants: read once, used for every event. One that is wrong is told with the place of each
//! fault, and does no harm to the others.
//!
//! # Layout
//! No file imports one that stands below it.
//! * `entry`: a trigger, an action and a mapping.
//! * `list`: reads what a customer wrote, and reports what is wrong with it.
//! * `presets`: the mappings that are on without any of the customer's own.

mod entry;
mod list;
mod presets;

pub use entry::{PayloadError, Subscription};
pub use list::{SubscriptionList, read, read_any};
pub use presets::presets;
