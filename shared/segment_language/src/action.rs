//! The actions of Segment's Pushwoosh destination: which fields a mapping may fill, and the body that
//! the destination makes of them.
//!
//! Facts: the package `@segment/action-destinations`, `destinations/pushwoosh`.

use serde_json::{Map, Value};

use crate::schema::{Field, Kind, Mode, Payload};

/// An action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A body of track-user.
    UpdateUserProfile,
    /// One event of a post-events body.
    TrackEvent,
}

const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: false, parts: &[] }
}

const fn required(name: &'static str, kind: Kind) -> Field {
    Field { required: true, ..field(name, kind) }
}

const PROFILE: &[Field] = &[
    field("external_id", Kind::TEXT),
    field("email", Kind::TEXT_OR_NULL),
    field("app_version", Kind::TEXT_OR_NULL),
    field("device_id", Kind::TEXT_OR_NULL),
    field("device_model", Kind::TEXT_OR_NULL),
    field("device_platform", Kind::TEXT_OR_NULL),
    field("device_token", Kind::TEXT_OR_NULL),
    field("language", Kind::TEXT_OR_NULL),
    field("country", Kind::TEXT_OR_NULL),
    field("city", Kind::TEXT_OR_NULL),
    Field {
        // Declared as nullable, but the parts make Segment forget that.
        parts: &[field("latitude", Kind::NUMBER), field("longitude", Kind::NUMBER)],
        ..field("current_location", Kind::OBJECT)
    },
    field("device_os_version", Kind::TEXT_OR_NULL),
    field("timezone", Kind::TEXT_OR_NULL),
    field("user_agent", Kind::TEXT_OR_NULL),
    field("custom_attributes", Kind::OBJECT),
];

const EVENT: &[Field] = &[
    required("external_id", Kind::TEXT),
    field("device_id", Kind::TEXT_OR_NULL),
    field("device_platform", Kind::TEXT_OR_NULL),
    required("name", Kind::TEXT),
    required("timestamp", Kind::DATE_TIME),
    field("properties", Kind::OBJECT),
    field("enable_batching", Kind::BOOLEAN),
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

    /// The action of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }

    /// Its fields.
    pub fn fields(self) -> &'static [Field] {
        match self {
            Self::UpdateUserProfile => PROFILE,
            Self::TrackEvent => EVENT,
        }
    }

    /// What Segment's destination sends for a payload, keys in its order: a body of track-user, or
    /// one event of a post-events body.
    pub fn body(self, application: &str, mode: Mode, payload: Payload<'_>) -> Value {
        let mut body = Map::new();
        match self {
            Self::UpdateUserProfile => {
                body.insert("attributes".to_owned(), Map::new().into());
                for (name, value) in payload {
                    match (name, value.as_ref()) {
                        // A trait that has a field of its own is not sent twice.
                        ("custom_attributes", Value::Object(attributes)) => {
                            let others = attributes.iter().filter(|(name, _)| {
                                PROFILE.iter().all(|field| field.name != name.as_str())
                            });
                            let others: Map<_, _> =
                                others.map(|(name, value)| (name.clone(), value.clone())).collect();
                            body.insert("attributes".to_owned(), others.into());
                        }
                        ("current_location", Value::Object(parts)) if parts.is_empty() => {}
                        ("external_id", _) => {
                            body.insert("user_id".to_owned(), value.into_owned());
                        }
                        _ => {
                            body.insert(name.to_owned(), value.into_owned());
                        }
                    }
                }
            }
            Self::TrackEvent => {
                let code_key = match mode {
                    Mode::Single => "app_code",
                    Mode::Batch => "app_id",
                };
                for (name, value) in payload {
                    let key = match name {
                        "external_id" => "user_id",
                        "properties" => "attributes",
                        "enable_batching" => continue,
                        name => name,
                    };
                    // The fields before it are optional, this one never is.
                    if name == "name" {
                        body.insert(code_key.to_owned(), application.into());
                    }
                    body.insert(key.to_owned(), value.into_owned());
                }
            }
        }
        Value::Object(body)
    }
}
