//! A trigger, an action and a mapping that fills the action's fields.

use serde_json::Value;

use crate::action::Action;
use crate::fql::Trigger;
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
