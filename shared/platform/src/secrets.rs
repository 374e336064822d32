//! Applications' settings from AWS Secrets Manager, cached.
//!
//! Invariants: one call at a time per secret; a value that was read once is used for as long as
//! Secrets Manager cannot be reached; an application that does not exist is remembered for a minute, so
//! that made-up codes cost few calls. On failure without a cached value the caller
//! gets [`SecretError::Unavailable`] and must keep what it holds.
//!
//! The cache is keyed by secret, not by application: one secret may hold a map of applications.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::DisplayErrorContext;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::application::{self, Application};
use crate::clock::{Clock, Instant};
use crate::settings::Settings;

/// Stands for the application's code in the secret's id.
const APP_CODE: &str = "{app_code}";

/// How long a secret that does not exist is remembered.
const ABSENT_TTL: Duration = Duration::from_mins(1);

/// After a failure Secrets Manager is left alone for this long.
const FAILURE_PAUSE: Duration = Duration::from_secs(10);

/// A refused key makes us read the secret again, but not more often than this: callers with made-up
/// keys must not cost a call each, and a rotation must be noticed soon.
const MIN_REFRESH: Duration = Duration::from_secs(1);

/// Bound on remembered secrets; ids come from callers.
const MAX_ENTRIES: usize = 10_000;

/// Longest application code; Pushwoosh's have eleven characters.
const MAX_CODE: usize = 64;

/// The version that a rotation replaced.
const PREVIOUS: &str = "AWSPREVIOUS";

/// Why an application's settings cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// There is no such application.
    #[error("no secret holds this application")]
    Unknown,
    /// The secret has a shape that cannot be used.
    #[error("the application's secret cannot be used: {0}")]
    Malformed(application::Problems),
    /// Secrets Manager cannot be reached, and there is no cached value.
    #[error("Secrets Manager gave no answer: {0}")]
    Unavailable(String),
}

/// The applications that the functions serve.
pub struct Secrets {
    client: Client,
    clock: Clock,
    id_template: String,
    ttl: Duration,
    entries: Mutex<HashMap<Key, Arc<tokio::sync::Mutex<Entry>>>>,
    stale: std::sync::atomic::AtomicU64,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").field("id_template", &self.id_template).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    id: String,
    previous: bool,
}

#[derive(Default)]
struct Entry {
    document: Option<Result<Arc<Document>, SecretError>>,
    read_at: Option<Instant>,
    /// Not before this is Secrets Manager called again.
    next: Option<Instant>,
    /// Hash of the text that was read last: what is wrong with it is reported once.
    text: Option<[u8; 32]>,
}

/// What a secret holds.
enum Document {
    One(Result<Arc<Application>, SecretError>),
    Map(HashMap<String, Result<Arc<Application>, SecretError>>),
}

impl Document {
    fn application(&self, code: &str) -> Result<Arc<Application>, SecretError> {
        match self {
            Self::One(application) => application.clone(),
            Self::Map(applications) => {
                applications.get(code).cloned().unwrap_or(Err(SecretError::Unknown))
            }
        }
    }
}

/// How fresh a value must be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Freshness {
    Cached,
    Refreshed,
}

impl Secrets {
    /// Secrets as the settings name them.
    pub fn from_settings(
        config: &aws_config::SdkConfig,
        settings: &Settings,
        clock: Clock,
    ) -> Self {
        Self::new(Client::new(config), &settings.secret_id, settings.secret_ttl, clock)
    }

    /// Secrets whose ids follow the template; see `PWSEG_SECRET_ID`.
    pub fn new(
        client: Client,
        id_template: impl Into<String>,
        ttl: Duration,
        clock: Clock,
    ) -> Self {
        Self {
            client,
            clock,
            id_template: id_template.into(),
            ttl,
            entries: Mutex::default(),
            stale: std::sync::atomic::AtomicU64::new(0),
        }
    }

    /// Settings of an application.
    pub async fn application(&self, code: &str) -> Result<Arc<Application>, SecretError> {
        self.get(code, false, Freshness::Cached).await
    }

    /// Settings of an application, read again unless that was just done: a key was refused, and it
    /// may have been rotated.
    pub async fn refreshed(&self, code: &str) -> Result<Arc<Application>, SecretError> {
        self.get(code, false, Freshness::Refreshed).await
    }

    /// The settings before the last rotation. Whoever still presents the old key is let in.
    pub async fn previous(&self, code: &str) -> Result<Arc<Application>, SecretError> {
        self.get(code, true, Freshness::Refreshed).await
    }

    /// How often a stale value was served since this was asked last.
    pub fn take_stale(&self) -> u64 {
        self.stale.swap(0, std::sync::atomic::Ordering::Relaxed)
    }

