//! An application's settings: the content of its secret.
//!
//! ```json
//! {"pushwoosh": {"api_token": "…", "base_url": "https://api.pushwoosh.com"},
//!  "segment": {"write_key": "…", "region": "us", "events": "Push Sent, Email Bounced"},
//!  "webhook": {"shared_secret": "…"},
//!  "mappings": [{"subscribe": "type = \"identify\"", "action": "updateUserProfile", "mapping": {}}]}
//! ```
//! Invariants: a key is never shown by `Debug`; every problem names the field and what is expected
//! there. A part that is missing switches off what needs it and nothing else.

use std::sync::Arc;

use jiff::Timestamp;
use mapping::Rules;
use mapping::tracking_log::{MessageEvent, OptionalProperty};
use secrecy::SecretString;
use segment_language::subscription::{self, Subscription};
use serde_json::{Map, Value};

/// Pushwoosh's API where the secret names no other host.
pub const PUSHWOOSH_BASE_URL: &str = "https://api.pushwoosh.com";

/// Tracking API of workspaces in the US.
/// <https://www.twilio.com/docs/segment/guides/regional-segment>
pub const SEGMENT_US_URL: &str = "https://api.segment.io/v1";

/// Tracking API of workspaces in the EU.
pub const SEGMENT_EU_URL: &str = "https://events.eu1.segmentapis.com/v1";

/// Settings of one application.
#[derive(Debug, Clone)]
pub struct Application {
    /// Application code.
    pub code: String,
    /// What the destination needs; without it the application has none.
    pub pushwoosh: Option<PushwooshAccount>,
    /// What the source needs; without it the application's records are disregarded.
    pub segment: Option<SegmentAccount>,
    /// Shared secrets of the webhook route, several during a rotation; none closes the route.
    pub webhook_secrets: Vec<SecretString>,
    /// The customer's own mappings, in place of the presets.
    subscriptions: Option<Arc<[Subscription]>>,
}

/// Where and with which key an application's calls go.
#[derive(Debug, Clone)]
pub struct PushwooshAccount {
    /// Scheme and host, without a slash at the end.
    pub base_url: String,
    /// The key that Segment presents, and that Pushwoosh takes.
    pub api_token: SecretString,
}

/// Where and with which key an application's Track calls go, and which.
#[derive(Debug, Clone)]
pub struct SegmentAccount {
    /// Up to and including `/v1`.
    pub base_url: String,
    /// Write key of the source in Segment.
    pub write_key: SecretString,
    /// Events to export; nothing means all.
    pub events: Option<Vec<MessageEvent>>,
}

/// What is wrong with a secret; holds none of its values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct Problems(pub Vec<String>);

impl Application {
    /// The mappings of raw Segment events.
    pub fn subscriptions(&self) -> &[Subscription] {
        match &self.subscriptions {
            Some(own) => own,
            None => subscription::presets(),
        }
    }

    /// What the application's settings say about its items. Who makes Track calls of records sets
    /// [`Rules::stack`].
    pub fn rules<'a>(
        &'a self,
        track_properties: &'a [OptionalProperty],
        now: Timestamp,
    ) -> Rules<'a> {
        let segment = self.segment.as_ref();
        Rules {
            application: &self.code,
            subscriptions: self.subscriptions(),
            exported: segment.and_then(|segment| segment.events.as_deref()),
            track_properties,
            stack: "",
            now,
        }
    }

    /// Reads a secret. Parts that are ignored while the rest is used are in [`warnings`].
    pub fn read(code: &str, secret: &Value) -> Result<Self, Problems> {
        let mut reader = Reader::default();
        if !secret.is_object() {
            return Err(Problems(vec!["the secret must be a JSON object".to_owned()]));
        }
        let pushwoosh = reader.section(secret, "pushwoosh").and_then(|section| {
            let api_token = reader.key(section, "pushwoosh.api_token");
            let base_url = reader.url(section, "pushwoosh.base_url");
            Some(PushwooshAccount {
                api_token: api_token?,
                base_url: base_url.unwrap_or_else(|| PUSHWOOSH_BASE_URL.to_owned()),
            })
        });
        let segment = reader.section(secret, "segment").and_then(|section| {
            let region = match section.get("region").map(|region| region.as_str().map(str::trim)) {
                None | Some(Some("us" | "")) => SEGMENT_US_URL,
                Some(Some("eu")) => SEGMENT_EU_URL,
                _ => reader.problem("segment.region must be \"us\" or \"eu\""),
            };
            let write_key = reader.key(section, "segment.write_key");
            let base_url = reader.url(section, "segment.base_url");
            let events = reader.events(section);
            Some(SegmentAccount {
                write_key: write_key?,
                base_url: base_url.unwrap_or_else(|| region.to_owned()),
                events,
            })
        });
        let webhook_secrets = reader
            .section(secret, "webhook")
            .map(|section| reader.webhook_secrets(section))
            .unwrap_or_default();
        let subscriptions = match secret.get("mappings") {
            None | Some(Value::Null) => None,
            Some(Value::Array(mappings)) => Some(subscription::read(mappings).subscriptions.into()),
            Some(_) => reader.problem("mappings must be a list"),
        };
        if pushwoosh.is_none() && segment.is_none() && reader.0.is_empty() {
            reader.0.push("pushwoosh.api_token or segment.write_key is required".to_owned());
        }
        if reader.0.is_empty() {
            Ok(Self { code: code.to_owned(), pushwoosh, segment, webhook_secrets, subscriptions })
        } else {
            Err(Problems(reader.0))
        }
    }
}

