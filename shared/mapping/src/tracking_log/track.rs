//! The Track call, and how a record becomes one (spec S2 to S4).

use std::borrow::Cow;

use segment_language::instant::instant;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::message_event::MessageEvent;
use super::message_id::MessageId;
use super::message_type;
use super::optional_property::OptionalProperty;
use super::record::Record;
use crate::device_platform::Platform;
use crate::json::{is_canonical_time, write_text};
use crate::reason::{Reason, Refusal};
use crate::rules::Rules;
use crate::work::{Planned, Work};

/// Who the message went to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity<'a> {
    /// The Pushwoosh User ID.
    User(Cow<'a, str>),
    /// The HWID, where there is no User ID of its own.
    Anonymous(Cow<'a, str>),
}

/// The three properties of spec S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Properties<'a> {
    /// `Push`, `Email`, `In-App` or `SMS`.
    pub message_type: &'static str,
    /// Code of the campaign, where the message belongs to one.
    pub campaign_code: Option<Cow<'a, str>>,
    /// Pushwoosh's platform name, e.g. `iOS` or `Email`.
    pub device_type: Option<Cow<'a, str>>,
    /// [`OptionalProperty::MessageCode`]
    pub message_code: Option<Cow<'a, str>>,
    /// [`OptionalProperty::CampaignId`]
    pub campaign_id: Option<Cow<'a, str>>,
}

/// A Segment Track call, as it stands in a `/v1/batch` request. It borrows from its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track<'a> {
    /// Derived from the record's content and the stack's name; stable over redelivery and replay.
    pub message_id: MessageId,
    /// `userId` or `anonymousId`, never both, never empty.
    pub identity: Identity<'a>,
    /// The event.
    pub event: MessageEvent,
    /// When the message step happened, RFC 3339 in UTC.
    pub timestamp: Cow<'a, str>,
    /// The properties of spec S3.
    pub properties: Properties<'a>,
}

/// The same at the end of every call. `context` says what sent it: Segment asks partners for both parts
/// (<https://segment.com/docs/partners/streams/>). `integrations` keeps the event from where it came from,
/// or it would go in circles.
const END: &str = concat!(
    r#"},"context":{"library":{"name":"segment-pushwoosh","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""},"integration":{"name":"pushwoosh","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}},"integrations":{"Pushwoosh":false}}"#
);

