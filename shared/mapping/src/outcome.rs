//! How an item ended. Every item ends in exactly one outcome, each is counted, and the sum equals
//! what came in.

use crate::cause::Cause;
use crate::reason::{Disposition, Reason};

/// How an item ended in one invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// The upstream has it.
    Delivered,
    /// Intentionally skipped.
    Disregarded(Reason),
    /// On the retry queue.
    Parked(Cause),
    /// On the rejects queue.
    Rejected(Reason),
    /// Neither delivered nor kept: the caller (Segment or Lambda) must resend it. Of the retries: it reached
    /// its age limit, and is on the dead-letter queue.
    Failed(Cause),
}

impl Outcome {
    /// The codes of all outcomes, in the order in which they are reported.
    pub const CODES: [&str; 5] = ["delivered", "disregarded", "parked", "rejected", "failed"];

    /// Stable, machine-readable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Disregarded(_) => "disregarded",
            Self::Parked(_) => "parked",
            Self::Rejected(_) => "rejected",
            Self::Failed(_) => "failed",
        }
    }

    /// Name of the metric that counts it.
    pub fn metric(self) -> &'static str {
        match self {
            Self::Delivered => "ItemsDelivered",
            Self::Disregarded(_) => "ItemsDisregarded",
            Self::Parked(_) => "ItemsParked",
            Self::Rejected(_) => "ItemsRejected",
            Self::Failed(_) => "ItemsFailed",
        }
    }

    /// Why, where there is a reason.
    pub fn reason(self) -> Option<Reason> {
        match self {
            Self::Disregarded(reason) | Self::Rejected(reason) => Some(reason),
            Self::Delivered | Self::Parked(_) | Self::Failed(_) => None,
        }
    }

    /// Why it is not delivered yet, or was given up, where there is a cause.
    pub fn cause(self) -> Option<Cause> {
        match self {
            Self::Parked(cause) | Self::Failed(cause) => Some(cause),
            Self::Delivered | Self::Disregarded(_) | Self::Rejected(_) => None,
        }
    }

    /// Whether the caller must resend the item.
    pub fn is_failed(self) -> bool {
        matches!(self, Self::Failed(_))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_its_code_metric_and_reason() {
        let (skip, reject) = (Reason::NoIdentity, Reason::BadField);
        let cause = Cause::Timeout;
        let table = [
            (Outcome::Delivered, "delivered", "ItemsDelivered", None),
            (skip.into(), "disregarded", "ItemsDisregarded", Some(skip)),
            (Outcome::Parked(cause), "parked", "ItemsParked", None),
            (reject.into(), "rejected", "ItemsRejected", Some(reject)),
            (Outcome::Failed(cause), "failed", "ItemsFailed", None),
        ];
        for (outcome, code, metric, reason) in table {
            assert_eq!(
                (outcome.code(), outcome.metric(), outcome.reason()),
                (code, metric, reason)
            );
            assert_eq!(outcome.is_failed(), code == "failed");
            assert_eq!(outcome.cause(), ["parked", "failed"].contains(&code).then_some(cause));
        }
        assert_eq!(table.map(|row| row.1), Outcome::CODES);
    }
}
