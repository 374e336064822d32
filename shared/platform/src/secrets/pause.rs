//! Secrets Manager as a whole: while it fails it is not called, so that a batch of lookups does not wait
//! for it one by one.
//!
//! Invariants: time is the wall clock's, so that a pause ends while Lambda freezes the environment. When
//! it is over one call goes first; the others follow once that one is answered.

use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;

use super::time::age;

/// First pause; it doubles with every failure of the call that goes first. A lookup without an answer
/// takes a second, so that callers wait at most half of the time.
const FIRST: Duration = Duration::from_secs(1);

/// Longest pause: a rotation must be noticed soon after an outage.
const LONGEST: Duration = Duration::from_secs(15);

/// A first call without an answer after this long is dropped: its invocation ended before it.
const LONGEST_PROBE: Duration = Duration::from_secs(10);

/// Whether Secrets Manager may be called.
#[derive(Debug, Default)]
pub(super) struct Pause(Mutex<Option<Open>>);

#[derive(Debug, Clone, Copy)]
struct Open {
    since: Timestamp,
    lasts: Duration,
    /// Since when a call is under way that finds out whether the service is back.
    probe: Option<Timestamp>,
}

impl Pause {
    /// Whether a call may be made now. What became of it must be told.
    pub(super) fn allows(&self, now: Timestamp) -> bool {
        let mut open = self.lock();
        let Some(open) = open.as_mut() else {
            return true;
        };
        let over = age(open.since, now) >= open.lasts;
        let probed = open.probe.is_some_and(|since| age(since, now) < LONGEST_PROBE);
        if !over || probed {
            return false;
        }
        open.probe = Some(now);
        true
    }

    /// Secrets Manager answered, if only with an error about one secret.
    pub(super) fn answered(&self) {
        *self.lock() = None;
    }

    /// It failed as a service, or did not answer.
    pub(super) fn failed(&self, now: Timestamp) {
        let mut open = self.lock();
        let lasts = match *open {
            None => FIRST,
            Some(Open { lasts, probe: Some(_), .. }) => (lasts * 2).min(LONGEST),
            // A call that began before the pause.
            Some(Open { lasts, .. }) => lasts,
        };
        *open = Some(Open { since: now, lasts, probe: None });
    }

    /// A call ended without telling anything.
    pub(super) fn unknown(&self) {
        if let Some(open) = self.lock().as_mut() {
            open.probe = None;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Open>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn after_a_pause_one_call_goes_first() {
        let (pause, start) = (Pause::default(), Timestamp::UNIX_EPOCH);
        assert!(pause.allows(start) && pause.allows(start));
        pause.failed(start);
        pause.failed(start);
        assert!(!pause.allows(start + FIRST - MS));
        let probe = start + FIRST;
        assert!(pause.allows(probe) && !pause.allows(probe));
        pause.failed(probe);
        assert!(!pause.allows(probe + FIRST), "the pause has doubled");
        assert!(pause.allows(probe + FIRST * 2));
        pause.answered();
        assert!(pause.allows(probe) && pause.allows(probe));
    }

    #[test]
    fn a_first_call_that_told_nothing_or_never_ended_is_replaced() {
        let (pause, start) = (Pause::default(), Timestamp::UNIX_EPOCH);
        pause.failed(start);
        let probe = start + FIRST;
        assert!(pause.allows(probe));
        pause.unknown();
        assert!(pause.allows(probe));
        assert!(!pause.allows(probe + LONGEST_PROBE - MS));
        assert!(pause.allows(probe + LONGEST_PROBE));
    }

    #[test]
    fn a_clock_that_was_set_back_ends_a_pause() {
        let (pause, start) = (Pause::default(), Timestamp::UNIX_EPOCH);
        pause.failed(start);
        assert!(pause.allows(start - Duration::from_hours(1)));
    }
}
