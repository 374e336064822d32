//! Who calls: the application of the `X-PW-Appcode` header, and the key in `Authorization`.
//!
//! Invariants: keys are compared in constant time; a failure of Secrets Manager is never answered
//! as a wrong key, or Segment would drop the data for good. The key before the last rotation is
//! accepted while Secrets Manager keeps it.

use std::sync::Arc;

use platform::Application;
use platform::application::Pushwoosh;
use platform::secrets::SecretError;
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

use crate::Destination;
use crate::answer::Answer;
use crate::request::Request;

/// Scheme of the `Authorization` header.
const SCHEME: &str = "token";

impl Destination {
    /// The application whose key the caller holds.
    pub(crate) async fn authenticate(&self, request: &Request) -> Result<Arc<Application>, Answer> {
        let code = request
            .header("x-pw-appcode")
            .ok_or_else(|| Answer::message(400, "missing application code"))?;
        let application = self.application(code).await?;
        let pushwoosh = application.pushwoosh.as_ref();
        let Some(pushwoosh) = pushwoosh else {
            tracing::warn!(app.code = code, "the application's secret has no pushwoosh.api_token");
            return Err(Answer::message(400, "application not found"));
        };
        let presented = request.header("authorization").and_then(token).unwrap_or_default();
        if matches(pushwoosh, presented) || self.matches_rotated(code, presented).await {
            return Ok(application);
        }
        tracing::warn!(app.code = code, "a caller without the application's key was turned away");
        Err(Answer::message(401, "unauthorized"))
    }

    /// Settings of an application, or the answer to a caller who names one that cannot be had.
    pub(crate) async fn application(&self, code: &str) -> Result<Arc<Application>, Answer> {
        self.secrets.application(code).await.map_err(|error| match error {
            SecretError::Unknown => Answer::message(400, "application not found"),
            SecretError::Malformed(_) | SecretError::Unavailable(_) => {
                tracing::error!(app.code = code, error = %error, "a request was turned away: its application's settings cannot be read");
                Answer::unavailable()
            }
        })
    }

    /// Whether it is the key after or before a rotation that the cache has not seen.
    async fn matches_rotated(&self, code: &str, presented: &str) -> bool {
        if presented.is_empty() {
            return false;
        }
        let (newer, older) =
            (self.secrets.refreshed(code).await, self.secrets.previous(code).await);
        let accounts = [newer, older]
            .into_iter()
            .flatten()
            .filter_map(|application| application.pushwoosh.clone());
        accounts.into_iter().any(|account| matches(&account, presented))
    }
}

fn matches(account: &Pushwoosh, presented: &str) -> bool {
    account.api_token.expose_secret().as_bytes().ct_eq(presented.as_bytes()).into()
}

fn token(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(char::is_whitespace)?;
    scheme.eq_ignore_ascii_case(SCHEME).then(|| token.trim())
}
