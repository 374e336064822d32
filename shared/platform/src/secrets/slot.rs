//! What is remembered of one version of a secret.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::budget::{PROOFS_BURST, PROOFS_INTERVAL};
use super::snapshot::{Found, Snapshot};
use super::time::{age, passed};
use super::{Freshness, MIN_REFRESH, SecretError};
use crate::application::Problems;
use crate::bucket::Bucket;

/// For so long it is believed at least that a secret does not exist.
pub(super) const ABSENT_FIRST: Duration = Duration::from_mins(1);

/// Longest time for which the absence of a code off the topic is remembered.
pub const ABSENT_LONGEST: Duration = Duration::from_hours(1);

/// And at most this many TTLs: who reads secrets often wants new ones soon. With the default TTL it is
/// an hour as well.
const ABSENT_LONGEST_TTLS: u32 = 12;

/// After a failure that concerns one secret, that one is not read for this long.
pub(super) const FAILURE_PAUSE: Duration = Duration::from_secs(10);

/// A version of a secret. A lookup of one that is fresh takes the state's lock and waits for nothing.
#[derive(Debug)]
pub(super) struct Slot {
    state: Mutex<State>,
    /// Held while the secret is read: one call at a time.
    pub(super) reading: tokio::sync::Mutex<()>,
    /// Reads that prove a key wrong although the secret was read a moment ago.
    pub(super) proofs: Bucket,
}

impl Default for Slot {
    fn default() -> Self {
        let proofs = Bucket::new(PROOFS_BURST, PROOFS_INTERVAL);
        Self { state: Mutex::default(), reading: tokio::sync::Mutex::default(), proofs }
    }
}

impl Slot {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it serves, or is being read.
    pub(super) fn is_in_use(&self) -> bool {
        self.reading.try_lock().is_err() || self.state().serves()
    }

    /// The same, or whether it spares calls because it is remembered as absent.
    pub(super) fn is_of_use(&self, ttl: Duration, now: Timestamp) -> bool {
        self.is_in_use() || self.state().is_absent(Freshness::Remembered, ttl, now)
    }
}

/// What is known, and since when.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The newest good value of every section.
    snapshot: Option<Snapshot>,
    /// What is wrong with the only text that was seen.
    malformed: Option<Problems>,
    /// Since when it is known that the secret does not exist.
    absent_since: Option<Timestamp>,
    /// When the call began that told what is known.
    read_at: Option<Timestamp>,
    /// When the last call ended, where it failed.
    failed_at: Option<Timestamp>,
    /// Whether the last call that failed was denied.
    was_denied: bool,
    /// When the newest version was written.
    created: Option<Timestamp>,
    /// Calls that have ended: who waited for one need not make another.
    calls: u64,
    /// Hash of the newest text: what is wrong with it is reported once.
    pub(super) text: Option<[u8; 32]>,
}

impl State {
    /// Whether there is, or was a moment ago, a secret.
    pub(super) fn serves(&self) -> bool {
        self.snapshot.is_some() || self.malformed.is_some()
    }

    /// Whether there are, or were a moment ago, settings of an application, usable or not.
    pub(super) fn has(&self, code: &str) -> bool {
        self.snapshot.as_ref().is_some_and(|snapshot| snapshot.has(code))
    }

    pub(super) fn calls(&self) -> u64 {
        self.calls
    }

    pub(super) fn created(&self) -> Option<Timestamp> {
        self.created
    }

    /// Whether the last call told nothing.
    pub(super) fn has_failed(&self) -> bool {
        self.failed_at.is_some()
    }

    /// Whether the last call was denied, and told nothing.
    pub(super) fn is_denied(&self) -> bool {
        self.was_denied && self.has_failed()
    }

    /// Whether the last call that told something began before this moment.
    pub(super) fn is_older_than(&self, moment: Timestamp) -> bool {
        self.read_at.is_none_or(|read_at| read_at < moment)
    }

