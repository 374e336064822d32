//! Delivers what could not be delivered the first time, from the retry queue.
//!
//! Invariants: a message leaves the queue only when all it holds was delivered, rejected, or put on the
//! queue again; what fails is retried with exponential backoff, and after `PWSEG_RETRY_MAX_AGE_S` goes
//! to the dead-letter queue by SQS's own redrive policy, from where SQS's own redrive can return it. A
//! process that dies in between costs at most a repetition.
//!
//! # Layout
//! * `event`: what invokes the function, and what it answers.
//! * `process`: from a message to its outcome.
//! * `backoff`: when a message is tried again.

mod backoff;
mod event;
mod process;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use futures::future::join_all;
use platform::clock::Instant;
use platform::queues::Queues;
use platform::secrets::Secrets;
use platform::settings::Settings;
use platform::{Deadlines, Function, Invocation, Platform};

use crate::event::Received;

/// Kept before the invocation's deadline, for the answer.
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// The queues may still be used for this long after the upstreams' time is up.
const QUEUE_TIME: Duration = Duration::from_secs(3);

/// Longest time for the upstreams: other messages wait.
const MAX_UPSTREAM_TIME: Duration = Duration::from_secs(20);

/// The function's state, shared by all invocations of a process.
#[derive(Debug)]
pub struct Retry {
    settings: Arc<Settings>,
    secrets: Arc<Secrets>,
    pushwoosh: pushwoosh::delivery::Delivery,
    segment: segment::delivery::Delivery,
    queues: Arc<Queues>,
}

impl Function for Retry {
    const NAME: &'static str = "retry";
    type Event = SqsEvent;
    type Response = SqsBatchResponse;
    type Error = Infallible;

    fn new(platform: Platform) -> Self {
        Self {
            pushwoosh: pushwoosh::delivery::Delivery::new(&platform),
            segment: segment::delivery::Delivery::new(&platform),
            settings: platform.settings,
            secrets: platform.secrets,
            queues: platform.queues,
        }
    }

    fn deadlines(&self, now: Instant, left: Duration) -> Deadlines {
        let budget = left.saturating_sub(ANSWER_TIME).min(MAX_UPSTREAM_TIME + QUEUE_TIME);
        Deadlines::within(now, budget, QUEUE_TIME)
    }

    /// Works on the messages of one event at the same time.
    async fn handle(
        &self,
        event: SqsEvent,
        invocation: &Invocation,
    ) -> Result<SqsBatchResponse, Infallible> {
        let messages: Vec<Received<'_>> = event.records.iter().map(Received::read).collect();
        let done = messages.iter().map(|message| self.settle(message, invocation));
        let done = join_all(done).await;
        let mut response = SqsBatchResponse::default();
        for (message, done) in messages.iter().zip(done) {
            if !done {
                let mut failure = BatchItemFailure::default();
                message.id.clone_into(&mut failure.item_identifier);
                response.batch_item_failures.push(failure);
            }
        }
        Ok(response)
    }
}

