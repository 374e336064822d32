//! What an input would become, and why: every field of every call with the parts of the input that
//! it follows, what went nowhere, and what stands in the way. Nothing is sent.
//!
//! For raw events the mapping's own reads are told, directive by directive. What a call follows is
//! found by trying: a part of the input is changed, and what then differs follows it. That holds for
//! every mapping in this crate, with no code of theirs for it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use segment_language::kit::Traced;
use segment_language::subscription::Subscription;
use serde::Serialize;
use serde_json::{Value, json};

use crate::reason::{Disposition, Reason, Refusal};
use crate::segment_event::{self, TYPES};
use crate::tracking_log::{Event, Record};
use crate::{Plan, deletion, event, profile};

/// What an input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// A raw Segment event.
    SegmentEvent,
    /// One event of a post-events body.
    Event,
    /// A track-user body.
    Profile,
    /// A delete-user body.
    Deletion,
    /// A record of the tracking log.
    Record,
}

/// What an application has to do with it.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// The application's code; records name their own.
    pub application: &'a str,
    /// Its mappings.
    pub subscriptions: &'a [Subscription],
    /// The events that it exports; nothing means all.
    pub exported: Option<&'a [Event]>,
    /// The time of arrival.
    pub now: Timestamp,
}

/// An input, explained.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// What it is.
    pub input: Input,
    /// Whose it is.
    pub application: String,
    /// The mappings that it was held against; for raw events.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mappings: Vec<Attempt>,
    /// The calls, in their order.
    pub calls: Vec<CallTrace>,
    /// Why something is not delivered.
    pub drops: Vec<Dropped>,
    /// Parts of the input that decide whether there are calls at all.
    pub decisive: Vec<String>,
    /// Parts of the input that went nowhere.
    pub unused: Vec<String>,
}

/// A mapping that an event was held against.
#[derive(Debug, Serialize)]
pub struct Attempt {
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
    pub fields: Vec<Follows>,
}

/// A field of a call.
#[derive(Debug, Serialize)]
pub struct Follows {
    /// Its name; parts of objects with dots between.
    pub field: String,
    /// Parts of the input.
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
    pub cure: &'static str,
}

impl From<Refusal> for Dropped {
    fn from(refusal: Refusal) -> Self {
        Self {
            reason: refusal.reason.code(),
            outcome: match refusal.reason.disposition() {
                Disposition::Disregard => "disregarded",
                Disposition::Reject => "rejected",
            },
            message: refusal.message.into_owned(),
            cure: refusal.reason.cure(),
        }
    }
}

