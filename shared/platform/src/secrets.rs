//! Applications' settings from AWS Secrets Manager, cached.
//!
//! Invariants: settings are snapshots. What was good last stays in use while a newer version cannot be
//! read or is unusable, section by section, and for one TTL after the secret is missing. On failure
//! without a value the caller gets [`SecretError::Unavailable`] and must keep what it holds. Ages are
//! counted by the wall clock. No lookup lasts longer than its deadline, one call at a time is made per
//! secret, and a slow secret holds up no lookup of another.
//!
//! Anybody can make up codes: their shape is checked, absence is remembered for longer and longer, and
//! lookups of codes that were never served have a budget.
//!
//! The cache is keyed by secret, not by application: one secret may hold a map of applications, of all of
//! them or of a shard. So a made-up code costs no lookup where its shard is known.
//!
//! # Layout
//! * `slots`: the remembered secrets; `slot`: what is remembered of one; `snapshot`: its applications.
//! * `read`: one call of `GetSecretValue`; `entries`: the applications of a secret's text.
//! * `pause`: leaves Secrets Manager alone while it fails; `budget`: lookups of unknown codes.
//! * `time`: ages by the wall clock.

mod budget;
mod entries;
mod pause;
mod read;
mod slot;
mod slots;
mod snapshot;
#[cfg(test)]
mod tests;
mod time;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::retry::RetryConfig;
use futures::StreamExt as _;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

pub use self::budget::{UNKNOWN_BURST, UNKNOWN_INTERVAL};
use self::read::Reading;
pub use self::slot::ABSENT_LONGEST;
use self::slot::{Slot, State};
use self::slots::{Key, Slots};
use self::snapshot::Found;
use self::time::passed;
use crate::application::{Application, Problems};
use crate::bucket::Bucket;
use crate::clock::{Clock, Instant};
use crate::secret_place::{SecretPlace, is_code};
use crate::settings::Settings;

/// What was read a moment ago is not read again for a key that an upstream refused, and only a few times for a
/// caller's key that does not match: made-up keys must not cost a call each, and a rotation must be noticed soon.
const MIN_REFRESH: Duration = Duration::from_secs(1);

/// Longest lookup, whatever the deadline: both attempts of the SDK. A call takes 5 to 50 ms.
const LONGEST_LOOKUP: Duration = Duration::from_secs(3);

/// Longest lookup while a caller waits for an answer: it leaves time for sending and parking.
pub const CALLERS_LOOKUP: Duration = Duration::from_secs(1);

/// A call that was cut off sooner than this says nothing about Secrets Manager.
const TELLING: Duration = Duration::from_millis(500);

/// First delay between the SDK's attempts at most. Its usual one, a second, is all the time that there is.
const RETRY_DELAY: Duration = Duration::from_millis(50);

/// Lookups of a batch that are under way at the same time: 500 codes at 50 ms take less than a second.
const LOOKUPS: usize = 32;

/// A key that matches neither version may still be right for this long after a rotation: two versions that are
/// read during it may miss the one in between, and the version before may be read late, as if there were
/// none. How late is not documented.
const SETTLING: Duration = Duration::from_secs(15);

/// Remembered secrets above which those that are of no use are forgotten; ids come from callers.
const MAX_ENTRIES: usize = 10_000;

/// Why an application's settings cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// There is no such application.
    #[error("no secret holds this application")]
    Unknown,
    /// The secret has a shape that cannot be used.
    #[error("the application's secret cannot be used: {0}")]
    Malformed(Problems),
    /// It is not known whether there is such an application, or what its settings are.
    #[error("Secrets Manager gave no answer: {0}")]
    Unavailable(&'static str),
}

/// Both versions of an application's settings, as Secrets Manager has them now.
#[derive(Debug)]
pub struct Versions {
    /// The settings.
    pub current: Arc<Application>,
    /// Those before the last rotation, for the grace time.
    pub previous: Option<Arc<Application>>,
    /// Whether a key that is in neither is wrong for certain.
    pub are_settled: bool,
}

/// The applications that the functions serve.
pub struct Secrets {
    client: Client,
    clock: Clock,
    /// Nothing where the template cannot be meant: no application is found then.
    place: Option<SecretPlace>,
    ttl: Duration,
    previous_key_grace: Duration,
    slots: Mutex<Slots>,
    pause: pause::Pause,
    /// Whether Secrets Manager ever allowed a call. Until then, a refusal may come from a wrong policy.
    was_allowed: AtomicBool,
    budget: Bucket,
    over_budget: AtomicU64,
    stale: AtomicU64,
    unusable: AtomicU64,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").field("place", &self.place).finish_non_exhaustive()
    }
}

