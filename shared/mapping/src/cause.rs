//! Why an item could not be delivered yet, or at all. Codes are stable: parked messages keep them, and
//! saved queries are built on them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why something is still undelivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Cause {
    /// The invocation's time for calls was over before the call started.
    TimeBudget,
    /// The application's circuit is open: its calls failed a moment ago.
    CircuitOpen,
    /// The upstream gave no answer in time.
    Timeout,
    /// The connection failed, or the answer could not be received whole.
    Connection,
    /// The upstream refused the key, also the one that was read again.
    Unauthorized,
    /// The upstream answered this HTTP status.
    Http(u16),
    /// Pushwoosh answered this `status_code` under an HTTP success.
    StatusCode(u16),
    /// The answer is not one that Pushwoosh gives: a proxy's page, JSON that is cut off.
    UnreadableAnswer,
    /// The application's settings cannot be read.
    SettingsUnavailable,
    /// The ledger cannot be reached: whether something newer came is not known.
    LedgerUnavailable,
    /// A deletion of the user that came before it is still to be delivered.
    DeletionPending,
    /// An earlier item of the same person in the request was parked.
    BehindAnother,
    /// The upstream refused the item for good; it is kept to be sent again once it is corrected.
    Refused,
    /// An operator sent it again.
    Redriven,
    /// Older than the age limit of parked items.
    Expired,
    /// SQS did not take the item.
    QueueUnavailable,
    /// Larger than an SQS message may be.
    TooLargeForQueue,
    /// A code that this version does not know, from a message of another version.
    Unknown,
}

/// The causes without a number, with their codes.
const CODES: &[(Cause, &str)] = &[
    (Cause::TimeBudget, "time_budget"),
    (Cause::CircuitOpen, "circuit_open"),
    (Cause::Timeout, "timeout"),
    (Cause::Connection, "connection"),
    (Cause::Unauthorized, "unauthorized"),
    (Cause::UnreadableAnswer, "unreadable_answer"),
    (Cause::SettingsUnavailable, "settings_unavailable"),
    (Cause::LedgerUnavailable, "ledger_unavailable"),
    (Cause::DeletionPending, "deletion_pending"),
    (Cause::BehindAnother, "behind_another"),
    (Cause::Refused, "refused"),
    (Cause::Redriven, "redrive"),
    (Cause::Expired, "expired"),
    (Cause::QueueUnavailable, "queue_unavailable"),
    (Cause::TooLargeForQueue, "too_large_for_queue"),
];

const HTTP: &str = "http_";
const STATUS_CODE: &str = "status_code_";

impl Cause {
    /// Whether a call was made, and this is what came of it.
    pub fn is_of_call(self) -> bool {
        matches!(
            self,
            Self::Timeout
                | Self::Connection
                | Self::Unauthorized
                | Self::Http(_)
                | Self::StatusCode(_)
                | Self::UnreadableAnswer
        )
    }
}

impl fmt::Display for Cause {
    /// The stable code: `http_503`, `timeout`, `circuit_open`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(status) => write!(f, "{HTTP}{status}"),
            Self::StatusCode(code) => write!(f, "{STATUS_CODE}{code}"),
            cause => {
                let known = CODES.iter().find(|(known, _)| known == cause);
                f.write_str(known.map_or("unknown", |(_, code)| code))
            }
        }
    }
}

impl FromStr for Cause {
    type Err = std::convert::Infallible;

    /// Reads a code. One that this version does not know is [`Cause::Unknown`]: a queue may hold
    /// messages of a newer version during a deployment.
    fn from_str(code: &str) -> Result<Self, Self::Err> {
        let number = |prefix: &str| code.strip_prefix(prefix).and_then(|text| text.parse().ok());
        let known = CODES.iter().find(|(_, known)| *known == code).map(|(cause, _)| *cause);
        Ok(known
            .or_else(|| number(HTTP).map(Self::Http))
            .or_else(|| number(STATUS_CODE).map(Self::StatusCode))
            .unwrap_or(Self::Unknown))
    }
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cause {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Ok(code.parse().unwrap_or(Self::Unknown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back_as_its_cause() {
        let numbered =
            [(Cause::Http(503), "http_503"), (Cause::StatusCode(500), "status_code_500")];
        for (cause, code) in CODES.iter().copied().chain(numbered) {
            assert_eq!(cause.to_string(), code);
            assert_eq!(code.parse(), Ok(cause));
        }
    }

    #[test]
    fn what_came_of_a_call_is_told_from_what_kept_it_from_being_made() {
        let of_call = ["timeout", "connection", "unauthorized", "unreadable_answer"];
        for (cause, code) in CODES {
            assert_eq!(cause.is_of_call(), of_call.contains(code), "{code}");
        }
        assert!(Cause::Http(503).is_of_call() && Cause::StatusCode(500).is_of_call());
    }

    #[test]
    fn a_code_of_another_version_is_read() {
        for code in ["", "http_", "http_x", "something_new"] {
            assert_eq!(serde_json::from_value::<Cause>(code.into()).unwrap(), Cause::Unknown);
        }
        assert_eq!(serde_json::to_value(Cause::Unknown).unwrap(), "unknown");
    }
}
