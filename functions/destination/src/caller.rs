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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
    use hmac::{Hmac, KeyInit, Mac};
    use platform::testing::{Reply, World, application};
    use serde_json::{Value, json};
    use sha1::Sha1;

    use super::*;

    const BODY: &str = r#"{"a":1}"#;

    fn request(headers: &Value) -> HttpRequest {
        let event: ApiGatewayV2httpRequest = serde_json::from_value(json!({"body": BODY,
            "rawPath": "/", "headers": headers, "requestContext": {"http": {"method": "POST"}}}))
        .unwrap();
        HttpRequest::read(event).unwrap()
    }

    async fn status_of_key(world: &World, code: &str, authorization: &str) -> u16 {
        let request = request(&json!({"x-pw-appcode": code, "authorization": authorization}));
        match by_api_key(&world.platform.secrets, &request).await {
            Ok(application) => {
                assert_eq!(application.code, code);
                200
            }
            Err(response) => response.status_code,
        }
    }

    async fn status_of_signature(world: &World, code: &str, secret: &str) -> u16 {
        let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(BODY.as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        let request = request(&json!({ "x-signature": signature }));
        match by_signature(&world.platform.secrets, code, &request, None).await {
            Ok(_) => 200,
            Err(response) => response.status_code,
        }
    }

    /// Puts a secret after the shortest time between two reads.
    async fn rotate(world: &World, secret: &Value) {
        world.platform.secrets.application("A").await.unwrap();
        tokio::time::advance(Duration::from_secs(2)).await;
        world.secret("A", secret);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_needs_the_key_of_the_application_that_it_names() {
        let world = World::new(&[]);
        world.secret("B", &application("other", "key"));
        for authorization in ["Token token", "token  token", "TOKEN\ttoken"] {
            assert_eq!(status_of_key(&world, "A", authorization).await, 200, "{authorization}");
        }
        for authorization in ["", "token", "Bearer token", "Token other", "Token tokenx", "Token "]
        {
            assert_eq!(status_of_key(&world, "A", authorization).await, 401, "{authorization}");
        }
        assert_eq!(status_of_key(&world, "B", "Token other").await, 200);
        assert_eq!(status_of_key(&world, "X", "Token token").await, 400);
        let none = request(&json!({"authorization": "Token token"}));
        let response = by_api_key(&world.platform.secrets, &none).await.unwrap_err();
        assert_eq!(response.status_code, 400);
    }

    #[tokio::test(start_paused = true)]
    async fn an_application_without_pushwoosh_has_no_destination() {
        let world = World::new(&[]);
        world.secret(
            "A",
            &json!({"segment": {"write_key": "k"}, "webhook": {"shared_secret": "secret"}}),
        );
        assert_eq!(status_of_key(&world, "A", "Token token").await, 400);
        assert_eq!(status_of_signature(&world, "A", "secret").await, 403);
    }

    /// Segment drops the data for good at any 4xx.
    #[tokio::test(start_paused = true)]
    async fn settings_that_cannot_be_read_are_never_a_wrong_key() {
        let world = World::new(&[]);
        world.secrets_manager("A", Reply::Status(503, json!({})));
        assert_eq!(status_of_key(&world, "A", "Token token").await, 503);
        assert_eq!(status_of_signature(&world, "A", "secret").await, 503);
        let world = World::new(&[]);
        world.secret("A", &json!({"pushwoosh": 5}));
        assert_eq!(status_of_key(&world, "A", "Token token").await, 503);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rotated_key_is_accepted_before_the_settings_expire() {
        let world = World::new(&[]);
        rotate(&world, &application("rotated", "key")).await;
        assert_eq!(status_of_key(&world, "A", "Token rotated").await, 200);
        assert_eq!(
            status_of_key(&world, "A", "Token token").await,
            401,
            "there is no previous version"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_without_a_key_reads_no_secret_again() {
        let world = World::new(&[]);
        world.platform.secrets.application("A").await.unwrap();
        tokio::time::advance(Duration::from_secs(2)).await;
        let before = world.aws_calls("GetSecretValue");
        assert_eq!(status_of_key(&world, "A", "").await, 401);
        assert_eq!(world.aws_calls("GetSecretValue"), before);
    }

    #[tokio::test(start_paused = true)]
    async fn a_webhook_needs_the_signature_of_the_application() {
        let world = World::new(&[]);
        assert_eq!(status_of_signature(&world, "A", "secret").await, 200);
        assert_eq!(status_of_signature(&world, "A", "other").await, 401);
        assert_eq!(status_of_signature(&world, "X", "secret").await, 400);
        let unsigned = request(&json!({}));
        tokio::time::advance(Duration::from_secs(2)).await;
        let before = world.aws_calls("GetSecretValue");
        let response =
            by_signature(&world.platform.secrets, "A", &unsigned, None).await.unwrap_err();
        assert_eq!(response.status_code, 401);
        assert_eq!(world.aws_calls("GetSecretValue"), before, "there is nothing to check");
        let mut rotated = application("token", "key");
        rotated["webhook"] = json!({"shared_secret": "new"});
        rotate(&world, &rotated).await;
        assert_eq!(status_of_signature(&world, "A", "new").await, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_shared_secret_the_webhook_is_closed() {
        let world = World::new(&[]);
        let mut closed = application("token", "key");
        closed.as_object_mut().unwrap().remove("webhook");
        world.secret("A", &closed);
        assert_eq!(status_of_signature(&world, "A", "").await, 403);
    }
}
