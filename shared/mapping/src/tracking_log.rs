//! Records of Pushwoosh's topic `channels-tracking-log` and the Segment Track calls they become.
//!
//! Invariants: a Track call has exactly one non-empty identity, its properties are an object, and
//! its `messageId` depends on the record's content alone, so that redelivery and replay are
//! de-duplicated by Segment. `payload` and `description` are never read: they hold personal data.
//! What cannot become a Track call is a [`Reason`]; the caller decides what to do with the bytes.

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write as _;

use segment_language::instant::instant;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

use crate::device_platform::{Platform, fold};
use crate::reason::Reason;

/// The message steps that Segment receives (spec S2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// `Email Sent`
    EmailSent,
    /// `Push Sent`
    PushSent,
    /// `SMS Sent`
    SmsSent,
    /// `Email Delivered`
    EmailDelivered,
    /// `Push Delivered`
    PushDelivered,
    /// `SMS Delivered`
    SmsDelivered,
    /// `Email Bounced`: returned to the sender, a permanent error.
    EmailBounced,
}

impl Event {
    /// Every exported event.
    pub const ALL: [Self; 7] = [
        Self::EmailSent,
        Self::PushSent,
        Self::SmsSent,
        Self::EmailDelivered,
        Self::PushDelivered,
        Self::SmsDelivered,
        Self::EmailBounced,
    ];

    /// The name of the Track call.
    pub fn name(self) -> &'static str {
        match self {
            Self::EmailSent => "Email Sent",
            Self::PushSent => "Push Sent",
            Self::SmsSent => "SMS Sent",
            Self::EmailDelivered => "Email Delivered",
            Self::PushDelivered => "Push Delivered",
            Self::SmsDelivered => "SMS Delivered",
            Self::EmailBounced => "Email Bounced",
        }
    }

    /// Reads a name in any case and with any separator: `Push Sent`, `push_sent`, `PUSH-SENT`.
    pub fn parse(text: &str) -> Option<Self> {
        let folded = fold(text);
        Self::ALL.into_iter().find(|event| fold(event.name()) == folded)
    }

    fn message_type(self) -> &'static str {
        match self {
            Self::EmailSent | Self::EmailDelivered | Self::EmailBounced => "Email",
            Self::PushSent | Self::PushDelivered => "Push",
            Self::SmsSent | Self::SmsDelivered => "SMS",
        }
    }
}

/// Properties beyond those of spec S3 that a setting may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    /// `message_code`
    MessageCode,
    /// `campaign_id`
    CampaignId,
}

impl Extra {
    /// Reads the name of the property.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "message_code" => Some(Self::MessageCode),
            "campaign_id" => Some(Self::CampaignId),
            _ => None,
        }
    }
}

/// One field as it stands in the record: text or number; anything else counts as absent.
#[derive(Debug, Default)]
struct Field<'a>(Option<Cow<'a, str>>);

impl Field<'_> {
    /// Trimmed, and nothing where nothing is left.
    fn text(&self) -> Option<&str> {
        self.0.as_deref().map(str::trim).filter(|text| !text.is_empty())
    }

    fn owned(&self) -> Option<String> {
        self.text().map(str::to_owned)
    }
}

impl<'de> Deserialize<'de> for Field<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Field<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Field(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Field(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Field(Some(Cow::Owned(number.to_string()))))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Field(Some(Cow::Owned(number.to_string()))))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Field(Some(Cow::Owned(number.to_string()))))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Field(None))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Field(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field(None))
    }

    /// Avro's JSON wraps the value of a nullable field: `{"string": "u1"}`.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut field = Field(None);
        // A `Cow` as key would be copied; `Field` borrows.
        while let Some(Field(Some(key))) = map.next_key::<Field<'de>>()? {
            if matches!(key.as_ref(), "string" | "int" | "long" | "float" | "double") {
                field = map.next_value()?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(field)
    }
}

