//! What an item would become, and why: every field of every call with the parts of the item that it
//! follows, what went nowhere, and why it is not delivered. Nothing is sent.
//!
//! Where a value comes from is found in one way, by trial (`influence`): a part of the item is
//! changed, the item is planned again, and what then differs follows that part. This holds for every
//! mapping without any code in it. For raw events the mapping language also traces its own directives
//! ([`Traced`]): these say how a field was made, not where a value in a call comes from.

mod influence;

use segment_language::kit::Traced;
use segment_language::subscription::Subscription;
use serde::Serialize;
use serde_json::{Value, json};

use self::influence::{Influence, Part, parts};
use crate::call::{Call, Plan};
use crate::integrations::withheld_by;
use crate::item::{Item, ItemKind, Origin};
use crate::outcome::Outcome;
use crate::raw_event::{self, TYPES};
use crate::reason::{Reason, Refusal};
use crate::rules::Rules;
use crate::tracking_log::Record;
use crate::work::Work;

/// An item, explained.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// What it is.
    pub input: ItemKind,
    /// Code of its application.
    pub application: String,
    /// The mappings that were tried; for raw events.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mappings: Vec<MappingAttempt>,
    /// The calls, in their order.
    pub calls: Vec<CallTrace>,
    /// Why something is not delivered.
    pub drops: Vec<Dropped>,
    /// Parts of the item that decide whether there are calls at all.
    pub decisive: Vec<String>,
    /// Parts of the item that went nowhere.
    pub unused: Vec<String>,
}

/// A mapping that was tried on a raw event.
#[derive(Debug, Serialize)]
pub struct MappingAttempt {
    /// The mapping's name.
    pub name: String,
    /// Its trigger.
    pub trigger: String,
    /// The action that it fills.
    pub action: &'static str,
    /// Whether the trigger selects the event.
    pub selected: bool,
    /// Its fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Traced>,
    /// Why it gives nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped: Option<Dropped>,
}

/// A call that would be made.
#[derive(Debug, Serialize)]
pub struct CallTrace {
    /// Calls of one stage run together.
    pub stage: usize,
    /// Path below the upstream's host.
    pub path: String,
    /// The body.
    pub body: Value,
    /// What each field of the body follows.
    pub fields: Vec<FollowedField>,
}

/// A field of a call, and the parts of the item that it follows.
#[derive(Debug, Serialize)]
pub struct FollowedField {
    /// Its name; parts of objects with dots between.
    pub field: String,
    /// Parts of the item.
    pub inputs: Vec<String>,
}

/// Why something is not delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// Code of the reason.
    pub reason: &'static str,
    /// `disregarded` or `rejected`.
    pub outcome: &'static str,
    /// Which field, and what was expected.
    pub message: String,
    /// What to do about it.
    pub remedy: &'static str,
}

impl From<Refusal> for Dropped {
    fn from(refusal: Refusal) -> Self {
        Self {
            reason: refusal.reason.code(),
            outcome: Outcome::from(refusal.reason).code(),
            message: refusal.message.into_owned(),
            remedy: refusal.reason.remedy(),
        }
    }
}

impl ItemKind {
    /// What a value looks like.
    pub fn recognise(value: &Value) -> Self {
        let has = |names: &[&str]| names.iter().any(|name| value.get(name).is_some());
        let kind = value.get("type").and_then(Value::as_str);
        let bytes = serde_json::to_vec(value).unwrap_or_default();
        let is_record = Record::read(&bytes).is_ok_and(|record| record.application().is_ok());
        if is_record {
            Self::Record
        } else if has(&["work"]) && has(&["first_seen"]) {
            Self::Parked
        } else if kind.is_some_and(|kind| TYPES.contains(&kind)) || has(&["messageId"]) {
            Self::RawEvent
        } else if has(&["name", "app_code", "app_id", "timestamp"]) {
            Self::Event
        } else if has(&["external_id"]) && value.as_object().is_some_and(|one| one.len() == 1) {
            Self::Deletion
        } else {
            Self::Profile
        }
    }
}

/// The items of an input: a list has several, and so has a post-events body.
pub fn items(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        Value::Object(mut body) if body.get("events").is_some_and(Value::is_array) => {
            match body.remove("events") {
                Some(Value::Array(events)) => events,
                _ => Vec::new(),
            }
        }
        one => vec![one],
    }
}

/// A call, as data.
#[derive(Debug, Clone, PartialEq)]
struct PlannedCall {
    stage: usize,
    path: String,
    body: Value,
}

