//! Ages by the wall clock: the monotonic clock is reported to stand still while Lambda freezes an
//! environment.

use std::time::Duration;

use jiff::Timestamp;

/// How old something is. What lies in the future, because the clock was set back, is as old as can be:
/// it is read anew.
pub(super) fn age(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or(Duration::MAX)
}

/// How much time has passed, none where the moment is in the future: another machine's clock may be
/// ahead of ours.
pub(super) fn passed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back() {
        let (early, late) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH + Duration::from_secs(1));
        assert_eq!(
            (age(early, late), passed(early, late)),
            (Duration::from_secs(1), Duration::from_secs(1))
        );
        assert_eq!((age(late, early), passed(late, early)), (Duration::MAX, Duration::ZERO));
    }
}
