//! A record as it lies on the topic.

use std::borrow::Cow;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::message_event::MessageEvent;
use super::text_field::TextField;
use crate::about::About;
use crate::json;
use crate::reason::{Reason, Refusal};

/// A record as it lies on the topic, read without copying its text: unknown fields are passed over,
/// every field may be absent, null, text or a number. Names of fields may be in any case and with
/// any separator, since schema registries turn `event_name` into `eventName`.
#[derive(Debug, Default)]
pub struct Record<'a> {
    pub(super) event_name: TextField<'a>,
    pub(super) timestamp: TextField<'a>,
    pub(super) application_code: TextField<'a>,
    pub(super) message_code: TextField<'a>,
    pub(super) message_id: TextField<'a>,
    pub(super) campaign_code: TextField<'a>,
    pub(super) campaign_id: TextField<'a>,
    pub(super) message_type: TextField<'a>,
    pub(super) platform: TextField<'a>,
    pub(super) hwid: TextField<'a>,
    pub(super) user_id: TextField<'a>,
}

impl<'a> Record<'a> {
    /// The names of the fields that are read.
    pub const FIELDS: [&'static str; 11] = [
        "event_name",
        "timestamp",
        "application_code",
        "message_code",
        "message_id",
        "campaign_code",
        "campaign_id",
        "message_type",
        "platform",
        "hwid",
        "user_id",
    ];

    /// Whether a field of this name is read.
    pub fn knows(name: &str) -> bool {
        let mut record = Record::default();
        record.field(name).is_some() || record.field(&snake_case(name)).is_some()
    }

    /// Whether it has what only records have: its event or its application, and one field more.
    pub fn is_recognised(&self) -> bool {
        let has = |fields: &[&TextField<'_>]| fields.iter().any(|field| field.text().is_some());
        let more = has(&[
            &self.hwid,
            &self.message_code,
            &self.message_id,
            &self.campaign_code,
            &self.campaign_id,
        ]);
        let (named, owned) = (has(&[&self.event_name]), has(&[&self.application_code]));
        (named && owned) || ((named || owned) && more)
    }

    fn field(&mut self, name: &str) -> Option<&mut TextField<'a>> {
        Some(match name {
            "event_name" => &mut self.event_name,
            "timestamp" => &mut self.timestamp,
            "application_code" => &mut self.application_code,
            "message_code" => &mut self.message_code,
            "message_id" => &mut self.message_id,
            "campaign_code" => &mut self.campaign_code,
            "campaign_id" => &mut self.campaign_id,
            "message_type" => &mut self.message_type,
            "platform" => &mut self.platform,
            "hwid" => &mut self.hwid,
            "user_id" => &mut self.user_id,
            _ => return None,
        })
    }
}

/// A field's name as [`Record::field`] knows it: `eventName` and `EVENT-NAME` become `event_name`.
fn snake_case(name: &str) -> String {
    let upper = !name.bytes().any(|byte| byte.is_ascii_lowercase());
    let mut snake = String::with_capacity(name.len() + 2);
    for c in name.chars() {
        if c.is_ascii_uppercase() && !upper && !snake.is_empty() && !snake.ends_with('_') {
            snake.push('_');
        }
        snake.push(if c == '-' || c == ' ' { '_' } else { c.to_ascii_lowercase() });
    }
    snake
}

impl<'de> Deserialize<'de> for Record<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RecordVisitor)
    }
}

struct RecordVisitor;

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = Record<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut record = Record::default();
        while let Some(TextField(Some(name))) = map.next_key::<TextField<'de>>()? {
            let known = match record.field(&name) {
                Some(field) => Some(field),
                None => record.field(&snake_case(&name)),
            };
            match known {
                Some(field) => *field = map.next_value()?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(record)
    }
}

impl<'a> Record<'a> {
    /// Reads one record value. This is cheap: most records on the topic are for applications without
    /// Segment.
    pub fn read(value: &'a [u8]) -> Result<Self, Reason> {
        // Checking all bytes at once takes a fraction of checking each text in them. Where they are no UTF-8, they may
        // still be good: of a field that is not read, no text is checked.
        let read = match std::str::from_utf8(value) {
            Ok(text) => serde_json::from_str(text),
            Err(_) => serde_json::from_slice(value),
        };
        // Records borrow from their bytes, unless these must be mended first.
        let read = read.or_else(|error| match json::without_lone_surrogates(value) {
            Cow::Borrowed(_) => Err(error),
            Cow::Owned(mended) => serde_json::from_slice(&mended).map(Record::into_owned),
        });
        read.map_err(|error| match error.classify() {
            serde_json::error::Category::Data => Reason::NotAnObject,
            _ => Reason::NotJson,
        })
    }

    /// A refusal of a record's bytes for this reason.
    pub fn refusal(value: &[u8], reason: Reason) -> Refusal {
        Record::read(value).map_or_else(|_| reason.into(), |record| record.refused(reason))
    }

