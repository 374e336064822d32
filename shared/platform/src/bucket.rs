//! A token bucket on the wall clock: how often something may be done that unauthenticated callers can cause.

use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;

/// So many at once, and one more each time an interval has passed.
#[derive(Debug)]
pub struct Bucket {
    burst: u32,
    interval: Duration,
    spent: Mutex<Spent>,
}

#[derive(Debug, Default)]
struct Spent {
    taken: u32,
    /// Until when what has passed is counted.
    counted: Option<Timestamp>,
}

impl Bucket {
    /// A full bucket.
    pub fn new(burst: u32, interval: Duration) -> Self {
        Self { burst, interval, spent: Mutex::default() }
    }

    /// Takes one; false where there is none left.
    pub fn take(&self, now: Timestamp) -> bool {
        let mut spent = self.lock();
        let counted = *spent.counted.get_or_insert(now);
        // A clock that was set back says nothing about what has passed: the bucket is full again.
        let passed = Duration::try_from(now.duration_since(counted)).unwrap_or(Duration::MAX);
        let intervals = passed.as_millis() / self.interval.as_millis().max(1);
        if intervals > 0 {
            spent.taken = spent.taken.saturating_sub(u32::try_from(intervals).unwrap_or(u32::MAX));
            spent.counted = Some(now);
        }
        let left = spent.taken < self.burst;
        if left {
            spent.taken += 1;
        }
        left
    }

    /// Gives one back: it was not needed.
    pub fn give_back(&self) {
        let mut spent = self.lock();
        spent.taken = spent.taken.saturating_sub(1);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_one_per_interval() {
        let (interval, start) = (Duration::from_secs(1), Timestamp::UNIX_EPOCH);
        let bucket = Bucket::new(1_000, interval);
        assert_eq!((0..5_000).filter(|_| bucket.take(start)).count(), 1_000);
        bucket.give_back();
        assert!(bucket.take(start) && !bucket.take(start));
        let later = start + 3 * interval;
        assert_eq!((0..5).filter(|_| bucket.take(later)).count(), 3);
        // A part of an interval is not lost by asking.
        let tries = [600, 1_200].map(|ms| bucket.take(later + Duration::from_millis(ms)));
        assert_eq!(tries, [false, true]);
        let much_later = start + Duration::from_hours(1_000);
        assert_eq!((0..5_000).filter(|_| bucket.take(much_later)).count(), 1_000);
    }
}