/// How fresh a value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Freshness {
    /// Younger than the TTL; absence is remembered the longer, the longer it has lasted.
    Remembered,
    /// Younger than the TTL; absence is believed for a minute.
    Cached,
    /// Read a moment ago.
    Recent,
    /// Read by a call that began after this moment: what was written before it is seen.
    Since(Timestamp),
}

impl Secrets {
    /// Secrets as the settings name them.
    pub fn from_settings(
        config: &aws_config::SdkConfig,
        settings: &Settings,
        clock: Clock,
    ) -> Self {
        let grace = settings.previous_key_grace;
        Self::new(config, &settings.secret_id, settings.secret_ttl, grace, clock)
    }

    /// Secrets whose ids follow the template; see `PWSEG_SECRET_ID`.
    pub fn new(
        config: &aws_config::SdkConfig,
        id_template: &str,
        ttl: Duration,
        previous_key_grace: Duration,
        clock: Clock,
    ) -> Self {
        let retry = config.retry_config().cloned().unwrap_or_else(RetryConfig::standard);
        let config = aws_sdk_secretsmanager::config::Builder::from(config)
            .retry_config(retry.with_initial_backoff(RETRY_DELAY))
            .build();
        Self {
            client: Client::from_conf(config),
            clock,
            place: SecretPlace::parse(id_template),
            ttl,
            previous_key_grace,
            slots: Mutex::default(),
            pause: pause::Pause::default(),
            was_allowed: AtomicBool::new(false),
            budget: Bucket::new(UNKNOWN_BURST, UNKNOWN_INTERVAL),
            over_budget: AtomicU64::new(0),
            stale: AtomicU64::new(0),
            unusable: AtomicU64::new(0),
        }
    }

    /// Settings of an application.
    pub async fn application(
        &self,
        code: &str,
        deadline: Instant,
    ) -> Result<Arc<Application>, SecretError> {
        self.get(code, Freshness::Cached, deadline).await
    }

    /// Settings of several applications, looked up together. For codes that come in great numbers, and
    /// most of them again and again without an application: absence may be noticed to have ended only
    /// after as long as it lasted, an hour at most.
    pub async fn applications(
        &self,
        codes: impl IntoIterator<Item = String>,
        deadline: Instant,
    ) -> HashMap<String, Result<Arc<Application>, SecretError>> {
        let lookups = codes.into_iter().map(|code| async move {
            let application = self.get(&code, Freshness::Remembered, deadline).await;
            (code, application)
        });
        let was_allowed = self.was_allowed();
        let mut found: HashMap<_, _> =
            futures::stream::iter(lookups).buffer_unordered(LOOKUPS).collect().await;
        if !was_allowed && self.was_allowed() {
            // What was denied before another call was allowed is known now, without a call.
            for (code, application) in &mut found {
                let is_denied = || self.known(code).is_some_and(|slot| slot.state().is_denied());
                if matches!(application, Err(SecretError::Unavailable(_))) && is_denied() {
                    *application = Err(SecretError::Unknown);
                }
            }
        }
        found
    }

    /// Settings of an application, read again unless that was just done: a key was refused, and it
    /// may have been rotated.
    pub async fn refreshed(
        &self,
        code: &str,
        deadline: Instant,
    ) -> Result<Arc<Application>, SecretError> {
        self.get(code, Freshness::Recent, deadline).await
    }

    /// Both versions of an application's settings, read together, after this call began: what was rotated a
    /// moment ago is seen. An error other than [`SecretError::Unknown`] means that nobody can be refused now; it is
    /// also what comes of more wrong keys in a short time than are worth a read each.
    pub async fn versions(&self, code: &str, deadline: Instant) -> Result<Versions, SecretError> {
        let current = self.key(code, false).ok_or(SecretError::Unknown)?;
        let previous = Key { previous: true, ..current.clone() };
        let current = self.proven(&current, code, deadline);
        if self.previous_key_grace.is_zero() {
            let (found, _) = current.await?;
            return Ok(Versions { current: found, previous: None, are_settled: true });
        }
        let previous = self.proven(&previous, code, deadline);
        let (current, previous) = futures::future::join(current, previous).await;
        let (current, created) = current?;
        let since = created.map(|created| passed(created, self.clock.wall()));
        // What was written without a date cannot have a time after it.
        if since.is_none_or(|since| since >= self.previous_key_grace) {
            return Ok(Versions { current, previous: None, are_settled: true });
        }
        let previous = match previous {
            Ok((previous, _)) => Some(previous),
            // An unusable version had no key that anybody could have used.
            Err(SecretError::Unknown | SecretError::Malformed(_)) => None,
            Err(error @ SecretError::Unavailable(_)) => return Err(error),
        };
        let settling = SETTLING.min(self.previous_key_grace);
        let are_settled = since.is_some_and(|since| since >= settling);
        Ok(Versions { current, previous, are_settled })
    }