    async fn get(
        &self,
        code: &str,
        previous: bool,
        freshness: Freshness,
    ) -> Result<Arc<Application>, SecretError> {
        // The code becomes part of a secret's id: it must not be able to name another secret.
        let allowed =
            |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.' || byte == b'_';
        if code.is_empty() || code.len() > MAX_CODE || !code.bytes().all(allowed) {
            return Err(SecretError::Unknown);
        }
        let key = Key { id: self.id_template.replace(APP_CODE, code), previous };
        let entry = self.entry(&key);
        let mut entry = entry.lock().await;
        let now = self.clock.now();
        let expired = match (&entry.document, entry.read_at) {
            (Some(document), Some(read_at)) => {
                let age = now.since(read_at);
                let ttl = if document.is_ok() { self.ttl } else { ABSENT_TTL.min(self.ttl) };
                age >= ttl
                    || (freshness == Freshness::Refreshed && age >= MIN_REFRESH.min(self.ttl))
            }
            _ => true,
        };
        if expired && entry.next.is_none_or(|next| now >= next) {
            self.read(&key, &mut entry, code).await;
        } else if expired && entry.document.is_some() {
            self.stale.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        match &entry.document {
            Some(Ok(document)) => document.application(code),
            Some(Err(error)) => Err(error.clone()),
            None => Err(SecretError::Unavailable("it failed a moment ago".to_owned())),
        }
    }

    fn entry(&self, key: &Key) -> Arc<tokio::sync::Mutex<Entry>> {
        let mut entries = self.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if entries.len() >= MAX_ENTRIES && !entries.contains_key(key) {
            // Made-up application codes fill the cache. Applications that exist are kept.
            entries.retain(|_, entry| {
                entry.try_lock().is_ok_and(|entry| matches!(entry.document, Some(Ok(_))))
            });
        }
        Arc::clone(entries.entry(key.clone()).or_default())
    }

    async fn read(&self, key: &Key, entry: &mut Entry, code: &str) {
        let request = self.client.get_secret_value().secret_id(&key.id);
        let request = if key.previous { request.version_stage(PREVIOUS) } else { request };
        let now = self.clock.now();
        let document = match request.send().await {
            Ok(answer) => {
                let text = answer.secret_string().unwrap_or_default();
                let hash = Some(Sha256::digest(text.as_bytes()).into());
                let reported = std::mem::replace(&mut entry.text, hash) == hash;
                Ok(Arc::new(self.document(code, text, reported)))
            }
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(GetSecretValueError::is_resource_not_found_exception) =>
            {
                Err(SecretError::Unknown)
            }
            Err(error) => {
                tracing::error!(
                    app.code = code,
                    error = %DisplayErrorContext(&error),
                    stale = entry.document.is_some(),
                    "the application's secret could not be read"
                );
                entry.next = Some(now + FAILURE_PAUSE);
                if entry.document.is_some() {
                    self.stale.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
                return;
            }
        };
        entry.next = None;
        entry.read_at = Some(now);
        entry.document = Some(document);
    }

    /// Reads a secret's text. Problems that were `reported` before are not reported again.
    fn document(&self, code: &str, text: &str, reported: bool) -> Document {
        let application = |code: &str, secret: &Value| {
            if !reported {
                report(code, secret);
            }
            Application::read(code, secret).map(Arc::new).map_err(SecretError::Malformed)
        };
        let Ok(value) = serde_json::from_str::<Value>(text) else {
            return Document::One(application(code, &Value::Null));
        };
        if self.id_template.contains(APP_CODE) {
            return Document::One(application(code, &value));
        }
        let applications = value.as_object().into_iter().flatten();
        Document::Map(
            applications.map(|(code, secret)| (code.clone(), application(code, secret))).collect(),
        )
    }
}

/// Logs what is wrong with a secret.
fn report(code: &str, secret: &Value) {
    for warning in application::warnings(secret) {
        tracing::warn!(
            app.code = code,
            detail = warning,
            "the application's secret has ignored or suspicious entries"
        );
    }
    if let Err(problems) = Application::read(code, secret) {
        tracing::error!(app.code = code, error = %problems, "the application's secret cannot be used: correct it");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Logs, Reply, World};

    fn token(token: &str) -> Value {
        json!({"pushwoosh": {"api_token": token}})
    }

    fn reads(world: &World) -> usize {
        world.aws_calls("GetSecretValue")
    }

    fn down() -> Reply {
        Reply::Status(503, json!({}))
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_is_read_once_while_it_is_fresh() {
        let world = World::new(&[("PWSEG_SECRET_TTL_S", "300")]);
        let secrets = &world.platform.secrets;
        for _ in 0..3 {
            assert_eq!(secrets.application("A").await.unwrap().code, "A");
        }
        // A refused key does not help a moment after the secret was read.
        secrets.refreshed("A").await.unwrap();
        assert_eq!((reads(&world), secrets.take_stale()), (1, 0));
        tokio::time::advance(MIN_REFRESH).await;
        secrets.application("A").await.unwrap();
        assert_eq!(reads(&world), 1);
        secrets.refreshed("A").await.unwrap();
        assert_eq!(reads(&world), 2);
        tokio::time::advance(Duration::from_mins(5)).await;
        secrets.application("A").await.unwrap();
        assert_eq!(reads(&world), 3);
    }

    /// A secret is read every few minutes: what is wrong with it must not fill the log.
    #[tokio::test(start_paused = true)]
    async fn problems_of_a_secret_are_logged_once_until_it_changes() {
        let world = World::new(&[("PWSEG_SECRET_TTL_S", "60")]);
        let (logs, _guard) = Logs::capture();
        let read = async |secret: &Value| {
            world.secret("A", secret);
            tokio::time::advance(Duration::from_mins(1)).await;
            world.platform.secrets.application("A").await.ok();
            let problems = logs.with_message("the application's secret cannot be used: correct it");
            let warnings =
                logs.with_message("the application's secret has ignored or suspicious entries");
            (problems.len(), warnings.len())
        };
        let wrong = json!({"pushwoosh": {"api_token": ""}, "other": 1});
        assert_eq!(read(&wrong).await, (1, 1));
        assert_eq!(read(&wrong).await, (1, 1));
        assert_eq!(read(&json!({"pushwoosh": {}})).await, (2, 1));
        assert_eq!(read(&token("t")).await, (2, 1));
        assert_eq!(read(&wrong).await, (3, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn debug_shows_where_secrets_are_and_none_of_them() {
        let world = World::new(&[]);
        world.platform.secrets.application("A").await.unwrap();
        let shown = format!("{:?}", world.platform.secrets);
        assert!(shown.contains("segment-pushwoosh/{app_code}") && !shown.contains("token"));
    }

    #[tokio::test(start_paused = true)]
    async fn one_secret_may_hold_all_applications_and_a_bad_one_harms_no_other() {
        let world = World::new(&[("PWSEG_SECRET_ID", "segment-pushwoosh/all")]);
        world.secret("all", &json!({"A": token("a"), "B": {}, "C": token("c")}));
        let secrets = &world.platform.secrets;
        assert_eq!(secrets.application("A").await.unwrap().code, "A");
        assert!(matches!(secrets.application("B").await, Err(SecretError::Malformed(_))));
        assert_eq!(secrets.application("C").await.unwrap().code, "C");
        assert_eq!(secrets.application("D").await.unwrap_err(), SecretError::Unknown);
        assert_eq!(reads(&world), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_application_is_remembered_for_a_minute() {
        let world = World::new(&[]);
        let secrets = &world.platform.secrets;
        for _ in 0..2 {
            assert_eq!(secrets.application("X").await.unwrap_err(), SecretError::Unknown);
        }
        assert_eq!(reads(&world), 1);
        // Others that are unknown do not push it out.
        for code in ["Y", "Z", "X"] {
            assert!(secrets.application(code).await.is_err(), "{code}");
        }
        assert_eq!(reads(&world), 3);
        world.secret("X", &token("x"));
        tokio::time::advance(ABSENT_TTL).await;
        assert_eq!(secrets.application("X").await.unwrap().code, "X");
    }

    #[tokio::test(start_paused = true)]
    async fn a_code_never_leads_to_another_secret() {
        let world = World::new(&[]);
        for code in ["../other", "", "X/Y", "A B", &"A".repeat(MAX_CODE + 1)] {
            let error = world.platform.secrets.application(code).await.unwrap_err();
            assert_eq!(error, SecretError::Unknown, "{code}");
        }
        assert_eq!(reads(&world), 0);
        for code in ["a-b._9", &"A".repeat(MAX_CODE)] {
            world.secret(code, &token("t"));
            assert!(world.platform.secrets.application(code).await.is_ok(), "{code}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stale_value_serves_while_secrets_manager_is_down() {
        let world = World::new(&[("PWSEG_SECRET_TTL_S", "1")]);
        let secrets = &world.platform.secrets;
        secrets.application("A").await.unwrap();
        world.secrets_manager("A", down());
        tokio::time::advance(Duration::from_secs(1)).await;
        let before = reads(&world);
        for _ in 0..3 {
            secrets.application("A").await.unwrap();
        }
        assert_eq!((secrets.take_stale(), secrets.take_stale()), (3, 0));
        // Both attempts of the first read, and then a pause.
        assert_eq!(reads(&world) - before, 2);
        world.secret("A", &token("new"));
        tokio::time::advance(FAILURE_PAUSE).await;
        secrets.application("A").await.unwrap();
        assert_eq!((reads(&world) - before, secrets.take_stale()), (3, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_value_an_outage_is_unavailable_and_not_unknown() {
        let world = World::new(&[]);
        world.secrets_manager("B", down());
        for _ in 0..2 {
            let error = world.platform.secrets.application("B").await.unwrap_err();
            assert!(matches!(error, SecretError::Unavailable(_)));
        }
        assert_eq!(reads(&world), 2, "both attempts of one read");
    }

    /// Made-up codes must not fill the memory, nor push out what is in use.
    #[tokio::test(start_paused = true)]
    async fn the_cache_is_bounded_and_keeps_what_is_in_use() {
        let world = World::new(&[]);
        let secrets = &world.platform.secrets;
        secrets.application("A").await.unwrap();
        for number in 0..=MAX_ENTRIES {
            drop(secrets.entry(&Key { id: number.to_string(), previous: false }));
        }
        assert!(secrets.entries.lock().unwrap().len() <= MAX_ENTRIES);
        secrets.application("A").await.unwrap();
        assert_eq!(reads(&world), 1);
    }
}