/// The calls for an item, and why parts of it give none.
fn run(
    kind: ItemKind,
    value: &Value,
    rules: &Rules<'_>,
) -> Result<(Vec<PlannedCall>, Vec<Refusal>), Refusal> {
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    let item = Item { kind, application: None, origin: Origin::Message(""), bytes: &bytes };
    let planned = item.plan(rules)?;
    let calls = match planned.work {
        Work::Pushwoosh(plan) => pushwoosh_calls(plan),
        Work::Segment(tracks) => vec![PlannedCall {
            stage: 0,
            path: "/v1/batch".to_owned(),
            body: json!({ "batch": tracks }),
        }],
    };
    Ok((calls, planned.refusals))
}

fn pushwoosh_calls(plan: Plan) -> Vec<PlannedCall> {
    let planned = |stage: usize, call: Call| PlannedCall {
        stage,
        path: call.method.path().to_owned(),
        body: call.body(),
    };
    let stages = plan.stages.into_iter().enumerate();
    stages
        .flat_map(|(stage, calls)| calls.into_iter().map(move |call| planned(stage, call)))
        .collect()
}

/// Explains one item.
pub fn explain(kind: ItemKind, value: &Value, rules: &Rules<'_>) -> Explanation {
    let mappings = match kind {
        ItemKind::RawEvent => attempts(value, rules),
        _ => Vec::new(),
    };
    let (calls, refusals) = match run(kind, value, rules) {
        Ok((calls, refusals)) => (calls, refusals),
        Err(refusal) => (Vec::new(), vec![refusal]),
    };
    let mut drops: Vec<Dropped> = refusals.into_iter().map(Dropped::from).collect();
    for dropped in mappings.iter().filter_map(|one| one.dropped.clone()) {
        if !drops.contains(&dropped) {
            drops.push(dropped);
        }
    }
    let parts = parts(value);
    let mut influence = Influence::find(value, &parts, &calls, |changed| {
        run(kind, changed, rules).ok().map(|(calls, _)| calls)
    });
    if refused_for(&drops, Reason::NotForPushwoosh) {
        influence.decisive.extend(withheld_by(value).map(|name| format!("integrations.{name}")));
    }
    let unused = match kind {
        // The language's own trace knows what was read, also where another value won.
        ItemKind::RawEvent => unread(&mappings, &parts, &calls, &influence),
        _ => influence.idle,
    };
    let named = value.get("application_code").or_else(|| value.get("application"));
    let application = match (kind, named.and_then(Value::as_str)) {
        (ItemKind::Record | ItemKind::Parked, Some(named)) => named,
        _ => rules.application,
    };
    let fields = influence.fields.into_iter().map(|fields| {
        let fields = fields.into_iter();
        fields.map(|(field, inputs)| FollowedField { field, inputs }).collect()
    });
    Explanation {
        input: kind,
        application: application.to_owned(),
        mappings,
        calls: calls
            .into_iter()
            .zip(fields)
            .map(|(PlannedCall { stage, path, body }, fields)| CallTrace {
                stage,
                path,
                body,
                fields,
            })
            .collect(),
        drops,
        decisive: influence.decisive,
        unused,
    }
}

fn refused_for(drops: &[Dropped], reason: Reason) -> bool {
    drops.iter().any(|dropped| dropped.reason == reason.code())
}

/// The parts of a raw event that no selected mapping reads, that decide nothing, and that no call
/// follows.
fn unread(
    mappings: &[MappingAttempt],
    parts: &[Part],
    calls: &[PlannedCall],
    influence: &Influence,
) -> Vec<String> {
    let fields = mappings.iter().flat_map(|one| &one.fields);
    let reads: Vec<&String> = fields.flat_map(|field| &field.inputs).collect();
    // Where an object is sent, parts of it may be left out: the calls show which.
    let is_read = |path: &str| {
        reads.iter().any(|read| *read == path || (calls.is_empty() && covers(read, path)))
    };
    let unread = parts.iter().map(|part| &part.path).filter(|path| {
        *path != "type"
            && !is_read(path)
            && !influence.decisive.contains(path)
            && !influence.is_followed(path)
    });
    unread.cloned().collect()
}

