//! What one invocation of a function has: its id, its deadlines and its counters.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{Clock, Instant};
use crate::telemetry::Tally;

/// Until when an invocation may do what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// Until then calls to the upstreams may take.
    pub upstream: Instant,
    /// Until then everything must be done.
    pub end: Instant,
}

/// One invocation. Shared by the items that are worked on together.
#[derive(Debug)]
pub struct Invocation {
    /// Lambda's id of the request, the origin of the items in it.
    pub id: String,
    /// When it began, on the wall clock: the time of arrival of its items.
    pub received: Timestamp,
    /// When it began.
    pub started: Instant,
    /// Its limits.
    pub deadlines: Deadlines,
    /// What became of its items.
    pub tally: Tally,
}

impl Invocation {
    /// An invocation that begins now.
    pub fn begin(id: impl Into<String>, clock: &Clock, deadlines: Deadlines) -> Self {
        Self {
            id: id.into(),
            received: clock.wall(),
            started: clock.now(),
            deadlines,
            tally: Tally::default(),
        }
    }
}

impl Deadlines {
    /// Everything within `budget` from `now`, of which the end is kept for the queues.
    pub fn within(now: Instant, budget: Duration, for_queues: Duration) -> Self {
        let end = now + budget;
        Self { upstream: end.before(for_queues).max(now), end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn time_for_the_queues_is_kept_even_where_nothing_else_is_left() {
        let now = Instant::default() + 100 * SECOND;
        let usual = Deadlines::within(now, 10 * SECOND, 3 * SECOND);
        assert_eq!(usual, Deadlines { upstream: now + 7 * SECOND, end: now + 10 * SECOND });
        let short = Deadlines::within(now, SECOND, 3 * SECOND);
        assert_eq!(short, Deadlines { upstream: now, end: now + SECOND });
    }
}
