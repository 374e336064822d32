//! An application's settings: the content of its secret.
//!
//! ```json
//! {"pushwoosh": {"api_token": "…", "base_url": "https://api.pushwoosh.com"},
//!  "segment": {"write_key": "…", "region": "us", "events": "Push Sent, Email Bounced"},
//!  "webhook": {"shared_secret": "…", "signed": "body", "max_age_s": 18000},
//!  "mappings": [{"subscribe": "type = \"identify\"", "action": "updateUserProfile", "mapping": {}}]}
//! ```
//! Invariants: a key is never shown by `Debug`; every problem names the field and what is expected
//! there. A section that is missing switches off what needs it and nothing else. A section that is
//! unusable keeps its last good value; where there is none, what needs it waits until the secret is
//! corrected.

mod reader;
pub mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use mapping::Rules;
use mapping::explain::nearest;
use mapping::tracking_log::{MessageEvent, OptionalProperty};
use secrecy::SecretString;
use segment_language::subscription::{self, Subscription};
use serde_json::Value;

pub use self::webhook::{MAX_AGE_S, SEGMENT_RETRIES, Signed, WebhookAccess};

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
    /// What the webhook route asks of its callers.
    pub webhook: WebhookAccess,
    /// The customer's own mappings, in place of the presets.
    subscriptions: Option<Arc<[Subscription]>>,
    /// The sections that are unusable in the newest version of the secret.
    unusable: BTreeMap<Section, InPlace>,
    /// Whether something in the secret is ignored that was most likely meant to be used.
    ignores: bool,
}

/// A part of a secret that is used, or unusable, on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Calls to Pushwoosh, and the key of who calls the destination.
    Pushwoosh,
    /// Calls to Segment.
    Segment,
    /// What the webhook asks of its callers.
    Webhook,
    /// Mappings of raw events.
    Mappings,
}

impl Section {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Pushwoosh, Self::Segment, Self::Webhook, Self::Mappings];

    /// Its key in the secret.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Pushwoosh => "pushwoosh",
            Self::Segment => "segment",
            Self::Webhook => "webhook",
            Self::Mappings => "mappings",
        }
    }
}

/// What is used in place of an unusable section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InPlace {
    /// Its last good value.
    LastGood,
    /// Nothing: what needs it has to wait.
    Nothing,
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

    /// Whether a section is unusable in the newest version of the secret, and no value of it is known:
    /// what needs it has to wait until the secret is corrected.
    pub fn is_disabled(&self, section: Section) -> bool {
        self.unusable.get(&section) == Some(&InPlace::Nothing)
    }

    /// Whether a section is as the newest version of the secret has it.
    pub fn is_current(&self, section: Section) -> bool {
        !self.unusable.contains_key(&section)
    }

    /// Whether a section is unusable in the newest version of the secret.
    pub fn has_unusable(&self) -> bool {
        !self.unusable.is_empty()
    }

    /// Whether something in the secret is ignored that was most likely meant to be used: a mapping with a fault, the
    /// name of an unknown event, a field whose name resembles a known one. [`warnings`] says what.
    pub fn has_ignored(&self) -> bool {
        self.ignores
    }

    /// Whether a section is usable in the newest version of the secret.
    pub fn has_usable(&self) -> bool {
        self.unusable.len() < Section::ALL.len()
    }

    /// Reads a secret, all of which must be usable. Parts that are ignored while the rest is used are
    /// in [`warnings`].
    pub fn read(code: &str, secret: &Value) -> Result<Self, Problems> {
        let (application, problems) = reader::read(code, secret, None);
        match application {
            Some(application) if problems.is_empty() => Ok(application),
            _ => Err(Problems(problems)),
        }
    }

    /// Reads a secret, of which an unusable section keeps the value that `last` has. An error means
    /// that nothing is known of the application.
    pub fn read_over(code: &str, secret: &Value, last: Option<&Self>) -> Result<Self, Problems> {
        let (application, problems) = reader::read(code, secret, last);
        match (application, last) {
            (Some(application), _) => Ok(application),
            (None, Some(last)) => Ok(last.kept_whole()),
            (None, None) => Err(Problems(problems)),
        }
    }

    /// These settings, while nothing of the newest version of the secret can be used.
    #[must_use]
    pub fn kept_whole(&self) -> Self {
        let unusable = Section::ALL.map(|section| (section, self.in_place_of(section))).into();
        Self { unusable, ..self.clone() }
    }

    /// What these settings are good for where a newer section is unusable.
    fn in_place_of(&self, section: Section) -> InPlace {
        let known = match section {
            Section::Pushwoosh => self.pushwoosh.is_some(),
            Section::Segment => self.segment.is_some(),
            Section::Webhook => !self.webhook.secrets.is_empty(),
            // Where the secret had none, the presets are what was in use.
            Section::Mappings => !self.is_disabled(Section::Mappings),
        };
        if known { InPlace::LastGood } else { InPlace::Nothing }
    }
}

