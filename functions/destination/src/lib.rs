//! Segment calls an HTTP API; its requests become calls of Pushwoosh.
//!
//! Invariants: every item of a request ends in one outcome, and the request is answered within the time
//! budget whatever Pushwoosh does. An item that cannot be used never harms the items beside it. 503 is
//! answered only where something could be neither delivered nor kept, so that Segment resends it.
//!
//! # Layout
//! * [`event`]: what invokes the function, and what it answers.
//! * [`endpoint`]: what an endpoint is; [`endpoints`]: the routes, with a file for each.
//! * `caller`: which application, and whether the caller holds its key; [`signature`]: whether a
//!   webhook's sender holds the shared secret.
//! * `split`: the items of a request's list, up to the limit.
//! * `process`: from items to outcomes, the same for every route.
//! * `seen`: raw events that were sent before and need not be sent again.

mod caller;
pub mod endpoint;
pub mod endpoints;
pub mod event;
mod process;
mod seen;
pub mod signature;
mod split;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use platform::clock::{Clock, Instant};
use platform::ledger::Ledger;
use platform::queues::Queues;
use platform::secrets::Secrets;
use platform::settings::Settings;
use platform::{Deadlines, Function, Invocation, Platform};
use pushwoosh::delivery::Delivery;

use crate::endpoint::{Body, Credential};
use crate::endpoints::Route;
use crate::event::{HttpRequest, HttpResponse};

/// Part of the time budget that is kept for parking what could not be sent.
const PARKING_TIME: Duration = Duration::from_millis(550);

/// Part of it in which no call is started, so that those under way are answered: Pushwoosh takes less, unless
/// it is in trouble.
const ANSWER_TIME: Duration = Duration::from_millis(1_500);

/// Reserved for response overhead: the way back through Lambda and API Gateway.
const RESPONSE_TIME: Duration = Duration::from_millis(150);

/// The function's state, shared by all invocations of a process.
#[derive(Debug)]
pub struct Destination {
    settings: Arc<Settings>,
    clock: Clock,
    secrets: Arc<Secrets>,
    delivery: Delivery,
    queues: Arc<Queues>,
    ledger: Arc<Ledger>,
    seen: seen::Seen,
}

impl Function for Destination {
    const NAME: &'static str = "destination";
    type Event = ApiGatewayV2httpRequest;
    type Response = HttpResponse;
    type Error = Infallible;

    fn new(platform: Platform) -> Self {
        Self {
            delivery: Delivery::new(&platform),
            seen: seen::Seen::default(),
            settings: platform.settings,
            secrets: platform.secrets,
            queues: platform.queues,
            ledger: platform.ledger,
            clock: platform.clock,
        }
    }

    /// The time budget is the setting's: Segment waits for 5 to 10 seconds, whatever Lambda allows.
    fn deadlines(&self, now: Instant, _: Duration) -> Deadlines {
        let budget = self.settings.time_budget.saturating_sub(RESPONSE_TIME);
        Deadlines::within(now, budget, PARKING_TIME, ANSWER_TIME)
    }

    async fn handle(
        &self,
        event: ApiGatewayV2httpRequest,
        invocation: &Invocation,
    ) -> Result<HttpResponse, Infallible> {
        Ok(match HttpRequest::read(event) {
            Ok(request) => {
                self.respond(&request, invocation).await.unwrap_or_else(|response| response)
            }
            Err(response) => response,
        })
    }
}

