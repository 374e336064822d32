//! What follows from what an item lacks, although it is delivered, and which of the parts that went nowhere
//! its sender may miss.

use segment_language::action::Action;
use serde::Serialize;
use serde_json::Value;

use super::PlannedCall;
use crate::call::Method;
use crate::item_kind::ItemKind;

/// Longest name of an event that Pushwoosh's createEvent takes; what happens to longer ones is not documented.
/// <https://docs.pushwoosh.com/developer/api-reference/events>
pub const MAX_EVENT_NAME: usize = 32;

/// Longest name of an event's attribute, likewise.
pub const MAX_ATTRIBUTE_NAME: usize = 64;

/// Something that the sender may not expect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Stable code.
    pub code: &'static str,
    /// The field that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What it means, and what to do.
    pub message: String,
}

fn note(code: &'static str, message: impl Into<String>) -> Note {
    Note { code, field: None, message: message.into() }
}

fn note_on(code: &'static str, field: &str, message: impl Into<String>) -> Note {
    Note { field: Some(field.to_owned()), ..note(code, message) }
}

/// What follows from these calls, and from the parts of the item that went nowhere.
pub(super) fn notes(
    kind: ItemKind,
    item: &Value,
    calls: &[PlannedCall],
    timed: bool,
    unused: &[String],
) -> Vec<Note> {
    let mut notes: Vec<Note> = Vec::new();
    for call in calls {
        for note in of_call(kind, call, timed) {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    if kind == ItemKind::Profile || kind == ItemKind::RawEvent {
        notes.extend(unregistered_device(item, calls));
    }
    notes.extend(unused.iter().filter_map(|path| missed(path, item)));
    notes
}

fn of_call(kind: ItemKind, call: &PlannedCall, timed: bool) -> Vec<Note> {
    let at = |pointer: &str| call.body.pointer(pointer).filter(|value| !value.is_null());
    let mut notes = Vec::new();
    if call.path == Method::PostEvent.path() {
        if at("/request/hwid").is_none() {
            notes.push(note(
                "no_device",
                "the event names no device: it may start no Customer Journey. Send the device's id, which is context.device.id in Segment",
            ));
        }
        if at("/request/userId").is_none() {
            notes.push(note(
                "no_user",
                "the event names no user: it counts for the device only. Send the user's id",
            ));
        }
        if !timed && kind != ItemKind::Parked {
            notes.push(note("no_time", "the event has no time: it counts at its arrival"));
        }
        if let Some(name) = at("/request/event").and_then(Value::as_str)
            && name.chars().count() > MAX_EVENT_NAME
        {
            notes.push(note(
                "long_event_name",
                format!("the event's name has more than {MAX_EVENT_NAME} characters: Pushwoosh's control panel makes no event of that name"),
            ));
        }
        let attributes = at("/request/attributes").and_then(Value::as_object);
        for name in attributes.into_iter().flatten().map(|(name, _)| name) {
            if name.chars().count() > MAX_ATTRIBUTE_NAME {
                notes.push(note_on(
                    "long_attribute_name",
                    name,
                    format!("the attribute's name has more than {MAX_ATTRIBUTE_NAME} characters: Pushwoosh's control panel makes no attribute of that name"),
                ));
            }
        }
    } else if call.path == Method::SetTags.path() && at("/request/userId").is_none() {
        notes.push(note(
            "no_user",
            "the profile names no user: its tags are those of the device or the address only. Send the user's id",
        ));
    } else if kind == ItemKind::Record {
        let tracks = at("/batch").and_then(Value::as_array);
        if tracks.into_iter().flatten().any(|track| track.get("userId").is_none()) {
            notes.push(note(
                "anonymous",
                "the record names no user of its own: Segment gets the device's id as anonymousId",
            ));
        }
    }
    notes
}

/// A device that is named, and not registered.
fn unregistered_device(item: &Value, calls: &[PlannedCall]) -> Option<Note> {
    let registers = [Method::RegisterDevice.path(), Method::RegisterUser.path()];
    let is_profile = calls.iter().any(|call| call.path == Method::SetTags.path());
    let device = ["/device_id", "/context/device/id"]
        .into_iter()
        .find(|pointer| item.pointer(pointer).is_some_and(|id| !id.is_null()))?;
    let registered = calls.iter().any(|call| registers.contains(&call.path.as_str()));
    (is_profile && !registered).then(|| {
        note_on(
            "device_not_registered",
            &device.trim_start_matches('/').replace('/', "."),
            "the device is not registered: that needs the user's id or a push token, and a platform that Pushwoosh has (ios, android, web)",
        )
    })
}

/// A part that went nowhere, and that its sender may miss.
fn missed(path: &str, item: &Value) -> Option<Note> {
    let (place, name) = path.split_once('.').unwrap_or(("", path));
    let of_action = || Action::UpdateUserProfile.fields().iter().any(|field| field.name == name);
    match (place, name) {
        ("traits", name) if of_action() => Some(note_on(
            "reserved_trait",
            path,
            format!(
                "traits.{name} has the name of a field of Segment's destination, which takes it out of the tags: map it to that field, or rename the trait"
            ),
        )),
        ("", "anonymousId") if item.get("userId").is_none() => Some(note_on(
            "anonymous_id",
            path,
            "the event names only an anonymous person: Pushwoosh gets no user id. Map anonymousId if it should",
        )),
        ("", "email") => {
            Some(note_on("no_address", path, "it is no e-mail address: an @ is expected"))
        }
        ("", "device_token") => Some(note_on(
            "token_without_device",
            path,
            "a push token counts only with device_id and device_platform",
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::explain;
    use super::*;
    use crate::rules::Rules;

    fn codes(kind: ItemKind, item: &Value) -> Vec<&'static str> {
        let explanation = explain(kind, item, &Rules::of_presets("A"));
        explanation.notes.iter().map(|note| note.code).collect()
    }

    #[test]
    fn an_event_says_what_its_gaps_mean() {
        let full = json!({"user_id": "u", "device_id": "d", "device_platform": "ios", "name": "E", "timestamp": 5});
        assert_eq!(codes(ItemKind::Event, &full), [""; 0]);
        let without = |field: &str| {
            let mut event = full.clone();
            event.as_object_mut().unwrap().remove(field);
            codes(ItemKind::Event, &event)
        };
        assert_eq!(without("device_id"), ["no_device"]);
        assert_eq!(without("user_id"), ["no_user"]);
        assert_eq!(without("timestamp"), ["no_time"]);
    }

    #[test]
    fn names_that_are_too_long_are_noted() {
        let event = json!({"user_id": "u", "device_id": "d", "device_platform": "ios", "timestamp": 5,
            "name": "n".repeat(MAX_EVENT_NAME + 1), "attributes": {"a".repeat(MAX_ATTRIBUTE_NAME + 1): 1, "b": 1}});
        assert_eq!(codes(ItemKind::Event, &event), ["long_event_name", "long_attribute_name"]);
        let event = json!({"user_id": "u", "device_id": "d", "device_platform": "ios", "timestamp": 5,
            "name": "n".repeat(MAX_EVENT_NAME), "attributes": {"a".repeat(MAX_ATTRIBUTE_NAME): 1, "b": 1}});
        assert_eq!(codes(ItemKind::Event, &event), [""; 0]);
    }

    #[test]
    fn a_profile_says_what_its_gaps_mean() {
        let profile = json!({"device_id": "d", "attributes": {"a": 1}, "device_platform": "ios"});
        assert_eq!(codes(ItemKind::Profile, &profile), ["no_user", "device_not_registered"]);
        let profile =
            json!({"user_id": "u", "email": "none", "device_token": "t", "attributes": {"a": 1}});
        assert_eq!(codes(ItemKind::Profile, &profile), ["no_address", "token_without_device"]);
        let profile = json!({"user_id": "u", "device_id": "d", "device_platform": "web", "attributes": {"a": 1}});
        assert_eq!(codes(ItemKind::Profile, &profile), [""; 0]);
        let event = json!({"type": "identify", "userId": "u", "traits": {"a": 1},
            "context": {"device": {"id": "d"}}});
        assert_eq!(codes(ItemKind::RawEvent, &event), ["device_not_registered"]);
    }

    #[test]
    fn a_trait_with_the_name_of_a_field_is_missed() {
        let event = json!({"type": "identify", "userId": "u", "traits": {"plan": "gold", "city": "Berlin"}});
        let explanation = explain(ItemKind::RawEvent, &event, &Rules::of_presets("A"));
        let fields: Vec<_> = explanation.notes.iter().map(|note| note.field.as_deref()).collect();
        assert_eq!(fields, [Some("traits.city")]);
        // Another mapping may leave out other traits: that is no surprise.
        let entry = json!({"subscribe": "type = \"identify\"", "action": "updateUserProfile",
            "mapping": {"external_id": {"@path": "$.userId"}, "attributes": {"a": {"@path": "$.traits.a"}}}});
        let list = segment_language::subscription::read(&[entry]);
        let rules = Rules { subscriptions: &list.subscriptions, ..Rules::of_presets("A") };
        let event = json!({"type": "identify", "userId": "u", "traits": {"a": 1, "plan": "gold", "city": "Berlin"}});
        let explanation = explain(ItemKind::RawEvent, &event, &rules);
        assert_eq!(explanation.unused, ["traits.plan", "traits.city"]);
        let fields: Vec<_> = explanation.notes.iter().map(|note| note.field.as_deref()).collect();
        assert_eq!(fields, [Some("traits.city")]);
        let anonymous = json!({"type": "track", "anonymousId": "x", "event": "E"});
        assert_eq!(codes(ItemKind::RawEvent, &anonymous), ["anonymous_id"]);
        let known = json!({"type": "track", "anonymousId": "x", "userId": "u", "event": "E"});
        assert_eq!(codes(ItemKind::RawEvent, &known), [""; 0]);
    }

    #[test]
    fn a_record_without_a_user_is_anonymous() {
        let record = |user: &str| json!({"event_name": "Push Sent", "timestamp": 5, "application_code": "A", "hwid": "H", "user_id": user});
        assert_eq!(codes(ItemKind::Record, &record("H")), ["anonymous"]);
        assert_eq!(codes(ItemKind::Record, &record("u")), [""; 0]);
    }
}
