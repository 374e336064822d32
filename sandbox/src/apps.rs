//! The applications: what their secrets hold, now and before the last rotation.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use operator::bad_input::BadInput;
use operator::explain::DEMO_APPLICATION;
use platform::Application;
use platform::secret_place::SecretPlace;
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use world::pushwoosh::{Account, Pushwoosh, TagType};
use world::secrets_manager::{MAX_VALUE, SecretsManager, Stage};
use world::segment::Segment;

use crate::standin::upstream;

/// The part of an application's settings that is for the sandbox: what Pushwoosh and Segment know of the application
/// whatever the secret says. An application with nothing else has no secret: it can be connected.
const SANDBOX: &str = "sandbox";

/// The Server token of the demo application's account in Pushwoosh.
const DEMO_SERVER_TOKEN: &str = "demo-server-token";

/// The secrets, and the upstreams that know what is in them.
pub(crate) struct Apps {
    place: SecretPlace,
    secrets: Mutex<SecretsManager>,
    /// The applications that have secrets.
    codes: Mutex<BTreeSet<String>>,
    /// By code: the part of the settings that is for the sandbox.
    known: Mutex<BTreeMap<String, Value>>,
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
        .map_err(|error| BadInput(format!("--apps {} is not JSON: {error}", file.display())))?;
    let Value::Object(apps) = apps else {
        let file = file.display();
        let problem = format!("--apps {file} must hold an object: application code → secret");
        return Err(BadInput(problem).into());
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

    /// The name of the secrets, as the functions have it.
    pub(crate) fn secret_id(&self) -> String {
        self.place.to_string()
    }

    /// The applications, led to these upstreams. Fails where a secret of several would be larger than Secrets Manager takes.
    pub(crate) fn new(
        place: SecretPlace,
        apps: Map<String, Value>,
        pushwoosh: Upstream<Pushwoosh>,
        segment: Upstream<Segment>,
    ) -> Result<Self> {
        let (secrets, known, codes) = (Mutex::default(), Mutex::default(), Mutex::default());
        let this = Self { place, secrets, codes, known, pushwoosh, segment };
        // They were there before the sandbox: nothing is being rotated.
        let before = Timestamp::now().saturating_sub(AGE).unwrap_or(Timestamp::UNIX_EPOCH);
        let codes: Vec<String> = apps.keys().cloned().collect();
        // Each secret is written once, however many applications it holds.
        let mut maps: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        for (code, secret) in apps {
            let Some(secret) = this.prepared(&code, secret) else { continue };
            if this.place.is_map() {
                maps.entry(this.place.of(&code)).or_default().insert(code, secret);
            } else {
                this.write(&this.place.of(&code), &secret, before);
            }
        }
        for (name, map) in maps {
            let (number, map) = (map.len(), Value::Object(map));
            let bytes = map.to_string().len();
            ensure!(
                bytes <= MAX_VALUE,
                "the secret {name} would hold {number} applications in {bytes} bytes, and Secrets Manager takes {MAX_VALUE}: let --secret-id name more characters of the code"
            );
            this.write(&name, &map, before);
        }
        for code in codes {
            this.set_up(&code);
        }
        Ok(this)
    }

    /// Replaces an application's settings, as a rotation does: what was there before stays as the previous version.
    pub(crate) fn put(&self, code: &str, secret: Value) {
        if let Some(secret) = self.prepared(code, secret) {
            let name = self.place.of(code);
            let secret = if self.place.is_map() {
                let mut map = self.map(&name);
                map.insert(code.to_owned(), secret);
                map.into()
            } else {
                secret
            };
            self.write(&name, &secret, Timestamp::now());
        }
        self.set_up(code);
    }

    /// Settings led to the upstreams; nothing where they are for the sandbox only.
    fn prepared(&self, code: &str, mut secret: Value) -> Option<Value> {
        if let Some(section) = secret.get(SANDBOX) {
            lock(&self.known).insert(code.to_owned(), section.clone());
            if secret.as_object().is_some_and(|fields| fields.len() == 1) {
                return None;
            }
        }
        self.lead(&mut secret);
        Some(secret)
    }

    fn lead(&self, secret: &mut Value) {
        lead(secret, "pushwoosh", &self.pushwoosh.url);
        lead(secret, "segment", &self.segment.url);
    }

    fn write(&self, name: &str, secret: &Value, at: Timestamp) {
        // A secret that is given as text is served as it is, so that a broken one can be tried.
        let text = secret.as_str().map_or_else(|| secret.to_string(), str::to_owned);
        self.with_secrets(|secrets| secrets.put(name, text, at));
    }

    /// The applications of a secret that holds several.
    fn map(&self, name: &str) -> Map<String, Value> {
        match self.value(name) {
            Some(Value::Object(map)) => map,
            _ => Map::new(),
        }
    }

    /// Removes an application's settings without recovery.
    pub(crate) fn remove(&self, code: &str) {
        let (name, now) = (self.place.of(code), Timestamp::now());
        let mut map = if self.place.is_map() { self.map(&name) } else { Map::new() };
        map.remove(code);
        // A map without applications would be a mistake: its last one goes with the secret.
        if map.is_empty() {
            self.with_secrets(|secrets| secrets.delete(&name, Duration::ZERO, now));
        } else {
            self.write(&name, &map.into(), now);
        }
        self.set_up(code);
    }

    /// The input of an operation of Secrets Manager that writes, led to the upstreams; and the applications that it is
    /// about.
    pub(crate) fn led(&self, body: &[u8]) -> (Vec<u8>, Vec<String>) {
        let mut input: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| input.get(name).and_then(Value::as_str).unwrap_or_default();
        let name = if text("Name").is_empty() { text("SecretId") } else { text("Name") };
        let secret = serde_json::from_str(text("SecretString"));
        let Ok(mut secret @ Value::Object(_)) = secret else {
            return (body.to_vec(), Vec::new());
        };
        let mut codes = Vec::new();
        match (self.place.code_in(name), &mut secret) {
            (Some(code), secret) => {
                codes.push(code.to_owned());
                self.lead(secret);
            }
            (None, Value::Object(map)) if self.place.is_map() => {
                for (code, secret) in map {
                    codes.push(code.clone());
                    self.lead(secret);
                }
            }
            _ => {}
        }
        if let Some(text) = input.get_mut("SecretString") {
            *text = secret.to_string().into();
        }
        (input.to_string().into_bytes(), codes)
    }

    /// The codes of the applications, in their order; at most so many.
    pub(crate) fn codes(&self, most: usize) -> Vec<String> {
        lock(&self.codes).iter().take(most).cloned().collect()
    }

    /// The settings of an application, where its secret can be used.
    pub(crate) fn application(&self, code: &str) -> Option<Application> {
        Application::read(code, &self.secret(code)?).ok()
    }

    /// Looks at the secrets, or changes them.
    pub(crate) fn with_secrets<T>(&self, act: impl FnOnce(&mut SecretsManager) -> T) -> T {
        act(&mut lock(&self.secrets))
    }

    /// The settings of an application, where they are JSON.
    pub(crate) fn secret(&self, code: &str) -> Option<Value> {
        let secret = self.value(&self.place.of(code))?;
        if self.place.is_map() { secret.get(code).cloned() } else { Some(secret) }
    }

    fn value(&self, name: &str) -> Option<Value> {
        self.with_secrets(|secrets| {
            let version = secrets.version(name, Stage::Current, Timestamp::now())?;
            serde_json::from_str(&version.value).ok()
        })
    }

    /// Whether there is a secret with the application, usable or not.
    fn exists(&self, code: &str) -> bool {
        let name = self.place.of(code);
        if self.place.is_map() {
            return self.map(&name).contains_key(code);
        }
        self.with_secrets(|secrets| {
            secrets.version(&name, Stage::Current, Timestamp::now()).is_some()
        })
    }

    /// Tells the upstreams what they know of an application now.
    pub(crate) fn set_up(&self, code: &str) {
        if self.exists(code) {
            lock(&self.codes).insert(code.to_owned());
        } else {
            lock(&self.codes).remove(code);
        }
        let application = self.application(code);
        let known = lock(&self.known).get(code).cloned().unwrap_or_default();
        let text = |name: &str| known.get(name).and_then(Value::as_str).map(str::to_owned);
        let key = application.as_ref().and_then(|application| application.segment.as_ref());
        let key = key.map(|account| account.write_key.expose_secret().to_owned());
        let key = text("write_key").or(key);
        self.segment.model.with(|segment| segment.set_key(code, key));
        let exists = application.is_some() || text("api_token").is_some();
        let token = application.and_then(|application| application.pushwoosh);
        let token = token.map(|account| account.api_token.expose_secret().to_owned());
        let demo = (code == DEMO_APPLICATION).then(|| DEMO_SERVER_TOKEN.to_owned());
        let unknown_tags = known.get("unknown_tags").and_then(Value::as_array);
        let unknown_tags = unknown_tags.into_iter().flatten().filter_map(Value::as_str);
        let tags = known.get("tags").and_then(Value::as_object);
        let tag =
            |(name, kind): (&String, &Value)| Some((name.clone(), TagType::parse(kind.as_str()?)?));
        let account = Account {
            token: text("api_token").or(token),
            server_token: text("server_token").or(demo),
            unknown_tags: unknown_tags.map(str::to_owned).collect(),
            tags: tags.map(|tags| tags.iter().filter_map(tag).collect()),
            known_events: None,
        };
        self.pushwoosh.model.with(|pushwoosh| {
            if exists {
                // Tags that were added since stay.
                let mut account = account;
                let added = pushwoosh.account(code).and_then(|account| account.tags.clone());
                if let (Some(tags), Some(added)) = (&mut account.tags, added) {
                    tags.extend(added);
                }
                pushwoosh.set_account(code, account);
            } else {
                pushwoosh.remove_account(code);
            }
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