/// A record as it lies on the topic, read without copying its text: unknown fields are passed over,
/// every field may be absent, null, text or a number. Names of fields may be in any case and with
/// any separator, since schema registries turn `event_name` into `eventName`.
#[derive(Debug, Default)]
pub struct Record<'a> {
    event_name: Field<'a>,
    timestamp: Field<'a>,
    application_code: Field<'a>,
    message_code: Field<'a>,
    message_id: Field<'a>,
    campaign_code: Field<'a>,
    campaign_id: Field<'a>,
    message_type: Field<'a>,
    platform: Field<'a>,
    hwid: Field<'a>,
    user_id: Field<'a>,
}

impl<'a> Record<'a> {
    fn field(&mut self, name: &str) -> Option<&mut Field<'a>> {
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
        while let Some(Field(Some(name))) = map.next_key::<Field<'de>>()? {
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

/// Who the message went to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Identity {
    /// The Pushwoosh User ID.
    #[serde(rename = "userId")]
    User(String),
    /// The HWID, where there is no User ID of its own.
    #[serde(rename = "anonymousId")]
    Anonymous(String),
}

/// The three properties of spec S3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Properties {
    /// `Push`, `Email`, `In-App` or `SMS`.
    pub message_type: String,
    /// Code of the campaign, where the message belongs to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign_code: Option<String>,
    /// Pushwoosh's platform name, e.g. `iOS` or `Email`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_type: Option<String>,
    /// [`Extra::MessageCode`]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_code: Option<String>,
    /// [`Extra::CampaignId`]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign_id: Option<String>,
}

/// A name and a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Library {
    /// Name of the software.
    pub name: &'static str,
    /// Version of the software.
    pub version: &'static str,
}

/// What sent the call. Segment asks partners for both.
/// <https://segment.com/docs/partners/streams/>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Context {
    /// This software.
    pub library: Library,
    /// The tool that the event comes from.
    pub integration: Library,
}

const CONTEXT: Context = Context {
    library: Library { name: "segment-pushwoosh", version: env!("CARGO_PKG_VERSION") },
    integration: Library { name: "pushwoosh", version: env!("CARGO_PKG_VERSION") },
};

/// Which destinations may have the event: all but the one it came from, or it would go in circles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Integrations {
    /// Always false.
    #[serde(rename = "Pushwoosh")]
    pub pushwoosh: bool,
}

/// A Segment Track call, as it stands in a `/v1/batch` request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Track {
    /// Always `track`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Derived from the record's content; stable over redelivery and replay.
    #[serde(rename = "messageId")]
    pub message_id: String,
    /// `userId` or `anonymousId`, never both, never empty.
    #[serde(flatten)]
    pub identity: Identity,
    /// Name of the event.
    pub event: &'static str,
    /// When the message step happened, RFC 3339 in UTC.
    pub timestamp: String,
    /// The properties of spec S3.
    pub properties: Properties,
    /// What sent the call.
    pub context: Context,
    /// Loop guard.
    pub integrations: Integrations,
}

