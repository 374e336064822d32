//! Who calls: an application of which the caller holds the API key, or a shared secret.
//!
//! Invariants: keys are compared in constant time; a failure of Secrets Manager is never answered as a
//! wrong key, or Segment would drop the data for good. The key before the last rotation is accepted
//! while Secrets Manager keeps it.

use std::sync::Arc;

use platform::Application;
use platform::application::PushwooshAccount;
use platform::secrets::{SecretError, Secrets};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

use crate::event::{HttpRequest, HttpResponse};
use crate::signature;

/// Scheme of the `Authorization` header.
const SCHEME: &str = "token";

/// The application of the `X-PW-Appcode` header, where the caller presents its key.
pub(crate) async fn by_api_key(
    secrets: &Secrets,
    request: &HttpRequest,
) -> Result<Arc<Application>, HttpResponse> {
    let code = request
        .header("x-pw-appcode")
        .ok_or_else(|| HttpResponse::message(400, "missing application code"))?;
    let application = application(secrets, code).await?;
    let Some(account) = &application.pushwoosh else {
        tracing::warn!(app.code = code, "the application's secret has no pushwoosh.api_token");
        return Err(HttpResponse::message(400, "application not found"));
    };
    let presented = request.header("authorization").and_then(token).unwrap_or_default();
    if matches(account, presented) || matches_rotated(secrets, code, presented).await {
        return Ok(application);
    }
    tracing::warn!(app.code = code, "a caller without the application's key was refused");
    Err(HttpResponse::message(401, "unauthorized"))
}

/// The application with this code, where the request is signed with one of its shared secrets, before
/// or after a rotation. `first` is the first element of a list.
pub(crate) async fn by_signature(
    secrets: &Secrets,
    code: &str,
    request: &HttpRequest,
    first: Option<&[u8]>,
) -> Result<Arc<Application>, HttpResponse> {
    let application = application(secrets, code).await?;
    let signature = request.header("x-signature").unwrap_or_default();
    let signed = |application: &Application| {
        signature::is_valid(&application.webhook_secrets, signature, &request.body, first)
    };
    if application.pushwoosh.is_some() && signed(&application) {
        return Ok(application);
    }
    if !signature.is_empty() {
        if let Ok(newer) = secrets.refreshed(code).await
            && newer.pushwoosh.is_some()
            && signed(&newer)
        {
            return Ok(newer);
        }
        if !application.webhook_secrets.is_empty()
            && let Ok(older) = secrets.previous(code).await
            && signed(&older)
        {
            return Ok(application);
        }
    }
    if application.webhook_secrets.is_empty() || application.pushwoosh.is_none() {
        tracing::warn!(
            app.code = code,
            "a webhook was refused: the application's secret has no webhook.shared_secret, or no pushwoosh.api_token"
        );
        return Err(HttpResponse::message(403, "the webhook of this application is closed"));
    }
    tracing::warn!(app.code = code, "a webhook without the right x-signature was refused");
    Err(HttpResponse::message(401, "unauthorized"))
}

/// Settings of an application, or the answer to a caller who names one that cannot be had.
async fn application(secrets: &Secrets, code: &str) -> Result<Arc<Application>, HttpResponse> {
    secrets.application(code).await.map_err(|error| match error {
        SecretError::Unknown => HttpResponse::message(400, "application not found"),
        SecretError::Malformed(_) | SecretError::Unavailable(_) => {
            tracing::error!(app.code = code, error = %error, "a request was refused: its application's settings cannot be read");
            HttpResponse::unavailable()
        }
    })
}

/// Whether it is the key after or before a rotation that the cache has not seen.
async fn matches_rotated(secrets: &Secrets, code: &str, presented: &str) -> bool {
    if presented.is_empty() {
        return false;
    }
    let settings = [secrets.refreshed(code).await, secrets.previous(code).await];
    let accounts =
        settings.iter().flatten().filter_map(|application| application.pushwoosh.as_ref());
    accounts.into_iter().any(|account| matches(account, presented))
}

fn matches(account: &PushwooshAccount, presented: &str) -> bool {
    account.api_token.expose_secret().as_bytes().ct_eq(presented.as_bytes()).into()
}

fn token(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(char::is_whitespace)?;
    scheme.eq_ignore_ascii_case(SCHEME).then(|| token.trim())
}
