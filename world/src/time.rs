//! Arithmetic with times that cannot overflow.

use std::time::Duration;

use jiff::Timestamp;

/// The time after this long; the last possible one instead of an overflow.
pub(crate) fn after(start: Timestamp, duration: Duration) -> Timestamp {
    start.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// How much time has passed; zero where `end` is before `start`.
pub(crate) fn between(start: Timestamp, end: Timestamp) -> Duration {
    Duration::try_from(end.duration_since(start)).unwrap_or_default()
}
