//! What is to be sent for an item.
//!
//! Invariants: work holds no key, and keeps the item's idempotency: a Track call its `messageId`, a plan
//! the calls that are still missing.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::call::Plan;
use crate::reason::Refusal;

/// Calls that are ready to be sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Calls of Pushwoosh.
    Pushwoosh(Plan),
    /// Track calls of Segment, each with its `messageId`.
    Segment(Vec<Box<RawValue>>),
}

/// What is to be sent for an item.
#[derive(Debug)]
pub struct Planned {
    /// The calls.
    pub work: Work,
    /// Why parts of the item give none: mappings that failed, events that are not exported.
    pub refusals: Vec<Refusal>,
}

impl From<Plan> for Planned {
    fn from(plan: Plan) -> Self {
        Self { work: Work::Pushwoosh(plan), refusals: Vec::new() }
    }
}
