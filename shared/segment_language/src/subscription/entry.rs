//! A trigger, an action and a mapping that fills the action's fields.

use serde_json::Value;

use crate::action::Action;
use crate::fql::{Clause, Trigger, in_words};
use crate::kit::{Mapping, Traced};
use crate::schema::{Misfit, Mode, Payload, fit};

/// A trigger, an action and a mapping.
#[derive(Debug)]
pub struct Subscription {
    /// Shown to people.
    pub name: String,
    /// The text of the trigger; empty selects every event.
    pub trigger: String,
    /// The action whose fields the mapping fills.
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

impl Subscription {
    /// A mapping without a trigger: it is for every event.
    pub(super) fn unconditional(action: Action, mapping: Mapping) -> Self {
        Self {
            name: "mapping".to_owned(),
            trigger: String::new(),
            action,
            conditions: None,
            mapping,
        }
    }

    /// Reads an entry at this path (`place`). The error lists what is wrong with it.
    pub(super) fn read(entry: &Value, place: &str) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        let action = text("action").or_else(|| text("partnerAction")).and_then(Action::parse);
        if action.is_none() {
            let names = Action::ALL.map(Action::name).join(" or ");
            problems.push(format!("{place}.action must be {names}"));
        }
        let trigger = text("subscribe").unwrap_or_default();
        let conditions = Trigger::parse(trigger)
            .map_err(|error| {
                let error = in_words(&error);
                problems.push(format!("{place}.subscribe selects nothing: {error}"));
            })
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

    /// Every part of the trigger, with whether an event meets it; nothing without a trigger.
    pub fn clauses(&self, event: &Value) -> Option<Clause> {
        self.conditions.as_ref().map(|conditions| conditions.clauses(event))
    }

    /// The names of the fields that the mapping fills; parts of objects with dots between.
    pub fn output_names(&self) -> Vec<String> {
        self.mapping.output_names()
    }

    /// The action's payload for an event; values are borrowed from the event where nothing changes them.
    pub fn payload<'e>(&self, event: &'e Value, mode: Mode) -> Result<Payload<'e>, PayloadError> {
        let mapped = self.mapping.fields(event).map_err(|error| PayloadError::Mapping(error.0))?;
        let mapped = mapped.ok_or_else(|| {
            PayloadError::Mapping(
                "the mapping must give an object with the action's fields".to_owned(),
            )
        })?;
        Ok(fit(self.action.fields(), mode, mapped)?)
    }

    /// Every field of the mapping's output with what it was made from.
    pub fn trace(&self, event: &Value) -> Vec<Traced> {
        self.mapping.trace(event)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn subscription(mapping: &Value) -> Subscription {
        let entry = json!({"name": "Orders", "subscribe": "type = \"track\"", "action": "trackEvent", "mapping": mapping});
        Subscription::read(&entry, "mappings[0]").unwrap()
    }

    #[test]
    fn the_trigger_selects_the_events() {
        let orders = subscription(&json!({}));
        assert_eq!((orders.name.as_str(), orders.action), ("Orders", Action::TrackEvent));
        assert!(orders.selects(&json!({"type": "track"})));
        assert!(!orders.selects(&json!({"type": "page"})));
        let mapping = Mapping::compile(&json!({})).unwrap();
        let unconditional = Subscription::unconditional(Action::TrackEvent, mapping);
        assert!(unconditional.selects(&json!({"type": "page"})));
    }

    #[test]
    fn the_payload_is_what_was_mapped_for_the_fields_of_the_action() {
        let orders = subscription(&json!({
            "name": {"@path": "$.event"}, "external_id": {"@path": "$.userId"}, "timestamp": 5, "other": 1,
        }));
        let event = json!({"event": "Order", "userId": 7});
        let payload = orders.payload(&event, Mode::Single).unwrap();
        let payload: Vec<(&str, Value)> =
            payload.into_iter().map(|(name, value)| (name, value.into_owned())).collect();
        assert_eq!(
            payload,
            [("external_id", json!("7")), ("name", json!("Order")), ("timestamp", json!(5))]
        );
        let traced = orders.trace(&event);
        assert_eq!(
            traced.iter().map(|field| field.field.as_str()).collect::<Vec<_>>(),
            ["name", "external_id", "timestamp", "other"]
        );
    }

    #[test]
    fn an_event_without_a_payload_has_a_reason() {
        let reason = |mapping: Value| {
            subscription(&mapping).payload(&json!({}), Mode::Single).unwrap_err().to_string()
        };
        assert_eq!(
            reason(json!({"name": "a", "external_id": {}})),
            "External Id must be a string but it was an object. The root value is missing the required field 'timestamp'."
        );
        assert_eq!(
            reason(json!({"@path": "$.none"})),
            "the mapping must give an object with the action's fields"
        );
        assert_eq!(
            reason(json!({"name": {"@path": {"@path": "$.none"}}})),
            "@path: expected string, got undefined"
        );
    }
}
