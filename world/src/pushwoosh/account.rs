//! What an application's administrator has set up: tokens, tags, events.
//!
//! There are two kinds of tokens. The Device API takes one in a header, for the applications that it was granted; the
//! Tags API takes the other in the body, for the whole account.
//! <https://docs.pushwoosh.com/developer/api-reference/api-access-token>

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Tags that every application has, as far as they are known from Pushwoosh's own SDKs.
const DEFAULT_TAGS: [(&str, TagType); 8] = [
    ("Language", TagType::String),
    ("Country", TagType::String),
    ("City", TagType::String),
    ("Application Version", TagType::Version),
    ("Device Model", TagType::String),
    ("OS Version", TagType::Version),
    ("First Install", TagType::Date),
    ("Last Application Open", TagType::Date),
];

/// An application, as its administrator has set it up.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// The Device API token; without it every call is refused.
    pub token: Option<String>,
    /// The Server token of the account that it belongs to.
    pub server_token: Option<String>,
    /// Tags that do not exist: they are skipped. All others exist, where [`Self::tags`] does not say which do.
    pub unknown_tags: Vec<String>,
    /// The tags that exist beside the default ones, with their types.
    pub tags: Option<BTreeMap<String, TagType>>,
    /// Events that exist; without a list all do.
    pub known_events: Option<Vec<String>>,
}

/// The type of a tag, by its number.
/// <https://docs.pushwoosh.com/developer/api-reference/tags>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagType {
    /// 1.
    Integer,
    /// 2.
    String,
    /// 3.
    List,
    /// 4.
    Date,
    /// 5.
    Boolean,
    /// 6: a decimal number.
    Price,
    /// 7: up to four numbers.
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

    /// The type with this name, in lower case.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "integer" => Self::Integer,
            "string" => Self::String,
            "list" => Self::List,
            "date" => Self::Date,
            "boolean" => Self::Boolean,
            "price" => Self::Price,
            "version" => Self::Version,
            _ => return None,
        })
    }

    fn number(self) -> u8 {
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

    /// Whether a value has this type. Null removes a tag of any type; an operation counts by its value.
    fn takes(self, value: &Value) -> bool {
        let value = match (value.get("operation"), value.get("value")) {
            (Some(_), Some(value)) => value,
            _ => value,
        };
        let number = |text: &str| text.parse::<f64>().is_ok();
        match (self, value) {
            (_, Value::Null)
            | (Self::String | Self::Date, Value::String(_))
            | (Self::List, Value::Array(_))
            | (Self::Boolean, Value::Bool(_))
            | (Self::Price, Value::Number(_)) => true,
            // Integers have 32 bits.
            (Self::Integer, Value::Number(value)) => {
                value.as_i64().is_some_and(|value| i32::try_from(value).is_ok())
            }
            (Self::Price, Value::String(text)) => number(text),
            (Self::Version, Value::String(text)) => {
                text.split('.').all(|part| part.parse::<u16>().is_ok_and(|part| part <= 9_999))
            }
            _ => false,
        }
    }
}

impl Account {
    /// Why a tag is not saved; nothing where it is. The words for a wrong type are not documented.
    pub(super) fn skips(&self, tag: &str, value: &Value) -> Option<&'static str> {
        if self.unknown_tags.iter().any(|unknown| unknown == tag) {
            return Some("Not found");
        }
        let tags = self.tags.as_ref()?;
        let default = DEFAULT_TAGS.iter().find(|(name, _)| *name == tag).map(|(_, kind)| *kind);
        match tags.get(tag).copied().or(default) {
            None => Some("Not found"),
            Some(kind) if !kind.takes(value) => Some("Wrong type"),
            Some(_) => None,
        }
    }

    /// `addTag`: name and type are required.
    /// <https://docs.pushwoosh.com/developer/api-reference/tags>
    pub(super) fn add_tag(&mut self, tag: &Value) -> Result<(), &'static str> {
        let name = tag.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
        let name = name.ok_or("tag.name should be set")?;
        let kind = tag.get("type").and_then(Value::as_u64);
        let kind = TagType::ALL.into_iter().find(|one| Some(u64::from(one.number())) == kind);
        let kind = kind.ok_or("tag.type should be set")?;
        self.unknown_tags.retain(|unknown| unknown != name);
        if let Some(tags) = &mut self.tags {
            tags.insert(name.to_owned(), kind);
        }
        Ok(())
    }

    /// `createEvent`: names have 32 characters at most, those of attributes 64; attributes have types 1 to 6.
    /// <https://docs.pushwoosh.com/developer/api-reference/events>
    pub(super) fn create_event(&mut self, fields: &Value) -> Result<(), &'static str> {
        let text = |value: &Value, most: usize| {
            let text = value.get("name").and_then(Value::as_str).map(str::to_owned);
            text.filter(|text| (1..=most).contains(&text.chars().count()))
        };
        let name = text(fields, 32).ok_or("name should have 1 to 32 characters")?;
        let attributes = fields.get("eventAttributes").and_then(Value::as_array);
        let is_right = |attribute: &Value| {
            let kind = attribute.get("type").and_then(Value::as_u64);
            text(attribute, 64).is_some() && kind.is_some_and(|kind| (1..=6).contains(&kind))
        };
        if !attributes.into_iter().flatten().all(is_right) {
            return Err("eventAttributes should have a name and a type each");
        }
        if let Some(events) = &mut self.known_events {
            events.push(name);
        }
        Ok(())
    }

    /// The answer of `listTags`. Where every tag exists, those in `seen` do.
    pub(super) fn list_tags<'t>(
        &self,
        seen: impl Iterator<Item = (&'t String, &'t Value)>,
    ) -> Value {
        let mut tags: BTreeMap<String, TagType> =
            DEFAULT_TAGS.map(|(name, kind)| (name.to_owned(), kind)).into();
        match &self.tags {
            Some(own) => tags.extend(own.iter().map(|(name, kind)| (name.clone(), *kind))),
            None => {
                for (name, value) in seen {
                    tags.entry(name.clone()).or_insert_with(|| guessed(value));
                }
            }
        }
        let tags = tags.into_iter().filter(|(name, _)| !self.unknown_tags.contains(name));
        let tags = tags.map(|(name, kind)| json!({"name": name, "type": kind.number()}));
        json!({ "tags": tags.collect::<Vec<_>>() })
    }
}

/// The type that a value of a tag without one has.
fn guessed(value: &Value) -> TagType {
    match value {
        Value::Array(_) => TagType::List,
        Value::Bool(_) => TagType::Boolean,
        Value::Number(number) if number.is_i64() => TagType::Integer,
        Value::Number(_) => TagType::Price,
        _ => TagType::String,
    }
}