    /// Whether this process has read settings of an application, usable or not, and remembers them.
    pub fn knows(&self, code: &str) -> bool {
        self.known(code).is_some_and(|slot| slot.state().has(code))
    }

    /// How often a stale value was served since this was asked last.
    pub fn take_stale(&self) -> u64 {
        self.stale.swap(0, Ordering::Relaxed)
    }

    /// How often a secret was looked up of which the newest version is unusable, in whole or in part,
    /// since this was asked last.
    pub fn take_unusable(&self) -> u64 {
        self.unusable.swap(0, Ordering::Relaxed)
    }

    /// How often an unknown code was not looked up since this was asked last, because too many were.
    pub fn take_over_budget(&self) -> u64 {
        self.over_budget.swap(0, Ordering::Relaxed)
    }

    /// The secret of an application; nothing where no application can have this code.
    fn key(&self, code: &str, previous: bool) -> Option<Key> {
        is_code(code).then_some(Key { id: self.place.as_ref()?.of(code), previous })
    }

    async fn get(
        &self,
        code: &str,
        freshness: Freshness,
        deadline: Instant,
    ) -> Result<Arc<Application>, SecretError> {
        let key = self.key(code, false).ok_or(SecretError::Unknown)?;
        let slot = self.slot(&key);
        let refreshed = self.refresh(&key, &slot, code, freshness, deadline).await;
        let now = self.clock.wall();
        let state = slot.state();
        let known = state.application(code, freshness, self.ttl, now);
        if refreshed.is_err()
            && known.is_some()
            && !state.is_fresh(Freshness::Cached, self.ttl, now)
        {
            self.stale.fetch_add(1, Ordering::Relaxed);
        }
        let is_denied = state.is_denied();
        drop(state);
        let found = match (known, refreshed) {
            (Some(known), _) => known,
            (None, Err(_)) if is_denied && self.was_allowed() => Err(SecretError::Unknown),
            (None, Err(error)) => Err(error),
            (None, Ok(())) => Err(SecretError::Unknown),
        };
        let unusable = match &found {
            Ok(found) => found.application.has_unusable() || found.application.has_ignored(),
            Err(error) => matches!(error, SecretError::Malformed(_)),
        };
        self.unusable.fetch_add(u64::from(unusable), Ordering::Relaxed);
        found.map(|found| found.application)
    }

    /// A version's settings and when it was written, as Secrets Manager has them now.
    async fn proven(
        &self,
        key: &Key,
        code: &str,
        deadline: Instant,
    ) -> Result<(Arc<Application>, Option<Timestamp>), SecretError> {
        let (slot, freshness) = (self.slot(key), Freshness::Since(self.clock.wall()));
        self.refresh(key, &slot, code, freshness, deadline).await?;
        let state = slot.state();
        match state.application(code, freshness, self.ttl, self.clock.wall()) {
            Some(Ok(Found { is_missing: true, .. })) => {
                Err(SecretError::Unavailable("the secret was there a moment ago"))
            }
            Some(Ok(found)) => Ok((found.application, state.created())),
            Some(Err(error)) => Err(error),
            None => Err(SecretError::Unknown),
        }
    }