impl<'a> Record<'a> {
    /// Reads one record value. Costs little: most records on the topic are not ours.
    pub fn read(value: &'a [u8]) -> Result<Self, Reason> {
        serde_json::from_slice(value).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => Reason::NotAnObject,
            _ => Reason::NotJson,
        })
    }

    /// Application code.
    pub fn application(&self) -> Result<&str, Reason> {
        self.application_code.text().ok_or(Reason::NoApplication)
    }

    /// Which message step, if it is one that Segment receives.
    pub fn event(&self) -> Result<Event, Reason> {
        self.event_name.text().and_then(Event::parse).ok_or(Reason::EventNotExported)
    }

    /// The call for Segment.
    pub fn to_track(&self, extras: &[Extra]) -> Result<Track, Reason> {
        let application = self.application()?;
        let event = self.event()?;
        let timestamp =
            self.timestamp.text().and_then(instant).ok_or(Reason::BadTimestamp)?.to_string();
        let hwid = self.hwid.text();
        let (id, identity) = match self.user_id.text() {
            // Without a User ID of its own, Pushwoosh sets it to the HWID.
            Some(user) if Some(user) != hwid => (user, Identity::User(user.to_owned())),
            _ => {
                let hwid = hwid.ok_or(Reason::NoIdentity)?;
                (hwid, Identity::Anonymous(hwid.to_owned()))
            }
        };
        let message = self.message_code.text().or(self.message_id.text()).unwrap_or_default();
        let message_id =
            message_id(&[application, message, hwid.unwrap_or(id), event.name(), &timestamp]);
        let message_type = self.message_type.owned();
        let properties = Properties {
            message_type: message_type.unwrap_or_else(|| event.message_type().to_owned()),
            campaign_code: self.campaign_code.owned(),
            device_type: self.platform.text().map(|raw| {
                Platform::parse(raw)
                    .map_or_else(|| raw.to_owned(), |platform| platform.name().to_owned())
            }),
            message_code: self
                .message_code
                .owned()
                .filter(|_| extras.contains(&Extra::MessageCode)),
            campaign_id: self.campaign_id.owned().filter(|_| extras.contains(&Extra::CampaignId)),
        };
        Ok(Track {
            kind: "track",
            message_id,
            identity,
            event: event.name(),
            timestamp,
            properties,
            context: CONTEXT,
            integrations: Integrations { pushwoosh: false },
        })
    }
}

/// Bytes of the hash that the id keeps. With the prefix it stays far below Segment's 100 characters.
const MESSAGE_ID_BYTES: usize = 20;

