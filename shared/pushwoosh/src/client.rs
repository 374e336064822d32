//! Sends one call.

use std::sync::Arc;

use bytes::Bytes;
use mapping::Call;
use platform::application::PushwooshAccount;
use platform::clock::Clock;
use platform::gate::Upstream;
use platform::transport::{Request, Transport, TransportError};
use platform::upstream::{CallError, MAX_ANSWER_BYTES};
use secrecy::ExposeSecret;

use crate::reply::{self, Accepted, NAME};

/// Keeps Pushwoosh from deriving tags from the connection: the user is not where Lambda is.
const NO_AUTO_TAGS: (&str, &str) = ("no-auto-tags", "true");

/// Sends calls over kept connections. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) clock: Clock,
}

impl Client {
    /// A client on this transport.
    pub fn new(transport: Arc<dyn Transport>, clock: Clock) -> Self {
        Self { transport, clock }
    }
}

impl Upstream<&Call> for Client {
    type Account = PushwooshAccount;
    type Accepted = Accepted;

    #[tracing::instrument(level = "debug", name = "pushwoosh call", skip_all, fields(method = ?call.method))]
    async fn send(&self, account: &PushwooshAccount, call: &Call) -> Result<Accepted, CallError> {
        let failed = |error| CallError::Transport { upstream: NAME, error };
        let request = request(account, call).map_err(failed)?;
        let response = self.transport.send(request, MAX_ANSWER_BYTES).await.map_err(failed)?;
        reply::read(call.method, response, self.clock.wall())
    }
}

fn request(account: &PushwooshAccount, call: &Call) -> Result<Request, TransportError> {
    let body = serde_json::to_vec(&call.body());
    let body = body.map_err(|error| TransportError::Connection(error.into()))?;
    authorized(account, call.method.path(), body)
}

/// A request of the Device API.
pub(crate) fn authorized(
    account: &PushwooshAccount,
    path: &str,
    body: impl Into<Bytes>,
) -> Result<Request, TransportError> {
    http::Request::post(format!("{}{path}", account.base_url))
        .header("authorization", format!("Token {}", account.api_token.expose_secret()))
        .header("content-type", "application/json")
        .header(NO_AUTO_TAGS.0, NO_AUTO_TAGS.1)
        .body(body.into())
        .map_err(|error| TransportError::Connection(error.into()))
}

#[cfg(test)]
mod tests {
    use mapping::{deletion, profile};
    use serde_json::{Value, json};

    use super::*;

    fn sent(call: &Call) -> (Request, Value) {
        let account = PushwooshAccount {
            base_url: "https://api.example.com".into(),
            api_token: "demo-token".into(),
        };
        let request = request(&account, call).unwrap();
        let body = serde_json::from_slice(request.body()).unwrap();
        (request, body)
    }

    #[test]
    fn a_call_goes_in_its_envelope_with_the_token_in_the_header() {
        let body = br#"{"user_id":"u1","attributes":{"plan":"pro"}}"#;
        let plan = profile::plan("A", body, jiff::Timestamp::UNIX_EPOCH).unwrap();
        let (request, body) = sent(&plan.stages[0][0]);
        assert_eq!(request.method(), "POST");
        assert_eq!(request.uri(), "https://api.example.com/json/1.3/setTags");
        assert_eq!(request.headers()["authorization"], "Token demo-token");
        assert_eq!(request.headers()["content-type"], "application/json");
        assert_eq!(request.headers()["no-auto-tags"], "true");
        let fields = json!({"application": "A", "userId": "u1", "tags": {"plan": "pro"}});
        assert_eq!(body, json!({ "request": fields }));
    }

    #[test]
    fn a_deletion_goes_bare() {
        let plan = deletion::plan("A", br#"{"external_id":"u1"}"#).unwrap();
        let (request, body) = sent(&plan.stages[0][0]);
        assert_eq!(request.uri().path(), "/api/v2/device-api/deleteUser");
        assert_eq!(body, json!({"application": "A", "user_id": "u1"}));
    }

    #[test]
    fn a_key_that_fits_no_header_is_an_error_and_no_panic() {
        let plan = deletion::plan("A", br#"{"external_id":"u1"}"#).unwrap();
        let account = PushwooshAccount {
            base_url: "https://api.example.com".into(),
            api_token: "line\nbreak".into(),
        };
        let error = request(&account, &plan.stages[0][0]).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("break"));
    }
}