impl Destination {
    /// The response to a request. An error is the response to one that is not worked on.
    async fn respond(
        &self,
        request: &HttpRequest,
        invocation: &Invocation,
    ) -> Result<HttpResponse, HttpResponse> {
        let (route, code) = Route::find(&request.method, &request.path)?;
        let endpoint = route.endpoint();
        let body = (endpoint.split)(&request.body);
        let deadline = invocation.deadlines.end;
        let application = match endpoint.credential {
            Credential::ApiKey => self.by_api_key(request, deadline).await?,
            Credential::Signature => {
                let first = body.as_ref().ok().and_then(Body::first_of_list);
                self.by_signature(code, request, first, deadline).await?
            }
        };
        // Only now: an unauthenticated caller learns nothing about the body.
        let body = body?;
        if matches!(body, Body::TooMany(_)) {
            return Err(HttpResponse::too_many_items(split::MAX_ITEMS));
        }
        let results = match endpoint.kind {
            Some(kind) => {
                let items = (request.body.as_slice(), body.items());
                self.process(&application, kind, items, invocation).await
            }
            None => Vec::new(),
        };
        Ok((endpoint.respond)(&body, &results))
    }
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit, Mac};
    use mapping::{Outcome, Reason};
    use platform::telemetry::Tally;
    use platform::testing::{Logs, Reply, World};
    use serde_json::{Value, json};
    use sha1::Sha1;

    use super::*;

    struct Answered {
        response: HttpResponse,
        tally: Tally,
    }

    impl Answered {
        fn outcomes(&self) -> Vec<(&'static str, u64)> {
            let mut by_code = Vec::new();
            for (outcome, number) in self.tally.outcomes() {
                by_code.push((outcome.code(), number));
            }
            by_code
        }
    }

    async fn invoke(destination: &Destination, world: &World, event: Value) -> Answered {
        let now = world.now();
        let deadlines = destination.deadlines(now, Duration::from_secs(29));
        let invocation = Invocation::begin("request", &world.platform.clock, deadlines);
        let event = serde_json::from_value(event).unwrap();
        let Ok(response) = destination.handle(event, &invocation).await;
        Answered { response, tally: invocation.tally }
    }

    fn event(path: &str, headers: &Value, body: &str) -> Value {
        json!({"rawPath": path, "headers": headers, "body": body,
            "requestContext": {"http": {"method": "POST"}}})
    }

    fn call(action: &str, body: &Value) -> Value {
        let headers = json!({"x-pw-appcode": "A", "authorization": "Token token"});
        event(&format!("/integration-segment/v1/{action}"), &headers, &body.to_string())
    }

    fn webhook(body: &Value) -> Value {
        let body = body.to_string();
        let mut mac = Hmac::<Sha1>::new_from_slice(b"secret").unwrap();
        mac.update(body.as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        event("/webhook/A", &json!({ "x-signature": signature }), &body)
    }

    fn posted(user: &str) -> Value {
        json!({"user_id": user, "device_platform": "ios", "name": "E"})
    }

    fn setup() -> (World, Destination) {
        let world = World::new(&[]);
        let destination = Destination::new(world.platform.clone());
        (world, destination)
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_leaves_time_for_the_queues_and_for_the_way_back() {
        let (world, destination) = setup();
        let now = world.now();
        let deadlines = destination.deadlines(now, Duration::from_secs(29));
        assert_eq!(deadlines.start.since(now), Duration::from_millis(1_800));
        assert_eq!(deadlines.answer.since(now), Duration::from_millis(3_300));
        assert_eq!(deadlines.end.since(now), Duration::from_millis(3_850));
    }

    #[tokio::test(start_paused = true)]
    async fn a_ping_needs_the_key() {
        let (world, destination) = setup();
        let answered = invoke(&destination, &world, call("ping", &json!("any body"))).await;
        assert_eq!((answered.response.status_code, answered.outcomes()), (200, vec![]));
        let wrong = event("/integration-segment/v1/ping", &json!({"x-pw-appcode": "A"}), "");
        assert_eq!(invoke(&destination, &world, wrong).await.response.status_code, 401);
    }

    #[tokio::test(start_paused = true)]
    async fn an_unauthenticated_caller_learns_nothing_about_the_body() {
        let (world, destination) = setup();
        let headers = json!({"x-pw-appcode": "A", "authorization": "Token wrong"});
        let bad = event("/integration-segment/v1/post-events", &headers, "no json");
        assert_eq!(invoke(&destination, &world, bad).await.response.status_code, 401);
        let bad = call("post-events", &json!("no object"));
        assert_eq!(invoke(&destination, &world, bad).await.response.status_code, 400);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_of_more_items_than_the_limit_is_refused_unread() {
        let (world, destination) = setup();
        let event = |n: usize| json!({"type": "identify", "messageId": n.to_string(), "userId": "u", "traits": {"a": n}});
        for (number, status) in [(2_000, 200), (2_001, 413)] {
            let before = world.requests().len();
            let posted: Vec<Value> = (0..number).map(|n| posted(&n.to_string())).collect();
            let raw: Vec<Value> = (0..number).map(event).collect();
            for request in [call("post-events", &json!({ "events": posted })), webhook(&json!(raw))]
            {
                let answered = invoke(&destination, &world, request).await;
                assert_eq!(answered.response.status_code, status, "{number}");
                let refused = status == 413;
                assert_eq!(answered.outcomes().is_empty(), refused);
                assert_eq!(
                    answered.response.body.contains("2000"),
                    refused,
                    "{}",
                    answered.response.body
                );
            }
            assert_eq!(world.requests().len() - before, if status == 200 { 4_000 } else { 0 });
        }
    }

    /// Not even how many items are too many.
    #[tokio::test(start_paused = true)]
    async fn an_unauthenticated_caller_with_too_many_items_is_refused_for_the_key() {
        let (world, destination) = setup();
        let headers = json!({"x-pw-appcode": "A", "authorization": "Token wrong"});
        let body = json!({"events": vec![0; 2_001]}).to_string();
        let request = event("/integration-segment/v1/post-events", &headers, &body);
        assert_eq!(invoke(&destination, &world, request).await.response.status_code, 401);
        // As Segment signs lists.
        let body = json!(vec![0; 2_001]).to_string();
        let mut request = webhook(&json!(0));
        request["body"] = body.into();
        assert_eq!(invoke(&destination, &world, request).await.response.status_code, 413);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_item_harms_no_other_and_is_rejected_with_its_bytes() {
        let (world, destination) = setup();
        let nameless = json!({"user_id": "u", "device_platform": "ios"});
        let nobody = json!({"device_platform": "ios", "name": "E"});
        let body = json!({"events": [posted("u1"), nameless, nobody, posted("u2")]});
        let answered = invoke(&destination, &world, call("post-events", &body)).await;
        assert_eq!(answered.response.status_code, 200);
        assert_eq!(answered.outcomes(), [("delivered", 2), ("disregarded", 1), ("rejected", 1)]);
        assert_eq!(world.requests().len(), 2);
        let [(queue, entry)] = world.messages().try_into().unwrap();
        let reject: Value = serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap();
        assert_eq!((queue.as_str(), &reject["reason"]), ("rejects", &json!("no_event_name")));
        assert_eq!(reject["origin"], "request 1");
        assert_eq!(reject["raw"], nameless.to_string());
    }

    #[tokio::test(start_paused = true)]
    async fn what_pushwoosh_cannot_take_now_is_parked_for_as_long_as_it_says() {
        let (world, destination) = setup();
        world.upstream(|_| Reply::Limited(429, "120"));
        let body = json!({"events": [posted("u1")]});
        let answered = invoke(&destination, &world, call("post-events", &body)).await;
        assert_eq!(
            (answered.response.status_code, answered.outcomes()),
            (200, vec![("parked", 1)])
        );
        let [(queue, entry)] = world.messages().try_into().unwrap();
        assert_eq!((queue.as_str(), &entry["DelaySeconds"]), ("retry", &json!(120)));
        let parked: Value = serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap();
        assert_eq!((&parked["cause"], &parked["attempts"]), (&json!("http_429"), &json!(1)));
        // Segment may not repeat a deletion: it is answered like everything else.
        let deletion = call("delete-user", &json!({"external_id": "u1"}));
        assert_eq!(invoke(&destination, &world, deletion).await.response.status_code, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn what_pushwoosh_refuses_for_good_is_rejected() {
        let (world, destination) = setup();
        world.upstream(|_| Reply::Status(400, json!({"status_code": 210})));
        let profile = json!({"user_id": "u", "attributes": {"a": 1}});
        let answered = invoke(&destination, &world, call("track-user", &profile)).await;
        // Segment could do nothing about it.
        assert_eq!(
            (answered.response.status_code, answered.outcomes()),
            (200, vec![("rejected", 1)])
        );
        assert_eq!(world.messages()[0].0, "rejects");
    }

    #[tokio::test(start_paused = true)]
    async fn what_no_queue_takes_fails_the_request_and_is_not_sent_twice() {
        let (world, destination) = setup();
        world.upstream(|request| {
            let down = String::from_utf8_lossy(request.body()).contains("u2");
            Reply::Status(if down { 503 } else { 200 }, json!({"status_code": 200}))
        });
        world.sqs(Reply::Status(500, json!({})));
        let body = json!({"events": [posted("u1"), posted("u2")]});
        let answered = invoke(&destination, &world, call("post-events", &body)).await;
        assert_eq!(answered.response.status_code, 503);
        assert_eq!(answered.outcomes(), [("delivered", 1), ("failed", 1)]);
        // Segment resends all of it.
        world.upstream(|_| Reply::Status(200, json!({"status_code": 200})));
        let before = world.requests().len();
        let answered = invoke(&destination, &world, call("post-events", &body)).await;
        assert_eq!(
            (answered.response.status_code, answered.outcomes()),
            (200, vec![("delivered", 2)])
        );
        assert_eq!(world.requests().len() - before, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_that_was_sent_is_a_duplicate_and_one_that_was_not_may_come_again() {
        let (world, destination) = setup();
        let track = json!({"type": "track", "userId": "u1", "event": "E", "messageId": "m1",
            "timestamp": "2026-01-02T03:04:05Z", "context": {"device": {"id": "d", "type": "ios"}}});
        let mut nameless = track.clone();
        nameless["event"] = Value::Null;
        let answered = invoke(&destination, &world, webhook(&nameless)).await;
        assert_eq!(answered.response.status_code, 400);
        let both = json!([track, track]);
        let answered = invoke(&destination, &world, webhook(&both)).await;
        assert_eq!(answered.response.body, r#"[{"status":200},{"status":200}]"#);
        let duplicate = Outcome::from(Reason::Duplicate);
        assert_eq!(answered.tally.outcomes()[&duplicate], 1);
        let answered = invoke(&destination, &world, webhook(&track)).await;
        assert_eq!(
            (answered.response.status_code, answered.outcomes()),
            (200, vec![("disregarded", 1)])
        );
        assert_eq!(world.requests().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_answer_comes_within_the_budget_whatever_pushwoosh_does() {
        let (world, destination) = setup();
        world.upstream(|_| Reply::Hang);
        let before = world.now();
        let events: Vec<Value> = (0..200).map(|n| posted(&n.to_string())).collect();
        let body = json!({ "events": events });
        let answered = invoke(&destination, &world, call("post-events", &body)).await;
        assert_eq!((answered.response.status_code, answered.outcomes()[0].0), (200, "parked"));
        assert!(world.now().since(before) <= Duration::from_secs(4));
        assert_eq!(world.messages().len(), 200);
    }

    fn with_key(key: &str) -> Value {
        let headers = json!({"x-pw-appcode": "A", "authorization": format!("Token {key}")});
        let body = json!({"user_id": "u", "attributes": {"a": 1}}).to_string();
        event("/integration-segment/v1/track-user", &headers, &body)
    }

    /// Segment drops the data for good at any 4xx, and waits for a few seconds only.
    #[tokio::test(start_paused = true)]
    async fn while_secrets_manager_hangs_a_rotated_key_is_neither_refused_nor_left_waiting() {
        for previous in [false, true] {
            let (world, destination) = setup();
            invoke(&destination, &world, with_key("token")).await;
            world.rotate("A", &platform::testing::application("rotated", "key"));
            if previous {
                world.previous_version("A", Reply::Hang);
            } else {
                world.secrets_manager("A", Reply::Hang);
            }
            tokio::time::advance(Duration::from_secs(2)).await;
            let before = world.now();
            let answered = invoke(&destination, &world, with_key("other")).await;
            assert_eq!(answered.response.status_code, 503, "{previous}");
            assert!(world.now().since(before) <= Duration::from_secs(2), "{previous}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_was_rotated_while_the_environment_was_frozen_is_let_in() {
        let (world, destination) = setup();
        invoke(&destination, &world, with_key("token")).await;
        world.freeze(Duration::from_mins(10));
        world.rotate("A", &platform::testing::application("rotated", "key"));
        assert_eq!(
            invoke(&destination, &world, with_key("rotated")).await.response.status_code,
            200
        );
        assert_eq!(world.requests()[1].headers()["authorization"], "Token rotated");
    }

    #[tokio::test(start_paused = true)]
    async fn the_key_before_a_rotation_is_let_in_for_the_grace_time() {
        let (world, destination) = setup();
        invoke(&destination, &world, with_key("token")).await;
        world.rotate("A", &platform::testing::application("rotated", "key"));
        world.freeze(Duration::from_hours(23));
        assert_eq!(invoke(&destination, &world, with_key("token")).await.response.status_code, 200);
        world.freeze(Duration::from_hours(1));
        assert_eq!(invoke(&destination, &world, with_key("token")).await.response.status_code, 401);
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_that_is_scheduled_for_deletion_is_gone_at_once() {
        let (world, destination) = setup();
        invoke(&destination, &world, with_key("token")).await;
        world.secrets_manager("A", platform::testing::aws_error("InvalidRequestException"));
        world.freeze(Duration::from_mins(5));
        assert_eq!(invoke(&destination, &world, with_key("token")).await.response.status_code, 400);
    }

    /// The state of a deletion can be looked up while Pushwoosh is down, and afterwards.
    #[tokio::test(start_paused = true)]
    async fn a_deletion_is_in_the_log_by_the_hash_of_its_user() {
        let (world, destination) = setup();
        let (logs, _guard) = Logs::capture();
        let deletion = || call("delete-user", &json!({"external_id": "u1"}));
        invoke(&destination, &world, deletion()).await;
        let [receipt] = logs.with_message("deletion accepted by Pushwoosh").try_into().unwrap();
        let hash = json!(platform::telemetry::hashed("u1"));
        assert_eq!((&receipt["app.code"], &receipt["user.hash"]), (&json!("A"), &hash));
        let parked = "deletion parked until Pushwoosh takes it";
        assert!(logs.with_message(parked).is_empty());
        world.upstream(|_| Reply::Status(503, json!({})));
        invoke(&destination, &world, deletion()).await;
        let [line] = logs.with_message(parked).try_into().unwrap();
        assert_eq!((&line["user.hash"], &line["cause"]), (&hash, &json!("http_503")));
        // Other items are not deletions.
        invoke(
            &destination,
            &world,
            call("track-user", &json!({"user_id": "u1", "attributes": {"a": 1}})),
        )
        .await;
        assert_eq!(logs.with_message(parked).len(), 1);
    }

    /// No request holds records today. One that did would lose nothing.
    #[tokio::test(start_paused = true)]
    async fn work_for_segment_is_left_to_the_retries() {
        let (world, destination) = setup();
        let application = world
            .platform
            .secrets
            .application("A", world.now() + Duration::from_secs(1))
            .await
            .unwrap();
        let record =
            br#"{"event_name":"Push Sent","timestamp":1,"application_code":"A","hwid":"H"}"#;
        let deadlines = destination.deadlines(world.now(), Duration::ZERO);
        let invocation = Invocation::begin("request", &world.platform.clock, deadlines);
        let kind = mapping::ItemKind::Record;
        let items = [record.as_slice()];
        let results = destination.process(&application, kind, (record, &items), &invocation).await;
        assert!(matches!(results[0].outcome, Outcome::Parked(_)));
        assert_eq!(world.messages()[0].0, "retry");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_no_base64_is_refused() {
        let (world, destination) = setup();
        let mut broken = call("ping", &json!({}));
        broken["isBase64Encoded"] = true.into();
        broken["body"] = "?".into();
        assert_eq!(invoke(&destination, &world, broken).await.response.status_code, 400);
    }
}
