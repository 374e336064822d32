//! Who calls: an application of which the caller holds the API key.
//!
//! Invariants: keys are compared in constant time. A caller is refused only on proof: both versions of
//! the secret were just read, and neither has the key. Everything else is answered with 503, or Segment
//! would drop the data for good. The key before the last rotation is accepted for the grace time. A
//! lookup takes a second at most, whatever Secrets Manager does.

use std::sync::Arc;

use platform::Application;
use platform::application::{PushwooshAccount, Section};
use platform::clock::Instant;
use platform::secrets::{CALLERS_LOOKUP, SecretError, Versions};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

use crate::Destination;
use crate::denial::Denial;
use crate::event::{HttpRequest, HttpResponse};

/// Scheme of the `Authorization` header.
const SCHEME: &str = "token";

/// Code of requests that cannot be checked now.
const SETTINGS_UNAVAILABLE: &str = "settings_unavailable";

/// On whose behalf a request is worked on.
#[derive(Debug)]
pub(crate) struct Caller {
    /// The application.
    pub(crate) application: Arc<Application>,
    /// Which items are known to be from somebody who holds the key.
    pub(crate) known: Known,
}

/// Which items of a request are known to be from somebody who holds the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// All of them.
    All,
    /// The first; the others may be anybody's.
    First,
}

impl Destination {
    /// The application of the `X-PW-Appcode` header, where the caller presents its key.
    pub(crate) async fn by_api_key(
        &self,
        request: &HttpRequest,
        deadline: Instant,
    ) -> Result<Arc<Application>, HttpResponse> {
        let code = request.header("x-pw-appcode").ok_or(Denial::NoCode)?;
        let presented = request.header("authorization").and_then(token).unwrap_or_default();
        let application = self.application(code, deadline).await?;
        needs(&application, &[Section::Pushwoosh])?;
        let fits = |application: &Application| {
            application.pushwoosh.as_ref().is_some_and(|account| matches(account, presented))
        };
        if fits(&application) {
            return Ok(application);
        }
        let mut exists = application.pushwoosh.is_some();
        // Without a key there is nothing to look for.
        if !presented.is_empty() {
            let versions = self.versions(code, deadline).await?;
            if let Some(application) = who_fits(&versions, fits) {
                return Ok(application);
            }
            proves(&versions, &[Section::Pushwoosh])?;
            exists = versions.current.pushwoosh.is_some();
        }
        Err(if exists { Denial::WrongKey } else { Denial::NoDestination }.into())
    }

    /// Settings of an application, or the response to a caller who names one that cannot be had.
    pub(crate) async fn application(
        &self,
        code: &str,
        deadline: Instant,
    ) -> Result<Arc<Application>, HttpResponse> {
        let deadline = deadline.min(self.clock.now() + CALLERS_LOOKUP);
        let application = self.secrets.application(code, deadline).await;
        application.map_err(|error| no_settings(&error))
    }

    /// Both versions of the settings of an application, read just now.
    pub(crate) async fn versions(
        &self,
        code: &str,
        deadline: Instant,
    ) -> Result<Versions, HttpResponse> {
        let deadline = deadline.min(self.clock.now() + CALLERS_LOOKUP);
        let versions = self.secrets.versions(code, deadline).await;
        versions.map_err(|error| no_settings(&error))
    }
}

fn no_settings(error: &SecretError) -> HttpResponse {
    match error {
        SecretError::Unknown => Denial::UnknownApplication.into(),
        SecretError::Malformed(_) | SecretError::Unavailable(_) => {
            HttpResponse::unavailable().because(SETTINGS_UNAVAILABLE, error.to_string())
        }
    }
}

/// The application that a caller acts for whose key fits one of the versions.
fn who_fits(versions: &Versions, fits: impl Fn(&Application) -> bool) -> Option<Arc<Application>> {
    let previous = versions.previous.as_deref().is_some_and(&fits);
    // What the caller may do is in the current version, whichever key it holds.
    let open = versions.current.pushwoosh.is_some();
    (fits(&versions.current) || (previous && open)).then(|| Arc::clone(&versions.current))
}

/// What a request needs of the settings must not be disabled.
pub(crate) fn needs(application: &Application, sections: &[Section]) -> Result<(), HttpResponse> {
    refuse_for(sections, |section| application.is_disabled(section))
}

/// Only what was just read says that a key is wrong, and only once a rotation has settled.
pub(crate) fn proves(versions: &Versions, sections: &[Section]) -> Result<(), HttpResponse> {
    if !versions.are_settled {
        let why = "the secret was rotated just now";
        return Err(HttpResponse::unavailable().because("secret_rotated", why));
    }
    refuse_for(sections, |section| !versions.current.is_current(section))
}

