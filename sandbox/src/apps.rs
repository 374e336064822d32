//! The applications: what their secrets hold, now and before the last rotation.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use operator::explain::DEMO_APPLICATION;
use platform::Application;
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use world::pushwoosh::{Account, Pushwoosh};
use world::secrets_manager::{SecretsManager, Stage};
use world::segment::Segment;

use crate::standin::upstream;

/// What the names of secrets begin with.
const SECRET_PREFIX: &str = "segment-pushwoosh/";

/// The secrets, and the upstreams that know what is in them.
pub(crate) struct Apps {
    secrets: Mutex<SecretsManager>,
    /// The names of the secrets that there are.
    codes: Mutex<BTreeSet<String>>,
    pushwoosh: Upstream<Pushwoosh>,
    segment: Upstream<Segment>,
}

/// A model of an upstream, and where it is served.
pub(crate) struct Upstream<M> {
    pub(crate) model: Arc<upstream::Upstream<M>>,
    pub(crate) url: String,
}

/// What the file holds, or the demo application.
pub(crate) fn read(file: Option<&Path>) -> Result<Map<String, Value>> {
    let Some(file) = file else {
        let secret = json!({
            "pushwoosh": {"api_token": "demo-token"},
            "segment": {"write_key": "demo-write-key"},
            "webhook": {"shared_secret": "demo-secret"},
        });
        return Ok(Map::from_iter([(DEMO_APPLICATION.to_owned(), secret)]));
    };
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("--apps {} cannot be read", file.display()))?;
    let apps: Value = serde_json::from_str(&text)
        .with_context(|| format!("--apps {} is not JSON", file.display()))?;
    let Value::Object(apps) = apps else {
        bail!("--apps {} must hold an object: application code → secret", file.display());
    };
    Ok(apps)
}

/// How old the secrets are that a sandbox starts with.
const AGE: Duration = Duration::from_hours(1);

impl Apps {
    /// Where the upstreams are served.
    pub(crate) fn upstreams(&self) -> Value {
        json!({"pushwoosh": self.pushwoosh.url, "segment": self.segment.url})
    }

    /// The applications, led to these upstreams.
    pub(crate) fn new(
        apps: Map<String, Value>,
        pushwoosh: Upstream<Pushwoosh>,
        segment: Upstream<Segment>,
    ) -> Self {
        let this = Self { secrets: Mutex::default(), codes: Mutex::default(), pushwoosh, segment };
        // They were there before the sandbox: nothing is being rotated.
        let before = Timestamp::now().saturating_sub(AGE).unwrap_or(Timestamp::UNIX_EPOCH);
        for (code, secret) in apps {
            this.put_at(&code, secret, before);
        }
        this
    }

    /// Replaces a secret, as a rotation does: the one before it stays as the previous version.
    pub(crate) fn put(&self, code: &str, secret: Value) {
        self.put_at(code, secret, Timestamp::now());
    }

    fn put_at(&self, code: &str, mut secret: Value, at: Timestamp) {
        lead(&mut secret, "pushwoosh", &self.pushwoosh.url);
        lead(&mut secret, "segment", &self.segment.url);
        // A secret that is given as text is served as it is, so that a broken one can be tried.
        let text = secret.as_str().map_or_else(|| secret.to_string(), str::to_owned);
        self.with_secrets(|secrets| secrets.put(&name(code), text, at));
        self.with_codes(|codes| codes.insert(code.to_owned()));
        self.set_up(code);
    }

    /// Removes a secret without recovery.
    pub(crate) fn remove(&self, code: &str) {
        self.with_secrets(|secrets| secrets.delete(&name(code), Duration::ZERO, Timestamp::now()));
        self.with_codes(|codes| codes.remove(code));
        self.set_up(code);
    }

    /// The codes of the applications, in their order; at most so many.
    pub(crate) fn codes(&self, most: usize) -> Vec<String> {
        self.with_codes(|codes| codes.iter().take(most).cloned().collect())
    }

    fn with_codes<T>(&self, act: impl FnOnce(&mut BTreeSet<String>) -> T) -> T {
        act(&mut self.codes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The settings of an application, where its secret can be used.
    pub(crate) fn application(&self, code: &str) -> Option<Application> {
        Application::read(code, &self.secret(code)?).ok()
    }

    /// Looks at the secrets, or changes them.
    pub(crate) fn with_secrets<T>(&self, act: impl FnOnce(&mut SecretsManager) -> T) -> T {
        act(&mut self.secrets.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The secret of an application, where it is JSON.
    pub(crate) fn secret(&self, code: &str) -> Option<Value> {
        self.with_secrets(|secrets| {
            let version = secrets.version(&name(code), Stage::Current, Timestamp::now())?;
            serde_json::from_str(&version.value).ok()
        })
    }

    /// Tells the upstreams which keys the application has now.
    fn set_up(&self, code: &str) {
        let application = self.application(code);
        let key = application.as_ref().and_then(|application| application.segment.as_ref());
        let key = key.map(|account| account.write_key.expose_secret().to_owned());
        self.segment.model.with(|segment| segment.set_key(code, key));
        let account = application.map(|application| {
            let token =
                application.pushwoosh.map(|account| account.api_token.expose_secret().to_owned());
            let unknown_tags = self.secret(code).unwrap_or_default();
            let unknown_tags =
                unknown_tags.pointer("/sandbox/unknown_tags").and_then(Value::as_array);
            let unknown_tags = unknown_tags.into_iter().flatten().filter_map(Value::as_str);
            let unknown_tags = unknown_tags.map(str::to_owned).collect();
            Account { token, unknown_tags, known_events: None }
        });
        self.pushwoosh.model.with(|pushwoosh| match account {
            Some(account) => pushwoosh.set_account(code, account),
            None => pushwoosh.remove_account(code),
        });
    }
}

fn name(code: &str) -> String {
    format!("{SECRET_PREFIX}{code}")
}

/// Leads a section to the stand-in, unless it names an address of this machine: nothing is to
/// leave it.
fn lead(secret: &mut Value, section: &str, url: &str) {
    let Some(Value::Object(section)) = secret.get_mut(section) else {
        return;
    };
    let local = section.get("base_url").and_then(Value::as_str).is_some_and(is_local);
    if !local {
        section.insert("base_url".to_owned(), url.into());
    }
}

fn is_local(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url.trim()) else {
        return false;
    };
    url.scheme() == "http" && matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_local() {
        for url in ["http://127.0.0.1:9/x", "http://localhost", " http://[::1]:1 "] {
            assert!(is_local(url), "{url}");
        }
        for url in [
            "http://127.0.0.1.evil.example",
            "http://localhost.example",
            "http://localhost@evil.example",
            "https://api.pushwoosh.com",
            "",
        ] {
            assert!(!is_local(url), "{url}");
        }
    }
}
