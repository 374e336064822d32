//! What a customer edits in Segment's Mappings tab: a trigger, an action, and a mapping that fills the
//! action's fields. Without any of the customer's own the two presets are on (spec D6).
//!
//! Invariants: read once, used for every event. One that is wrong is told with the place of each
//! fault, and does no harm to the others.

use std::sync::LazyLock;

use serde_json::Value;

use crate::action::Action;
use crate::fql::{self, Trigger};
use crate::kit::{Mapping, Traced};
use crate::schema::{Misfit, Mode, Payload, fit};

/// A trigger, an action and a mapping.
#[derive(Debug)]
pub struct Subscription {
    /// For people.
    pub name: String,
    /// The text of the trigger; empty selects every event.
    pub trigger: String,
    /// What is filled.
    pub action: Action,
    conditions: Option<Trigger>,
    mapping: Mapping,
}

/// Why an event gives no payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// The mapping cannot be evaluated on the event.
    #[error("{0}")]
    Mapping(String),
    /// The mapped fields do not fit the action's; there is at least one.
    #[error("{}", .0.iter().map(|misfit| misfit.message.as_str()).collect::<Vec<_>>().join(" "))]
    Fields(Vec<Misfit>),
}

impl From<Vec<Misfit>> for PayloadError {
    fn from(misfits: Vec<Misfit>) -> Self {
        Self::Fields(misfits)
    }
}

/// What was read of a list.
#[derive(Debug, Default)]
pub struct Read {
    /// The usable ones, in their order.
    pub subscriptions: Vec<Subscription>,
    /// What is wrong with the others, and what will surprise in these.
    pub problems: Vec<String>,
}

/// The mappings that are on from the start, as in the destination's metadata.
pub fn presets() -> &'static [Subscription] {
    static PRESETS: LazyLock<Vec<Subscription>> = LazyLock::new(|| {
        let presets: Vec<Value> =
            serde_json::from_str(include_str!("presets.json")).unwrap_or_default();
        read(&presets).subscriptions
    });
    &PRESETS
}

/// Reads entries: `{"subscribe", "action", "mapping"}`, or `partnerAction` as in Segment's metadata;
/// with `"enabled": false` an entry is left out.
pub fn read(entries: &[Value]) -> Read {
    let mut read = Read::default();
    for (index, entry) in entries.iter().enumerate() {
        let place = format!("mappings[{index}]");
        if entry.get("enabled") == Some(&Value::Bool(false)) {
            continue;
        }
        match Subscription::read(entry, &place) {
            Ok(subscription) => {
                let lints = fql::lint(&subscription.trigger).into_iter();
                read.problems.extend(lints.map(|lint| format!("{place}.subscribe: {lint}")));
                read.subscriptions.push(subscription);
            }
            Err(problems) => read.problems.extend(problems),
        }
    }
    read
}

/// Reads what people have at hand: entries, something with `mappings` or `presets`, one entry, or a
/// mapping alone, which then is for every event.
pub fn read_any(value: &Value) -> Read {
    let list = ["mappings", "presets"]
        .iter()
        .find_map(|key| value.get(key)?.as_array())
        .or_else(|| value.as_array());
    if let Some(list) = list {
        return read(list);
    }
    if value.get("mapping").is_some() {
        return read(std::slice::from_ref(value));
    }
    let is_event =
        ["name", "properties", "timestamp"].iter().any(|field| value.get(field).is_some());
    let action = if is_event { Action::TrackEvent } else { Action::UpdateUserProfile };
    match Mapping::compile(value) {
        Ok(mapping) => Read {
            subscriptions: vec![Subscription {
                name: "mapping".to_owned(),
                trigger: String::new(),
                action,
                conditions: None,
                mapping,
            }],
            problems: Vec::new(),
        },
        Err(faults) => Read {
            subscriptions: Vec::new(),
            problems: faults.iter().map(ToString::to_string).collect(),
        },
    }
}

impl Subscription {
    fn read(entry: &Value, place: &str) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        let action = text("action").or_else(|| text("partnerAction")).and_then(Action::parse);
        if action.is_none() {
            let names = Action::ALL.map(Action::name).join(" or ");
            problems.push(format!("{place}.action must be {names}"));
        }
        let trigger = text("subscribe").unwrap_or_default();
        let conditions = Trigger::parse(trigger)
            .map_err(|error| problems.push(format!("{place}.subscribe selects nothing: {error}")))
            .ok();
        let mapping = if let Some(mapping) = entry.get("mapping") {
            let compiled = Mapping::compile(mapping).map_err(|faults| {
                let faults = faults.iter();
                problems.extend(faults.map(|fault| format!("{place}.mapping: {fault}")));
            });
            compiled.ok()
        } else {
            problems.push(format!("{place}.mapping is missing"));
            None
        };
        match (action, conditions, mapping) {
            (Some(action), Some(conditions), Some(mapping)) => Ok(Self {
                name: text("name").unwrap_or(action.name()).to_owned(),
                trigger: trigger.to_owned(),
                action,
                conditions: Some(conditions),
                mapping,
            }),
            _ => Err(problems),
        }
    }

    /// Whether an event is selected.
    pub fn selects(&self, event: &Value) -> bool {
        let conditions = self.conditions.as_ref();
        conditions.is_none_or(|conditions| conditions.matches(event))
    }

    /// The action's payload for an event, borrowed from it where nothing changes it.
    pub fn payload<'e>(&self, event: &'e Value, mode: Mode) -> Result<Payload<'e>, PayloadError> {
        let mapped = self.mapping.fields(event).map_err(|error| PayloadError::Mapping(error.0))?;
        let mapped = mapped.ok_or_else(|| {
            PayloadError::Mapping(
                "the mapping must give an object with the action's fields".to_owned(),
            )
        })?;
        Ok(fit(self.action.fields(), mode, mapped)?)
    }

    /// Every field with what it was made of.
    pub fn trace(&self, event: &Value) -> Vec<Traced> {
        self.mapping.trace(event)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_presets_are_sound() {
        let list: Vec<Value> = serde_json::from_str(include_str!("presets.json")).unwrap();
        assert_eq!(read(&list).problems, [""; 0]);
        assert_eq!(presets().len(), 2);
    }

    #[test]
    fn a_wrong_entry_is_told_and_leaves_the_others_alone() {
        let good = json!({"subscribe": "type = \"track\"", "partnerAction": "trackEvent", "mapping": {"name": {"@path": "$.event"}}});
        let read = read(&[
            json!({"subscribe": "", "action": "nope", "mapping": {"x": {"@nope": 1}}}),
            good.clone(),
            json!({"subscribe": "type = 'track'", "action": "trackEvent", "mapping": {}}),
            json!({"subscribe": "type = \"track\"", "action": "trackEvent"}),
            json!({"enabled": false}),
        ]);
        assert_eq!(read.subscriptions.len(), 2);
        let places: Vec<&str> =
            read.problems.iter().filter_map(|problem| problem.split([' ', ':']).next()).collect();
        assert_eq!(
            places,
            [
                "mappings[0].action",
                "mappings[0].subscribe",
                "mappings[0].mapping",
                "mappings[2].subscribe",
                "mappings[3].mapping",
            ]
        );
        for one in [good.clone(), json!([good]), json!({"presets": [good]}), json!({"name": "x"})] {
            assert_eq!(read_any(&one).subscriptions.len(), 1, "{one}");
        }
    }
}