impl Input {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::SegmentEvent, Self::Event, Self::Profile, Self::Deletion, Self::Record];

    /// Its name, for people and machines.
    pub fn name(self) -> &'static str {
        match self {
            Self::SegmentEvent => "segment_event",
            Self::Event => "event",
            Self::Profile => "profile",
            Self::Deletion => "deletion",
            Self::Record => "record",
        }
    }

    /// What a value looks like.
    pub fn of(value: &Value) -> Self {
        let has = |names: &[&str]| names.iter().any(|name| value.get(name).is_some());
        let kind = value.get("type").and_then(Value::as_str);
        let is_record = serde_json::to_vec(value).is_ok_and(|bytes| {
            Record::read(&bytes).is_ok_and(|record| record.application().is_ok())
        });
        if is_record {
            Self::Record
        } else if kind.is_some_and(|kind| TYPES.contains(&kind)) || has(&["messageId"]) {
            Self::SegmentEvent
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
type Call = (usize, String, Value);

/// The calls for an input.
fn run(input: Input, value: &Value, setting: Setting<'_>) -> Result<Vec<Call>, Refusal> {
    let Setting { application, now, .. } = setting;
    let plan = match input {
        Input::Record => return record(value, setting),
        Input::SegmentEvent => {
            segment_event::of(application, setting.subscriptions, value, now)?.plan
        }
        Input::Event => event::of(application, value.clone(), now)?,
        Input::Profile => profile::of(application, value.clone(), now)?,
        Input::Deletion => deletion::of(application, value.clone())?,
    };
    Ok(calls(&plan))
}

fn calls(plan: &Plan) -> Vec<Call> {
    let mut calls = Vec::new();
    for (stage, of_stage) in plan.stages.iter().enumerate() {
        for call in of_stage {
            let request = Value::Object(call.request.clone());
            let body =
                if call.method.enveloped() { json!({ "request": request }) } else { request };
            calls.push((stage, call.method.path().to_owned(), body));
        }
    }
    calls
}

fn record(value: &Value, setting: Setting<'_>) -> Result<Vec<Call>, Refusal> {
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    let refused = |reason: Reason| Refusal::new(reason, reason.cause());
    let record = Record::read(&bytes).map_err(refused)?;
    record.application().map_err(refused)?;
    let event = record.event().map_err(refused)?;
    if setting.exported.is_some_and(|exported| !exported.contains(&event)) {
        return Err(refused(Reason::EventNotExported));
    }
    let track = record.to_track(&[]).map_err(refused)?;
    let track = serde_json::to_value(&track).map_err(|_| refused(Reason::BadField))?;
    Ok(vec![(0, "/v1/batch".to_owned(), json!({"batch": [track]}))])
}

/// Explains one item.
pub fn explain(input: Input, value: &Value, setting: Setting<'_>) -> Explanation {
    let mappings = match input {
        Input::SegmentEvent => attempts(value, setting),
        _ => Vec::new(),
    };
    let (calls, mut drops) = match run(input, value, setting) {
        Ok(calls) => (calls, Vec::new()),
        Err(refusal) => (Vec::new(), vec![Dropped::from(refusal)]),
    };
    for dropped in mappings.iter().filter_map(|one| one.dropped.clone()) {
        if !drops.contains(&dropped) {
            drops.push(dropped);
        }
    }
    let leaves = leaves(value);
    let Traces { follows, decisive, idle } = try_changes(input, value, setting, &calls, &leaves);
    // Where a mapping's reads are known, they tell more than trying does.
    let unused = if input == Input::SegmentEvent {
        let read = |leaf: &str| {
            mappings
                .iter()
                .flat_map(|one| &one.fields)
                .flat_map(|field| &field.inputs)
                // Of an object that is sent, parts may be left out: there the calls tell more.
                .any(|read| read == leaf || (calls.is_empty() && covers(read, leaf)))
        };
        leaves
            .iter()
            .map(|(path, _)| path.clone())
            .filter(|path| path != "type" && !read(path) && !decisive.contains(path))
            .filter(|path| !is_followed(&follows, path))
            .collect()
    } else if calls.is_empty() {
        Vec::new()
    } else {
        idle
    };
    let application = match input {
        Input::Record => {
            value.get("application_code").and_then(Value::as_str).unwrap_or(setting.application)
        }
        _ => setting.application,
    };
    Explanation {
        input,
        application: application.to_owned(),
        mappings,
        calls: calls
            .into_iter()
            .zip(follows)
            .map(|((stage, path, body), follows)| CallTrace {
                stage,
                path,
                body,
                fields: follows
                    .into_iter()
                    .map(|(field, inputs)| Follows { field, inputs })
                    .collect(),
            })
            .collect(),
        drops,
        decisive,
        unused,
    }
}

fn attempts(event: &Value, setting: Setting<'_>) -> Vec<Attempt> {
    // Deletions pass the mappings by.
    if event.get("type").and_then(Value::as_str) == Some("delete") {
        return Vec::new();
    }
    let attempt = |subscription: &Subscription| {
        let selected = event.is_object() && subscription.selects(event);
        let dropped = selected
            .then(|| {
                segment_event::calls(setting.application, subscription, event, setting.now).err()
            })
            .flatten();
        Attempt {
            name: subscription.name.clone(),
            trigger: subscription.trigger.clone(),
            action: subscription.action.name(),
            selected,
            fields: if selected { subscription.trace(event) } else { Vec::new() },
            dropped: dropped.map(Dropped::from),
        }
    };
    setting.subscriptions.iter().map(attempt).collect()
}

/// Whether a part of the input is another, or holds it.
fn covers(part: &str, leaf: &str) -> bool {
    part == "$"
        || leaf.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn is_followed(follows: &[BTreeMap<String, Vec<String>>], path: &str) -> bool {
    follows.iter().flat_map(BTreeMap::values).flatten().any(|input| input == path)
}

/// Parts of an input that are looked at; beyond them an explanation would take long and help nobody.
const MAX_LEAVES: usize = 400;

/// The parts of a value that have no parts themselves, with the keys that lead there.
fn leaves(value: &Value) -> Vec<(String, Vec<String>)> {
    fn walk(value: &Value, keys: &mut Vec<String>, leaves: &mut Vec<(String, Vec<String>)>) {
        if leaves.len() >= MAX_LEAVES {
            return;
        }
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (key, value) in fields {
                    keys.push(key.clone());
                    walk(value, keys, leaves);
                    keys.pop();
                }
            }
            Value::Array(items) if !items.is_empty() => {
                for (index, value) in items.iter().enumerate() {
                    keys.push(index.to_string());
                    walk(value, keys, leaves);
                    keys.pop();
                }
            }
            _ if keys.is_empty() => {}
            _ => leaves.push((keys.join("."), keys.clone())),
        }
    }
    let mut leaves = Vec::new();
    walk(value, &mut Vec::new(), &mut leaves);
    leaves
}

/// What was found by trying.
struct Traces {
    /// Per call: field → inputs.
    follows: Vec<BTreeMap<String, Vec<String>>>,
    decisive: Vec<String>,
    idle: Vec<String>,
}

fn try_changes(
    input: Input,
    value: &Value,
    setting: Setting<'_>,
    calls: &[Call],
    leaves: &[(String, Vec<String>)],
) -> Traces {
    let mut traces = Traces {
        follows: vec![BTreeMap::new(); calls.len()],
        decisive: Vec::new(),
        idle: Vec::new(),
    };
    if calls.is_empty() {
        return traces;
    }
    let before: Vec<BTreeMap<String, Value>> = calls.iter().map(|call| fields(&call.2)).collect();
    for (path, keys) in leaves {
        let (mut decides, mut followed) = (false, false);
        for change in changes(value, keys) {
            let Ok(changed) = run(input, &change, setting) else {
                decides = true;
                continue;
            };
            let same_calls =
                changed.len() == calls.len() && changed.iter().zip(calls).all(|(a, b)| a.1 == b.1);
            if !same_calls {
                decides = true;
                continue;
            }
            for ((call, before), follows) in changed.iter().zip(&before).zip(&mut traces.follows) {
                let after = fields(&call.2);
                let differs = before.iter().filter(|(name, value)| after.get(*name) != Some(value));
                for (name, _) in differs {
                    follows.entry(name.clone()).or_default().push(path.clone());
                    followed = true;
                }
            }
            if followed {
                break;
            }
        }
        if decides {
            traces.decisive.push(path.clone());
        } else if !followed {
            traces.idle.push(path.clone());
        }
    }
    traces
}

/// A value's leaves by their names.
fn fields(body: &Value) -> BTreeMap<String, Value> {
    let part = |keys: &[String]| {
        keys.iter().try_fold(body, |value, key| match value {
            Value::Array(items) => items.get(key.parse::<usize>().ok()?),
            other => other.get(key),
        })
    };
    leaves(body).into_iter().filter_map(|(path, keys)| Some((path, part(&keys)?.clone()))).collect()
}

/// The value with one part changed, in several ways: the first that shows is enough. Among them are
/// values of those fields that take only certain ones.
fn changes(value: &Value, keys: &[String]) -> Vec<Value> {
    const KNOWN: [&str; 5] = ["2001-02-03T04:05:06Z", "ios", "android", "Email Sent", "Push Sent"];
    let keys: Vec<String> =
        keys.iter().map(|key| key.replace('~', "~0").replace('/', "~1")).collect();
    let pointer = format!("/{}", keys.join("/"));
    let Some(now) = value.pointer(&pointer) else {
        return Vec::new();
    };
    let mut others: Vec<Value> = match now {
        Value::String(text) => std::iter::once(format!("{text}~").into())
            .chain(KNOWN.into_iter().filter(|known| known != text).map(Value::from))
            .collect(),
        Value::Number(number) => vec![json!(number.as_f64().unwrap_or_default() + 1.0), json!(7)],
        Value::Bool(value) => vec![(!value).into()],
        _ => vec!["~".into()],
    };
    others.push(Value::Null);
    let changed = others.into_iter().map(|other| {
        let mut changed = value.clone();
        if let Some(place) = changed.pointer_mut(&pointer) {
            *place = other;
        }
        changed
    });
    changed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use segment_language::subscription::presets;

    fn explained(input: Input, value: &Value) -> Explanation {
        let setting = Setting {
            application: "A",
            subscriptions: presets(),
            exported: None,
            now: "2026-01-02T03:04:05Z".parse().unwrap(),
        };
        explain(input, value, setting)
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
        assert_eq!(Input::of(&event), Input::SegmentEvent);
        let explanation = explained(Input::SegmentEvent, &event);
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
        let explanation = explained(Input::SegmentEvent, &event);
        assert!(explanation.calls.is_empty());
        assert_eq!(explanation.drops[0].reason, "no_platform");
        assert!(!explanation.drops[0].cure.is_empty());
    }

    #[test]
    fn bodies_and_records_are_recognised_and_explained() {
        let profile =
            json!({"user_id": "u1", "language": "en-US", "attributes": {"a": "b"}, "other": 1});
        assert_eq!(Input::of(&profile), Input::Profile);
        let explanation = explained(Input::Profile, &profile);
        assert_eq!(explanation.unused, ["other"]);
        assert_eq!(inputs(&explanation, "request.tags.Language"), ["language"]);

        let record = json!({"event_name": "Push Sent", "timestamp": 1_767_323_045, "application_code": "A", "hwid": "H", "payload": "p"});
        assert_eq!(Input::of(&record), Input::Record);
        let explanation = explained(Input::Record, &record);
        assert!(inputs(&explanation, "batch.0.anonymousId").contains(&"hwid".to_owned()));
        assert!(inputs(&explanation, "batch.0.timestamp").contains(&"timestamp".to_owned()));

        assert_eq!(Input::of(&json!({"external_id": "u"})), Input::Deletion);
        assert_eq!(Input::of(&json!({"user_id": "u", "name": "E"})), Input::Event);
        assert_eq!(items(json!({"events": [1, 2]})).len(), 2);
    }
}
