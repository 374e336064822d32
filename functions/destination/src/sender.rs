//! Who sends raw events: an application of which the sender holds the shared secret.
//!
//! Invariants: those of `caller`. What must be signed is in the current version of the secret, whichever
//! version's shared secret signed it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use platform::Application;
use platform::application::{Section, Signed};
use platform::clock::Instant;
use serde::Deserialize;

use crate::Destination;
use crate::caller::{Caller, Known, needs, proves};
use crate::denial::Denial;
use crate::endpoint::Body;
use crate::event::{HttpRequest, HttpResponse};
use crate::signature::{self, Coverage};

/// What the settings of a webhook need to be usable.
const SECTIONS: [Section; 2] = [Section::Pushwoosh, Section::Webhook];

/// Segment's header with the signature.
const SIGNATURE: &str = "x-signature";

impl Destination {
    /// The application with this code, where the request is signed with one of its shared secrets,
    /// before or after a rotation. `body`: its items, where it can be read.
    pub(crate) async fn by_signature(
        &self,
        code: &str,
        request: &HttpRequest,
        body: Option<&Body<'_>>,
        deadline: Instant,
    ) -> Result<Caller, HttpResponse> {
        let application = self.application(code, deadline).await?;
        needs(&application, &SECTIONS)?;
        let signed = SignedRequest { request, body, now: self.clock.wall() };
        let mut denial = match signed.admit(&application, &application) {
            Ok(known) => return caller(application, known),
            Err(denial) => denial,
        };
        // Without a signature there is nothing to look for.
        if request.header(SIGNATURE).is_some() {
            let versions = self.versions(code, deadline).await?;
            let current = &versions.current;
            denial = match signed.admit(current, current) {
                Ok(known) => return caller(Arc::clone(current), known),
                Err(denial) => denial,
            };
            if let (Denial::WrongSignature, Some(previous)) = (denial, &versions.previous) {
                // A valid signature that covers too little says more than an invalid one.
                denial = match signed.admit(previous, current) {
                    Ok(known) => return caller(Arc::clone(current), known),
                    Err(denial) => denial,
                };
            }
            proves(&versions, &SECTIONS)?;
        }
        Err(denial.into())
    }
}

fn caller(application: Arc<Application>, known: Known) -> Result<Caller, HttpResponse> {
    needs(&application, &[Section::Mappings])?;
    Ok(Caller { application, known })
}

/// A request on the route for raw events.
struct SignedRequest<'a> {
    request: &'a HttpRequest,
    body: Option<&'a Body<'a>>,
    now: Timestamp,
}

impl SignedRequest<'_> {
    /// Which items are signed with a shared secret of `keys`, where that is enough for `current`.
    fn admit(&self, keys: &Application, current: &Application) -> Result<Known, Denial> {
        if current.pushwoosh.is_none() || current.webhook.secrets.is_empty() {
            return Err(Denial::WebhookClosed);
        }
        let signature = self.request.header(SIGNATURE).ok_or(Denial::NoSignature)?;
        let first = self.body.and_then(Body::first_of_list);
        let covered =
            signature::coverage(&keys.webhook.secrets, signature, &self.request.body, first);
        let is_alone = self.body.is_some_and(|body| body.items().len() == 1);
        let known = match (covered.ok_or(Denial::WrongSignature)?, current.webhook.signed) {
            (Coverage::Whole, _) => Known::All,
            // A list of one event holds nothing else.
            (Coverage::FirstElement, _) if is_alone => Known::All,
            (Coverage::FirstElement, Signed::FirstElement) => Known::First,
            (Coverage::FirstElement, Signed::Body) => return Err(Denial::UnsignedList),
        };
        match current.webhook.max_age {
            Some(max_age) if !self.is_within(max_age) => Err(Denial::OutsideWindow),
            _ => Ok(known),
        }
    }

    /// Whether the time of the first event, which is signed in any case, is so near.
    fn is_within(&self, max_age: Duration) -> bool {
        let first = match self.body {
            Some(Body::One(event)) => Some(*event),
            Some(list) => list.first_of_list(),
            None => None,
        };
        let time = first.and_then(time_of);
        time.is_some_and(|time| self.now.duration_since(time).unsigned_abs() <= max_age)
    }
}