    /// Whether it was read a moment ago.
    pub(super) fn is_recent(&self, now: Timestamp) -> bool {
        self.read_at.is_some_and(|read_at| age(read_at, now) < MIN_REFRESH)
    }

    /// Whether this secret is not read for now, after a failure.
    pub(super) fn is_paused(&self, now: Timestamp) -> bool {
        self.failed_at.is_some_and(|at| age(at, now) < FAILURE_PAUSE)
    }

    /// For how long it is believed that the secret does not exist; nothing where it may exist.
    fn absence(&self, freshness: Freshness, ttl: Duration) -> Option<Duration> {
        let (since, read_at) = self.absent_since.zip(self.read_at)?;
        let first = ABSENT_FIRST.min(ttl);
        Some(match freshness {
            // As long as it was absent before: the interval doubles with every read.
            Freshness::Remembered => {
                let longest = ABSENT_LONGEST.min(ttl.saturating_mul(ABSENT_LONGEST_TTLS));
                passed(since, read_at).clamp(first, longest)
            }
            Freshness::Cached | Freshness::Recent | Freshness::Since(_) => first,
        })
    }

    fn is_absent(&self, freshness: Freshness, ttl: Duration, now: Timestamp) -> bool {
        let known = self.absence(freshness, ttl).zip(self.read_at);
        known.is_some_and(|(lasts, since)| age(since, now) < lasts)
    }

    /// Whether what is known need not be read again.
    pub(super) fn is_fresh(&self, freshness: Freshness, ttl: Duration, now: Timestamp) -> bool {
        let Some(read_at) = self.read_at else {
            return false;
        };
        let lasts = match (freshness, self.absence(freshness, ttl), &self.snapshot) {
            // A clock that was set back makes a read look newer than it is.
            (Freshness::Since(moment), ..) => {
                return !self.is_older_than(moment) && age(read_at, now) < MIN_REFRESH;
            }
            (Freshness::Recent, ..) => MIN_REFRESH.min(ttl),
            (_, Some(absence), _) => absence,
            // It may be back any moment.
            (_, None, Some(snapshot)) if snapshot.is_missing() => ABSENT_FIRST.min(ttl),
            _ => ttl,
        };
        age(read_at, now) < lasts
    }

    /// An application's settings; nothing where it is not known whether there are any.
    pub(super) fn application(
        &self,
        code: &str,
        freshness: Freshness,
        ttl: Duration,
        now: Timestamp,
    ) -> Option<Result<Found, SecretError>> {
        if let Some(snapshot) = &self.snapshot {
            return Some(snapshot.application(code));
        }
        if let Some(problems) = &self.malformed {
            return Some(Err(SecretError::Malformed(problems.clone())));
        }
        self.is_absent(freshness, ttl, now).then_some(Err(SecretError::Unknown))
    }

    /// A call that began at `asked` ended with applications, or with a text that is unusable as a whole.
    /// Returns the applications that are kept although the text does not have them.
    pub(super) fn learn(
        &mut self,
        entries: Result<Vec<(String, Value)>, Problems>,
        created: Option<Timestamp>,
        ttl: Duration,
        asked: Timestamp,
    ) -> Vec<String> {
        let mut kept = Vec::new();
        match (entries, &mut self.snapshot) {
            (Ok(entries), last) => {
                let (snapshot, missing) = Snapshot::over(last.take(), entries, ttl, asked);
                (self.snapshot, kept) = (Some(snapshot), missing);
                self.malformed = None;
            }
            (Err(_), Some(snapshot)) => snapshot.keep_whole(),
            (Err(problems), None) => self.malformed = Some(problems),
        }
        self.absent_since = None;
        self.created = created;
        self.ended(asked);
        kept
    }

