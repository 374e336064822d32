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
