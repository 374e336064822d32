//! How many lookups of application codes that were never served a process may make. Anybody who can
//! write to the topic or knows the destination's address can make up codes.

use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;

use super::time::age;

/// Lookups that a new process may make at once. A start with 500 applications needs none of them in the
/// end: what is found is given back.
pub const UNKNOWN_BURST: u32 = 1_000;

/// One more lookup each time this has passed. With an absent code read once an hour this is enough for
/// 3,600 foreign codes on the topic, and at most 2.6 million calls a month (13 USD) for a process.
pub const UNKNOWN_INTERVAL: Duration = Duration::from_secs(1);

/// A token bucket on the wall clock.
#[derive(Debug, Default)]
pub(super) struct Budget(Mutex<Spent>);

#[derive(Debug, Default)]
struct Spent {
    lookups: u32,
    /// Until when what has passed is counted.
    counted: Option<Timestamp>,
}

impl Budget {
    /// Takes one lookup; false where there is none left.
    pub(super) fn take(&self, now: Timestamp) -> bool {
        let mut spent = self.lock();
        let counted = *spent.counted.get_or_insert(now);
        let intervals = age(counted, now).as_millis() / UNKNOWN_INTERVAL.as_millis();
        if intervals > 0 {
            spent.lookups =
                spent.lookups.saturating_sub(u32::try_from(intervals).unwrap_or(u32::MAX));
            spent.counted = Some(now);
        }
        let left = spent.lookups < UNKNOWN_BURST;
        if left {
            spent.lookups += 1;
        }
        left
    }

    /// Gives a lookup back: the code is an application's, or nothing was called.
    pub(super) fn give_back(&self) {
        let mut spent = self.lock();
        spent.lookups = spent.lookups.saturating_sub(1);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Spent> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_one_per_interval() {
        let (budget, start) = (Budget::default(), Timestamp::UNIX_EPOCH);
        assert_eq!((0..5_000).filter(|_| budget.take(start)).count(), 1_000);
        budget.give_back();
        assert!(budget.take(start) && !budget.take(start));
        let later = start + 3 * UNKNOWN_INTERVAL;
        assert_eq!((0..5).filter(|_| budget.take(later)).count(), 3);
        let much_later = start + Duration::from_hours(1_000);
        assert_eq!((0..5_000).filter(|_| budget.take(much_later)).count(), 1_000);
    }
}
