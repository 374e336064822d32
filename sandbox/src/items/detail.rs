//! A row with all that is known of it: its input, what the mapping makes of it, the upstream's calls and
//! answers, its attempts, and what to do.
//!
//! The mapping is tried anew when somebody looks, with the application's settings of now. A call belongs to an item
//! if it came while the item was under way and says what the item's mapping says: the `messageId` of a Track
//! call, or user, device and event of a call to Pushwoosh.

use mapping::ItemKind;
use operator::explain::{self, Explained};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::remedy;
use super::row::REQUEST;
use super::store::Kept;

/// Calls of one item that are shown.
const MAX_CALLS: usize = 50;

/// What is asked of the rest of the sandbox.
pub(crate) trait Around {
    /// With what the application's items are explained, handed to `act`.
    fn explain(&self, code: &str, item: &Value, kind: ItemKind) -> Option<Explained>;

    /// The calls of an upstream that may be meant, as text, oldest first.
    fn calls(&self, upstream: &str, wanted: &dyn Fn(&str) -> bool) -> Vec<String>;
}

/// The detail of a row.
pub(crate) fn detail(kept: &Kept, around: &impl Around) -> Value {
    let Kept { row, input, cut, steps } = kept;
    let (happened, remedy) = remedy::of(row);
    let value: Option<Value> = mapping::json::read(input).ok();
    let kind = ItemKind::ALL.into_iter().find(|kind| kind.name() == row.kind);
    let code = row.app.as_deref().unwrap_or(explain::DEMO_APPLICATION);
    let explained = match (kind, &value, cut) {
        (Some(kind), Some(value), false) => around.explain(code, value, kind),
        _ => None,
    };
    let explanation = explained.and_then(|explained| {
        let first = explained.explained.into_iter().next()?;
        serde_json::to_value(first).ok()
    });
    let calls = explanation.as_ref().map(|explanation| calls(kept, explanation, around));
    let mut detail = text_map(row);
    let input = value.unwrap_or_else(|| String::from_utf8_lossy(input).into_owned().into());
    detail.extend(text_map(&json!({
        "happened": happened,
        "remedy": remedy,
        "input": if row.kind == REQUEST || !input.is_null() { input } else { Value::Null },
        "input_cut": cut,
        "explanation": explanation,
        "calls": calls.unwrap_or_default(),
        "steps": steps,
    })));
    Value::Object(detail)
}

fn text_map(value: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

#[derive(Deserialize)]
struct Planned {
    path: String,
    body: Value,
}

/// The calls that the upstreams received of an item.
fn calls(kept: &Kept, explanation: &Value, around: &impl Around) -> Vec<Value> {
    let planned = explanation.get("calls").cloned().unwrap_or_default();
    let planned: Vec<Planned> = serde_json::from_value(planned).unwrap_or_default();
    let upstream = if kept.row.kind == ItemKind::Record.name() { "segment" } else { "pushwoosh" };
    let ended = kept.steps.last().filter(|_| !kept.row.is_undelivered());
    let is_wanted = |text: &str| {
        let at = text.get(r#"{"at":""#.len()..).and_then(|rest| rest.split('"').next());
        let at = at.unwrap_or_default();
        // The line is written after the calls.
        at >= kept.row.at.as_str() && ended.is_none_or(|step| at <= step.at.as_str())
    };
    let mut found = Vec::new();
    for text in around.calls(upstream, &is_wanted) {
        let Ok(mut call) = serde_json::from_str::<Value>(&text) else { continue };
        let path = call.get("path").and_then(Value::as_str).unwrap_or_default().to_owned();
        let body = call.get("body").cloned().unwrap_or_default();
        let own = planned.iter().find_map(|planned| {
            (planned.path == path).then(|| own_part(&planned.body, &body)).flatten()
        });
        if let (Some(own), Some(call)) = (own, call.as_object_mut()) {
            call.remove("headers");
            call.insert("body".to_owned(), own);
            call.insert("upstream".to_owned(), upstream.into());
            found.push(Value::Object(std::mem::take(call)));
        }
    }
    let skipped = found.len().saturating_sub(MAX_CALLS);
    found.drain(..skipped);
    found
}

/// What of a received body belongs to a planned one.
fn own_part(planned: &Value, received: &Value) -> Option<Value> {
    if let Some(tracks) = planned.get("batch").and_then(Value::as_array) {
        let ids: Vec<&Value> = tracks.iter().filter_map(|track| track.get("messageId")).collect();
        let batch = received.get("batch")?.as_array()?;
        let own =
            batch.iter().filter(|track| track.get("messageId").is_some_and(|id| ids.contains(&id)));
        let own: Vec<Value> = own.cloned().collect();
        return (!own.is_empty()).then(|| json!({"batch": own, "calls_in_the_batch": batch.len()}));
    }
    let (planned, request) = (planned.get("request")?, received.get("request")?);
    let same = |name: &str| planned.get(name) == request.get(name);
    let names = ["application", "userId", "hwid", "event", "email", "device_type", "attributes"];
    names.into_iter().all(same).then(|| received.clone())
}
