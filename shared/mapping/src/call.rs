//! A call of Pushwoosh's API: what the mapping produces, the client sends and the queue keeps.
//!
//! Invariants: a call holds no key; its body is complete, so that it can be sent again later as it
//! is. Methods and shapes: <https://docs.pushwoosh.com/developer/api-reference/device-api>.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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

/// The field of `setTags` with the tags.
const TAGS: &str = "tags";

/// One call, ready to be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Which method.
    pub method: Method,
    /// The request without its envelope.
    pub request: Map<String, Value>,
}

/// A call's body, to be written as JSON: a copy of it costs as much as writing it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Body<'a> {
    /// `{"request": …}`.
    Enveloped {
        /// What is in the envelope.
        request: &'a Map<String, Value>,
    },
    /// The request itself.
    Bare(&'a Map<String, Value>),
}

impl Call {
    /// The body as it goes over the wire.
    pub fn body(&self) -> Body<'_> {
        let Self { method, request } = self;
        if method.enveloped() { Body::Enveloped { request } } else { Body::Bare(request) }
    }

    /// Whose data it is about: the user's id, or the device's where no user is known.
    pub fn person(&self) -> Option<&str> {
        let ids = ["userId", "user_id", "hwid"].iter();
        ids.filter_map(|name| self.request.get(*name)?.as_str()).find(|id| !id.is_empty())
    }

    /// Names of the values that it sets, each of which a newer call may set anew: tags, and what a device
    /// or an address is registered with. An event sets none.
    pub fn values(&self) -> BTreeSet<String> {
        let text = |name: &str| self.request.get(name).and_then(Value::as_str).unwrap_or_default();
        match self.method {
            Method::SetTags => {
                self.tags().map(|tags| tags.keys().cloned().collect()).unwrap_or_default()
            }
            Method::RegisterDevice => BTreeSet::from([format!("\0device {}", text("hwid"))]),
            Method::RegisterUser => BTreeSet::from([format!("\0user of {}", text("hwid"))]),
            Method::RegisterEmail => BTreeSet::from([format!("\0email {}", text("email"))]),
            Method::PostEvent | Method::DeleteUser => BTreeSet::new(),
        }
    }

    /// The call without these values; nothing where none is left.
    #[must_use]
    pub fn without_values(mut self, gone: impl Fn(&str) -> bool) -> Option<Self> {
        if self.method == Method::SetTags {
            let tags = self.request.get_mut(TAGS).and_then(Value::as_object_mut)?;
            tags.retain(|name, _| !gone(name));
            return (!tags.is_empty()).then_some(self);
        }
        let values = self.values();
        (values.is_empty() || !values.iter().all(|value| gone(value))).then_some(self)
    }

    fn tags(&self) -> Option<&Map<String, Value>> {
        self.request.get(TAGS)?.as_object()
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
    /// Every call, in order.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.stages.iter().flatten()
    }

    /// Everybody whose data it is about; most often one person.
    pub fn people(&self) -> BTreeSet<&str> {
        self.calls().filter_map(Call::person).collect()
    }

    /// The user that it deletes, if it does.
    pub fn deletes(&self) -> Option<&str> {
        self.calls().find(|call| call.method == Method::DeleteUser)?.person()
    }

    /// The values that it sets, by person.
    pub fn values(&self) -> BTreeMap<&str, BTreeSet<String>> {
        let mut values: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for call in self.calls() {
            let of_call = call.values();
            if let (Some(person), false) = (call.person(), of_call.is_empty()) {
                values.entry(person).or_default().extend(of_call);
            }
        }
        values
    }

    /// The plan with every call changed or left out. Stages that have no call left go.
    #[must_use]
    pub fn filter_map(self, change: impl Fn(Call) -> Option<Call>) -> Self {
        let stages = self.stages.into_iter();
        let stages = stages.map(|stage| stage.into_iter().filter_map(&change).collect::<Vec<_>>());
        Self { stages: stages.filter(|stage| !stage.is_empty()).collect() }
    }

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
    use serde_json::json;

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
            let body = json!(Call::new(method, "A").body());
            let bare = json!({"application": "A"});
            let is_v2 = method == Method::DeleteUser;
            assert_eq!(body, if is_v2 { bare } else { json!({ "request": bare }) });
        }
    }

    #[test]
    fn a_call_knows_its_person_and_the_values_that_it_sets() {
        let call = |method, fields: Value| {
            let mut call = Call::new(method, "A");
            call.request.extend(fields.as_object().unwrap().clone());
            call
        };
        let values = |call: &Call| call.values().into_iter().collect::<Vec<_>>();
        let tags =
            call(Method::SetTags, json!({"hwid": "d", "userId": "u", "tags": {"a": 1, "b": null}}));
        assert_eq!(
            (tags.person(), values(&tags)),
            (Some("u"), vec!["a".to_owned(), "b".to_owned()])
        );
        let left = tags.clone().without_values(|name| name == "a").unwrap();
        assert_eq!(left.request["tags"], json!({"b": null}));
        assert_eq!(tags.clone().without_values(|_| true), None);
        let device = call(Method::RegisterDevice, json!({"hwid": "d"}));
        assert_eq!((device.person(), device.values().len()), (Some("d"), 1));
        assert_eq!(device.clone().without_values(|_| true), None);
        // A newer tag says nothing about an event.
        let event = call(Method::PostEvent, json!({"userId": "", "hwid": "d"}));
        assert_eq!((event.person(), values(&event)), (Some("d"), vec![]));
        assert!(event.clone().without_values(|_| true).is_some());
        let deletion = call(Method::DeleteUser, json!({"user_id": "u"}));
        let plan = Plan { stages: vec![vec![device, tags], vec![event, deletion]] };
        assert_eq!(plan.deletes(), Some("u"));
        assert_eq!(plan.people(), BTreeSet::from(["d", "u"]));
        assert_eq!(plan.values()["u"].len(), 2);
        let left = plan.filter_map(|call| (call.method == Method::PostEvent).then_some(call));
        assert_eq!((left.stages.len(), left.deletes()), (1, None));
        assert_eq!(left.calls().count(), 1);
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
