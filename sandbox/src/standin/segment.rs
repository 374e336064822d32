//! Segment's Tracking API as it is documented: 400 for what is not JSON or too large, 200 for
//! nearly everything else.
//! <https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/>

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::upstream::{Behaviour, Call};
use crate::apps::Apps;

/// Segment, for these applications.
pub(crate) struct Segment(pub(crate) Arc<Apps>);

/// Limits of a request and of a call in it.
const MAX_BATCH: usize = 500_000;
const MAX_EVENT: usize = 32 * 1024;

impl Behaviour for Segment {
    fn application(&self, call: &Call<'_>) -> Option<String> {
        let basic = call.header("authorization").strip_prefix("Basic ");
        let basic =
            basic.and_then(|encoded| String::from_utf8(STANDARD.decode(encoded).ok()?).ok());
        let key = basic.as_deref().map(|pair| pair.trim_end_matches(':'));
        let key = key.or_else(|| call.body.get("writeKey")?.as_str())?;
        let applications = self.0.applications().into_iter();
        let mut owners = applications.filter(|application| {
            application
                .segment
                .as_ref()
                .is_some_and(|account| account.write_key.expose_secret() == key)
        });
        owners.next().map(|application| application.code)
    }

    fn answer(&self, call: &Call<'_>) -> (u16, Value) {
        let bad = |message: &str| (400, json!({"success": false, "message": message}));
        if call.path != "/v1/batch" {
            return (404, json!({"message": "Not Found"}));
        }
        // What Segment answers to a wrong key is not documented; the strictest reading finds mistakes.
        if self.application(call).is_none() {
            return (401, json!({"message": "unauthorized"}));
        }
        if call.size > MAX_BATCH {
            return bad("the request is larger than 500 KB");
        }
        let Some(batch) = call.body.get("batch").and_then(Value::as_array) else {
            return bad("malformed JSON");
        };
        if batch.iter().any(|event| event.to_string().len() > MAX_EVENT) {
            return bad("an event is larger than 32 KB");
        }
        (200, json!({"success": true}))
    }
}
