//! Records of Pushwoosh's topic `channels-tracking-log` and the Segment Track calls they become.
//!
//! Invariants: a Track call has exactly one non-empty identity, its properties are an object, and
//! its `messageId` depends on the record's content alone, so that redelivery and replay are
//! de-duplicated by Segment. `payload` and `description` are never read: they hold personal data.
//! What cannot become a Track call is a [`Reason`]; the caller decides what to do with the bytes.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::field::{instant, object, text};
use crate::platform::{Platform, fold};
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
        Self::ALL
            .into_iter()
            .find(|event| fold(event.name()) == folded)
    }

    fn message_type(self) -> &'static str {
        match self {
            Self::EmailSent | Self::EmailDelivered | Self::EmailBounced => "Email",
            Self::PushSent | Self::PushDelivered => "Push",
            Self::SmsSent | Self::SmsDelivered => "SMS",
        }
    }
}

/// The record as it lies on the topic, read tolerantly: unknown fields are ignored, every field
/// may be absent, null, text or a number.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wire {
    event_name: Value,
    timestamp: Value,
    application_code: Value,
    message_code: Value,
    message_id: Value,
    campaign_code: Value,
    message_type: Value,
    platform: Value,
    hwid: Value,
    user_id: Value,
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
}

/// A record that is to be exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// Application code.
    pub application: String,
    /// Which message step.
    pub event: Event,
    /// The call for Segment.
    pub track: Track,
}

/// Reads one record value.
pub fn to_track(value: &[u8]) -> Result<Export, Reason> {
    let wire: Wire = object(value).map_err(|refusal| refusal.reason)?;
    let application = text(&wire.application_code).ok_or(Reason::NoApplication)?;
    let event = text(&wire.event_name)
        .and_then(|name| Event::parse(&name))
        .ok_or(Reason::EventNotExported)?;
    let timestamp = instant(&wire.timestamp)
        .ok_or(Reason::BadTimestamp)?
        .to_string();
    let hwid = text(&wire.hwid);
    let identity = match text(&wire.user_id) {
        // Without a User ID of its own, Pushwoosh sets it to the HWID.
        Some(user) if Some(&user) != hwid.as_ref() => Identity::User(user),
        _ => Identity::Anonymous(hwid.clone().ok_or(Reason::NoIdentity)?),
    };
    let message = text(&wire.message_code)
        .or_else(|| text(&wire.message_id))
        .unwrap_or_default();
    let who = match &identity {
        Identity::User(id) | Identity::Anonymous(id) => id.as_str(),
    };
    let message_id = message_id(&[
        &application,
        &message,
        hwid.as_deref().unwrap_or(who),
        event.name(),
        &timestamp,
    ]);
    let properties = Properties {
        message_type: text(&wire.message_type).unwrap_or_else(|| event.message_type().to_owned()),
        campaign_code: text(&wire.campaign_code),
        device_type: text(&wire.platform)
            .map(|raw| Platform::parse(&raw).map_or(raw, |platform| platform.name().to_owned())),
    };
    let track = Track {
        kind: "track",
        message_id,
        identity,
        event: event.name(),
        timestamp,
        properties,
    };
    Ok(Export {
        application,
        event,
        track,
    })
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
    hash.finalize()
        .iter()
        .take(MESSAGE_ID_BYTES)
        .fold("pw-".to_owned(), |mut id, byte| {
            // Writing to a String cannot fail.
            write!(id, "{byte:02x}").ok();
            id
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
        let export = to_track(&record(&[])).unwrap();
        assert_eq!(export.application, "DEMO0-00001");
        let mut track = serde_json::to_value(&export.track).unwrap();
        assert!(track["messageId"].as_str().unwrap().starts_with("pw-"));
        track["messageId"] = "id".into();
        assert_eq!(
            track,
            json!({
                "type": "track", "messageId": "id", "userId": "u1", "event": "Push Sent",
                "timestamp": "2026-01-31T12:00:00Z",
                "properties": {"message_type": "Push", "campaign_code": "AAAAA-XXXXX", "device_type": "Android"},
            })
        );
    }

    #[test]
    fn without_a_user_id_of_its_own_the_hwid_is_the_anonymous_id() {
        for user in [json!(""), json!(null), json!("H1"), json!({})] {
            let export = to_track(&record(&[("user_id", user)])).unwrap();
            assert_eq!(export.track.identity, Identity::Anonymous("H1".into()));
        }
        let none = record(&[("user_id", json!("")), ("hwid", json!(null))]);
        assert_eq!(to_track(&none), Err(Reason::NoIdentity));
    }

    #[test]
    fn names_and_times_are_read_in_every_usual_form() {
        for name in ["push_sent", "PUSH-SENT", " Push  Sent "] {
            assert_eq!(
                to_track(&record(&[("event_name", json!(name))]))
                    .unwrap()
                    .event,
                Event::PushSent
            );
        }
        for time in [
            json!(1_769_860_800),
            json!("1769860800"),
            json!(1_769_860_800_000_i64),
            json!(1_769_860_800_000_000_i64),
            json!("2026-01-31T13:00:00+01:00"),
        ] {
            let export = to_track(&record(&[("timestamp", time)])).unwrap();
            assert_eq!(export.track.timestamp, "2026-01-31T12:00:00Z");
        }
    }

    #[test]
    fn the_message_id_follows_the_content_and_nothing_else() {
        let id = |change: &[(&str, Value)]| to_track(&record(change)).unwrap().track.message_id;
        let base = id(&[]);
        assert_eq!(
            base,
            id(&[
                ("timestamp", json!(1_769_860_800)),
                ("payload", json!("other"))
            ])
        );
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
}
