//! What an item would become, and why: every field of every call with the parts of the item that it
//! follows, what went nowhere, and why it is not delivered. Nothing is sent.
//!
//! Where a value comes from is found in one way, by trial (`influence`): a part of the item is
//! changed, the item is planned again, and what then differs follows that part. This holds for every
//! mapping without any code in it. For raw events the mapping language also traces its own directives
//! ([`Traced`]): these say how a field was made, not where a value in a call comes from.
//!
//! # Layout
//! * `recognise`: what a value is.
//! * `influence`: which parts of an item each field of a call follows.
//! * `names`: fields with unknown names, and the known names that they resemble.
//! * `spec`: the fields that Segment's specification names.
//! * `misread`: paths that a mapping reads and the event does not have, because one of the two is misspelt.
//! * `notes`: what follows from what an item lacks.

mod influence;
mod misread;
mod names;
mod notes;
mod recognise;
mod spec;

use segment_language::fql::Clause;
use segment_language::kit::Traced;
use segment_language::subscription::Subscription;
use serde::Serialize;
use serde_json::{Value, json};

use self::influence::{Influence, Part, parts};
use self::misread::misread_paths;
pub use self::names::{UnknownField, nearest};
use self::names::{unknown_fields, unknown_outputs};
use self::notes::notes;
pub use self::notes::{MAX_ATTRIBUTE_NAME, MAX_EVENT_NAME, Note};
use crate::call::{Call, Plan};
use crate::integrations::withheld_by;
use crate::item::{Item, Origin};
use crate::item_kind::ItemKind;
use crate::outcome::Outcome;
use crate::raw_event;
use crate::reason::{Reason, Refusal};
use crate::rules::Rules;
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
    /// Fields of the item with unknown names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<UnknownField>,
    /// What the sender may not expect.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
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
    /// Every part of the trigger, with whether the event meets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Clause>,
    /// Its fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Traced>,
    /// Fields that its action does not have, and paths that resemble one of the event.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<UnknownField>,
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

/// The field of an event's call that its time becomes.
const TIME_FIELD: &str = "timestampUTC";

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
        body: json!(call.body()),
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
    let fields = influence.fields.into_iter().map(|fields| {
        let fields = fields.into_iter();
        fields.map(|(field, inputs)| FollowedField { field, inputs }).collect()
    });
    let fields: Vec<Vec<FollowedField>> = fields.collect();
    let timed = fields.iter().flatten().any(|one| one.field.ends_with(TIME_FIELD));
    let notes = notes(kind, value, &calls, timed, &unused);
    let calls = calls.into_iter().zip(fields);
    Explanation {
        input: kind,
        application: application_of(kind, value, rules).to_owned(),
        mappings,
        calls: calls
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
        unknown: unknown_fields(kind, value),
        notes,
    }
}

/// Explains bytes that are no item: they were refused before anything was planned.
pub fn refused(kind: ItemKind, refusal: Refusal, rules: &Rules<'_>) -> Explanation {
    Explanation {
        input: kind,
        application: rules.application.to_owned(),
        mappings: Vec::new(),
        calls: Vec::new(),
        drops: vec![refusal.into()],
        decisive: Vec::new(),
        unused: Vec::new(),
        unknown: Vec::new(),
        notes: Vec::new(),
    }
}

/// Records and parked messages name their own application.
fn application_of<'a>(kind: ItemKind, value: &'a Value, rules: &Rules<'a>) -> &'a str {
    let named = value.get("application_code").or_else(|| value.get("application"));
    match (kind, named.and_then(Value::as_str)) {
        (ItemKind::Record | ItemKind::Parked, Some(named)) => named,
        _ => rules.application,
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
        let fields = if selected { subscription.trace(event) } else { Vec::new() };
        let mut unknown = unknown_outputs(subscription.action, &subscription.output_names());
        unknown.extend(misread_paths(&fields, event));
        MappingAttempt {
            name: subscription.name.clone(),
            trigger: subscription.trigger.clone(),
            action: subscription.action.name(),
            selected,
            conditions: subscription.clauses(event),
            fields,
            unknown,
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
mod tests;
