mod claims;
mod lines;
mod refused;

use mapping::{Cause, Outcome, Parked, Reason, Work, deletion, event, profile};
use platform::message;
use platform::telemetry::Tally;
use platform::testing::{Logs, Reply, World};
use serde_json::{Value, json};

use super::*;

fn setup(settings: &[(&str, &str)]) -> (World, Retry) {
    let world = World::new(settings);
    let retry = Retry::new(world.platform.clone());
    (world, retry)
}

fn plan() -> Work {
    let body = json!({"user_id": "u1", "device_id": "d", "device_platform": "ios",
        "attributes": {"plan": "pro"}});
    let now = Timestamp::UNIX_EPOCH;
    Work::Pushwoosh(profile::plan("A", body.to_string().as_bytes(), now).unwrap())
}

fn event() -> Work {
    let body = json!({"user_id": "u1", "device_platform": "ios", "name": "E"}).to_string();
    Work::Pushwoosh(event::plan("A", body.as_bytes(), Timestamp::UNIX_EPOCH).unwrap())
}

fn track_of_a_user() -> Work {
    let call = json!({"event": "Push Sent", "userId": "u1"});
    Work::Segment(vec![serde_json::value::to_raw_value(&call).unwrap()])
}

fn deletion() -> Work {
    Work::Pushwoosh(deletion::plan("A", br#"{"external_id": "u1"}"#).unwrap())
}

fn tracks(names: &[&str]) -> Work {
    let call = |name: &&str| serde_json::value::to_raw_value(&json!({"event": name})).unwrap();
    Work::Segment(names.iter().map(call).collect())
}

/// A message of what came in this long ago.
fn parked_for(world: &World, code: &str, work: Work, age: Duration) -> String {
    let accepted = world.platform.clock.wall().checked_sub(age).unwrap();
    message::encode(&Parked::new(code, work, Cause::Timeout, accepted)).unwrap()
}

fn parked(world: &World, code: &str, work: Work) -> String {
    parked_for(world, code, work, Duration::from_mins(1))
}

/// Invokes with a message of this id; whether it stays on the queue.
async fn invoke_as(retry: &Retry, world: &World, id: &str, body: &str) -> (bool, Tally) {
    invoke_within(Duration::from_mins(1), retry, world, id, body).await
}

/// The same with this long until the function has to answer.
async fn invoke_within(
    left: Duration,
    retry: &Retry,
    world: &World,
    id: &str,
    body: &str,
) -> (bool, Tally) {
    let sent = world.platform.clock.wall().as_millisecond();
    let event = json!({"Records": [{"messageId": id, "receiptHandle": "r1", "body": body,
        "attributes": {"ApproximateReceiveCount": "2", "SentTimestamp": sent.to_string()}}]});
    let deadlines = retry.deadlines(world.now(), left);
    let invocation = Invocation::begin("request", &world.platform.clock, deadlines);
    let event = Retry::read(event.to_string().into()).unwrap();
    let Ok(response) = retry.handle(event, &invocation).await;
    let failures: Vec<_> = response
        .batch_item_failures
        .iter()
        .map(|failure| failure.item_identifier.as_str())
        .collect();
    assert!(failures.is_empty() || failures == [id]);
    (!failures.is_empty(), invocation.tally)
}

async fn invoke(retry: &Retry, world: &World, body: &str) -> (bool, Tally) {
    invoke_as(retry, world, "m1", body).await
}

fn outcomes(tally: &Tally) -> Vec<(&'static str, u64)> {
    tally.outcomes().iter().map(|(outcome, number)| (outcome.code(), *number)).collect()
}

fn kept(world: &World) -> Vec<(String, Value)> {
    let read = |(queue, entry): (String, Value)| {
        (queue, serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap())
    };
    world.messages().into_iter().map(read).collect()
}

#[tokio::test(start_paused = true)]
async fn other_messages_wait_no_longer_than_the_upstreams_may_take() {
    let (world, retry) = setup(&[]);
    let now = world.now();
    let deadlines = retry.deadlines(now, Duration::from_mins(1));
    assert_eq!(deadlines.answer.since(now), MAX_UPSTREAM_TIME);
    assert_eq!(deadlines.start.since(now) + UPSTREAM_ANSWER_TIME, MAX_UPSTREAM_TIME);
    assert_eq!(deadlines.end.since(now), MAX_UPSTREAM_TIME + QUEUE_TIME);
    let short = retry.deadlines(now, Duration::from_secs(10));
    assert_eq!(short.end.since(now), Duration::from_secs(8));
}

#[tokio::test(start_paused = true)]
async fn what_is_delivered_leaves_the_queue() {
    for (work, number, requests) in [(plan(), 1, 2), (tracks(&["Push Sent", "Email Sent"]), 2, 1)] {
        let (world, retry) = setup(&[]);
        let (stays, tally) = invoke(&retry, &world, &parked(&world, "A", work)).await;
        assert_eq!((stays, outcomes(&tally)), (false, vec![("delivered", number)]));
        assert_eq!((world.requests().len(), kept(&world)), (requests, vec![]));
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_again_is_sent_anew_with_its_first_time() {
    for (work, number) in [(plan(), 1), (tracks(&["Push Sent", "Email Sent"]), 2)] {
        let (world, retry) = setup(&[]);
        world.upstream(|_| Reply::Limited(503, "7"));
        let message = parked(&world, "A", work);
        let (stays, tally) = invoke(&retry, &world, &message).await;
        assert!(!stays, "a message that is only hidden counts as in flight");
        assert_eq!(tally.outcomes()[&Outcome::Parked(Cause::Http(503))], number);
        assert_eq!(
            (tally.waiting()["A"].items, tally.waiting()["A"].oldest.as_secs()),
            (number, 60)
        );
        let [(queue, again)] = kept(&world).try_into().unwrap();
        assert_eq!((queue.as_str(), &again["cause"]), ("retry", &json!("http_503")));
        let first: Value = serde_json::from_str(&message).unwrap();
        assert_eq!((&again["first_seen"], &again["attempts"]), (&first["first_seen"], &json!(2)));
        let delay = world.messages()[0].1["DelaySeconds"].as_u64().unwrap();
        assert!((30..=60).contains(&delay), "{delay}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_plan_that_was_sent_in_part_a_new_message_takes_the_rest() {
    let (world, retry) = setup(&[]);
    world.upstream(|request| {
        let tags = request.uri().path().ends_with("/setTags");
        if tags {
            Reply::Limited(503, "120")
        } else {
            Reply::Status(200, json!({"status_code": 200}))
        }
    });
    let (stays, tally) = invoke(&retry, &world, &parked(&world, "A", plan())).await;
    assert_eq!((stays, outcomes(&tally)), (false, vec![("parked", 1)]));
    let [(queue, rest)] = kept(&world).try_into().unwrap();
    assert_eq!((queue.as_str(), &rest["cause"]), ("retry", &json!("http_503")));
    // Tried once before it was parked, and this time.
    assert_eq!(rest["attempts"], json!(2));
    assert_eq!(rest["work"]["pushwoosh"][0][0]["method"], "setTags");
    assert_eq!(rest["work"]["pushwoosh"].as_array().unwrap().len(), 1);
    assert_eq!(world.messages()[0].1["DelaySeconds"], 120);
}

/// More calls than a batch takes go in several, and each answer may name a time of its own.
#[tokio::test(start_paused = true)]
async fn the_longest_time_that_segment_names_is_kept() {
    for (first, last) in [("120", "7"), ("7", "120")] {
        let (world, retry) = setup(&[]);
        world.upstream(move |request| {
            let is_last = String::from_utf8_lossy(request.body()).contains("last");
            let limited = Reply::Limited(429, if is_last { last } else { first });
            Reply::Late(Duration::from_secs(1), Box::new(limited))
        });
        let names = [vec!["a"; segment::calls::MAX_EVENTS], vec!["last"]].concat();
        invoke(&retry, &world, &parked(&world, "A", tracks(&names))).await;
        assert_eq!((world.requests().len(), kept(&world).len()), (2, 1));
        assert_eq!(world.messages()[0].1["DelaySeconds"], 120);
    }
}

#[tokio::test(start_paused = true)]
async fn where_the_rest_cannot_be_parked_the_message_stays() {
    let (world, retry) = setup(&[]);
    world.upstream(|request| {
        let tags = request.uri().path().ends_with("/setTags");
        Reply::Status(if tags { 503 } else { 200 }, json!({"status_code": 200}))
    });
    world.sqs(Reply::Status(500, json!({})));
    assert!(invoke(&retry, &world, &parked(&world, "A", plan())).await.0);
}

#[tokio::test(start_paused = true)]
async fn what_the_upstream_refuses_is_rejected_and_leaves_the_queue() {
    for (work, outcomes_after) in [
        (plan(), vec![("rejected", 1)]),
        (tracks(&["Push Sent", "bad"]), vec![("delivered", 1), ("rejected", 1)]),
    ] {
        let (world, retry) = setup(&[]);
        world.upstream(|request| {
            let body = String::from_utf8_lossy(request.body()).into_owned();
            let good = body.contains("batch") && !body.contains("bad");
            Reply::Status(if good { 200 } else { 400 }, json!({"status_code": 210}))
        });
        let (stays, tally) = invoke(&retry, &world, &parked(&world, "A", work)).await;
        assert_eq!((stays, outcomes(&tally)), (false, outcomes_after));
        let [(queue, reject)] = kept(&world).try_into().unwrap();
        assert_eq!(
            (queue.as_str(), &reject["kind"], &reject["origin"]),
            ("rejects", &json!("parked"), &json!("m1"))
        );
        let raw: Value = serde_json::from_str(reject["raw"].as_str().unwrap()).unwrap();
        assert_eq!((&raw["application"], &raw["cause"]), (&json!("A"), &json!("refused")));
    }
}

#[tokio::test(start_paused = true)]
async fn where_a_reject_cannot_be_kept_the_message_stays() {
    for work in [plan(), tracks(&["Push Sent"])] {
        let (world, retry) = setup(&[]);
        world.upstream(|_| Reply::Status(400, json!({"status_code": 210})));
        world.sqs(Reply::Status(500, json!({})));
        let (stays, tally) = invoke(&retry, &world, &parked(&world, "A", work)).await;
        assert_eq!((stays, outcomes(&tally)), (true, vec![("parked", 1)]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_read_is_rejected_with_its_bytes() {
    let (world, retry) = setup(&[]);
    let (stays, tally) = invoke(&retry, &world, "no message").await;
    assert_eq!((stays, outcomes(&tally)), (false, vec![("rejected", 1)]));
    assert_eq!(kept(&world)[0].1["raw"], "no message");
    world.sqs(Reply::Status(500, json!({})));
    let (stays, tally) = invoke(&retry, &world, "no message").await;
    assert_eq!((stays, outcomes(&tally)), (true, vec![("parked", 1)]));
}

#[tokio::test(start_paused = true)]
async fn at_its_age_limit_an_item_is_moved_to_the_dead_letter_queue_once() {
    let (world, retry) = setup(&[("PWSEG_RETRY_MAX_AGE_S", "60")]);
    let (logs, _guard) = Logs::capture();
    let old = parked_for(&world, "A", plan(), Duration::from_secs(61));
    let (stays, tally) = invoke(&retry, &world, &old).await;
    assert!(!stays);
    assert_eq!(tally.outcomes()[&Outcome::Failed(Cause::Expired)], 1);
    assert_eq!(world.requests().len(), 0);
    let [(queue, dead)] = kept(&world).try_into().unwrap();
    assert_eq!((queue.as_str(), dead["dead_since"].is_string()), ("dead", true));
    let [line] = logs.with_message("item").try_into().unwrap();
    assert_eq!((&line["outcome"], &line["cause"]), (&json!("failed"), &json!("expired")));
    // Where that fails it stays, and comes again.
    world.sqs(Reply::Status(500, json!({})));
    assert!(invoke(&retry, &world, &old).await.0);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_is_never_given_up() {
    let (world, retry) = setup(&[("PWSEG_RETRY_MAX_AGE_S", "60")]);
    let old = parked_for(&world, "A", deletion(), Duration::from_hours(24 * 30));
    world.upstream(|_| Reply::Status(503, json!({})));
    assert_eq!(outcomes(&invoke(&retry, &world, &old).await.1), [("parked", 1)]);
    assert_eq!(kept(&world)[0].0, "retry");
}

/// SQS's own redrive sends the message as it is.
#[tokio::test(start_paused = true)]
async fn what_comes_back_from_the_dead_letter_queue_has_as_long_as_a_new_item() {
    let (world, retry) = setup(&[("PWSEG_RETRY_MAX_AGE_S", "60")]);
    let old = parked_for(&world, "A", plan(), Duration::from_hours(1));
    invoke(&retry, &world, &old).await;
    let dead = world.messages()[0].1["MessageBody"].as_str().unwrap().to_owned();
    tokio::time::advance(Duration::from_hours(200)).await;
    world.upstream(|_| Reply::Status(503, json!({})));
    let (_, tally) = invoke_as(&retry, &world, "m2", &dead).await;
    assert_eq!(outcomes(&tally), [("parked", 1)]);
    let again = world.messages()[1].1["MessageBody"].as_str().unwrap().to_owned();
    tokio::time::advance(Duration::from_secs(61)).await;
    let (_, tally) = invoke_as(&retry, &world, "m3", &again).await;
    assert_eq!(outcomes(&tally), [("failed", 1)], "and no longer");
}

#[tokio::test(start_paused = true)]
async fn up_to_the_age_limit_an_item_is_tried() {
    let (world, retry) = setup(&[("PWSEG_RETRY_MAX_AGE_S", "60")]);
    let message = parked_for(&world, "A", plan(), Duration::from_mins(1));
    assert_eq!(outcomes(&invoke(&retry, &world, &message).await.1), [("delivered", 1)]);
}

#[tokio::test(start_paused = true)]
async fn without_settings_items_wait() {
    let (world, retry) = setup(&[]);
    world.secrets_manager("B", Reply::Status(503, json!({})));
    for (code, work, number) in
        [("X", plan(), 1), ("X", tracks(&["a", "b"]), 2), ("B", tracks(&["a", "b"]), 2)]
    {
        let (stays, tally) = invoke(&retry, &world, &parked(&world, code, work)).await;
        assert_eq!((stays, outcomes(&tally)), (false, vec![("parked", number)]), "{code}");
    }
    // Secrets Manager is not called for a moment after a failure.
    tokio::time::advance(Duration::from_mins(1)).await;
    world.secret("D", &json!({"pushwoosh": {"api_token": "t"}, "segment": 5}));
    let message = parked(&world, "D", tracks(&["a"]));
    assert_eq!(outcomes(&invoke(&retry, &world, &message).await.1), [("parked", 1)]);
    assert_eq!(world.requests().len(), 0);
}

/// A secret that was deleted by mistake is back soon, and so is its section `segment`; what stays away has no
/// Segment source any more.
#[tokio::test(start_paused = true)]
async fn track_calls_of_an_application_that_is_gone_for_an_hour_are_dropped() {
    for code in ["X", "C"] {
        let (world, retry) = setup(&[]);
        world.secret("C", &json!({"pushwoosh": {"api_token": "t"}}));
        let mut message = parked(&world, code, tracks(&["a", "b"]));
        for minutes in [0, 59] {
            tokio::time::advance(Duration::from_mins(minutes)).await;
            let (_, tally) = invoke(&retry, &world, &message).await;
            assert_eq!(outcomes(&tally), [("parked", 2)], "{code}");
            message = world.messages().pop().unwrap().1["MessageBody"].as_str().unwrap().to_owned();
        }
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(outcomes(&invoke(&retry, &world, &message).await.1), [("disregarded", 2)]);
    }
}

#[tokio::test(start_paused = true)]
async fn track_calls_survive_that_their_section_of_the_secret_is_away_for_a_moment() {
    let (world, retry) = setup(&[]);
    let whole = platform::testing::application("token", "key");
    world.secret("C", &json!({"pushwoosh": whole["pushwoosh"]}));
    let message = parked(&world, "C", tracks(&["a"]));
    assert_eq!(outcomes(&invoke(&retry, &world, &message).await.1), [("parked", 1)]);
    let again = world.messages().pop().unwrap().1["MessageBody"].as_str().unwrap().to_owned();
    world.secret("C", &whole);
    tokio::time::advance(Duration::from_mins(15)).await;
    assert_eq!(outcomes(&invoke(&retry, &world, &again).await.1), [("delivered", 1)]);
}

#[tokio::test(start_paused = true)]
async fn nothing_from_before_a_deletion_is_delivered_after_it() {
    let (world, retry) = setup(&[]);
    let ledger = &world.platform.ledger;
    let items =
        [plan(), event(), deletion(), track_of_a_user()].map(|work| parked(&world, "A", work));
    let deadline = world.now() + Duration::from_secs(5);
    ledger.deleted("A", "u1", world.platform.clock.wall(), deadline).await.unwrap();
    for (index, message) in items.iter().enumerate() {
        let (stays, tally) = invoke_as(&retry, &world, &index.to_string(), message).await;
        let dropped = Outcome::from(Reason::UserDeleted);
        assert_eq!((stays, tally.outcomes().contains_key(&dropped)), (false, true), "{index}");
    }
    assert_eq!(world.requests().len(), 0);
    // What came after it is.
    tokio::time::advance(Duration::from_mins(10)).await;
    let message = parked(&world, "A", plan());
    assert_eq!(outcomes(&invoke(&retry, &world, &message).await.1), [("delivered", 1)]);
}

#[tokio::test(start_paused = true)]
async fn an_erasure_ends_all_but_the_deletion() {
    let (world, retry) = setup(&[]);
    let ledger = &world.platform.ledger;
    let items = [plan(), event(), track_of_a_user()].map(|work| parked(&world, "A", work));
    let deletion = parked(&world, "A", deletion());
    let deadline = world.now() + Duration::from_secs(5);
    ledger.erased("A", "u1", world.platform.clock.wall(), deadline).await.unwrap();
    for (index, message) in items.iter().enumerate() {
        let (_, tally) = invoke_as(&retry, &world, &index.to_string(), message).await;
        assert!(tally.outcomes().contains_key(&Outcome::from(Reason::UserDeleted)), "{index}");
    }
    assert_eq!(outcomes(&invoke_as(&retry, &world, "d", &deletion).await.1), [("delivered", 1)]);
    assert_eq!(world.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_came_after_a_parked_deletion_waits_behind_it() {
    let (world, retry) = setup(&[]);
    let deadline = world.now() + Duration::from_secs(5);
    let first = parked_for(&world, "A", deletion(), Duration::from_mins(2));
    let accepted = message::decode::<Parked>(&first).unwrap().first_seen;
    let ledger = &world.platform.ledger;
    ledger.deletion_is_pending("A", "u1", accepted, deadline).await.unwrap();
    let later = parked(&world, "A", plan());
    let (_, tally) = invoke(&retry, &world, &later).await;
    assert!(tally.outcomes().contains_key(&Outcome::Parked(Cause::DeletionPending)));
    assert_eq!(outcomes(&invoke_as(&retry, &world, "m2", &first).await.1), [("delivered", 1)]);
    let again = invoke_as(&retry, &world, "m4", &first).await.1;
    assert_eq!(outcomes(&again), [("disregarded", 1)], "it would delete what came since");
    assert_eq!(outcomes(&invoke_as(&retry, &world, "m3", &later).await.1), [("delivered", 1)]);
}

/// Both were parked while the ledger was away, and the older one is tried first: what came in between is delivered, and the
/// newer deletion has to take it.
#[tokio::test(start_paused = true)]
async fn a_deletion_is_not_done_because_an_older_one_is() {
    let (world, retry) = setup(&[]);
    let minutes = |work, minutes| parked_for(&world, "A", work, Duration::from_mins(minutes));
    let (older, between, newer) =
        (minutes(deletion(), 3), minutes(event(), 2), minutes(deletion(), 1));
    for (id, message) in [("1", &older), ("2", &between), ("3", &newer)] {
        let tally = invoke_as(&retry, &world, id, message).await.1;
        assert_eq!(outcomes(&tally), [("delivered", 1)], "{id}");
    }
    let paths = world.requests().into_iter().map(|request| request.uri().path().to_owned());
    let paths: Vec<String> =
        paths.map(|path| path.rsplit('/').next().unwrap().to_owned()).collect();
    assert_eq!(paths, ["deleteUser", "postEvent", "deleteUser"]);
    for (id, message) in [("4", &older), ("5", &newer)] {
        let tally = invoke_as(&retry, &world, id, message).await.1;
        assert_eq!(outcomes(&tally), [("disregarded", 1)], "it would delete what came since");
    }
}

#[tokio::test(start_paused = true)]
async fn an_older_value_overwrites_no_newer_one() {
    let (world, retry) = setup(&[]);
    let profile = |attributes: Value| {
        let body = json!({"user_id": "u1", "attributes": attributes}).to_string();
        Work::Pushwoosh(profile::plan("A", body.as_bytes(), Timestamp::UNIX_EPOCH).unwrap())
    };
    let minutes = |work, minutes| parked_for(&world, "A", work, Duration::from_mins(minutes));
    let newer = minutes(profile(json!({"plan": "new"})), 1);
    let older = minutes(profile(json!({"plan": "old", "city": "B"})), 2);
    let oldest = minutes(profile(json!({"plan": "oldest"})), 3);
    for (id, message) in [("1", &newer), ("2", &older)] {
        let tally = invoke_as(&retry, &world, id, message).await.1;
        assert_eq!(outcomes(&tally), [("delivered", 1)]);
    }
    let sent: Vec<Value> = world
        .requests()
        .iter()
        .map(|request| serde_json::from_slice(request.body()).unwrap())
        .map(|body: Value| body["request"]["tags"].clone())
        .collect();
    assert_eq!(sent, [json!({"plan": "new"}), json!({"city": "B"})]);
    let tally = invoke_as(&retry, &world, "3", &oldest).await.1;
    assert!(tally.outcomes().contains_key(&Reason::Overtaken.into()));
}

/// Whether something newer came is not known without it.
#[tokio::test(start_paused = true)]
async fn without_the_ledger_what_waits_goes_on_waiting() {
    for work in [plan(), event(), deletion(), track_of_a_user()] {
        let (world, retry) = setup(&[]);
        world.dynamodb(Some(Reply::Status(500, json!({}))));
        let (stays, tally) = invoke(&retry, &world, &parked(&world, "A", work)).await;
        assert!(!stays);
        assert!(tally.outcomes().contains_key(&Outcome::Parked(Cause::LedgerUnavailable)));
        assert_eq!((world.requests().len(), kept(&world)[0].0.as_str()), (0, "retry"));
    }
}

/// They may have been parked while the settings could not be read.
#[tokio::test(start_paused = true)]
async fn track_calls_that_the_application_does_not_export_are_left_out() {
    let (world, retry) = setup(&[]);
    let mut secret = platform::testing::application("token", "key");
    secret["segment"]["events"] = "Push Sent".into();
    world.secret("A", &secret);
    let work = tracks(&["Push Sent", "Email Sent"]);
    let (stays, tally) = invoke(&retry, &world, &parked(&world, "A", work)).await;
    assert_eq!((stays, outcomes(&tally)), (false, vec![("delivered", 1), ("disregarded", 1)]));
    let body: Value = serde_json::from_slice(world.requests()[0].body()).unwrap();
    assert_eq!(body["batch"], json!([{"event": "Push Sent"}]));
    // Attempts before count for Segment too.
    assert_eq!(world.requests()[0].headers()["x-retry-count"], "1");
}
