//! What is said of a value that is not known: what it may be, and what was looked for.

use mapping::ItemKind;
use mapping::raw_event::TYPES;
use serde_json::{Map, Value};

use super::KNOWN;

/// Names that tell what something is; a name that resembles one may be misspelt.
const TELLING: [&str; 9] = [
    "user_id",
    "external_id",
    "attributes",
    "events",
    "type",
    "userId",
    "messageId",
    "event_name",
    "application_code",
];

/// Names of a Segment event beside its type. Each is right as it is.
const OF_RAW_EVENTS: [&str; 10] = [
    "userId",
    "anonymousId",
    "event",
    "properties",
    "traits",
    "context",
    "timestamp",
    "integrations",
    "name",
    "groupId",
];

/// One line for what is not known. `place`: what it is, with its verb.
pub(super) fn unknown(value: &Value, place: &str) -> String {
    let has = |names: &[&str]| names.iter().any(|name| value.get(name).is_some());
    let has_all = |names: &[&str]| names.iter().all(|name| value.get(name).is_some());
    if has(&["subscribe", "mappings", "partnerAction"]) {
        return format!("{place} a mapping: give it with --mapping FILE, beside an event");
    }
    if has(&["pushwoosh", "segment", "webhook"]) {
        return format!("{place} an application's secret: look at it with `check-secret`");
    }
    if has_all(&["queue", "origin", "kind"]) {
        return format!(
            "{place} a line of `queue list`, which has no data: `queue show --json ORIGIN` has the message"
        );
    }
    if value.get("message").is_some_and(|message| message == "item") && has(&["outcome"]) {
        return format!(
            "{place} a log line, which has no data: expected the item itself; `queue show` has those of the queues"
        );
    }
    if has_all(&["id", "outcome", "kind", "origin"]) {
        return format!(
            "{place} a line of the sandbox's list of items: expected GET /_sandbox/items/ID, which has the item's input"
        );
    }
    let hint = value.as_object().and_then(hint).unwrap_or_default();
    format!("{place} none of what is known{hint}: expected {KNOWN}")
}

fn hint(fields: &Map<String, Value>) -> Option<String> {
    let is_raw = ["userId", "anonymousId", "event"].iter().any(|name| fields.contains_key(*name));
    match fields.get("type").map(|kind| kind.as_str()) {
        Some(Some(kind)) if !TYPES.contains(&kind) && is_raw => {
            return Some(format!("; \"type\" is {kind:?}, and Segment has {}", TYPES.join(", ")));
        }
        None if is_raw && !fields.keys().any(|name| is_misspelt(name) == Some("type")) => {
            return Some(format!("; \"type\" is missing, one of {}", TYPES.join(", ")));
        }
        _ => {}
    }
    fields.keys().find_map(|name| Some(format!("; {name:?} resembles {:?}", is_misspelt(name)?)))
}

/// The name that is meant.
fn is_misspelt(name: &str) -> Option<&'static str> {
    let is_known = TELLING.contains(&name) || OF_RAW_EVENTS.contains(&name);
    if is_known {
        return None;
    }
    let nearest = mapping::explain::nearest(name, TELLING)?;
    TELLING.into_iter().find(|known| *known == nearest)
}

/// The kind with this name.
pub(super) fn kind_named(name: &str) -> Option<ItemKind> {
    ItemKind::ALL.into_iter().find(|kind| kind.name() == name)
}
