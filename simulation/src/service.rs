//! The services that the functions call.

use std::fmt;

/// Hosts of the upstreams.
pub(crate) const PUSHWOOSH: &str = "pushwoosh.test";
pub(crate) const SEGMENT: &str = "segment.test";

/// A service that functions call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Service {
    Pushwoosh,
    Segment,
    SecretsManager,
    Sqs,
    DynamoDb,
}

impl Service {
    /// All of them.
    pub(crate) const ALL: [Self; 5] =
        [Self::Pushwoosh, Self::Segment, Self::SecretsManager, Self::Sqs, Self::DynamoDb];
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pushwoosh => "Pushwoosh",
            Self::Segment => "Segment",
            Self::SecretsManager => "Secrets Manager",
            Self::Sqs => "SQS",
            Self::DynamoDb => "DynamoDB",
        })
    }
}

impl Service {
    /// How long an exchange takes, in milliseconds, least and most.
    pub(crate) fn latency(self) -> (u64, u64) {
        match self {
            Self::Pushwoosh => (40, 160),
            Self::Segment => (30, 120),
            Self::SecretsManager => (5, 50),
            Self::Sqs => (5, 25),
            Self::DynamoDb => (3, 15),
        }
    }
}