/// Ignored or suspicious entries of a secret: unknown names in `segment.events`, mappings with faults,
/// triggers that do not select what they seem to, unknown fields.
pub fn warnings(secret: &Value) -> Vec<String> {
    let list = secret.pointer("/segment/events").and_then(Value::as_str).unwrap_or_default();
    let unknown = names(list).filter(|name| MessageEvent::parse(name).is_none());
    let mut warnings: Vec<String> =
        unknown.map(|name| format!("segment.events names an unknown event: {name}")).collect();
    if let Some(Value::Array(mappings)) = secret.get("mappings") {
        warnings.extend(subscription::read(mappings).problems);
    }
    warnings.extend(unknown_fields(secret));
    warnings
}

/// The parts of a secret.
pub const KEYS: [&str; 4] = ["pushwoosh", "segment", "webhook", "mappings"];

/// Unknown fields: most often a misspelt name.
fn unknown_fields(secret: &Value) -> Vec<String> {
    const PARTS: [(&str, &[&str]); 3] = [
        ("pushwoosh", &["api_token", "base_url"]),
        ("segment", &["write_key", "region", "base_url", "events"]),
        ("webhook", &["shared_secret"]),
    ];
    let check = |prefix: &str, value: &Value, known: &[&str]| -> Vec<String> {
        let names = value.as_object().into_iter().flat_map(Map::keys);
        let unknown = names.filter(|name| !known.contains(&name.as_str()));
        unknown
            .map(|name| {
                format!("unknown field {prefix}{name}; expected one of {}", known.join(", "))
            })
            .collect()
    };
    let parts = PARTS.iter().flat_map(|(part, known)| {
        let part_value = secret.get(part).unwrap_or(&Value::Null);
        check(&format!("{part}."), part_value, known)
    });
    check("", secret, &KEYS).into_iter().chain(parts).collect()
}

fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty())
}

#[derive(Default)]
struct Reader(Vec<String>);

impl Reader {
    /// Notes a problem. The value does not matter then: the whole secret is refused.
    fn problem<T: Default>(&mut self, problem: &str) -> T {
        self.0.push(problem.to_owned());
        T::default()
    }

    fn section<'a>(&mut self, secret: &'a Value, name: &str) -> Option<&'a Value> {
        match secret.get(name) {
            None | Some(Value::Null) => None,
            Some(section @ Value::Object(_)) => Some(section),
            Some(_) => self.problem(&format!("{name} must be an object")),
        }
    }

    fn key(&mut self, section: &Value, path: &str) -> Option<SecretString> {
        match leaf(section, path).and_then(Value::as_str).map(str::trim) {
            Some(key) if !key.is_empty() => Some(key.into()),
            _ => self.problem(&format!("{path} is required (non-empty string)")),
        }
    }

    fn url(&mut self, section: &Value, path: &str) -> Option<String> {
        let value = leaf(section, path).filter(|value| !value.is_null())?;
        match value.as_str().map(|url| url.trim().trim_end_matches('/')) {
            Some("") => None,
            Some(url) if url.starts_with("https://") || url.starts_with("http://") => {
                Some(url.to_owned())
            }
            _ => self.problem(&format!("{path} must be a URL with https://")),
        }
    }

    fn events(&mut self, section: &Value) -> Option<Vec<MessageEvent>> {
        match section.get("events") {
            None | Some(Value::Null) => None,
            Some(Value::String(list)) => {
                let mut names = names(list).peekable();
                names.peek()?;
                Some(names.filter_map(MessageEvent::parse).collect())
            }
            Some(_) => self
                .problem("segment.events must be a string: a comma-separated list of event names"),
        }
    }

    fn webhook_secrets(&mut self, section: &Value) -> Vec<SecretString> {
        let one = |value: &Value| {
            value.as_str().filter(|secret| !secret.is_empty()).map(SecretString::from)
        };
        let read = match section.get("shared_secret") {
            None | Some(Value::Null) => Some(Vec::new()),
            Some(Value::Array(several)) => several.iter().map(one).collect(),
            Some(value) => one(value).map(|secret| vec![secret]),
        };
        read.unwrap_or_else(|| {
            self.problem("webhook.shared_secret must be a non-empty string, or a list of them")
        })
    }
}