    /// Makes what is known of a secret as fresh as is wanted, or says why it is not.
    async fn refresh(
        &self,
        key: &Key,
        slot: &Slot,
        code: &str,
        freshness: Freshness,
        deadline: Instant,
    ) -> Result<(), SecretError> {
        let calls = {
            let state = slot.state();
            if state.is_fresh(freshness, self.ttl, self.clock.wall()) {
                return Ok(());
            }
            state.calls()
        };
        let deadline = deadline.min(self.clock.now() + LONGEST_LOOKUP);
        let too_late = SecretError::Unavailable("no time is left");
        let reading = self.clock.timeout_at(deadline, slot.reading.lock()).await;
        let Ok(_reading) = reading else {
            return Err(too_late);
        };
        if self.clock.now() >= deadline {
            return Err(too_late);
        }
        let asked = self.clock.wall();
        let serves = {
            let state = slot.state();
            let is_too_old =
                matches!(freshness, Freshness::Since(moment) if state.is_older_than(moment));
            if state.calls() != calls && !state.has_failed() && !is_too_old {
                return Ok(());
            }
            if state.is_paused(asked) {
                return Err(SecretError::Unavailable("it failed a moment ago"));
            }
            state.serves()
        };
        let is_soon = matches!(freshness, Freshness::Since(_)) && slot.state().is_recent(asked);
        if is_soon && !slot.proofs.take(asked) {
            return Err(SecretError::Unavailable("too many wrong keys were presented"));
        }
        let counts = !serves && !key.previous;
        if counts && !self.budget.take(asked) {
            self.over_budget.fetch_add(1, Ordering::Relaxed);
            return Err(SecretError::Unavailable("too many unknown codes were looked up"));
        }
        if !self.pause.allows(asked) {
            if counts {
                self.budget.give_back();
            }
            return Err(SecretError::Unavailable("it failed a moment ago"));
        }
        // Boxed: the SDK's future is large, and most lookups never need it.
        let reading = Box::pin(self.read(key, deadline)).await;
        let mut state = slot.state();
        let result = self.learn(key, &mut state, code, reading, asked);
        if counts && state.serves() {
            self.budget.give_back();
        }
        result
    }

    /// Reads a secret until the deadline; nothing where the time was too short to tell anything.
    async fn read(&self, key: &Key, deadline: Instant) -> Option<Reading> {
        let began = self.clock.now();
        let reading = read::read(&self.client, &key.id, key.previous);
        let reading = match self.clock.timeout_at(deadline, reading).await {
            Ok(reading) => Some(reading),
            Err(_) if self.clock.elapsed(began) < TELLING => None,
            Err(_) => Some(Reading::Failed { service: true, error: "no answer in time".into() }),
        };
        match &reading {
            None => self.pause.unknown(),
            Some(Reading::Failed { service: true, .. }) => self.pause.failed(self.clock.wall()),
            Some(_) => self.pause.answered(),
        }
        reading
    }

    /// Remembers what a call told.
    fn learn(
        &self,
        key: &Key,
        state: &mut State,
        code: &str,
        reading: Option<Reading>,
        asked: Timestamp,
    ) -> Result<(), SecretError> {
        if reading.as_ref().is_some_and(Reading::was_allowed) {
            self.was_allowed.store(true, Ordering::Relaxed);
        }
        let was_denied = matches!(reading, Some(Reading::Denied(_)));
        let error = match reading {
            Some(Reading::Text(text, created)) => {
                let hash = Some(Sha256::digest(text.as_bytes()).into());
                let is_new = state.text != hash;
                let entries = entries::of(self.place.as_ref(), code, &text, is_new);
                let kept = state.learn(entries, created, self.ttl, asked);
                if is_new && !kept.is_empty() {
                    tracing::error!(
                        app.code = code,
                        detail = kept.join(", "),
                        "applications are missing from a secret of which other entries cannot be read: their last good settings stay in use"
                    );
                }
                state.text = hash;
                return Ok(());
            }
            Some(Reading::Missing) if !key.previous => {
                state.learn_missing(self.ttl, asked);
                return Ok(());
            }
            Some(Reading::Missing | Reading::Gone) => {
                state.learn_gone(asked);
                return Ok(());
            }
            // This is how a secret outside of what may be read is answered, missing or not. It is no outage where
            // other secrets may be read, but somebody should know if the policy is wrong.
            Some(Reading::Denied(error)) if !state.serves() && self.was_allowed() => {
                tracing::warn!(
                    app.code = code,
                    error,
                    "Secrets Manager refuses access to the secret: the application counts as unknown"
                );
                state.learn_gone(asked);
                return Ok(());
            }
            Some(Reading::Denied(error) | Reading::Failed { error, .. }) => error,
            None => return Err(SecretError::Unavailable("no time is left")),
        };
        tracing::error!(
            app.code = code,
            error,
            stale = state.serves(),
            "the application's secret could not be read"
        );
        state.fail(was_denied, self.clock.wall());
        Err(SecretError::Unavailable("it could not be read"))
    }

    fn was_allowed(&self) -> bool {
        self.was_allowed.load(Ordering::Relaxed)
    }

    /// What is remembered of an application's secret, if anything is.
    fn known(&self, code: &str) -> Option<Arc<Slot>> {
        let key = self.key(code, false)?;
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).known(&key)
    }

    fn slot(&self, key: &Key) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.get(key, MAX_ENTRIES, self.ttl, self.clock.wall())
    }
}