fn refuse_for(
    sections: &[Section],
    is_unknown: impl Fn(Section) -> bool,
) -> Result<(), HttpResponse> {
    let Some(section) = sections.iter().find(|section| is_unknown(**section)) else {
        return Ok(());
    };
    let why = format!("the section {} of the secret cannot be used: correct it", section.key());
    Err(HttpResponse::unavailable().because(SETTINGS_UNAVAILABLE, why))
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
    use platform::Function as _;
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

    fn destination(world: &World) -> Destination {
        Destination::new(world.platform.clone())
    }

    fn later(world: &World) -> Instant {
        world.now() + Duration::from_secs(4)
    }

    async fn status_of_key(world: &World, code: &str, authorization: &str) -> u16 {
        let request = request(&json!({"x-pw-appcode": code, "authorization": authorization}));
        match destination(world).by_api_key(&request, later(world)).await {
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
        let body = crate::endpoint::Body::One(&request.body);
        match destination(world).by_signature(code, &request, Some(&body), later(world)).await {
            Ok(_) => 200,
            Err(response) => response.status_code,
        }
    }

    /// Puts a secret after the shortest time between two reads.
    async fn rotate(world: &World, secret: &Value) {
        world.platform.secrets.application("A", later(world)).await.unwrap();
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
        let response = destination(&world).by_api_key(&none, later(&world)).await.unwrap_err();
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
        world.platform.secrets.application("A", later(&world)).await.unwrap();
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
        let response = destination(&world).by_signature("A", &unsigned, None, later(&world)).await;
        let response = response.unwrap_err();
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

    /// Segment drops the data for good at any 4xx.
    #[tokio::test(start_paused = true)]
    async fn nobody_is_refused_while_one_of_the_versions_cannot_be_read() {
        for trouble in [Reply::Status(503, json!({})), Reply::Broken, Reply::Hang] {
            for previous in [false, true] {
                let world = World::new(&[]);
                rotate(&world, &application("rotated", "key")).await;
                world.rotate("A", &application("newest", "key"));
                if previous {
                    world.previous_version("A", trouble.clone());
                } else {
                    world.secrets_manager("A", trouble.clone());
                }
                let before = world.now();
                assert_eq!(status_of_key(&world, "A", "Token other").await, 503, "{trouble:?}");
                assert_eq!(status_of_signature(&world, "A", "other").await, 503, "{trouble:?}");
                assert!(world.now().since(before) <= Duration::from_secs(2), "{trouble:?}");
                // The key that was read last still lets its holder in.
                let key = if previous { "Token newest" } else { "Token token" };
                assert_eq!(status_of_key(&world, "A", key).await, 200, "{trouble:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_between_two_reads_of_a_rotation_is_not_refused() {
        let world = World::new(&[]);
        world.rotate("A", &application("rotated", "key"));
        assert_eq!(status_of_key(&world, "A", "Token other").await, 503);
        tokio::time::advance(Duration::from_secs(14)).await;
        assert_eq!(status_of_key(&world, "A", "Token other").await, 503);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(status_of_key(&world, "A", "Token other").await, 401);
    }

    /// A late read knows nothing of the rotation yet, and finds no version before it.
    #[tokio::test(start_paused = true)]
    async fn a_version_that_is_not_there_yet_is_no_proof() {
        let world = World::new(&[]);
        world.rotate("A", &application("rotated", "key"));
        world.previous_version("A", platform::testing::aws_error("ResourceNotFoundException"));
        assert_eq!(status_of_key(&world, "A", "Token token").await, 503);
    }

    #[tokio::test(start_paused = true)]
    async fn keys_and_shared_secrets_before_a_rotation_work_for_the_grace_time() {
        let world = World::new(&[("PWSEG_PREVIOUS_KEY_GRACE_S", "60")]);
        let mut rotated = application("rotated", "key");
        rotated["webhook"] = json!({"shared_secret": "new"});
        world.rotate("A", &rotated);
        for (seconds, status) in [(59, 200), (1, 401)] {
            world.freeze(Duration::from_secs(seconds));
            assert_eq!(status_of_key(&world, "A", "Token token").await, status);
            assert_eq!(status_of_signature(&world, "A", "secret").await, status);
            assert_eq!(status_of_key(&world, "A", "Token rotated").await, 200);
        }
        // The webhook was closed before, and open since.
        let world = World::new(&[]);
        let mut closed = application("token", "key");
        closed.as_object_mut().unwrap().remove("webhook");
        world.secret("A", &closed);
        world.rotate("A", &rotated);
        world.freeze(Duration::from_mins(1));
        assert_eq!(status_of_signature(&world, "A", "secret").await, 401);
        assert_eq!(status_of_signature(&world, "A", "new").await, 200);
        let world = World::new(&[("PWSEG_PREVIOUS_KEY_GRACE_S", "0")]);
        world.rotate("A", &application("rotated", "key"));
        assert_eq!(status_of_key(&world, "A", "Token token").await, 401);
    }

    #[tokio::test(start_paused = true)]
    async fn an_unusable_section_closes_what_needs_it_and_nothing_else() {
        let world = World::new(&[]);
        let broken = |section: &str| {
            let mut secret = application("token", "key");
            secret[section] = json!(5);
            secret
        };
        for (section, of_key, of_signature) in [
            ("pushwoosh", 503, 503),
            ("segment", 200, 200),
            ("webhook", 200, 503),
            ("mappings", 200, 503),
        ] {
            world.secret(section, &broken(section));
            assert_eq!(status_of_key(&world, section, "Token token").await, of_key, "{section}");
            let status = status_of_signature(&world, section, "secret").await;
            assert_eq!(status, of_signature, "{section}");
        }
        // The last good value lets its holder in, and is no proof against anybody else.
        rotate(&world, &broken("pushwoosh")).await;
        world.freeze(Duration::from_mins(5));
        assert_eq!(status_of_key(&world, "A", "Token token").await, 200);
        assert_eq!(status_of_key(&world, "A", "Token other").await, 503);
    }

    #[tokio::test(start_paused = true)]
    async fn an_application_that_is_missing_since_a_moment_refuses_nobody() {
        let world = World::new(&[]);
        assert_eq!(status_of_key(&world, "A", "Token token").await, 200);
        world.secrets_manager("A", platform::testing::aws_error("ResourceNotFoundException"));
        world.freeze(Duration::from_mins(5));
        assert_eq!(status_of_key(&world, "A", "Token token").await, 200);
        assert_eq!(status_of_key(&world, "A", "Token other").await, 503);
        world.freeze(Duration::from_mins(5));
        assert_eq!(status_of_key(&world, "A", "Token token").await, 400);
    }
}
