//! Reads the sections of a secret, each on its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use mapping::tracking_log::MessageEvent;
use secrecy::SecretString;
use segment_language::subscription::{self, Subscription};
use serde_json::Value;

use super::{
    Application, InPlace, PUSHWOOSH_BASE_URL, PushwooshAccount, SEGMENT_EU_URL, SEGMENT_US_URL,
    Section, SegmentAccount, WebhookAccess, names, unknown_fields,
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
            let problems = reader.problems.len();
            let value = reader.$read(secret);
            if reader.problems.len() == problems {
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
        if reader.problems.is_empty() {
            reader.problems.push("pushwoosh.api_token or segment.write_key is required".to_owned());
        }
        return (None, reader.problems);
    }
    let code = code.to_owned();
    let ignores = reader.ignores || unknown_fields(secret).iter().any(|one| one.meant().is_some());
    let application =
        Application { code, pushwoosh, segment, webhook, subscriptions, unusable, ignores };
    (Some(application), reader.problems)
}

#[derive(Default)]
struct Reader {
    /// What is wrong with the secret.
    problems: Vec<String>,
    /// Whether an entry of a list is ignored while others are used.
    ignores: bool,
}

impl Reader {
    /// Notes a problem. The value does not matter then: its section is unusable.
    fn problem<T: Default>(&mut self, problem: &str) -> T {
        self.problems.push(problem.to_owned());
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
        let region = section.get("region").filter(|region| !region.is_null());
        let region = region.map(|region| region.as_str().map(str::trim));
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
            self.problems.extend(problems);
            WebhookAccess::default()
        })
    }

    fn mappings(&mut self, secret: &Value) -> Option<Arc<[Subscription]>> {
        match self.present(secret, Section::Mappings)? {
            Value::Array(mappings) => {
                let read = subscription::read(mappings);
                if read.subscriptions.is_empty() && read.unusable > 0 {
                    return self.problem("mappings must have an entry that can be used");
                }
                self.ignores |= read.unusable > 0;
                Some(read.subscriptions.into())
            }
            _ => self.problem("mappings must be a list"),
        }
    }

    fn section<'a>(&mut self, secret: &'a Value, section: Section) -> Option<&'a Value> {
        let value = self.present(secret, section)?;
        if value.is_object() {
            return Some(value);
        }
        self.problem(&format!("{} must be an object", section.key()))
    }

    /// A section that is not absent. One that seems to have a misspelt name is a problem: it was not left out on
    /// purpose.
    fn present<'a>(&mut self, secret: &'a Value, section: Section) -> Option<&'a Value> {
        let key = section.key();
        let value = secret.get(key).filter(|value| !value.is_null());
        if value.is_none() {
            let unknown = unknown_fields(secret);
            let misspelt = unknown.iter().find(|field| {
                field.part.is_empty() && !field.value.is_null() && field.meant() == Some(key)
            });
            if let Some(field) = misspelt {
                return self.problem(&format!("{key} is missing, and {} resembles it", field.name));
            }
        }
        value
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
                let names: Vec<&str> = names(list).collect();
                let known: Vec<MessageEvent> =
                    names.iter().filter_map(|name| MessageEvent::parse(name)).collect();
                if names.is_empty() {
                    return None;
                }
                if known.is_empty() {
                    let known: Vec<&str> =
                        MessageEvent::ALL.iter().map(|event| event.name()).collect();
                    return self.problem(&format!(
                        "segment.events names no known event: {}; expected some of {}",
                        names.join(", "),
                        known.join(", ")
                    ));
                }
                self.ignores |= known.len() < names.len();
                Some(known)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn good() -> Application {
        let secret = json!({
            "pushwoosh": {"api_token": "t"}, "segment": {"write_key": "k", "events": "Push Sent"},
        });
        Application::read("A", &secret).unwrap()
    }

    /// Last good values where there are any; what needs the section waits where there are none.
    fn is_unusable(section: Section, secret: &Value) -> bool {
        let over = Application::read_over("A", secret, Some(&good())).unwrap();
        let cold = Application::read_over("A", secret, None).unwrap();
        let others = Section::ALL.into_iter().filter(|other| *other != section);
        assert!(others.into_iter().all(|other| over.is_current(other) && cold.is_current(other)));
        assert_eq!(over.is_current(section), cold.is_current(section), "{secret}");
        assert_eq!(cold.is_disabled(section), !cold.is_current(section), "{secret}");
        assert!(!over.is_disabled(section), "{secret}");
        !over.is_current(section)
    }

    #[test]
    fn what_is_ignored_beside_what_is_used_is_told() {
        let ignores = |events: &str, action: &str| {
            let mappings =
                [mapping("action", &"trackEvent".into()), mapping("action", &action.into())];
            let segment = json!({"write_key": "k", "events": events});
            let secret = json!({"segment": segment, "mappings": mappings});
            Application::read("A", &secret).unwrap().has_ignored()
        };
        assert!(!ignores("Push Sent, SMS Sent", "trackEvent"));
        assert!(ignores("Push Sent, Nonsense", "trackEvent"));
        assert!(ignores("Push Sent, SMS Sent", "none"));
    }

    fn mapping(field: &str, value: &Value) -> Value {
        let mut entry =
            json!({"subscribe": "type = \"track\"", "action": "trackEvent", "mapping": {}});
        entry[field] = value.clone();
        entry
    }

    #[test]
    fn a_list_of_mappings_in_which_none_is_usable_is_unusable() {
        let good = mapping("enabled", &json!(true));
        let wrong = [
            mapping("action", &json!("updateUserProfil")),
            mapping("subscribe", &json!("type = \"track")),
            mapping("mapping", &json!({"name": {"@nope": 1}})),
        ];
        let secret = |mappings: &[&Value]| json!({"pushwoosh": {"api_token": "t"}, "segment": {"write_key": "k"}, "mappings": mappings});
        for one in &wrong {
            assert!(is_unusable(Section::Mappings, &secret(&[one])), "{one}");
            let off = mapping("enabled", &json!(false));
            assert!(is_unusable(Section::Mappings, &secret(&[&off, one])), "{one}");
            assert!(!is_unusable(Section::Mappings, &secret(&[&good, one])), "{one}");
            assert!(
                !is_unusable(Section::Mappings, &secret(&[&off])),
                "nothing is mapped on purpose"
            );
        }
        assert!(is_unusable(Section::Mappings, &secret(&wrong.each_ref())));
        assert!(!is_unusable(Section::Mappings, &secret(&[])));
    }

    #[test]
    fn a_list_of_events_in_which_none_is_known_is_unusable() {
        for (events, expected) in [
            ("Push-Snt", true),
            ("Push-Snt, Email", true),
            ("Push-Snt, Email Sent", false),
            (" , ", false),
        ] {
            let secret = json!({"segment": {"write_key": "k", "events": events}});
            assert_eq!(is_unusable(Section::Segment, &secret), expected, "{events}");
            let last = Application::read_over("A", &secret, Some(&good())).unwrap();
            let exported = last.segment.unwrap().events;
            assert_eq!(expected, exported == Some(vec![MessageEvent::PushSent]), "{events}");
        }
    }

    #[test]
    fn a_section_under_a_misspelt_name_is_unusable() {
        for (section, secret) in [
            (
                Section::Segment,
                json!({"pushwoosh": {"api_token": "t"}, "sgment": {"write_key": "k"}}),
            ),
            (Section::Segment, json!({"sgment": {"write_key": "k"}})),
            (
                Section::Pushwoosh,
                json!({"Push_Woosh": {"api_token": "t"}, "segment": {"write_key": "k"}}),
            ),
            (Section::Mappings, json!({"pushwoosh": {"api_token": "t"}, "mapping": []})),
        ] {
            assert!(is_unusable(section, &secret), "{secret}");
            assert!(Application::read("A", &secret).is_err(), "{secret}");
        }
        // One that resembles none is a note of somebody's, and null is absent.
        for name in ["comment", "team", "owner"] {
            let secret = json!({"pushwoosh": {"api_token": "t"}, name: {}, "sgment": null});
            assert!(!is_unusable(Section::Segment, &secret), "{name}");
        }
        let both = json!({"segment": {"write_key": "new"}, "sgment": {"write_key": "k"}});
        assert!(!is_unusable(Section::Segment, &both));
    }

    #[test]
    fn what_is_null_is_absent() {
        let secret = json!({
            "pushwoosh": {"api_token": "t", "base_url": null},
            "segment": {"write_key": "k", "region": null, "base_url": null, "events": null},
            "webhook": {"shared_secret": null, "signed": null, "max_age_s": null},
            "mappings": null,
        });
        let segment = Application::read("A", &secret).unwrap().segment.unwrap();
        assert_eq!((segment.base_url.as_str(), segment.events), (SEGMENT_US_URL, None));
    }
}
