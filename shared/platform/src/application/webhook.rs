//! Who may send raw Segment events, and what of a request must be signed.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;

/// Shortest and longest `webhook.max_age_s`, in seconds: a minute for clocks that differ, and a year.
pub const MAX_AGE_S: (u64, u64) = (60, 31_536_000);

/// For so long Segment sends a failed request again, with the event's times unchanged.
/// <https://www.twilio.com/docs/segment/connections/destinations#retries>
pub const SEGMENT_RETRIES: Duration = Duration::from_hours(4);

/// What the webhook route asks of its callers.
#[derive(Debug, Clone, Default)]
pub struct WebhookAccess {
    /// Shared secrets, several during a rotation; none closes the route.
    pub secrets: Vec<SecretString>,
    /// What of a list must be signed.
    pub signed: Signed,
    /// How far from now the time of the signed event may be. Nothing: it does not matter.
    pub max_age: Option<Duration>,
}

/// What of a list must be signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Signed {
    /// The whole body.
    #[default]
    Body,
    /// The first element, as Segment signs its batches. Anybody who has seen one signed event can put others
    /// behind it.
    FirstElement,
}

impl Signed {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Body, Self::FirstElement];

    /// Its name in the secret.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::FirstElement => "first_element",
        }
    }
}

impl WebhookAccess {
    /// Reads the section, or says which of its fields are wrong.
    pub(super) fn read(section: &Value) -> Result<Self, Vec<String>> {
        let (secrets, signed, max_age) = (secrets(section), signed(section), max_age(section));
        match (secrets, signed, max_age) {
            (Ok(secrets), Ok(signed), Ok(max_age)) => Ok(Self { secrets, signed, max_age }),
            (secrets, signed, max_age) => {
                Err([secrets.err(), signed.err(), max_age.err()].into_iter().flatten().collect())
            }
        }
    }
}

fn secrets(section: &Value) -> Result<Vec<SecretString>, String> {
    let one =
        |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(SecretString::from);
    let read = match section.get("shared_secret") {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(several)) => several.iter().map(one).collect(),
        Some(value) => one(value).map(|secret| vec![secret]),
    };
    read.ok_or_else(|| {
        "webhook.shared_secret must be a non-empty string, or a list of them".to_owned()
    })
}

fn signed(section: &Value) -> Result<Signed, String> {
    let value = match section.get("signed") {
        None | Some(Value::Null) => return Ok(Signed::default()),
        Some(value) => value.as_str(),
    };
    let known = Signed::ALL.into_iter().find(|one| value == Some(one.name()));
    known.ok_or_else(|| {
        let names = Signed::ALL.map(|one| format!("\"{}\"", one.name()));
        format!("webhook.signed must be {}", names.join(" or "))
    })
}

fn max_age(section: &Value) -> Result<Option<Duration>, String> {
    let value = match section.get("max_age_s") {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value.as_u64(),
    };
    let (shortest, longest) = MAX_AGE_S;
    match value {
        Some(seconds) if (shortest..=longest).contains(&seconds) => {
            Ok(Some(Duration::from_secs(seconds)))
        }
        _ => Err(format!(
            "webhook.max_age_s must be a whole number of seconds from {shortest} to {longest}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_whole_body_must_be_signed_unless_the_secret_says_otherwise() {
        let access = WebhookAccess::read(&json!({"shared_secret": "s"})).unwrap();
        assert_eq!((access.secrets.len(), access.signed, access.max_age), (1, Signed::Body, None));
        let section =
            json!({"shared_secret": ["a", "b"], "signed": "first_element", "max_age_s": 60});
        let access = WebhookAccess::read(&section).unwrap();
        assert_eq!(access.signed, Signed::FirstElement);
        assert_eq!((access.secrets.len(), access.max_age), (2, Some(Duration::from_mins(1))));
    }

    #[test]
    fn every_wrong_field_is_named_with_what_is_expected() {
        let section = json!({"shared_secret": [1], "signed": "first", "max_age_s": 59});
        let problems = WebhookAccess::read(&section).unwrap_err();
        assert_eq!(
            problems,
            [
                "webhook.shared_secret must be a non-empty string, or a list of them",
                "webhook.signed must be \"body\" or \"first_element\"",
                "webhook.max_age_s must be a whole number of seconds from 60 to 31536000",
            ]
        );
        for wrong in [json!(31_536_001), json!(-1), json!("60"), json!(1.5)] {
            assert!(WebhookAccess::read(&json!({ "max_age_s": wrong })).is_err(), "{wrong}");
        }
        assert!(WebhookAccess::read(&json!({"max_age_s": 31_536_000})).is_ok());
    }
}
