//! What an application's settings say about its items.

use jiff::Timestamp;
use segment_language::subscription::{Subscription, presets};

use crate::tracking_log::{MessageEvent, OptionalProperty};

/// What an application's settings say about its items.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Application code. A record names its own.
    pub application: &'a str,
    /// The mappings of raw events.
    pub subscriptions: &'a [Subscription],
    /// The events that Segment receives; nothing means all.
    pub exported: Option<&'a [MessageEvent]>,
    /// Properties of Track calls beyond the usual ones.
    pub track_properties: &'a [OptionalProperty],
    /// Name of the stack that sends Track calls: their ids hold it.
    pub stack: &'a str,
    /// The time of arrival.
    pub now: Timestamp,
}

impl<'a> Rules<'a> {
    /// The presets, all events, no stack, and 1970 as the time: for tests and examples.
    pub fn of_presets(application: &'a str) -> Self {
        Self {
            application,
            subscriptions: presets(),
            exported: None,
            track_properties: &[],
            stack: "",
            now: Timestamp::UNIX_EPOCH,
        }
    }
}