impl Track<'_> {
    /// Appends the call as JSON text. Written by hand, since a derived `Serialize` looks at every
    /// constant anew.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"type":"track","messageId":""#);
        self.message_id.write(out);
        let (field, id) = match &self.identity {
            Identity::User(id) => (r#"","userId":"#, id),
            Identity::Anonymous(id) => (r#"","anonymousId":"#, id),
        };
        out.extend_from_slice(field.as_bytes());
        write_text(id, out);
        out.extend_from_slice(br#","event":""#);
        // Neither names of events nor times nor types need escapes.
        out.extend_from_slice(self.event.name().as_bytes());
        out.extend_from_slice(br#"","timestamp":""#);
        out.extend_from_slice(self.timestamp.as_bytes());
        out.extend_from_slice(br#"","properties":{"message_type":""#);
        out.extend_from_slice(self.properties.message_type.as_bytes());
        out.push(b'"');
        let Properties { campaign_code, device_type, message_code, campaign_id, .. } =
            &self.properties;
        for (name, value) in [
            (r#","campaign_code":"#, campaign_code),
            (r#","device_type":"#, device_type),
            (r#","message_code":"#, message_code),
            (r#","campaign_id":"#, campaign_id),
        ] {
            if let Some(value) = value {
                out.extend_from_slice(name.as_bytes());
                write_text(value, out);
            }
        }
        out.extend_from_slice(END.as_bytes());
    }

    /// The call as JSON text of its own.
    pub fn to_raw(&self) -> serde_json::Result<Box<RawValue>> {
        let mut text = Vec::new();
        self.write(&mut text);
        serde_json::from_slice(&text)
    }

    /// The same call with text of its own.
    pub fn into_owned(self) -> Track<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        let Properties { message_type, campaign_code, device_type, message_code, campaign_id } =
            self.properties;
        Track {
            message_id: self.message_id,
            identity: match self.identity {
                Identity::User(id) => Identity::User(own(id)),
                Identity::Anonymous(id) => Identity::Anonymous(own(id)),
            },
            event: self.event,
            timestamp: own(self.timestamp),
            properties: Properties {
                message_type,
                campaign_code: campaign_code.map(own),
                device_type: device_type.map(own),
                message_code: message_code.map(own),
                campaign_id: campaign_id.map(own),
            },
        }
    }
}

impl Serialize for Track<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_raw().map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

/// Whose Track call it is: the user's id, or the anonymous id, which is the device's.
pub fn person_of(call: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Identified {
        #[serde(rename = "userId")]
        user: Option<String>,
        #[serde(rename = "anonymousId")]
        anonymous: Option<String>,
    }
    let call = serde_json::from_str::<Identified>(call.get()).ok()?;
    call.user.or(call.anonymous)
}

impl Record<'_> {
    /// The call for Segment, as this stack sends it.
    pub fn to_track(
        &self,
        stack: &str,
        properties: &[OptionalProperty],
    ) -> Result<Track<'_>, Reason> {
        let application = self.application()?;
        let event = self.event()?;
        let timestamp = self.timestamp.text().ok_or(Reason::BadTimestamp)?;
        let timestamp = if is_canonical_time(timestamp) {
            Cow::Borrowed(timestamp)
        } else {
            Cow::Owned(instant(timestamp).ok_or(Reason::BadTimestamp)?.to_string())
        };
        let hwid = self.hwid.text();
        let (id, identity) = match self.user_id.text() {
            // Without a User ID of its own, Pushwoosh sets it to the HWID.
            Some(user) if Some(user) != hwid => (user, Identity::User(user.into())),
            _ => {
                let hwid = hwid.ok_or(Reason::NoIdentity)?;
                (hwid, Identity::Anonymous(hwid.into()))
            }
        };
        let message = self.message_code.text().or(self.message_id.text()).unwrap_or_default();
        let message_id = MessageId::of(&[
            stack,
            application,
            self.campaign_code.text().unwrap_or_default(),
            self.campaign_id.text().unwrap_or_default(),
            message,
            hwid.unwrap_or(id),
            event.name(),
            &timestamp,
        ]);
        let message_type = self.message_type.text().and_then(message_type::parse);
        let wanted = properties;
        let properties = Properties {
            message_type: message_type.unwrap_or_else(|| event.message_type()),
            campaign_code: self.campaign_code.text().map(Cow::Borrowed),
            device_type: self.platform.text().map(|raw| {
                Cow::Borrowed(Platform::parse(raw).map_or(raw, |platform| platform.name()))
            }),
            message_code: self
                .message_code
                .text()
                .filter(|_| wanted.contains(&OptionalProperty::MessageCode))
                .map(Cow::Borrowed),
            campaign_id: self
                .campaign_id
                .text()
                .filter(|_| wanted.contains(&OptionalProperty::CampaignId))
                .map(Cow::Borrowed),
        };
        Ok(Track { message_id, identity, event, timestamp, properties })
    }

    /// The Track call under an application's rules.
    pub fn track(&self, rules: &Rules<'_>) -> Result<Track<'_>, Reason> {
        let event = self.event()?;
        if rules.exported.is_some_and(|exported| !exported.contains(&event)) {
            return Err(Reason::EventNotExported);
        }
        self.to_track(rules.stack, rules.track_properties)
    }

    /// What is to be sent for the record.
    pub fn plan(&self, rules: &Rules<'_>) -> Result<Planned, Refusal> {
        self.application()?;
        let track = self.track(rules).map_err(|reason| self.refused(reason))?;
        let call = track.to_raw().map_err(|_| Reason::BadField)?;
        Ok(Planned { work: Work::Segment(vec![call]), refusals: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn to_track(value: &[u8]) -> Result<Track<'static>, Reason> {
        Record::read(value)?.to_track("", &[]).map(Track::into_owned)
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
    fn a_track_call_says_whose_it_is() {
        for (call, expected) in [
            (r#"{"userId":"u","event":"E"}"#, Some("u")),
            (r#"{"anonymousId":"d"}"#, Some("d")),
            (r#"{"userId":null,"anonymousId":"d"}"#, Some("d")),
            (r#"{"userId":5}"#, None),
            ("{}", None),
        ] {
            let call = RawValue::from_string(call.to_owned()).unwrap();
            assert_eq!(person_of(&call).as_deref(), expected, "{call}");
        }
    }

    #[test]
    fn a_record_becomes_a_track_call_with_the_three_properties() {
        let value = record(&[]);
        let record = Record::read(&value).unwrap();
        assert_eq!(record.application(), Ok("DEMO0-00001"));
        let mut track = serde_json::to_value(record.to_track("", &[]).unwrap()).unwrap();
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
        let optional = OptionalProperty::ALL;
        let properties = record.to_track("", optional).unwrap().properties;
        assert_eq!(properties.message_code.as_deref(), Some("A444-AAABBBCC-00112233"));
        assert_eq!(properties.campaign_id, None);
    }

    /// Nothing but the identity, the campaign and the device can hold what needs an escape.
    #[test]
    fn a_call_is_json_text_whatever_it_holds() {
        let odd = "\"\\\u{1}\n\u{2028}é";
        let value = record(&[
            ("hwid", json!(odd)),
            ("user_id", json!(format!("u{odd}"))),
            ("campaign_code", json!(odd)),
            ("platform", json!(odd)),
        ]);
        let track = serde_json::to_value(to_track(&value).unwrap()).unwrap();
        assert_eq!(track["userId"], format!("u{odd}"));
        let properties = json!({"message_type": "Push", "campaign_code": odd, "device_type": odd});
        assert_eq!(track["properties"], properties);
        let value = record(&[("hwid", json!(odd)), ("user_id", json!(odd))]);
        let track = serde_json::to_value(to_track(&value).unwrap()).unwrap();
        assert_eq!(track["anonymousId"], odd);
    }

    #[test]
    fn an_application_receives_the_events_that_it_exports() {
        let value = record(&[]);
        let record = Record::read(&value).unwrap();
        let reason = |exported: Option<&[MessageEvent]>| {
            record.track(&Rules { exported, ..Rules::of_presets("A") }).err()
        };
        assert_eq!(reason(None), None);
        assert_eq!(reason(Some(&[MessageEvent::PushSent])), None);
        assert_eq!(reason(Some(&[MessageEvent::EmailSent])), Some(Reason::EventNotExported));
    }

    #[test]
    fn every_field_of_a_record_counts() {
        let track = |change: &[(&str, Value)]| {
            let value = record(change);
            let record = Record::read(&value).unwrap();
            record.to_track("", OptionalProperty::ALL).unwrap().into_owned()
        };
        let properties =
            track(&[("message_type", json!("In-App")), ("campaign_id", json!(961_234))]).properties;
        assert_eq!(properties.message_type, "In-App");
        assert_eq!(properties.campaign_id.as_deref(), Some("961234"));
        // Without a code the message's id keeps its steps apart.
        let id =
            |id: u64| track(&[("message_code", json!("")), ("message_id", json!(id))]).message_id;
        assert_ne!(id(1), id(2));
    }

    #[test]
    fn the_message_type_is_one_of_four_values() {
        for (spelling, expected) in [
            (json!("Push"), "Push"),
            (json!("PUSH"), "Push"),
            (json!("e-mail"), "Email"),
            (json!("EMAIL"), "Email"),
            (json!("in_app"), "In-App"),
            (json!("In App"), "In-App"),
            (json!("inapp"), "In-App"),
            (json!(" sms "), "SMS"),
            // The event's own where the value is none of these.
            (json!(3), "Push"),
            (json!("3"), "Push"),
            (json!("carrier pigeon"), "Push"),
            (json!(null), "Push"),
            (json!(true), "Push"),
        ] {
            let value = record(&[("message_type", spelling.clone())]);
            assert_eq!(to_track(&value).unwrap().properties.message_type, expected, "{spelling}");
        }
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
                MessageEvent::PushSent
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

    /// Segment removes repeats over a whole workspace, whichever stack they come from.
    #[test]
    fn two_stacks_do_not_share_an_id() {
        let value = record(&[]);
        let record = Record::read(&value).unwrap();
        let id =
            |stack| record.track(&Rules { stack, ..Rules::of_presets("A") }).unwrap().message_id;
        assert_eq!(id("one"), id("one"));
        assert_ne!(id("one"), id("two"));
        assert_ne!(id("one"), id(""));
    }

    #[test]
    fn the_message_id_follows_the_content_and_nothing_else() {
        let id = |change: &[(&str, Value)]| to_track(&record(change)).unwrap().message_id;
        let base = id(&[]);
        assert_eq!(base, id(&[("timestamp", json!(1_769_860_800)), ("payload", json!("other"))]));
        for (field, value) in [
            ("application_code", "OTHER"),
            ("message_code", "B"),
            ("campaign_code", "B"),
            ("campaign_id", "5"),
            ("hwid", "H2"),
            ("event_name", "Push Delivered"),
            ("timestamp", "2026-01-31T12:00:01Z"),
        ] {
            assert_ne!(base, id(&[(field, json!(value))]), "{field}");
        }
    }

    /// Campaigns send without a message code, several in a second.
    #[test]
    fn campaigns_of_one_second_do_not_share_an_id() {
        let id = |code: Value, number: Value| {
            let message = [("message_code", json!("")), ("message_id", json!(null))];
            let campaign = [("campaign_code", code), ("campaign_id", number)];
            to_track(&record(&[&message[..], &campaign[..]].concat())).unwrap().message_id
        };
        assert_ne!(id(json!("AAAAA-XXXXX"), json!(null)), id(json!("BBBBB-XXXXX"), json!(null)));
        assert_ne!(id(json!(null), json!(1)), id(json!(null), json!(2)));
        assert_eq!(id(json!(null), json!(1)), id(json!(""), json!("1")));
    }

    #[test]
    fn what_is_not_ours_or_cannot_be_read_has_a_reason() {
        assert_eq!(to_track(b"\xff"), Err(Reason::NotJson));
        assert_eq!(to_track(b"[]"), Err(Reason::NotAnObject));
        assert_eq!(
            to_track(&record(&[("event_name", json!("No Event"))])),
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
