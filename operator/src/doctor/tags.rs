//! Pushwoosh's list of tags, and whether a value has the type of its tag.
//! <https://docs.pushwoosh.com/developer/api-reference/tags>

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::connection::Connection;

/// Largest list that is read: a few thousand tags.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Longest wait for it.
const WAIT: Duration = Duration::from_secs(20);

/// The tags that exist; the type of each, where Pushwoosh says it.
pub(super) type Tags = BTreeMap<String, Option<TagType>>;

/// The type of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TagType {
    Integer,
    String,
    List,
    Date,
    Boolean,
    Price,
    Version,
}

impl TagType {
    const ALL: [Self; 7] = [
        Self::Integer,
        Self::String,
        Self::List,
        Self::Date,
        Self::Boolean,
        Self::Price,
        Self::Version,
    ];

    /// The number that `addTag` and `listTags` have for it.
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Integer => 1,
            Self::String => 2,
            Self::List => 3,
            Self::Date => 4,
            Self::Boolean => 5,
            Self::Price => 6,
            Self::Version => 7,
        }
    }

    /// The number that `createEvent` has for it; attributes have no versions.
    pub(super) fn attribute_number(self) -> Option<u64> {
        (self != Self::Version).then(|| self.number())
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::String => "string",
            Self::List => "list",
            Self::Date => "date",
            Self::Boolean => "boolean",
            Self::Price => "decimal",
            Self::Version => "version",
        }
    }

    /// The type that a value suggests; nothing for null, which removes a tag.
    pub(super) fn suggested(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Null => return None,
            Value::Bool(_) => Self::Boolean,
            Value::Number(number) if number.is_f64() => Self::Price,
            Value::Number(_) => Self::Integer,
            Value::Array(_) => Self::List,
            Value::String(text) if is_date(text) => Self::Date,
            Value::String(_) | Value::Object(_) => Self::String,
        })
    }

    /// Whether a value can be kept in a tag of this type.
    pub(super) fn takes(self, value: &Value) -> bool {
        match (self, value) {
            (_, Value::Null)
            | (Self::List, Value::Array(_))
            | (Self::Boolean, Value::Bool(_))
            | (Self::Price, Value::Number(_))
            | (Self::String, Value::String(_)) => true,
            (Self::Integer, Value::Number(number)) => number.is_i64() || number.is_u64(),
            (Self::Price, Value::String(text)) => text.parse::<f64>().is_ok(),
            (Self::Date, Value::String(text)) => is_date(text),
            (Self::Version, Value::String(text)) => {
                !text.is_empty() && text.split('.').all(|part| part.parse::<u16>().is_ok())
            }
            _ => false,
        }
    }
}

/// `YYYY-MM-DD`, and what follows.
fn is_date(text: &str) -> bool {
    let day = text.get(..10).unwrap_or_default();
    day.parse::<jiff::civil::Date>().is_ok()
}

/// Asks Pushwoosh for the tags of the account.
pub(super) async fn list(
    connection: &Connection,
    base_url: &str,
    token: &SecretString,
) -> Result<Tags> {
    let body = json!({"request": {"auth": token.expose_secret()}});
    let request = http::Request::post(format!("{base_url}/json/1.3/listTags"))
        .header("content-type", "application/json")
        .body(bytes::Bytes::from(body.to_string()))
        .context("Pushwoosh's address is no URL")?;
    let deadline = connection.clock.now() + WAIT;
    let answer = connection.transport.send(request, MAX_ANSWER_BYTES);
    let answer = connection.clock.timeout_at(deadline, answer).await;
    let answer = answer.ok().with_context(|| format!("listTags: no answer within {WAIT:?}"))?;
    let answer = answer.context("listTags")?;
    let status = answer.status.as_u16();
    let body: Value = serde_json::from_slice(&answer.body.context("listTags")?).unwrap_or_default();
    let code = body.get("status_code").and_then(Value::as_u64);
    if !(answer.status.is_success() && code == Some(200)) {
        let words = body.get("status_message").or_else(|| body.get("message"));
        let words = words.and_then(Value::as_str).unwrap_or_default();
        bail!(
            "Pushwoosh does not list its tags (HTTP {status} {words}): --server-token must be a Server API token (Pushwoosh: Settings, API Access)"
        );
    }
    Ok(read(&body))
}

fn read(body: &Value) -> Tags {
    let tags = body.pointer("/response/tags").and_then(Value::as_array);
    let tags = tags.into_iter().flatten().filter_map(|tag| {
        let number = tag.get("type").and_then(Value::as_u64);
        let kind = TagType::ALL.into_iter().find(|kind| Some(kind.number()) == number);
        Some((tag.get("name")?.as_str()?.to_owned(), kind))
    });
    tags.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_with_or_without_types() {
        let body = json!({"response": {"tags": [{"name": "a", "type": 3, "other": 1}, {"name": "b"}, {"name": "c", "type": 99}, 5]}});
        let expected = [("a", Some(TagType::List)), ("b", None), ("c", None)];
        assert_eq!(read(&body), expected.map(|(name, kind)| (name.to_owned(), kind)).into());
    }

    #[test]
    fn a_value_suggests_a_type_that_takes_it() {
        for (value, kind) in [
            (json!(5), TagType::Integer),
            (json!(5.5), TagType::Price),
            (json!("text"), TagType::String),
            (json!("2026-01-31 12:00"), TagType::Date),
            (json!(["a"]), TagType::List),
            (json!(true), TagType::Boolean),
        ] {
            assert_eq!(TagType::suggested(&value), Some(kind), "{value}");
            assert!(kind.takes(&value) && kind.takes(&Value::Null), "{value}");
            let others = TagType::ALL.into_iter().filter(|other| other.takes(&value)).count();
            assert!(others < TagType::ALL.len(), "{value}");
        }
        assert!(!TagType::Integer.takes(&json!("5")) && !TagType::List.takes(&json!("a")));
        assert!(TagType::Version.takes(&json!("1.0.2")) && !TagType::Version.takes(&json!("1.x")));
        assert!(TagType::Price.takes(&json!("1.99")) && !TagType::Date.takes(&json!("soon")));
    }
}
