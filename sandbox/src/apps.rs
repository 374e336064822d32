//! The applications: what their secrets hold, now and before the last rotation.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, Result, bail};
use operator::explain::DEMO_APPLICATION;
use platform::Application;
use serde_json::{Map, Value, json};

/// Secrets by application code.
#[derive(Debug)]
pub(crate) struct Apps {
    secrets: Mutex<BTreeMap<String, Versions>>,
    pushwoosh_url: String,
    segment_url: String,
}

#[derive(Debug, Clone)]
struct Versions {
    current: Value,
    previous: Option<Value>,
}

/// Which version of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Current,
    Previous,
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

impl Apps {
    /// The applications, led to the stand-ins at these addresses.
    pub(crate) fn new(
        apps: Map<String, Value>,
        pushwoosh_url: String,
        segment_url: String,
    ) -> Self {
        let this = Self { secrets: Mutex::default(), pushwoosh_url, segment_url };
        for (code, secret) in apps {
            this.put(&code, secret);
        }
        this
    }

    /// Replaces a secret, as a rotation does: the one before it stays as the previous version.
    pub(crate) fn put(&self, code: &str, mut secret: Value) {
        lead(&mut secret, "pushwoosh", &self.pushwoosh_url);
        lead(&mut secret, "segment", &self.segment_url);
        let mut secrets = self.lock();
        let previous = secrets.remove(code).map(|versions| versions.current);
        secrets.insert(code.to_owned(), Versions { current: secret, previous });
    }

    /// Removes a secret.
    pub(crate) fn remove(&self, code: &str) {
        self.lock().remove(code);
    }

    /// The content of a secret.
    pub(crate) fn secret(&self, code: &str, stage: Stage) -> Option<Value> {
        let versions = self.lock().get(code).cloned()?;
        match stage {
            Stage::Current => Some(versions.current),
            Stage::Previous => versions.previous,
        }
    }

    /// The settings of an application, where its secret can be used.
    pub(crate) fn application(&self, code: &str) -> Option<Application> {
        Application::read(code, &self.secret(code, Stage::Current)?).ok()
    }

    /// The settings of all applications.
    pub(crate) fn applications(&self) -> Vec<Application> {
        let codes: Vec<String> = self.lock().keys().cloned().collect();
        codes.iter().filter_map(|code| self.application(code)).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Versions>> {
        self.secrets.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
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
