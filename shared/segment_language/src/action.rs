//! The actions of Segment's Pushwoosh destination: which fields a mapping may fill, and the body that
//! the destination makes of them.
//!
//! Facts: the package `@segment/action-destinations`, `destinations/pushwoosh`.

use serde_json::{Map, Value};

use crate::schema::{ActionField, FieldType, Mode, Payload};

/// An action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A body of track-user.
    UpdateUserProfile,
    /// One event of a post-events body.
    TrackEvent,
}

const fn field(name: &'static str, field_type: FieldType) -> ActionField {
    ActionField { name, field_type, required: false, parts: &[] }
}

const fn required(name: &'static str, field_type: FieldType) -> ActionField {
    ActionField { required: true, ..field(name, field_type) }
}

const PROFILE: &[ActionField] = &[
    field("external_id", FieldType::TEXT),
    field("email", FieldType::TEXT_OR_NULL),
    field("app_version", FieldType::TEXT_OR_NULL),
    field("device_id", FieldType::TEXT_OR_NULL),
    field("device_model", FieldType::TEXT_OR_NULL),
    field("device_platform", FieldType::TEXT_OR_NULL),
    field("device_token", FieldType::TEXT_OR_NULL),
    field("language", FieldType::TEXT_OR_NULL),
    field("country", FieldType::TEXT_OR_NULL),
    field("city", FieldType::TEXT_OR_NULL),
    ActionField {
        // Declared as nullable, but Segment drops that for fields with parts.
        parts: &[field("latitude", FieldType::NUMBER), field("longitude", FieldType::NUMBER)],
        ..field("current_location", FieldType::OBJECT)
    },
    field("device_os_version", FieldType::TEXT_OR_NULL),
    field("timezone", FieldType::TEXT_OR_NULL),
    field("user_agent", FieldType::TEXT_OR_NULL),
    field("custom_attributes", FieldType::OBJECT),
];

const EVENT: &[ActionField] = &[
    required("external_id", FieldType::TEXT),
    field("device_id", FieldType::TEXT_OR_NULL),
    field("device_platform", FieldType::TEXT_OR_NULL),
    required("name", FieldType::TEXT),
    required("timestamp", FieldType::DATE_TIME),
    field("properties", FieldType::OBJECT),
    field("enable_batching", FieldType::BOOLEAN),
];

impl Action {
    /// Every action.
    pub const ALL: [Self; 2] = [Self::UpdateUserProfile, Self::TrackEvent];

    /// Its name in Segment's metadata.
    pub fn name(self) -> &'static str {
        match self {
            Self::UpdateUserProfile => "updateUserProfile",
            Self::TrackEvent => "trackEvent",
        }
    }

    /// The action with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }

    /// Its fields.
    pub fn fields(self) -> &'static [ActionField] {
        match self {
            Self::UpdateUserProfile => PROFILE,
            Self::TrackEvent => EVENT,
        }
    }

    /// What Segment's destination sends for a payload, keys in its order: a body of track-user, or
    /// one event of a post-events body.
    pub fn body(self, application: &str, mode: Mode, payload: Payload<'_>) -> Value {
        Value::Object(match self {
            Self::UpdateUserProfile => profile_body(payload),
            Self::TrackEvent => event_body(application, mode, payload),
        })
    }
}

fn profile_body(payload: Payload<'_>) -> Map<String, Value> {
    let mut body = Map::from_iter([("attributes".to_owned(), Map::new().into())]);
    for (name, value) in payload {
        let (key, value) = match (name, value.as_ref()) {
            ("custom_attributes", Value::Object(attributes)) => {
                ("attributes", without_fields(attributes).into())
            }
            ("current_location", Value::Object(parts)) if parts.is_empty() => continue,
            ("external_id", _) => ("user_id", value.into_owned()),
            (name, _) => (name, value.into_owned()),
        };
        body.insert(key.to_owned(), value);
    }
    body
}

/// The traits that have no field of their own; the others are sent in their fields.
fn without_fields(attributes: &Map<String, Value>) -> Map<String, Value> {
    let others = attributes
        .iter()
        .filter(|(name, _)| PROFILE.iter().all(|field| field.name != name.as_str()));
    others.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn event_body(application: &str, mode: Mode, payload: Payload<'_>) -> Map<String, Value> {
    let application_key = match mode {
        Mode::Single => "app_code",
        Mode::Batch => "app_id",
    };
    let mut body = Map::new();
    for (name, value) in payload {
        let key = match name {
            "external_id" => "user_id",
            "properties" => "attributes",
            "enable_batching" => continue,
            name => name,
        };
        // Segment puts the application before the name, which every event has.
        if name == "name" {
            body.insert(application_key.to_owned(), application.into());
        }
        body.insert(key.to_owned(), value.into_owned());
    }
    body
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use serde_json::json;

    use super::*;

    fn body(action: Action, mode: Mode, payload: &[(&'static str, Value)]) -> String {
        let payload = payload.iter().map(|(name, value)| (*name, Cow::Borrowed(value)));
        action.body("A", mode, payload.collect()).to_string()
    }

    #[test]
    fn an_action_is_found_by_its_name() {
        for action in Action::ALL {
            assert_eq!(Action::parse(action.name()), Some(action));
        }
        assert_eq!(Action::parse("trackEvents"), None);
    }

    #[test]
    fn an_event_has_the_fields_that_segment_requires() {
        let required: Vec<&str> = Action::TrackEvent
            .fields()
            .iter()
            .filter(|field| field.required)
            .map(|field| field.name)
            .collect();
        assert_eq!(required, ["external_id", "name", "timestamp"]);
        assert!(Action::UpdateUserProfile.fields().iter().all(|field| !field.required));
        let location = PROFILE.iter().find(|field| field.name == "current_location").unwrap();
        let parts: Vec<&str> = location.parts.iter().map(|part| part.name).collect();
        assert_eq!(parts, ["latitude", "longitude"]);
    }

    #[test]
    fn a_profile_has_the_traits_without_a_field_as_attributes() {
        let payload = [
            ("external_id", json!("u")),
            ("email", json!("a@b.c")),
            ("current_location", json!({"latitude": 1})),
            ("custom_attributes", json!({"plan": "gold", "email": "other", "city": "x"})),
        ];
        assert_eq!(
            body(Action::UpdateUserProfile, Mode::Single, &payload),
            r#"{"attributes":{"plan":"gold"},"user_id":"u","email":"a@b.c","current_location":{"latitude":1}}"#
        );
    }

    #[test]
    fn a_profile_without_traits_has_no_attributes_and_an_empty_location_is_omitted() {
        let payload = [("external_id", json!("u")), ("current_location", json!({}))];
        assert_eq!(
            body(Action::UpdateUserProfile, Mode::Single, &payload),
            r#"{"attributes":{},"user_id":"u"}"#
        );
    }

    #[test]
    fn an_event_has_the_application_before_its_name() {
        let payload = [
            ("external_id", json!("u")),
            ("device_id", json!("d")),
            ("name", json!("Order")),
            ("timestamp", json!("2026-01-02")),
            ("properties", json!({"a": 1})),
            ("enable_batching", json!(true)),
        ];
        assert_eq!(
            body(Action::TrackEvent, Mode::Single, &payload),
            r#"{"user_id":"u","device_id":"d","app_code":"A","name":"Order","timestamp":"2026-01-02","attributes":{"a":1}}"#
        );
        assert!(body(Action::TrackEvent, Mode::Batch, &payload).contains(r#""app_id":"A""#));
    }
}
