//! A call of Pushwoosh's API: what the mapping produces, the client sends and the queue keeps.
//!
//! Invariants: a call holds no key; its body is complete, so that it can be sent again later as it
//! is. Methods and shapes: <https://docs.pushwoosh.com/developer/api-reference/device-api>.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A method of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Method {
    /// Creates or updates a device with its push token.
    RegisterDevice,
    /// Links a device to a user.
    RegisterUser,
    /// Creates or updates an e-mail device.
    RegisterEmail,
    /// Sets tags of a user or a device.
    SetTags,
    /// Records an event. The only method whose repetition is visible.
    PostEvent,
    /// Removes a user and all their devices; answered before it is carried out.
    DeleteUser,
}

impl Method {
    /// Path below the application's base URL.
    pub fn path(self) -> &'static str {
        match self {
            Self::RegisterDevice => "/json/1.3/registerDevice",
            Self::RegisterUser => "/json/1.3/registerUser",
            Self::RegisterEmail => "/json/1.3/registerEmail",
            Self::SetTags => "/json/1.3/setTags",
            Self::PostEvent => "/json/1.3/postEvent",
            Self::DeleteUser => "/api/v2/device-api/deleteUser",
        }
    }

    /// Whether the body goes inside `{"request": …}`; the v2 Device API takes it bare.
    fn enveloped(self) -> bool {
        self != Self::DeleteUser
    }
}

/// One call, ready to be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Which method.
    pub method: Method,
    /// The request without its envelope.
    pub request: Map<String, Value>,
}

impl Call {
    /// The body as it goes over the wire.
    pub fn body(self) -> Value {
        let request = Value::Object(self.request);
        if self.method.enveloped() { json!({ "request": request }) } else { request }
    }

    /// A call for this application.
    pub(crate) fn new(method: Method, application: &str) -> Self {
        let mut request = Map::new();
        request.insert("application".to_owned(), application.into());
        Self { method, request }
    }

    /// Adds a field where there is a value.
    pub(crate) fn with(mut self, key: &str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.request.insert(key.to_owned(), value.into());
        }
        self
    }
}

/// The calls that one item needs: those of a stage are independent of each other, and a stage
/// waits for the one before it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Plan {
    /// Stages in order; none is empty.
    pub stages: Vec<Vec<Call>>,
}

impl Plan {
    /// A plan of one call.
    pub(crate) fn one(call: Call) -> Self {
        Self { stages: vec![vec![call]] }
    }

    /// Two plans at once: what has no order between them runs together.
    pub(crate) fn beside(mut self, other: Self) -> Self {
        let depth = self.stages.len();
        let mut others = other.stages.into_iter();
        for (stage, other) in self.stages.iter_mut().zip(others.by_ref().take(depth)) {
            stage.extend(other);
        }
        self.stages.extend(others);
        self
    }

    /// Appends a stage, unless it is empty.
    pub(crate) fn then(mut self, stage: Vec<Call>) -> Self {
        if !stage.is_empty() {
            self.stages.push(stage);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_its_path_and_its_form_of_body() {
        for (method, path) in [
            (Method::RegisterDevice, "/json/1.3/registerDevice"),
            (Method::RegisterUser, "/json/1.3/registerUser"),
            (Method::RegisterEmail, "/json/1.3/registerEmail"),
            (Method::SetTags, "/json/1.3/setTags"),
            (Method::PostEvent, "/json/1.3/postEvent"),
            (Method::DeleteUser, "/api/v2/device-api/deleteUser"),
        ] {
            assert_eq!(method.path(), path);
            let body = Call::new(method, "A").body();
            let bare = json!({"application": "A"});
            let is_v2 = method == Method::DeleteUser;
            assert_eq!(body, if is_v2 { bare } else { json!({ "request": bare }) });
        }
    }

    #[test]
    fn plans_run_beside_each_other_stage_by_stage() {
        let stages = |lengths: &[usize]| {
            let call = Call::new(Method::SetTags, "A");
            Plan { stages: lengths.iter().map(|length| vec![call.clone(); *length]).collect() }
        };
        let lengths = |plan: Plan| plan.stages.iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(stages(&[1, 2]).beside(stages(&[3]))), [4, 2]);
        assert_eq!(lengths(stages(&[1]).beside(stages(&[2, 3]))), [3, 3]);
        assert_eq!(lengths(stages(&[]).beside(stages(&[2]))), [2]);
        assert_eq!(
            lengths(stages(&[1]).then(vec![]).then(vec![Call::new(Method::SetTags, "A")])),
            [1, 1]
        );
    }
}
