//! How an item ended. Every item ends in exactly one outcome, each is counted, and the sum equals
//! what came in.

use crate::reason::{Disposition, Reason};

/// The end of an item's way through a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// The upstream has it.
    Delivered,
    /// By rule not ours to deliver.
    Disregarded(Reason),
    /// On the retry queue.
    Parked,
    /// On the rejects queue.
    Rejected(Reason),
    /// Could neither be delivered nor kept: the platform in front must bring it again.
    Failed,
}

impl Outcome {
    /// Code of [`Outcome::Delivered`].
    pub const DELIVERED: &str = "delivered";
    /// Code of [`Outcome::Disregarded`].
    pub const DISREGARDED: &str = "disregarded";
    /// Code of [`Outcome::Parked`].
    pub const PARKED: &str = "parked";
    /// Code of [`Outcome::Rejected`].
    pub const REJECTED: &str = "rejected";
    /// Code of [`Outcome::Failed`].
    pub const FAILED: &str = "failed";

    /// Stable, machine-readable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Delivered => Self::DELIVERED,
            Self::Disregarded(_) => Self::DISREGARDED,
            Self::Parked => Self::PARKED,
            Self::Rejected(_) => Self::REJECTED,
            Self::Failed => Self::FAILED,
        }
    }

    /// Name of the metric that counts it.
    pub fn metric(self) -> &'static str {
        match self {
            Self::Delivered => "ItemsDelivered",
            Self::Disregarded(_) => "ItemsDisregarded",
            Self::Parked => "ItemsParked",
            Self::Rejected(_) => "ItemsRejected",
            Self::Failed => "ItemsFailed",
        }
    }

    /// Why, where there is a reason.
    pub fn reason(self) -> Option<Reason> {
        match self {
            Self::Disregarded(reason) | Self::Rejected(reason) => Some(reason),
            Self::Delivered | Self::Parked | Self::Failed => None,
        }
    }
}

impl From<Reason> for Outcome {
    fn from(reason: Reason) -> Self {
        match reason.disposition() {
            Disposition::Disregard => Self::Disregarded(reason),
            Disposition::Reject => Self::Rejected(reason),
        }
    }
}
