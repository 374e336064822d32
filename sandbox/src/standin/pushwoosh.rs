//! Pushwoosh's API as it is known to answer: 210 for wrong arguments under HTTP 400, 401 for a
//! wrong key, skipped tags, and an empty object from the v2 Device API.
//! <https://docs.pushwoosh.com/developer/api-reference/device-api>
//!
//! An application's secret may hold `"sandbox": {"unknown_tags": ["…"]}`: those are skipped.

use std::sync::Arc;

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::upstream::{Behaviour, Call};
use crate::apps::{Apps, Stage};

/// Pushwoosh, for these applications.
pub(crate) struct Pushwoosh(pub(crate) Arc<Apps>);

/// Methods of the API with the fields that each needs.
const METHODS: &[(&str, &[&str])] = &[
    ("/json/1.3/registerDevice", &["hwid", "device_type", "push_token"]),
    ("/json/1.3/registerUser", &["hwid", "userId"]),
    ("/json/1.3/registerEmail", &["email"]),
    ("/json/1.3/setTags", &["tags"]),
    ("/json/1.3/postEvent", &["event", "attributes"]),
    ("/api/v2/device-api/deleteUser", &["user_id"]),
];

/// The fields of a call, with or without its envelope.
fn fields<'a>(call: &Call<'a>) -> &'a Value {
    call.body.get("request").unwrap_or(call.body)
}

fn wrong_arguments(message: &str) -> (u16, Value) {
    (400, json!({"status_code": 210, "status_message": message, "response": null}))
}

impl Behaviour for Pushwoosh {
    fn application(&self, call: &Call<'_>) -> Option<String> {
        fields(call).get("application")?.as_str().map(str::to_owned)
    }

    fn answer(&self, call: &Call<'_>) -> (u16, Value) {
        let Some((path, needed)) = METHODS.iter().find(|(path, _)| *path == call.path) else {
            return (404, json!({"message": "Not Found"}));
        };
        let code = self.application(call).unwrap_or_default();
        let Some(application) = self.0.application(&code) else {
            return wrong_arguments("application code is not valid");
        };
        let key = application
            .pushwoosh
            .map(|account| format!("Token {}", account.api_token.expose_secret()));
        if key.as_deref() != Some(call.header("authorization")) {
            return (401, json!({"message": "unauthorized"}));
        }
        let fields = fields(call);
        if let Some(field) =
            needed.iter().find(|field| fields.get(**field).is_none_or(Value::is_null))
        {
            return wrong_arguments(&format!("{field} should be set"));
        }
        let somebody = fields.get("hwid").or(fields.get("userId")).is_some();
        match *path {
            "/json/1.3/setTags" | "/json/1.3/postEvent" if !somebody => {
                wrong_arguments("hwid or userId should be set")
            }
            "/json/1.3/setTags" => (200, ok(&self.skipped(&code, fields))),
            "/json/1.3/postEvent" => (200, ok(&json!({"code": null}))),
            "/api/v2/device-api/deleteUser" => (200, json!({})),
            _ => (200, ok(&Value::Null)),
        }
    }
}

fn ok(response: &Value) -> Value {
    json!({"status_code": 200, "status_message": "OK", "response": response})
}

impl Pushwoosh {
    fn skipped(&self, code: &str, fields: &Value) -> Value {
        let secret = self.0.secret(code, Stage::Current).unwrap_or_default();
        let unknown = secret.pointer("/sandbox/unknown_tags").and_then(Value::as_array);
        let skipped: Vec<Value> = unknown
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .filter(|tag| fields.pointer("/tags").is_some_and(|tags| tags.get(tag).is_some()))
            .map(|tag| json!({"tag": tag, "reason": "Not found"}))
            .collect();
        if skipped.is_empty() { json!({}) } else { json!({ "skipped": skipped }) }
    }
}