    /// A refusal for this reason, which names the field where it is one field's fault.
    pub(super) fn refused(&self, reason: Reason) -> Refusal {
        match (reason, self.timestamp.text()) {
            (Reason::BadTimestamp, None) => {
                Refusal::new(reason, "timestamp: it is missing, or neither text nor a number")
            }
            (Reason::BadTimestamp, Some(_)) => {
                Refusal::new(reason, "timestamp: RFC 3339 text or a unix time is expected")
            }
            _ => reason.into(),
        }
    }

    /// The same record, with text of its own.
    fn into_owned<'o>(self) -> Record<'o> {
        Record {
            event_name: self.event_name.into_owned(),
            timestamp: self.timestamp.into_owned(),
            application_code: self.application_code.into_owned(),
            message_code: self.message_code.into_owned(),
            message_id: self.message_id.into_owned(),
            campaign_code: self.campaign_code.into_owned(),
            campaign_id: self.campaign_id.into_owned(),
            message_type: self.message_type.into_owned(),
            platform: self.platform.into_owned(),
            hwid: self.hwid.into_owned(),
            user_id: self.user_id.into_owned(),
        }
    }

    /// Application code.
    pub fn application(&self) -> Result<&str, Reason> {
        self.application_code.text().ok_or(Reason::NoApplication)
    }

    /// Whose record it is: the user's id, or the device's where no user is known.
    pub fn person(&self) -> Option<&str> {
        self.user_id.text().or_else(|| self.hwid.text())
    }

    /// What it is known by. A user whose id is the device's is none (see [`super::Identity`]).
    pub fn about(&self) -> About {
        let (user, hwid) = (self.user_id.text(), self.hwid.text());
        About {
            user: user.filter(|_| user != hwid).map(str::to_owned),
            device: hwid.map(str::to_owned),
            name: self.event_name.text().map(str::to_owned),
            message_id: None,
        }
    }

    /// Which message step, if it is one that Segment receives.
    pub fn event(&self) -> Result<MessageEvent, Reason> {
        self.event_name.text().and_then(MessageEvent::parse).ok_or(Reason::EventNotExported)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_surrogate_pair_costs_no_record() {
        let value = br#"{"event_name":"Push Sent","application_code":"A","payload":"\ude00",
            "hwid":"cut \ud83d"}"#;
        let record = Record::read(value).unwrap();
        assert_eq!(record.application(), Ok("A"));
        assert_eq!(record.person(), Some("cut \u{FFFD}"));
        let record = Record::read(br#"{"HWID":"h","userId":" u "}"#).unwrap();
        assert_eq!(record.person(), Some("u"));
    }

    /// As from a program that writes Latin-1.
    #[test]
    fn bytes_that_are_no_text_cost_no_record_where_they_are_not_read() {
        let record = Record::read(b"{\"hwid\":\"h\",\"payload\":\"caf\xe9\"}").unwrap();
        assert_eq!(record.person(), Some("h"));
        let read = Record::read(b"{\"hwid\":\"caf\xe9\"}");
        assert_eq!(read.unwrap_err(), Reason::NotJson);
    }

    #[test]
    fn a_user_whose_id_is_the_devices_is_none() {
        let user = |value: &[u8]| Record::read(value).unwrap().about().user;
        assert_eq!(user(br#"{"hwid":"h","user_id":"u"}"#).as_deref(), Some("u"));
        assert_eq!(user(br#"{"hwid":"h","user_id":"h"}"#), None);
    }

    #[test]
    fn a_bad_time_is_told_from_a_missing_one() {
        let message = |value: &str| {
            Record::refusal(value.as_bytes(), Reason::BadTimestamp).message.into_owned()
        };
        assert!(message(r#"{"hwid":"h"}"#).starts_with("timestamp: it is missing"));
        assert!(message(r#"{"hwid":"h","timestamp":[]}"#).starts_with("timestamp: it is missing"));
        assert!(message(r#"{"timestamp":"soon"}"#).starts_with("timestamp: RFC 3339"));
        let other = Record::refusal(b"{}", Reason::NoApplication);
        assert!(!other.message.contains("timestamp"));
    }

    #[test]
    fn field_names_are_known_in_any_case_and_with_any_separator() {
        for (name, expected) in [
            ("event_name", "event_name"),
            ("eventName", "event_name"),
            ("EventName", "event_name"),
            ("EVENT-NAME", "event_name"),
            ("event name", "event_name"),
            ("Event_Name", "event_name"),
            ("HWID", "hwid"),
        ] {
            assert_eq!(snake_case(name), expected, "{name}");
            assert!(Record::knows(name));
        }
        assert!(Record::FIELDS.into_iter().all(Record::knows) && !Record::knows("payload"));
    }
}
