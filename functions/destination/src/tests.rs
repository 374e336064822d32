mod doors;
mod lines;
mod rejects;
mod repeats;

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

/// Segment shows the answer to whoever enters the key.
#[tokio::test(start_paused = true)]
async fn a_ping_says_where_pushwoosh_refuses_the_key_and_only_to_who_holds_it() {
    let (world, destination) = setup();
    world.upstream(|_| Reply::Status(401, json!({"message": "unauthorized"})));
    let refused = invoke(&destination, &world, call("ping", &json!({}))).await;
    assert_eq!(refused.response.status_code, 401);
    assert!(
        refused.response.body.contains("Pushwoosh refuses this API key"),
        "{:?}",
        refused.response
    );
    let headers = json!({"x-pw-appcode": "A", "authorization": "Token other"});
    let stranger =
        invoke(&destination, &world, event("/integration-segment/v1/ping", &headers, "")).await;
    assert_eq!(stranger.response.body, json!({"message": "unauthorized"}).to_string());
    // What is no refusal is none of the key's.
    for reply in [Reply::Hang, Reply::Broken, Reply::Status(503, json!({}))] {
        let (world, destination) = setup();
        world.upstream(move |_| reply.clone());
        let answered = invoke(&destination, &world, call("ping", &json!({}))).await;
        assert_eq!(answered.response.status_code, 200);
    }
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

/// Not even how many items are too many.
#[tokio::test(start_paused = true)]
async fn an_unauthenticated_caller_with_too_many_items_is_refused_for_the_key() {
    let (world, destination) = setup();
    let headers = json!({"x-pw-appcode": "A", "authorization": "Token wrong"});
    let body = json!({"events": vec![0; 2_001]}).to_string();
    let request = event("/integration-segment/v1/post-events", &headers, &body);
    assert_eq!(invoke(&destination, &world, request).await.response.status_code, 401);
    // As Segment signs lists: the first element is that of a list which was not read to its end.
    let mut secret = platform::testing::application("token", "key");
    secret["webhook"]["signed"] = json!("first_element");
    world.secret("A", &secret);
    tokio::time::advance(Duration::from_secs(2)).await;
    for (first, status) in [(0, 413), (1, 401)] {
        let mut request = webhook(&json!(first));
        request["body"] = json!(vec![0; 4_001]).to_string().into();
        assert_eq!(invoke(&destination, &world, request).await.response.status_code, status);
    }
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
    assert_eq!((answered.response.status_code, answered.outcomes()), (200, vec![("parked", 1)]));
    let [(queue, entry)] = world.messages().try_into().unwrap();
    assert_eq!((queue.as_str(), &entry["DelaySeconds"]), ("retry", &json!(120)));
    let parked: Value = serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap();
    assert_eq!((&parked["cause"], &parked["attempts"]), (&json!("http_429"), &json!(1)));
    // Segment may not repeat a deletion: it is answered like everything else.
    let deletion = call("delete-user", &json!({"external_id": "u1"}));
    assert_eq!(invoke(&destination, &world, deletion).await.response.status_code, 200);
}

#[tokio::test(start_paused = true)]
async fn what_waits_says_what_it_was() {
    let (world, destination) = setup();
    world.upstream(|_| Reply::Status(503, json!({})));
    let mut raw = identify("u1", "gold");
    raw["messageId"] = json!("m-1");
    invoke(&destination, &world, webhook(&raw)).await;
    let profile = json!({"user_id": "u2", "attributes": {"a": 1}, "messageId": "m-2"});
    invoke(&destination, &world, call("track-user", &profile)).await;
    let said = |parked: &Value| (parked["kind"].clone(), parked["message_id"].clone());
    let said: Vec<_> = parked(&world).iter().map(said).collect();
    // The endpoints' own bodies have no such field.
    assert_eq!(said, [(json!("raw_event"), json!("m-1")), (json!("profile"), Value::Null)]);
}

#[tokio::test]
async fn an_event_of_the_gateway_is_read() {
    let ping = include_bytes!("../../../events/api-gateway/ping.json");
    let read = Destination::read(Bytes::from_static(ping)).unwrap();
    assert_eq!(read.raw_path.as_deref(), Some("/integration-segment/v1/ping"));
    assert!(Destination::read(Bytes::from_static(b"[]")).is_err());
}

#[tokio::test(start_paused = true)]
async fn what_pushwoosh_refuses_for_good_is_rejected() {
    let (world, destination) = setup();
    world.upstream(|_| Reply::Status(400, json!({"status_code": 210})));
    let profile = json!({"user_id": "u", "attributes": {"a": 1}});
    let answered = invoke(&destination, &world, call("track-user", &profile)).await;
    // Segment could do nothing about it.
    assert_eq!((answered.response.status_code, answered.outcomes()), (200, vec![("rejected", 1)]));
    assert_eq!(world.messages()[0].0, "rejects");
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

/// All of the time before the answers' deadline may be gone by then, also of the smallest budget.
#[tokio::test(start_paused = true)]
async fn what_pushwoosh_leaves_unanswered_is_parked_within_the_smallest_budget() {
    let world = World::new(&[("PWSEG_TIME_BUDGET_MS", "1000")]);
    let destination = Destination::new(world.platform.clone());
    world.upstream(|_| Reply::Hang);
    world.sqs(Reply::Late(Duration::from_millis(30), Box::new(Reply::Status(200, json!({})))));
    let before = world.now();
    let body = json!({"events": [posted("u1"), posted("u2")]});
    let answered = invoke(&destination, &world, call("post-events", &body)).await;
    assert_eq!((answered.response.status_code, answered.outcomes()), (200, vec![("parked", 2)]));
    assert!(world.now().since(before) < Duration::from_secs(1));
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
    assert_eq!(invoke(&destination, &world, with_key("rotated")).await.response.status_code, 200);
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
    let record = br#"{"event_name":"Push Sent","timestamp":1,"application_code":"A","hwid":"H"}"#;
    let deadlines = destination.deadlines(world.now(), Duration::ZERO);
    let invocation = Invocation::begin("request", &world.platform.clock, deadlines);
    let kind = mapping::ItemKind::Record;
    let items = [record.as_slice()];
    let caller = Caller { application, known: Known::All };
    let results = destination.process(&caller, kind, (record, &items), &invocation).await;
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

fn identify(user: &str, plan: &str) -> Value {
    json!({"type": "identify", "userId": user, "traits": {"plan": plan}})
}

fn paths(world: &World) -> Vec<String> {
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    world.requests().iter().map(|request| name(request.uri().path())).collect()
}

fn parked(world: &World) -> Vec<Value> {
    let read = |(_, entry): (String, Value)| {
        serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap()
    };
    world.messages().into_iter().map(read).collect()
}

/// The state of a user in Pushwoosh is that after the last item.
#[tokio::test(start_paused = true)]
async fn the_items_of_a_person_are_sent_in_their_order() {
    let (world, destination) = setup();
    world.upstream(|request| {
        // The earlier calls are the slower ones.
        let slow = request.uri().path().ends_with("setTags");
        let reply = Reply::Status(200, json!({"status_code": 200}));
        if slow { Reply::Late(Duration::from_millis(100), Box::new(reply)) } else { reply }
    });
    let track = json!({"type": "track", "userId": "u1", "event": "E", "messageId": "m1",
        "timestamp": "2026-01-02T03:04:05Z", "context": {"device": {"id": "d", "type": "ios"}}});
    let delete = json!({"type": "delete", "userId": "u1"});
    let list = json!([identify("u1", "a"), track, delete, identify("u1", "b")]);
    let answered = invoke(&destination, &world, webhook(&list)).await;
    assert_eq!(answered.outcomes(), [("delivered", 4)]);
    assert_eq!(paths(&world), ["setTags", "postEvent", "deleteUser", "setTags"]);
}

#[tokio::test(start_paused = true)]
async fn behind_a_parked_deletion_everything_waits_and_behind_a_profile_what_has_an_order() {
    let track = |id: &str| {
        json!({"type": "track", "userId": "u1", "event": "E", "messageId": id,
        "timestamp": "2026-01-02T03:04:05Z", "context": {"device": {"id": "d", "type": "ios"}}})
    };
    let delete = json!({"type": "delete", "userId": "u1"});
    for (first, path, sent) in [(delete, "deleteUser", 1), (identify("u1", "a"), "setTags", 2)] {
        let (world, destination) = setup();
        world.upstream(move |request| {
            let down = request.uri().path().ends_with(path);
            Reply::Status(if down { 503 } else { 200 }, json!({"status_code": 200}))
        });
        let list = json!([first, track("m1"), identify("u1", "b")]);
        invoke(&destination, &world, webhook(&list)).await;
        assert_eq!(world.requests().len(), sent, "{path}");
        let times: Vec<String> =
            parked(&world).iter().map(|parked| parked["first_seen"].to_string()).collect();
        assert!(times.is_sorted() && times.len() == 4 - sent, "{times:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deletion_is_remembered_before_it_is_delivered() {
    let (world, destination) = setup();
    let accepted = world.platform.clock.wall();
    tokio::time::advance(Duration::from_secs(1)).await;
    let deletion = || call("delete-user", &json!({"external_id": "u1"}));
    invoke(&destination, &world, deletion()).await;
    let deadline = world.now() + Duration::from_secs(5);
    let person = world.platform.ledger.person("A", "u1", deadline).await.unwrap();
    assert!(person.was_deleted_after(accepted) && person.is_deletion_done(accepted));
    // Without the ledger it is parked: what was parked before would come after it.
    world.dynamodb(Some(Reply::Status(500, json!({}))));
    let answered = invoke(&destination, &world, deletion()).await;
    let waits = Outcome::Parked(mapping::Cause::LedgerUnavailable);
    assert!(answered.tally.outcomes().contains_key(&waits));
    assert_eq!(answered.response.status_code, 200);
}

/// Its caller may give it up: what comes later would wait behind it for ever.
#[tokio::test(start_paused = true)]
async fn nothing_waits_behind_a_deletion_that_nobody_keeps() {
    let (world, destination) = setup();
    world.upstream(|_| Reply::Status(503, json!({})));
    world.sqs(Reply::Status(500, json!({})));
    let deletion = call("delete-user", &json!({"external_id": "u1"}));
    assert_eq!(invoke(&destination, &world, deletion).await.response.status_code, 503);
    let deadline = world.now() + Duration::from_secs(5);
    let person = world.platform.ledger.person("A", "u1", deadline).await.unwrap();
    assert_eq!(person.pending, None);
}

#[tokio::test(start_paused = true)]
async fn while_something_waits_values_are_noted_and_nothing_passes_a_pending_deletion() {
    let (world, destination) = setup();
    let ledger = &world.platform.ledger;
    let profile = || call("track-user", &json!({"user_id": "u1", "attributes": {"plan": "new"}}));
    invoke(&destination, &world, profile()).await;
    assert_eq!(world.aws_calls("UpdateItem"), 0, "nothing waits, nothing is noted");
    let accepted = world.platform.clock.wall();
    let deadline = || world.now() + Duration::from_secs(5);
    ledger.unsettle("A", deadline()).await.unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    invoke(&destination, &world, profile()).await;
    let people = std::collections::BTreeSet::from(["u1"]);
    let person = ledger.people("A", &people, deadline()).await.unwrap().remove("u1").unwrap();
    assert!(person.is_overtaken("plan", accepted));
    ledger.deletion_is_pending("A", "u1", accepted, deadline()).await.unwrap();
    let before = world.requests().len();
    let answered = invoke(&destination, &world, profile()).await;
    let waits = Outcome::Parked(mapping::Cause::DeletionPending);
    assert!(answered.tally.outcomes().contains_key(&waits));
    assert_eq!(world.requests().len(), before);
}

/// A hanging ledger must not cost the caller its time budget, nor stop what does not need it.
#[tokio::test(start_paused = true)]
async fn without_the_ledger_live_traffic_goes_on() {
    for reply in [Reply::Hang, Reply::Broken] {
        let (world, destination) = setup();
        world.dynamodb(Some(reply));
        let before = world.now();
        let profile = json!({"user_id": "u1", "attributes": {"plan": "new"}});
        let answered = invoke(&destination, &world, call("track-user", &profile)).await;
        assert_eq!(answered.outcomes(), [("delivered", 1)]);
        assert!(world.now().since(before) <= Duration::from_millis(300));
    }
}
