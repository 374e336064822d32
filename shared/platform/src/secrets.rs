//! Applications' settings from AWS Secrets Manager, cached.
//!
//! Invariants: one call at a time per secret; a value that was read once is used for as long as
//! Secrets Manager cannot be reached; an application that does not exist is remembered for a
//! minute, so that strangers cannot make us call AWS. On failure without a cached value the caller
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
use tokio::time::Instant;

use crate::application::{self, Application};
use crate::settings::Settings;

/// Stands for the application's code in the secret's id.
const APP_CODE: &str = "{app_code}";

/// How long a secret that does not exist is remembered.
const ABSENT_TTL: Duration = Duration::from_mins(1);

/// After a failure Secrets Manager is left alone for this long.
const FAILURE_PAUSE: Duration = Duration::from_secs(10);

/// A refused key makes us read the secret again, but not more often than this: strangers with
/// made-up keys must not run up a bill, and a rotation must not be missed for long.
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
    /// Hash of the text that was read last: what is wrong with it is told once.
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
    pub fn from_settings(config: &aws_config::SdkConfig, settings: &Settings) -> Self {
        Self::new(Client::new(config), &settings.secret_id, settings.secret_ttl)
    }

    /// Secrets whose ids follow the template; see `PWSEG_SECRET_ID`.
    pub fn new(client: Client, id_template: impl Into<String>, ttl: Duration) -> Self {
        Self {
            client,
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
        // The code becomes part of a secret's id: nothing that could lead to another secret.
        let allowed =
            |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.' || byte == b'_';
        if code.is_empty() || code.len() > MAX_CODE || !code.bytes().all(allowed) {
            return Err(SecretError::Unknown);
        }
        let key = Key { id: self.id_template.replace(APP_CODE, code), previous };
        let entry = self.entry(&key);
        let mut entry = entry.lock().await;
        let now = Instant::now();
        let expired = match (&entry.document, entry.read_at) {
            (Some(document), Some(read_at)) => {
                let age = now.saturating_duration_since(read_at);
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
            // Made-up application codes fill the cache; what is in use comes back at once.
            entries.retain(|_, entry| {
                entry.try_lock().is_ok_and(|entry| matches!(entry.document, Some(Ok(_))))
            });
        }
        Arc::clone(entries.entry(key.clone()).or_default())
    }

    async fn read(&self, key: &Key, entry: &mut Entry, code: &str) {
        let request = self.client.get_secret_value().secret_id(&key.id);
        let request = if key.previous { request.version_stage(PREVIOUS) } else { request };
        let now = Instant::now();
        let document = match request.send().await {
            Ok(answer) => {
                let text = answer.secret_string().unwrap_or_default();
                let hash = Some(Sha256::digest(text.as_bytes()).into());
                let told = std::mem::replace(&mut entry.text, hash) == hash;
                Ok(Arc::new(self.document(code, text, told)))
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

    /// Reads a secret's text. Problems that were `told` before are not told again.
    fn document(&self, code: &str, text: &str, told: bool) -> Document {
        let application = |code: &str, secret: &Value| {
            if !told {
                tell(code, secret);
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

/// Tells the operator what is wrong with a secret.
fn tell(code: &str, secret: &Value) {
    for warning in application::warnings(secret) {
        tracing::warn!(
            app.code = code,
            detail = warning,
            "a part of the application's secret is left out, or will surprise"
        );
    }
    if let Err(problems) = Application::read(code, secret) {
        tracing::error!(app.code = code, error = %problems, "the application's secret cannot be used: correct it");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wiremock::matchers::body_partial_json;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    const TTL: Duration = Duration::from_mins(5);

    fn secrets(server: &MockServer, template: &str) -> Secrets {
        let config = aws_sdk_secretsmanager::Config::builder()
            .behavior_version_latest()
            .endpoint_url(server.uri())
            .region(aws_sdk_secretsmanager::config::Region::new("eu-central-1"))
            .credentials_provider(aws_sdk_secretsmanager::config::Credentials::new(
                "test", "test", None, None, "test",
            ))
            .retry_config(aws_sdk_secretsmanager::config::retry::RetryConfig::disabled())
            .build();
        Secrets::new(Client::from_conf(config), template, TTL)
    }

    fn secret(id: &str, value: &Value) -> Mock {
        let answer = json!({"Name": id, "SecretString": value.to_string()});
        Mock::given(body_partial_json(json!({"SecretId": id})))
            .respond_with(ResponseTemplate::new(200).set_body_json(answer))
    }

    fn token(token: &str) -> Value {
        json!({"pushwoosh": {"api_token": token}})
    }

    #[tokio::test]
    async fn a_secret_is_read_once_while_it_is_fresh() {
        let server = MockServer::start().await;
        secret("pw/A", &token("t")).expect(1).mount(&server).await;
        let secrets = secrets(&server, "pw/{app_code}");
        for _ in 0..3 {
            assert_eq!(secrets.application("A").await.unwrap().code, "A");
        }
        // A refused key does not help a moment after the secret was read.
        secrets.refreshed("A").await.unwrap();
    }

    #[tokio::test]
    async fn one_secret_may_hold_all_applications_and_a_bad_one_harms_no_other() {
        let server = MockServer::start().await;
        secret("all", &json!({"A": token("a"), "B": {}, "C": token("c")}))
            .expect(1)
            .mount(&server)
            .await;
        let secrets = secrets(&server, "all");
        assert_eq!(secrets.application("A").await.unwrap().code, "A");
        assert!(matches!(secrets.application("B").await, Err(SecretError::Malformed(_))));
        assert_eq!(secrets.application("C").await.unwrap().code, "C");
        assert_eq!(secrets.application("D").await.unwrap_err(), SecretError::Unknown);
    }

    #[tokio::test]
    async fn an_unknown_application_is_remembered_and_a_code_never_leads_elsewhere() {
        let server = MockServer::start().await;
        let absent = json!({"__type": "ResourceNotFoundException", "Message": "not there"});
        Mock::given(body_partial_json(json!({"SecretId": "pw/X"})))
            .respond_with(ResponseTemplate::new(400).set_body_json(absent))
            .expect(1)
            .mount(&server)
            .await;
        let secrets = secrets(&server, "pw/{app_code}");
        for code in ["X", "X", "../other", "", "X/Y"] {
            assert_eq!(
                secrets.application(code).await.unwrap_err(),
                SecretError::Unknown,
                "{code}"
            );
        }
    }

    #[tokio::test]
    async fn a_stale_value_serves_while_secrets_manager_is_down() {
        let server = MockServer::start().await;
        secret("pw/A", &token("t")).mount(&server).await;
        let mut secrets = secrets(&server, "pw/{app_code}");
        secrets.ttl = Duration::ZERO;
        secrets.application("A").await.unwrap();
        server.reset().await;
        Mock::given(wiremock::matchers::any())
            .respond_with(ResponseTemplate::new(503))
            .expect(2)
            .mount(&server)
            .await;
        for _ in 0..3 {
            secrets.application("A").await.unwrap();
        }
        assert_eq!(secrets.take_stale(), 3);
        for _ in 0..2 {
            assert!(matches!(secrets.application("B").await, Err(SecretError::Unavailable(_))));
        }
    }
}