fn attempts(event: &Value, rules: &Rules<'_>) -> Vec<MappingAttempt> {
    // Deletions need no mapping.
    if event.get("type").and_then(Value::as_str) == Some("delete") {
        return Vec::new();
    }
    let attempt = |subscription: &Subscription| {
        let selected = event.is_object() && subscription.selects(event);
        let refusal =
            selected.then(|| raw_event::plan_mapping(rules, subscription, event).err()).flatten();
        MappingAttempt {
            name: subscription.name.clone(),
            trigger: subscription.trigger.clone(),
            action: subscription.action.name(),
            selected,
            fields: if selected { subscription.trace(event) } else { Vec::new() },
            dropped: refusal.map(Dropped::from),
        }
    };
    rules.subscriptions.iter().map(attempt).collect()
}

/// Whether a path is another, or leads to something that holds it.
fn covers(outer: &str, path: &str) -> bool {
    outer == "$"
        || path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
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
        assert_eq!(ItemKind::recognise(&event), ItemKind::RawEvent);
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
        let event = json!({"type": "track", "userId": "u1", "event": "E", "timestamp": "2026-01-02T03:04:05Z"});
        let explanation = explained(ItemKind::RawEvent, &event);
        assert!(explanation.calls.is_empty());
        assert_eq!(explanation.drops[0].reason, "no_platform");
        assert!(!explanation.drops[0].remedy.is_empty());
    }

    #[test]
    fn bodies_and_records_are_recognised_and_explained() {
        let profile =
            json!({"user_id": "u1", "language": "en-US", "attributes": {"a": "b"}, "other": 1});
        assert_eq!(ItemKind::recognise(&profile), ItemKind::Profile);
        let explanation = explained(ItemKind::Profile, &profile);
        assert_eq!(explanation.unused, ["other"]);
        assert_eq!(inputs(&explanation, "request.tags.Language"), ["language"]);

        let record = json!({"event_name": "Push Sent", "timestamp": 1_767_323_045, "application_code": "A", "hwid": "H", "payload": "p"});
        assert_eq!(ItemKind::recognise(&record), ItemKind::Record);
        let explanation = explained(ItemKind::Record, &record);
        assert!(inputs(&explanation, "batch.0.anonymousId").contains(&"hwid".to_owned()));
        assert!(inputs(&explanation, "batch.0.timestamp").contains(&"timestamp".to_owned()));

        assert_eq!(ItemKind::recognise(&json!({"external_id": "u"})), ItemKind::Deletion);
        assert_eq!(ItemKind::recognise(&json!({"user_id": "u", "name": "E"})), ItemKind::Event);
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
        let record = json!({"event_name": "Push Sent", "timestamp": 5, "application_code": "B", "hwid": "H"});
        assert_eq!(explained(ItemKind::Record, &record).application, "B");
        let parked = json!({"application": "B", "work": {"pushwoosh": [[{"method": "deleteUser",
            "request": {"application": "B", "user_id": "u"}}]]}, "first_seen": "1970-01-01T00:00:00Z",
            "attempts": 1, "cause": "timeout"});
        let explanation = explained(ItemKind::recognise(&parked), &parked);
        assert_eq!((explanation.input, explanation.application.as_str()), (ItemKind::Parked, "B"));
        assert_eq!(explanation.calls[0].path, "/api/v2/device-api/deleteUser");
        let profile = json!({"user_id": "u", "attributes": {"a": 1}, "application": "B"});
        assert_eq!(explained(ItemKind::Profile, &profile).application, "A");
    }

    #[test]
    fn an_input_is_recognised_by_what_it_holds() {
        for (value, kind) in [
            (json!({"work": {}}), ItemKind::Profile),
            (json!({"first_seen": 1}), ItemKind::Profile),
            (json!({"type": "other"}), ItemKind::Profile),
            (json!({"type": "group"}), ItemKind::RawEvent),
            (json!({"messageId": "m"}), ItemKind::RawEvent),
            (json!({"external_id": "u", "email": "a@b.c"}), ItemKind::Profile),
            (json!({"user_id": "u"}), ItemKind::Profile),
            (json!({"app_id": "A"}), ItemKind::Event),
        ] {
            assert_eq!(ItemKind::recognise(&value), kind, "{value}");
        }
    }

    #[test]
    fn a_list_and_a_body_of_events_have_several_items() {
        assert_eq!(items(json!([1, 2, 3])).len(), 3);
        assert_eq!(items(json!({"events": []})).len(), 0);
        for one in [json!({"events": 5}), json!({"event": [1]}), json!("text")] {
            assert_eq!(items(one.clone()), [one]);
        }
    }
}
