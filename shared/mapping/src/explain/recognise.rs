//! What a value is, by the fields that it has.

use serde_json::Value;

use crate::item_kind::ItemKind;
use crate::raw_event::TYPES;
use crate::tracking_log::Record;

impl ItemKind {
    /// What a value looks like; nothing where it is none of our items.
    pub fn recognise(value: &Value) -> Option<Self> {
        let has = |names: &[&str]| names.iter().any(|name| value.get(name).is_some());
        let fields = value.as_object()?;
        let kind = value.get("type").and_then(Value::as_str);
        if has(&["work"]) && has(&["first_seen"]) {
            Some(Self::Parked)
        } else if is_record(value) {
            Some(Self::Record)
        } else if kind.is_some_and(|kind| TYPES.contains(&kind)) || has(&["messageId"]) {
            Some(Self::RawEvent)
        } else if has(&["name", "app_code", "app_id"])
            && has(&[
                "user_id",
                "external_id",
                "device_id",
                "device_platform",
                "timestamp",
                "attributes",
            ])
        {
            Some(Self::Event)
        } else if has(&["external_id"]) && fields.len() == 1 {
            Some(Self::Deletion)
        } else if has(&["user_id", "external_id", "device_id", "email", "attributes"]) {
            Some(Self::Profile)
        } else {
            None
        }
    }
}

/// A record has its event or its application, and one field more that only records have.
fn is_record(value: &Value) -> bool {
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    Record::read(&bytes).is_ok_and(|record| record.is_recognised())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_input_is_recognised_by_what_it_holds() {
        for (value, kind) in [
            (json!({"type": "group"}), Some(ItemKind::RawEvent)),
            (json!({"type": "track", "userId": "u1"}), Some(ItemKind::RawEvent)),
            (json!({"messageId": "m"}), Some(ItemKind::RawEvent)),
            (json!({"external_id": "u"}), Some(ItemKind::Deletion)),
            (json!({"external_id": "u", "email": "a@b.c"}), Some(ItemKind::Profile)),
            (json!({"user_id": "u"}), Some(ItemKind::Profile)),
            (json!({"user_id": "u", "attributes": {}}), Some(ItemKind::Profile)),
            (json!({"attributes": {"a": 1}}), Some(ItemKind::Profile)),
            (json!({"user_id": "u", "name": "E"}), Some(ItemKind::Event)),
            (json!({"user_id": "u", "app_id": "A"}), Some(ItemKind::Event)),
            (json!({"work": {}, "first_seen": 1}), Some(ItemKind::Parked)),
            (json!({"event_name": "Push Sent", "hwid": "H"}), Some(ItemKind::Record)),
            (json!({"eventName": "Other", "applicationCode": "A"}), Some(ItemKind::Record)),
            (json!({"application_code": "A", "hwid": "H"}), Some(ItemKind::Record)),
        ] {
            assert_eq!(ItemKind::recognise(&value), kind, "{value}");
        }
    }

    #[test]
    fn what_is_none_of_them_is_nothing() {
        for value in [
            json!({}),
            json!({"work": {}}),
            json!({"first_seen": 1}),
            json!({"type": "other"}),
            json!({"name": "a package", "version": "1"}),
            json!({"application_code": "A"}),
            json!({"event_name": "E"}),
            json!({"timestamp": 5}),
            json!(5),
            json!("text"),
            json!(["track"]),
            Value::Null,
        ] {
            assert_eq!(ItemKind::recognise(&value), None, "{value}");
        }
    }
}