/// The value at the last name of a dotted path.
fn leaf<'a>(section: &'a Value, path: &str) -> Option<&'a Value> {
    section.get(path.rsplit('.').next()?)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_full_secret_is_read_and_shows_no_key() {
        let secret = json!({
            "pushwoosh": {"api_token": " marker-token ", "base_url": "https://eu.example.com/"},
            "segment": {"write_key": "marker-key", "region": "eu", "events": "push_sent, Email Bounced, Nonsense"},
            "webhook": {"shared_secret": ["marker-new", "marker-old"], "secret": 1},
            "mappings": [
                {"subscribe": "type = \"track\"", "action": "trackEvent", "mapping": {}},
                {"subscribe": "type = \"track\"", "action": "none", "mapping": {}},
            ],
        });
        let application = Application::read("A", &secret).unwrap();
        let pushwoosh = application.pushwoosh.as_ref().unwrap();
        assert_eq!(pushwoosh.base_url, "https://eu.example.com");
        assert_eq!(pushwoosh.api_token.expose_secret(), "marker-token");
        let segment = application.segment.as_ref().unwrap();
        assert_eq!(segment.base_url, SEGMENT_EU_URL);
        assert_eq!(segment.events, Some(vec![MessageEvent::PushSent, MessageEvent::EmailBounced]));
        assert_eq!(application.webhook_secrets.len(), 2);
        assert_eq!(application.subscriptions().len(), 1);
        let warnings = warnings(&secret);
        assert_eq!(warnings.len(), 3);
        assert!(warnings[0].ends_with("Nonsense") && warnings[1].starts_with("mappings[1].action"));
        assert!(warnings[2].starts_with("unknown field webhook.secret;"));
        assert!(!format!("{application:?}").contains("marker"));
    }

    #[test]
    fn one_side_alone_is_enough() {
        let destination =
            Application::read("A", &json!({"pushwoosh": {"api_token": "t"}})).unwrap();
        assert!(destination.segment.is_none() && destination.webhook_secrets.is_empty());
        assert_eq!(destination.subscriptions().len(), 2);
        let source =
            Application::read("A", &json!({"segment": {"write_key": "k", "events": " "}})).unwrap();
        assert_eq!(source.segment.unwrap().events, None);
    }

    #[test]
    fn a_url_that_is_blank_is_the_usual_one() {
        for url in [json!(""), json!(" / "), json!(null)] {
            let secret = json!({"pushwoosh": {"api_token": "t", "base_url": url}});
            let application = Application::read("A", &secret).unwrap();
            assert_eq!(application.pushwoosh.unwrap().base_url, PUSHWOOSH_BASE_URL, "{url}");
        }
    }

    #[test]
    fn every_problem_is_named_without_the_value() {
        let secret = json!({
            "pushwoosh": {"api_token": "", "base_url": "ftp://marker"},
            "segment": {"write_key": 5, "region": "mars", "events": ["Push Sent"]},
            "webhook": {"shared_secret": [1]}, "mappings": {},
        });
        let problems = Application::read("A", &secret).unwrap_err();
        assert!(!problems.to_string().contains("marker"));
        let fields = [
            "pushwoosh.api_token",
            "pushwoosh.base_url",
            "segment.region",
            "segment.write_key",
            "webhook.shared_secret",
            "mappings",
        ];
        for field in fields {
            assert!(
                problems.0.iter().any(|problem| problem.starts_with(field)),
                "{field}: {problems}"
            );
        }
        for empty in [json!({}), json!([]), json!("key")] {
            assert!(Application::read("A", &empty).is_err());
        }
    }
}