/// Ignored or suspicious entries of a secret: unknown names in `segment.events`, mappings with faults,
/// triggers that do not select what they seem to, unknown fields.
pub fn warnings(secret: &Value) -> Vec<String> {
    let unknown = unknown_events(secret).into_iter();
    let mut warnings: Vec<String> =
        unknown.map(|name| format!("segment.events names an unknown event: {name}")).collect();
    let access = secret.get("webhook").and_then(|section| WebhookAccess::read(section).ok());
    if access.and_then(|access| access.max_age).is_some_and(|age| age < SEGMENT_RETRIES) {
        warnings.push(format!(
            "webhook.max_age_s is less than {}: what Segment sends again, for four hours, would be refused",
            SEGMENT_RETRIES.as_secs()
        ));
    }
    if let Some(Value::Array(mappings)) = secret.get("mappings") {
        warnings.extend(subscription::read(mappings).problems);
    }
    warnings.extend(unknown_fields(secret).iter().map(
        |UnknownField { part, name, known, .. }| {
            format!("unknown field {part}{name}; expected one of {}", known.join(", "))
        },
    ));
    warnings
}

/// The names in `segment.events` that no event has.
pub fn unknown_events(secret: &Value) -> Vec<&str> {
    let list = secret.pointer("/segment/events").and_then(Value::as_str).unwrap_or_default();
    names(list).filter(|name| MessageEvent::parse(name).is_none()).collect()
}

/// The parts of a secret.
pub const KEYS: [&str; 4] = [
    Section::Pushwoosh.key(),
    Section::Segment.key(),
    Section::Webhook.key(),
    Section::Mappings.key(),
];

/// A field with an unknown name: most often a misspelt one.
struct UnknownField<'s> {
    /// With a dot at the end; empty for a section.
    part: &'static str,
    name: &'s str,
    value: &'s Value,
    /// The names that are read there.
    known: &'static [&'static str],
}

impl UnknownField<'_> {
    /// The name that is most likely meant.
    fn meant(&self) -> Option<&'static str> {
        nearest(self.name, self.known.iter().copied())
    }
}

/// The fields of a secret with unknown names.
fn unknown_fields(secret: &Value) -> Vec<UnknownField<'_>> {
    const PARTS: [(&str, &str, &[&str]); 4] = [
        ("", "", &KEYS),
        ("/pushwoosh", "pushwoosh.", &["api_token", "base_url"]),
        ("/segment", "segment.", &["write_key", "region", "base_url", "events"]),
        ("/webhook", "webhook.", &["shared_secret", "signed", "max_age_s"]),
    ];
    let of_part = |(pointer, part, known): (&str, &'static str, &'static [&'static str])| {
        let fields = secret.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
        let unknown = fields.filter(move |(name, _)| !known.contains(&name.as_str()));
        unknown.map(move |(name, value)| UnknownField { part, name, value, known })
    };
    PARTS.into_iter().flat_map(of_part).collect()
}

fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty())
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
        assert_eq!(application.webhook.secrets.len(), 2);
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
        assert!(destination.segment.is_none() && destination.webhook.secrets.is_empty());
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

    #[test]
    fn an_age_that_refuses_what_segment_sends_again_is_warned_of() {
        let warned = |max_age_s: u64| {
            let webhook = json!({"shared_secret": "s", "max_age_s": max_age_s});
            !warnings(&json!({ "webhook": webhook })).is_empty()
        };
        let retries = SEGMENT_RETRIES.as_secs();
        assert!(warned(retries - 1) && !warned(retries) && !warned(retries + 1));
    }

    #[test]
    fn a_region_is_read_in_any_case() {
        for (region, url) in
            [("EU", SEGMENT_EU_URL), (" Us ", SEGMENT_US_URL), ("", SEGMENT_US_URL)]
        {
            let secret = json!({"segment": {"write_key": "k", "region": region}});
            let application = Application::read("A", &secret).unwrap();
            assert_eq!(application.segment.unwrap().base_url, url, "{region}");
        }
    }

    fn good() -> Application {
        let secret = json!({
            "pushwoosh": {"api_token": "t1"}, "segment": {"write_key": "k1"},
            "webhook": {"shared_secret": "s1"},
        });
        Application::read("A", &secret).unwrap()
    }

    #[test]
    fn an_unusable_section_keeps_its_last_good_value_and_the_others_are_new() {
        let secret = json!({
            "pushwoosh": {"api_token": "t2"}, "segment": {"write_key": 5},
            "webhook": [], "mappings": {},
        });
        let application = Application::read_over("A", &secret, Some(&good())).unwrap();
        let token = application.pushwoosh.as_ref().unwrap().api_token.expose_secret();
        let key = application.segment.as_ref().unwrap().write_key.expose_secret();
        assert_eq!((token, key), ("t2", "k1"));
        assert_eq!(application.webhook.secrets[0].expose_secret(), "s1");
        assert!(application.is_current(Section::Pushwoosh));
        for section in [Section::Segment, Section::Webhook, Section::Mappings] {
            assert!(!application.is_current(section) && !application.is_disabled(section));
        }
    }

    #[test]
    fn an_unusable_section_that_was_never_good_is_disabled_alone() {
        let secret = json!({"pushwoosh": {"api_token": "t"}, "segment": {"write_key": "k", "region": "mars"},
            "webhook": {"shared_secret": 5}, "mappings": "m"});
        let application = Application::read_over("A", &secret, None).unwrap();
        assert!(application.pushwoosh.is_some() && application.segment.is_none());
        for section in [Section::Segment, Section::Webhook, Section::Mappings] {
            assert!(application.is_disabled(section), "{section:?}");
        }
        // It stays disabled while the next version is no better.
        let again = Application::read_over("A", &secret, Some(&application)).unwrap();
        assert!(again.is_disabled(Section::Mappings) && again.is_disabled(Section::Webhook));
        // A section that was missing on purpose is no value either.
        let closed = Application::read("A", &json!({"pushwoosh": {"api_token": "t"}})).unwrap();
        let opened = Application::read_over("A", &secret, Some(&closed)).unwrap();
        assert!(opened.is_disabled(Section::Segment) && opened.is_disabled(Section::Webhook));
        assert!(!opened.is_disabled(Section::Mappings), "the presets were in use");
    }

    #[test]
    fn a_secret_that_is_unusable_as_a_whole_keeps_all_of_it() {
        for secret in [json!([]), json!("text"), json!({}), json!({"webhook": 5})] {
            let application = Application::read_over("A", &secret, Some(&good())).unwrap();
            assert!(application.pushwoosh.is_some() && application.segment.is_some());
            assert!(Section::ALL.iter().all(|section| !application.is_current(*section)));
            assert!(!application.has_usable());
            assert!(Application::read_over("A", &secret, None).is_err());
        }
        let corrected = json!({"segment": {"write_key": "k2"}});
        let application = Application::read_over("A", &corrected, Some(&good())).unwrap();
        assert!(!application.has_unusable() && application.pushwoosh.is_none());
        assert!(application.has_usable());
    }
}
