//! Whole explanations.

use super::*;

fn explained(kind: ItemKind, value: &Value) -> Explanation {
    let now = "2026-01-02T03:04:05Z".parse().unwrap();
    explain(kind, value, &Rules { now, ..Rules::of_presets("A") })
}

fn inputs<'a>(explanation: &'a Explanation, field: &str) -> &'a [String] {
    explanation
        .calls
        .iter()
        .flat_map(|call| &call.fields)
        .find(|follows| follows.field == field)
        .map_or(&[], |follows| follows.inputs.as_slice())
}

#[test]
fn a_raw_event_tells_where_everything_comes_from_and_what_went_nowhere() {
    let event = json!({"type": "track", "userId": "u1", "event": "E", "timestamp": "2026-01-02T03:04:05Z",
        "context": {"device": {"id": "d1", "type": "ios"}, "ip": "127.0.0.1"}, "properties": {"a": 1, "none": null}});
    assert_eq!(ItemKind::recognise(&event), Some(ItemKind::RawEvent));
    let explanation = explained(ItemKind::RawEvent, &event);
    assert_eq!(explanation.unused, ["context.ip", "properties.none"]);
    assert_eq!(inputs(&explanation, "request.event"), ["event"]);
    assert_eq!(inputs(&explanation, "request.timestampUTC"), ["timestamp"]);
    assert_eq!(inputs(&explanation, "request.device_type"), ["context.device.type"]);
    assert_eq!(inputs(&explanation, "request.attributes.a"), ["properties.a"]);
    let [event, profile] = explanation.mappings.as_slice() else { panic!("two presets") };
    assert!(event.selected && !profile.selected);
    assert_eq!(event.fields.len(), 6);
}

#[test]
fn a_drop_says_why_and_what_to_do() {
    let event =
        json!({"type": "track", "userId": "u1", "event": "E", "timestamp": "2026-01-02T03:04:05Z"});
    let explanation = explained(ItemKind::RawEvent, &event);
    assert!(explanation.calls.is_empty());
    assert_eq!(explanation.drops[0].reason, "no_platform");
    assert!(!explanation.drops[0].remedy.is_empty());
}

#[test]
fn bodies_and_records_are_recognised_and_explained() {
    let profile =
        json!({"user_id": "u1", "language": "en-US", "attributes": {"a": "b"}, "other": 1});
    assert_eq!(ItemKind::recognise(&profile), Some(ItemKind::Profile));
    let explanation = explained(ItemKind::Profile, &profile);
    assert_eq!(explanation.unused, ["other"]);
    assert_eq!(inputs(&explanation, "request.tags.Language"), ["language"]);

    let record = json!({"event_name": "Push Sent", "timestamp": 1_767_323_045, "application_code": "A", "hwid": "H", "payload": "p"});
    assert_eq!(ItemKind::recognise(&record), Some(ItemKind::Record));
    let explanation = explained(ItemKind::Record, &record);
    assert!(inputs(&explanation, "batch.0.anonymousId").contains(&"hwid".to_owned()));
    assert!(inputs(&explanation, "batch.0.timestamp").contains(&"timestamp".to_owned()));

    assert_eq!(ItemKind::recognise(&json!({"external_id": "u"})), Some(ItemKind::Deletion));
    assert_eq!(ItemKind::recognise(&json!({"user_id": "u", "name": "E"})), Some(ItemKind::Event));
    assert_eq!(items(json!({"events": [1, 2]})).len(), 2);
}

/// What is sent counts, what was only read does not: the place of an object that holds a part.
#[test]
fn of_an_event_that_is_dropped_only_what_no_mapping_read_went_nowhere() {
    let event = json!({"type": "track", "userId": "u1", "event": "E", "extra": {"a": 1},
        "timestamp": "2026-01-02T03:04:05Z", "properties": {"a": 1, "b": {"c": 2}}, "propertiesx": 1});
    let explanation = explained(ItemKind::RawEvent, &event);
    assert!(explanation.calls.is_empty() && explanation.decisive.is_empty());
    assert_eq!(explanation.unused, ["extra.a", "propertiesx"]);
    // Bodies without calls have no parts of which that could be said.
    assert_eq!(explained(ItemKind::Event, &json!({"name": "E"})).unused, [""; 0]);
}

