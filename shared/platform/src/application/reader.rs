//! Reads the sections of a secret, each on its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use mapping::tracking_log::MessageEvent;
use secrecy::SecretString;
use segment_language::subscription::{self, Subscription};
use serde_json::Value;

use super::{
    Application, InPlace, PUSHWOOSH_BASE_URL, PushwooshAccount, SEGMENT_EU_URL, SEGMENT_US_URL,
    Section, SegmentAccount, WebhookAccess, names,
};

/// The application, where anything is known of it, and everything that is wrong with the secret. An
/// unusable section has the value of `last`.
pub(super) fn read(
    code: &str,
    secret: &Value,
    last: Option<&Application>,
) -> (Option<Application>, Vec<String>) {
    if !secret.is_object() {
        return (None, vec!["the secret must be a JSON object".to_owned()]);
    }
    let mut reader = Reader::default();
    let mut unusable = BTreeMap::new();
    // What the section holds, or else what is used in its place.
    macro_rules! section {
        ($section:expr, $read:ident, $field:ident) => {{
            let problems = reader.0.len();
            let value = reader.$read(secret);
            if reader.0.len() == problems {
                value
            } else {
                let in_place = last.map_or(InPlace::Nothing, |last| last.in_place_of($section));
                unusable.insert($section, in_place);
                last.map(|last| last.$field.clone()).unwrap_or_default()
            }
        }};
    }
    let pushwoosh = section!(Section::Pushwoosh, pushwoosh, pushwoosh);
    let segment = section!(Section::Segment, segment, segment);
    let webhook = section!(Section::Webhook, webhook, webhook);
    let subscriptions = section!(Section::Mappings, mappings, subscriptions);
    let accounts = [Section::Pushwoosh, Section::Segment];
    let unreadable = accounts.iter().any(|section| unusable.contains_key(section));
    if pushwoosh.is_none() && segment.is_none() && !unreadable {
        if reader.0.is_empty() {
            reader.0.push("pushwoosh.api_token or segment.write_key is required".to_owned());
        }
        return (None, reader.0);
    }
    let code = code.to_owned();
    let application = Application { code, pushwoosh, segment, webhook, subscriptions, unusable };
    (Some(application), reader.0)
}

#[derive(Default)]
struct Reader(Vec<String>);

impl Reader {
    /// Notes a problem. The value does not matter then: its section is unusable.
    fn problem<T: Default>(&mut self, problem: &str) -> T {
        self.0.push(problem.to_owned());
        T::default()
    }

    fn pushwoosh(&mut self, secret: &Value) -> Option<PushwooshAccount> {
        let section = self.section(secret, Section::Pushwoosh)?;
        let api_token = self.key(section, "pushwoosh.api_token");
        let base_url = self.url(section, "pushwoosh.base_url");
        Some(PushwooshAccount {
            api_token: api_token?,
            base_url: base_url.unwrap_or_else(|| PUSHWOOSH_BASE_URL.to_owned()),
        })
    }

    fn segment(&mut self, secret: &Value) -> Option<SegmentAccount> {
        let section = self.section(secret, Section::Segment)?;
        let region = section.get("region").map(|region| region.as_str().map(str::trim));
        let region = match region.map(|region| region.map(str::to_ascii_lowercase)).as_ref() {
            None => SEGMENT_US_URL,
            Some(Some(region)) if region.is_empty() || region == "us" => SEGMENT_US_URL,
            Some(Some(region)) if region == "eu" => SEGMENT_EU_URL,
            Some(_) => self.problem("segment.region must be \"us\" or \"eu\""),
        };
        let write_key = self.key(section, "segment.write_key");
        let base_url = self.url(section, "segment.base_url");
        let events = self.events(section);
        Some(SegmentAccount {
            write_key: write_key?,
            base_url: base_url.unwrap_or_else(|| region.to_owned()),
            events,
        })
    }

    fn webhook(&mut self, secret: &Value) -> WebhookAccess {
        let Some(section) = self.section(secret, Section::Webhook) else {
            return WebhookAccess::default();
        };
        WebhookAccess::read(section).unwrap_or_else(|problems| {
            self.0.extend(problems);
            WebhookAccess::default()
        })
    }

    fn mappings(&mut self, secret: &Value) -> Option<Arc<[Subscription]>> {
        match secret.get(Section::Mappings.key()) {
            None | Some(Value::Null) => None,
            Some(Value::Array(mappings)) => Some(subscription::read(mappings).subscriptions.into()),
            Some(_) => self.problem("mappings must be a list"),
        }
    }

    fn section<'a>(&mut self, secret: &'a Value, section: Section) -> Option<&'a Value> {
        let name = section.key();
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
}

/// The value at the last name of a dotted path.
fn leaf<'a>(section: &'a Value, path: &str) -> Option<&'a Value> {
    section.get(path.rsplit('.').next()?)
}