    /// The secret does not exist. What was served a moment ago is served for one TTL more: it may be a
    /// mistake that is mended in minutes, and what is dropped meanwhile would be lost.
    pub(super) fn learn_missing(&mut self, ttl: Duration, asked: Timestamp) {
        if let Some(snapshot) = &mut self.snapshot {
            snapshot.miss(ttl, asked);
            if !snapshot.is_empty() {
                self.ended(asked);
                return;
            }
        }
        self.learn_gone(asked);
    }

    /// The secret is gone for good, or never was.
    pub(super) fn learn_gone(&mut self, asked: Timestamp) {
        let absent_since = self.absent_since.or(Some(asked));
        *self = Self { absent_since, calls: self.calls, ..Self::default() };
        self.ended(asked);
    }

    fn ended(&mut self, asked: Timestamp) {
        self.read_at = Some(asked);
        self.failed_at = None;
        self.calls += 1;
    }

    /// A call told nothing.
    pub(super) fn fail(&mut self, was_denied: bool, now: Timestamp) {
        self.failed_at = Some(now);
        self.was_denied = was_denied;
        self.calls += 1;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TTL: Duration = Duration::from_mins(5);

    /// So long after the first moment.
    fn at(passed: Duration) -> Timestamp {
        Timestamp::UNIX_EPOCH + passed
    }

    fn just_before(time: Duration) -> Duration {
        time.saturating_sub(Duration::from_millis(1))
    }

    fn read(state: &mut State, asked: Timestamp) {
        let secret = json!({"pushwoosh": {"api_token": "t"}});
        state.learn(Ok(vec![("A".to_owned(), secret)]), None, TTL, asked);
    }

    fn is_fresh(state: &State, now: Duration) -> bool {
        state.is_fresh(Freshness::Cached, TTL, at(now))
    }

    #[test]
    fn a_secret_that_was_never_there_is_believed_to_be_absent_for_a_while() {
        let mut state = State::default();
        state.learn_gone(at(Duration::ZERO));
        let is_known = |now| state.application("A", Freshness::Cached, TTL, at(now)).is_some();
        assert!(is_known(Duration::ZERO) && is_known(just_before(ABSENT_FIRST)));
        assert!(!is_known(ABSENT_FIRST));
        assert!(is_fresh(&state, just_before(ABSENT_FIRST)) && !is_fresh(&state, ABSENT_FIRST));
    }

    #[test]
    fn settings_are_fresh_for_a_ttl_and_for_a_minute_while_their_secret_is_away() {
        let mut state = State::default();
        read(&mut state, at(Duration::ZERO));
        assert!(is_fresh(&state, just_before(TTL)) && !is_fresh(&state, TTL));
        state.learn_missing(TTL, at(TTL));
        assert!(state.application("A", Freshness::Cached, TTL, at(TTL)).is_some_and(|a| a.is_ok()));
        assert!(
            is_fresh(&state, just_before(TTL + ABSENT_FIRST))
                && !is_fresh(&state, TTL + ABSENT_FIRST)
        );
    }

    #[test]
    fn what_was_read_a_moment_ago_is_recent() {
        let mut state = State::default();
        assert!(!state.is_recent(at(Duration::ZERO)));
        read(&mut state, at(Duration::ZERO));
        assert!(state.is_recent(at(just_before(MIN_REFRESH))) && !state.is_recent(at(MIN_REFRESH)));
        let since = Freshness::Since(at(Duration::ZERO));
        assert!(state.is_fresh(since, TTL, at(just_before(MIN_REFRESH))));
        assert!(!state.is_fresh(since, TTL, at(MIN_REFRESH)));
    }

    /// Who waited for a call need not make another.
    #[test]
    fn every_call_that_ended_is_counted() {
        let mut state = State::default();
        state.learn_gone(at(Duration::ZERO));
        state.learn_gone(at(TTL));
        read(&mut state, at(2 * TTL));
        state.fail(false, at(3 * TTL));
        assert_eq!(state.calls(), 4);
        let mut state = State::default();
        state.fail(true, at(Duration::ZERO));
        assert_eq!(state.calls(), 1);
    }
}