/// When Segment received an event; where it does not say, when it happened.
fn time_of(event: &[u8]) -> Option<Timestamp> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Times {
        received_at: Option<Timestamp>,
        timestamp: Option<Timestamp>,
    }
    let times: Times = mapping::json::read(event).ok()?;
    times.received_at.or(times.timestamp)
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit, Mac};
    use platform::Function as _;
    use platform::testing::{World, application};
    use serde_json::{Value, json};
    use sha1::Sha1;

    use super::*;
    use crate::endpoints::Route;

    fn request(body: &str, signed: &str) -> HttpRequest {
        let mut mac = Hmac::<Sha1>::new_from_slice(b"secret").unwrap();
        mac.update(signed.as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        let event = json!({"body": body, "rawPath": "/webhook/A", "headers": {"x-signature": signature},
            "requestContext": {"http": {"method": "POST"}}});
        HttpRequest::read(serde_json::from_value(event).unwrap()).unwrap()
    }

    fn world(webhook: &Value) -> World {
        let world = World::new(&[]);
        let mut secret = application("token", "key");
        let section = secret["webhook"].as_object_mut().unwrap();
        section.extend(webhook.as_object().unwrap().clone());
        world.secret("A", &secret);
        world
    }

    async fn known(world: &World, body: &str, signed: &str) -> Result<Known, Denial> {
        let destination = Destination::new(world.platform.clone());
        let request = request(body, signed);
        let split = (Route::Webhook.endpoint().split)(&request.body).ok();
        let deadline = world.now() + Duration::from_secs(4);
        let sender = destination.by_signature("A", &request, split.as_ref(), deadline).await;
        sender.map(|caller| caller.known).map_err(|response| response.denial.unwrap())
    }

    const EVENT: &str = r#"{"a":1}"#;
    const LIST: &str = r#"[{"a":1},{"b":2}]"#;

    #[tokio::test(start_paused = true)]
    async fn by_default_all_of_a_request_must_be_signed() {
        let world = world(&json!({}));
        for body in [EVENT, LIST, "[]"] {
            assert_eq!(known(&world, body, body).await, Ok(Known::All), "{body}");
        }
        assert_eq!(known(&world, LIST, EVENT).await, Err(Denial::UnsignedList));
        assert_eq!(known(&world, LIST, r#"{"b":2}"#).await, Err(Denial::WrongSignature));
        // What Segment sends where a batch has one event.
        assert_eq!(known(&world, r#"[{"a":1}]"#, EVENT).await, Ok(Known::All));
        assert_eq!(known(&world, r#"[{"a":1},]"#, EVENT).await, Err(Denial::WrongSignature));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_element_is_enough_where_the_secret_says_so() {
        let world = world(&json!({"signed": "first_element"}));
        assert_eq!(known(&world, LIST, EVENT).await, Ok(Known::First));
        assert_eq!(known(&world, LIST, LIST).await, Ok(Known::All));
        assert_eq!(known(&world, LIST, r#"{"b":2}"#).await, Err(Denial::WrongSignature));
    }

    /// The grace time is for keys. What an operator forbids is forbidden at once.
    #[tokio::test(start_paused = true)]
    async fn the_version_before_a_rotation_does_not_say_what_must_be_signed() {
        let world = world(&json!({"signed": "first_element"}));
        let mut rotated = application("token", "key");
        rotated["webhook"] = json!({"shared_secret": "new"});
        world.rotate("A", &rotated);
        world.freeze(Duration::from_mins(10));
        assert_eq!(known(&world, LIST, LIST).await, Ok(Known::All));
        assert_eq!(known(&world, LIST, EVENT).await, Err(Denial::UnsignedList));
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_of_the_signed_event_may_be_that_far_from_now_and_no_further() {
        let world = world(&json!({"max_age_s": 3_600, "signed": "first_element"}));
        let now = world.platform.clock.wall();
        let hour = jiff::SignedDuration::from_hours(1);
        let second = jiff::SignedDuration::from_secs(1);
        for (time, expected) in [
            (now - hour, Ok(Known::All)),
            (now + hour, Ok(Known::All)),
            (now - hour - second, Err(Denial::OutsideWindow)),
            (now + hour + second, Err(Denial::OutsideWindow)),
        ] {
            for event in [
                json!({"timestamp": time}).to_string(),
                json!({"receivedAt": time, "timestamp": "2001-01-01T00:00:00Z"}).to_string(),
            ] {
                assert_eq!(known(&world, &event, &event).await, expected, "{event}");
                let list = format!(r#"[{event},{{"receivedAt":"{now}"}}]"#);
                let expected = expected.map(|_| Known::First);
                assert_eq!(known(&world, &list, &event).await, expected, "{list}");
            }
        }
        for event in ["{}", r#"{"timestamp":"today"}"#, "[]", "no json"] {
            assert_eq!(known(&world, event, event).await, Err(Denial::OutsideWindow), "{event}");
        }
    }
}
