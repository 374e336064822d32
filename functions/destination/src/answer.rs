//! What callers are answered. Bodies stay far below 8 KB: Segment's client hangs on larger ones.
//!
//! Where Pushwoosh's own service is known to answer with certain bytes, ours are the same.

use serde::Serialize;
use serde_json::{Map, Value, json};

/// An answer in API Gateway's form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// HTTP status.
    pub status_code: u16,
    headers: Map<String, Value>,
    /// Empty, or JSON text.
    pub body: String,
}

impl Answer {
    /// Success, with the empty body that Pushwoosh's service answers.
    pub fn ok() -> Self {
        Self { status_code: 200, headers: Map::new(), body: String::new() }
    }

    /// A JSON body.
    pub fn json(status_code: u16, body: &Value) -> Self {
        let content_type = ("content-type".to_owned(), "application/json".into());
        Self { status_code, headers: Map::from_iter([content_type]), body: body.to_string() }
    }

    /// An error that concerns the whole request.
    pub fn message(status_code: u16, message: &str) -> Self {
        Self::json(status_code, &json!({ "message": message }))
    }

    /// The body could not be decoded, in the words of Pushwoosh's service.
    pub fn failure(action: &str, message: &str) -> Self {
        Self::json(
            400,
            &json!({"action": action, "status": "failure", "error": {"message": message}}),
        )
    }

    /// Something could be neither delivered nor kept.
    pub fn unavailable() -> Self {
        Self::message(503, "temporarily unavailable, send it again")
    }
}