impl Retry {
    /// Works on one message; false leaves it on the queue.
    async fn settle(&self, message: &Received<'_>, invocation: &Invocation) -> bool {
        match self.process(message, invocation).await {
            Ok(()) => true,
            Err(postponed) => {
                let delay = postponed.delay(&self.settings, message.receives);
                // Should this fail, the message is visible again when its visibility timeout ends.
                self.queues.postpone(message.receipt, delay).await.ok();
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mapping::{Cause, Outcome, Parked, Work, profile};
    use platform::message;
    use platform::telemetry::Tally;
    use platform::testing::{Reply, World};
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
        let now = jiff::Timestamp::UNIX_EPOCH;
        Work::Pushwoosh(profile::plan("A", body.to_string().as_bytes(), now).unwrap())
    }

    fn tracks(names: &[&str]) -> Work {
        let call = |name: &&str| serde_json::value::to_raw_value(&json!({"event": name})).unwrap();
        Work::Segment(names.iter().map(call).collect())
    }

    fn parked(code: &str, work: Work) -> String {
        let now = jiff::Timestamp::UNIX_EPOCH;
        message::encode(&Parked::new(code, work, Cause::Timeout, now)).unwrap()
    }

    /// Invokes with one message that was sent `age` seconds ago; whether it stays on the queue.
    async fn invoke(retry: &Retry, world: &World, body: &str, age: i64) -> (bool, Tally) {
        let sent = world.platform.clock.wall().as_millisecond() - age * 1_000;
        let event = json!({"Records": [{"messageId": "m1", "receiptHandle": "r1", "body": body,
            "attributes": {"ApproximateReceiveCount": "2", "SentTimestamp": sent.to_string()}}]});
        let deadlines = retry.deadlines(world.now(), Duration::from_mins(1));
        let invocation = Invocation::begin("request", &world.platform.clock, deadlines);
        let event = serde_json::from_value(event).unwrap();
        let Ok(response) = retry.handle(event, &invocation).await;
        let failures: Vec<_> = response
            .batch_item_failures
            .iter()
            .map(|failure| failure.item_identifier.as_str())
            .collect();
        assert!(failures.is_empty() || failures == ["m1"]);
        // What stays is postponed, and nothing else.
        assert_eq!(world.aws_calls("ChangeMessageVisibility") > 0, !failures.is_empty());
        (!failures.is_empty(), invocation.tally)
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
        assert_eq!(deadlines.upstream.since(now), MAX_UPSTREAM_TIME);
        assert_eq!(deadlines.end.since(now), MAX_UPSTREAM_TIME + QUEUE_TIME);
        let short = retry.deadlines(now, Duration::from_secs(10));
        assert_eq!(short.end.since(now), Duration::from_secs(8));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_delivered_leaves_the_queue() {
        for (work, number, requests) in
            [(plan(), 1, 2), (tracks(&["Push Sent", "Email Sent"]), 2, 1)]
        {
            let (world, retry) = setup(&[]);
            let (stays, tally) = invoke(&retry, &world, &parked("A", work), 0).await;
            assert_eq!((stays, outcomes(&tally)), (false, vec![("delivered", number)]));
            assert_eq!((world.requests().len(), kept(&world)), (requests, vec![]));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_again_stays_on_the_queue() {
        for (work, number) in [(plan(), 1), (tracks(&["Push Sent", "Email Sent"]), 2)] {
            let (world, retry) = setup(&[]);
            world.upstream(|_| Reply::Limited(503, "7"));
            let (stays, tally) = invoke(&retry, &world, &parked("A", work), 0).await;
            assert!(stays);
            assert_eq!(tally.outcomes()[&Outcome::Parked(Cause::Http(503))], number);
            assert_eq!(kept(&world), []);
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
        let (stays, tally) = invoke(&retry, &world, &parked("A", plan()), 0).await;
        assert_eq!((stays, outcomes(&tally)), (false, vec![("parked", 1)]));
        let [(queue, rest)] = kept(&world).try_into().unwrap();
        assert_eq!((queue.as_str(), &rest["cause"]), ("retry", &json!("http_503")));
        // Tried once before it was parked, once before this time, and this time.
        assert_eq!(
            (&rest["attempts"], &rest["first_seen"]),
            (&json!(3), &json!("1970-01-01T00:00:00Z"))
        );
        assert_eq!(rest["work"]["pushwoosh"][0][0]["method"], "setTags");
        assert_eq!(rest["work"]["pushwoosh"].as_array().unwrap().len(), 1);
        assert_eq!(world.messages()[0].1["DelaySeconds"], 120);
    }

    #[tokio::test(start_paused = true)]
    async fn where_the_rest_cannot_be_parked_the_message_stays() {
        let (world, retry) = setup(&[]);
        world.upstream(|request| {
            let tags = request.uri().path().ends_with("/setTags");
            Reply::Status(if tags { 503 } else { 200 }, json!({"status_code": 200}))
        });
        world.sqs(Reply::Status(500, json!({})));
        assert!(invoke(&retry, &world, &parked("A", plan()), 0).await.0);
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
            let (stays, tally) = invoke(&retry, &world, &parked("A", work), 0).await;
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
            let (stays, tally) = invoke(&retry, &world, &parked("A", work), 0).await;
            assert_eq!((stays, outcomes(&tally)), (true, vec![("parked", 1)]));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_cannot_be_read_is_rejected_with_its_bytes() {
        let (world, retry) = setup(&[]);
        let (stays, tally) = invoke(&retry, &world, "no message", 0).await;
        assert_eq!((stays, outcomes(&tally)), (false, vec![("rejected", 1)]));
        assert_eq!(kept(&world)[0].1["raw"], "no message");
        world.sqs(Reply::Status(500, json!({})));
        let (stays, tally) = invoke(&retry, &world, "no message", 0).await;
        assert_eq!((stays, outcomes(&tally)), (true, vec![("parked", 1)]));
    }

    #[tokio::test(start_paused = true)]
    async fn an_expired_message_is_handed_back_unsent() {
        let (world, retry) = setup(&[("PWSEG_RETRY_MAX_AGE_S", "60")]);
        let (stays, tally) = invoke(&retry, &world, &parked("A", plan()), 61).await;
        assert!(stays);
        assert_eq!(tally.outcomes()[&Outcome::Failed(Cause::Expired)], 1);
        assert_eq!(world.requests().len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_age_limit_a_message_is_still_tried() {
        let (world, retry) = setup(&[("PWSEG_RETRY_MAX_AGE_S", "60")]);
        assert!(!invoke(&retry, &world, &parked("A", plan()), 59).await.0);
    }

    #[tokio::test(start_paused = true)]
    async fn without_settings_items_wait_and_track_calls_of_no_application_are_dropped() {
        let (world, retry) = setup(&[]);
        let (stays, tally) = invoke(&retry, &world, &parked("X", tracks(&["a", "b"])), 0).await;
        assert_eq!((stays, outcomes(&tally)), (false, vec![("disregarded", 2)]));
        world.secret("C", &json!({"pushwoosh": {"api_token": "t"}}));
        let (stays, tally) = invoke(&retry, &world, &parked("C", tracks(&["a"])), 0).await;
        assert_eq!((stays, outcomes(&tally)), (false, vec![("disregarded", 1)]));
        let (stays, tally) = invoke(&retry, &world, &parked("X", plan()), 0).await;
        assert_eq!((stays, outcomes(&tally)), (true, vec![("parked", 1)]));
        world.secrets_manager("B", Reply::Status(503, json!({})));
        let (stays, tally) = invoke(&retry, &world, &parked("B", tracks(&["a", "b"])), 0).await;
        assert_eq!((stays, outcomes(&tally)), (true, vec![("parked", 2)]));
        world.freeze(Duration::from_mins(1));
        world.secret("D", &json!({"pushwoosh": {"api_token": "t"}, "segment": 5}));
        let (stays, tally) = invoke(&retry, &world, &parked("D", tracks(&["a", "b"])), 0).await;
        assert_eq!((stays, outcomes(&tally)), (true, vec![("parked", 2)]));
        assert_eq!(world.requests().len(), 0);
    }

    /// They may have been parked while the settings could not be read.
    #[tokio::test(start_paused = true)]
    async fn track_calls_that_the_application_does_not_export_are_left_out() {
        let (world, retry) = setup(&[]);
        let mut secret = platform::testing::application("token", "key");
        secret["segment"]["events"] = "Push Sent".into();
        world.secret("A", &secret);
        let work = tracks(&["Push Sent", "Email Sent"]);
        let (stays, tally) = invoke(&retry, &world, &parked("A", work), 0).await;
        assert_eq!((stays, outcomes(&tally)), (false, vec![("delivered", 1), ("disregarded", 1)]));
        let body: Value = serde_json::from_slice(world.requests()[0].body()).unwrap();
        assert_eq!(body["batch"], json!([{"event": "Push Sent"}]));
        // Attempts before count for Segment too.
        assert_eq!(world.requests()[0].headers()["x-retry-count"], "2");
    }
}