/// `pw-` and the hash of the parts, each with its length before it so that no two lists collide.
fn message_id(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(MESSAGE_ID_BYTES).fold("pw-".to_owned(), |mut id, byte| {
        // Writing to a String cannot fail.
        write!(id, "{byte:02x}").ok();
        id
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn to_track(value: &[u8]) -> Result<Track, Reason> {
        Record::read(value)?.to_track(&[])
    }

    fn record(change: &[(&str, Value)]) -> Vec<u8> {
        let mut record = json!({
            "event_name": "Push Sent", "timestamp": "2026-01-31T12:00:00Z",
            "application_code": "DEMO0-00001", "message_code": "A444-AAABBBCC-00112233",
            "campaign_code": "AAAAA-XXXXX", "platform": 3, "hwid": "H1", "user_id": "u1",
            "payload": "personal",
        });
        for (key, value) in change {
            record[key] = value.clone();
        }
        record.to_string().into_bytes()
    }

    #[test]
    fn a_record_becomes_a_track_call_with_the_three_properties() {
        let value = record(&[]);
        let record = Record::read(&value).unwrap();
        assert_eq!(record.application(), Ok("DEMO0-00001"));
        let mut track = serde_json::to_value(record.to_track(&[]).unwrap()).unwrap();
        assert!(track["messageId"].as_str().unwrap().starts_with("pw-"));
        track["messageId"] = "id".into();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            track,
            json!({
                "type": "track", "messageId": "id", "userId": "u1", "event": "Push Sent",
                "timestamp": "2026-01-31T12:00:00Z",
                "properties": {"message_type": "Push", "campaign_code": "AAAAA-XXXXX", "device_type": "Android"},
                "context": {"library": {"name": "segment-pushwoosh", "version": version},
                            "integration": {"name": "pushwoosh", "version": version}},
                "integrations": {"Pushwoosh": false},
            })
        );
        let extras = [Extra::MessageCode, Extra::CampaignId];
        let properties = record.to_track(&extras).unwrap().properties;
        assert_eq!(properties.message_code.as_deref(), Some("A444-AAABBBCC-00112233"));
        assert_eq!(properties.campaign_id, None);
    }

    #[test]
    fn fields_are_known_in_the_spellings_of_schema_registries() {
        let camel = br#"{"eventName":"Push Sent","timestamp":"2026-01-31T12:00:00Z","applicationCode":"DEMO0-00001",
            "MESSAGE-CODE":"A444-AAABBBCC-00112233","campaignCode":{"string":"AAAAA-XXXXX"},"Platform":3,
            "hwid":{"string":"H1"},"UserId":"u1","other":{"deep":[1,{"string":2}]}}"#;
        assert_eq!(to_track(camel), to_track(&record(&[])));
    }

    #[test]
    fn without_a_user_id_of_its_own_the_hwid_is_the_anonymous_id() {
        for user in [json!(""), json!(null), json!("H1"), json!({})] {
            let track = to_track(&record(&[("user_id", user)])).unwrap();
            assert_eq!(track.identity, Identity::Anonymous("H1".into()));
        }
        let none = record(&[("user_id", json!("")), ("hwid", json!(null))]);
        assert_eq!(to_track(&none), Err(Reason::NoIdentity));
    }

    #[test]
    fn names_and_times_are_read_in_every_usual_form() {
        for name in ["push_sent", "PUSH-SENT", " Push  Sent "] {
            assert_eq!(
                to_track(&record(&[("event_name", json!(name))])).unwrap().event,
                "Push Sent"
            );
        }
        for time in [
            json!(1_769_860_800),
            json!("1769860800"),
            json!(1_769_860_800_000_i64),
            json!(1_769_860_800_000_000_i64),
            json!("2026-01-31T13:00:00+01:00"),
        ] {
            let track = to_track(&record(&[("timestamp", time)])).unwrap();
            assert_eq!(track.timestamp, "2026-01-31T12:00:00Z");
        }
    }

    #[test]
    fn the_message_id_follows_the_content_and_nothing_else() {
        let id = |change: &[(&str, Value)]| to_track(&record(change)).unwrap().message_id;
        let base = id(&[]);
        assert_eq!(base, id(&[("timestamp", json!(1_769_860_800)), ("payload", json!("other"))]));
        for (field, value) in [
            ("application_code", "OTHER"),
            ("message_code", "B"),
            ("hwid", "H2"),
            ("event_name", "Push Delivered"),
            ("timestamp", "2026-01-31T12:00:01Z"),
        ] {
            assert_ne!(base, id(&[(field, json!(value))]), "{field}");
        }
    }

    #[test]
    fn what_is_not_ours_or_cannot_be_read_has_a_reason() {
        assert_eq!(to_track(b"\xff"), Err(Reason::NotJson));
        assert_eq!(to_track(b"[]"), Err(Reason::NotAnObject));
        assert_eq!(
            to_track(&record(&[("event_name", json!("Email Opened"))])),
            Err(Reason::EventNotExported)
        );
        assert_eq!(
            to_track(&record(&[("application_code", json!(null))])),
            Err(Reason::NoApplication)
        );
        assert_eq!(
            to_track(&record(&[("timestamp", json!("yesterday"))])),
            Err(Reason::BadTimestamp)
        );
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            to_track(&bytes).ok();
        }

        /// Different message steps have different ids; the same one has the same id wherever and in
        /// whatever form it comes.
        #[test]
        fn the_id_is_the_records_own(a in 0..50_u32, b in 0..50_u32, second in 0..3_i64, other in 0..3_i64) {
            let id = |hwid: u32, second: i64, seconds: bool| {
                let time = 1_769_860_800 + second;
                let time = if seconds { json!(time) } else { json!((time * 1_000).to_string()) };
                let change = [("hwid", json!(format!("H{hwid}"))), ("timestamp", time), ("message_id", json!(second))];
                to_track(&record(&change)).unwrap().message_id
            };
            proptest::prop_assert_eq!(id(a, second, true), id(a, second, false));
            proptest::prop_assert_eq!(id(a, second, true) == id(b, other, true), (a, second) == (b, other));
        }
    }
}
