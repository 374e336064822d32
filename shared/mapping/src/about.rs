//! What an item is known by, for people who look for it: read from the calls it becomes, or from its
//! bytes.
//!
//! Bytes that are not JSON, or not an object, name nobody: such an item is found by its origin alone.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::call::{Method, Plan};
use crate::field::{id, text, verbatim};
use crate::item_kind::ItemKind;
use crate::tracking_log::Record;

/// What an item is known by. The ids are people's: whoever logs them hashes them first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// The user's id.
    pub user: Option<String>,
    /// The device's id.
    pub device: Option<String>,
    /// Name of the event, where it is one.
    pub name: Option<String>,
    /// Segment's `messageId`, where it has one.
    pub message_id: Option<String>,
}

impl About {
    /// Reads an item's bytes.
    pub fn item(kind: ItemKind, bytes: &[u8]) -> Self {
        if kind == ItemKind::Record {
            return Record::read(bytes).map(|record| record.about()).unwrap_or_default();
        }
        let Ok(item) = crate::json::read::<Value>(bytes) else {
            return Self::default();
        };
        let first = |pointers: &[&str]| pointers.iter().find_map(|at| id(item.pointer(at)?));
        match kind {
            ItemKind::RawEvent => Self {
                user: first(&["/userId"]),
                device: first(&["/context/device/id", "/anonymousId"]),
                name: ["/event", "/name"].iter().find_map(|at| verbatim(item.pointer(at)?)),
                message_id: item.get("messageId").and_then(text),
            },
            ItemKind::Event | ItemKind::Profile | ItemKind::Deletion => Self {
                user: first(&["/user_id", "/external_id"]),
                device: first(&["/device_id"]),
                name: item.get("name").filter(|_| kind == ItemKind::Event).and_then(verbatim),
                message_id: None,
            },
            // Its work says more.
            ItemKind::Record | ItemKind::Parked => Self::default(),
        }
    }

    /// Reads calls of Pushwoosh.
    pub fn plan(plan: &Plan) -> Self {
        let first = |names: &[&str]| {
            let mut calls = plan.calls();
            calls.find_map(|call| names.iter().find_map(|name| id(call.request.get(*name)?)))
        };
        let event = plan.calls().find(|call| call.method == Method::PostEvent);
        Self {
            user: first(&["userId", "user_id"]),
            device: first(&["hwid"]),
            name: event.and_then(|call| verbatim(call.request.get("event")?)),
            message_id: None,
        }
    }

    /// Reads a Track call.
    pub fn track(call: &RawValue) -> Self {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire {
            user_id: Option<String>,
            anonymous_id: Option<String>,
            event: Option<String>,
            message_id: Option<String>,
        }
        let Ok(wire) = serde_json::from_str::<Wire>(call.get()) else {
            return Self::default();
        };
        Self {
            user: wire.user_id,
            device: wire.anonymous_id,
            name: wire.event,
            message_id: wire.message_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(parts: [&str; 4]) -> About {
        let [user, device, name, message_id] =
            parts.map(|part| Some(part.to_owned()).filter(|part| !part.is_empty()));
        About { user, device, name, message_id }
    }

    #[test]
    fn every_kind_of_item_says_whom_it_is_about() {
        let raw = r#"{"type":"track","userId":"u","anonymousId":"a","event":"E","messageId":"m","context":{"device":{"id":"d"}}}"#;
        for (kind, bytes, expected) in [
            (ItemKind::Event, r#"{"user_id":"u","device_id":"d","name":"E"}"#, ["u", "d", "E", ""]),
            (ItemKind::Profile, r#"{"external_id":5,"name":"N"}"#, ["5", "", "", ""]),
            (ItemKind::Deletion, r#"{"external_id":"u"}"#, ["u", "", "", ""]),
            (ItemKind::RawEvent, raw, ["u", "d", "E", "m"]),
            (ItemKind::RawEvent, r#"{"anonymousId":"a","name":"P"}"#, ["", "a", "P", ""]),
            (
                ItemKind::Record,
                r#"{"hwid":"h","eventName":"Push Sent"}"#,
                ["", "h", "Push Sent", ""],
            ),
            (ItemKind::Event, "no json", [""; 4]),
            (ItemKind::Record, "[]", [""; 4]),
        ] {
            assert_eq!(About::item(kind, bytes.as_bytes()), about(expected), "{bytes}");
        }
    }

    #[test]
    fn calls_say_whom_they_are_about() {
        let event = br#"{"user_id":"u","device_id":"d","device_platform":"ios","name":"E"}"#;
        let plan = crate::event::plan("A", event, jiff::Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(About::plan(&plan), about(["u", "d", "E", ""]));
        let plan = crate::deletion::plan("A", br#"{"user_id":"u"}"#).unwrap();
        assert_eq!(About::plan(&plan), about(["u", "", "", ""]));
        let call = r#"{"anonymousId":"h","event":"Push Sent","messageId":"m"}"#;
        let call = RawValue::from_string(call.to_owned()).unwrap();
        assert_eq!(About::track(&call), about(["", "h", "Push Sent", "m"]));
    }
}