#[test]
fn every_failing_mapping_is_shown_once_beside_what_the_others_send() {
    let entry = |name: &str| {
        json!({"subscribe": "type = \"track\"", "action": "trackEvent", "mapping": {
            "external_id": {"@path": "$.userId"}, "device_platform": "web", "timestamp": 5, "name": {"@path": name}}})
    };
    let list = segment_language::subscription::read(&[entry("$.event"), entry("$.nothing")]);
    let rules = Rules { subscriptions: &list.subscriptions, ..Rules::of_presets("A") };
    let event = json!({"type": "track", "userId": "u1", "event": "E"});
    let explanation = explain(ItemKind::RawEvent, &event, &rules);
    assert_eq!((explanation.calls.len(), explanation.drops.len()), (1, 1));
    assert_eq!(explanation.drops[0].outcome, "rejected");
    assert_eq!(explanation.mappings[1].dropped.as_ref(), Some(&explanation.drops[0]));
    assert_eq!(explanation.mappings[0].dropped, None);
}

#[test]
fn an_event_that_is_not_for_pushwoosh_is_shown_as_such() {
    let event = |integrations: Value| {
        let event = json!({"type": "identify", "userId": "u1", "traits": {"a": 1},
            "integrations": integrations});
        explained(ItemKind::RawEvent, &event)
    };
    let withheld = event(json!({"All": false, "Mixpanel": true}));
    assert!(withheld.calls.is_empty() && withheld.mappings.iter().any(|one| one.selected));
    let [dropped] = withheld.drops.as_slice() else { panic!("one reason") };
    assert_eq!((dropped.reason, dropped.outcome), ("not_for_pushwoosh", "disregarded"));
    assert_eq!(withheld.decisive, ["integrations.All"]);
    assert_eq!(withheld.unused, ["integrations.Mixpanel"]);
    let allowed = event(json!({"All": false, "Pushwoosh": true}));
    assert_eq!((allowed.calls.len(), allowed.drops.len()), (1, 0));
    assert!(allowed.decisive.contains(&"integrations.Pushwoosh".to_owned()));
    // The endpoints' own bodies have no such field.
    let profile = json!({"user_id": "u1", "attributes": {"a": 1}, "integrations": {"All": false}});
    let explanation = explained(ItemKind::Profile, &profile);
    assert_eq!(explanation.calls.len(), 1);
    assert!(!explanation.decisive.contains(&"integrations.All".to_owned()));
}

#[test]
fn a_deletion_needs_no_mapping_and_what_is_no_event_is_selected_by_none() {
    let deletion = json!({"type": "delete", "userId": "u1"});
    let explanation = explained(ItemKind::RawEvent, &deletion);
    assert!(explanation.mappings.is_empty());
    assert_eq!(inputs(&explanation, "user_id"), ["userId"]);
    let none = explained(ItemKind::RawEvent, &json!(["track"]));
    assert!(none.mappings.iter().all(|attempt| !attempt.selected && attempt.fields.is_empty()));
}

#[test]
fn records_and_parked_messages_name_their_own_application() {
    let record =
        json!({"event_name": "Push Sent", "timestamp": 5, "application_code": "B", "hwid": "H"});
    assert_eq!(explained(ItemKind::Record, &record).application, "B");
    let parked = json!({"application": "B", "work": {"pushwoosh": [[{"method": "deleteUser",
        "request": {"application": "B", "user_id": "u"}}]]}, "first_seen": "1970-01-01T00:00:00Z",
        "attempts": 1, "cause": "timeout"});
    let explanation = explained(ItemKind::recognise(&parked).unwrap(), &parked);
    assert_eq!((explanation.input, explanation.application.as_str()), (ItemKind::Parked, "B"));
    assert_eq!(explanation.calls[0].path, "/api/v2/device-api/deleteUser");
    let profile = json!({"user_id": "u", "attributes": {"a": 1}, "application": "B"});
    assert_eq!(explained(ItemKind::Profile, &profile).application, "A");
}

#[test]
fn a_list_and_a_body_of_events_have_several_items() {
    assert_eq!(items(json!([1, 2, 3])).len(), 3);
    assert_eq!(items(json!({"events": []})).len(), 0);
    for one in [json!({"events": 5}), json!({"event": [1]}), json!("text")] {
        assert_eq!(items(one.clone()), [one]);
    }
}
