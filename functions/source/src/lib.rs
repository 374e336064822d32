//! Records of Pushwoosh's topic `channels-tracking-log` become Track calls of Segment.
//!
//! Invariants: every record ends in one outcome; a record that could be neither delivered nor kept is
//! reported by exactly the key and offset it came with. Everything ends two seconds before the
//! invocation does. Where nothing at all worked, or where the event source mapping reads no
//! partial-batch response, the invocation fails instead, so that Lambda resends the whole batch; Segment
//! removes the repeats by their `messageId`.
//!
//! # Layout
//! * [`event`]: what invokes the function, and what it answers.
//! * `classify`: which records are to be sent, and for whom.
//! * `group`: the Track calls of one application.
//! * `process`: from records to outcomes.
//! * `kept`: something for a queue, and the records that it stands for.

mod classify;
pub mod event;
#[cfg(test)]
mod golden;
mod group;
mod kept;
mod process;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lambda_runtime::Diagnostic;
use platform::clock::{Clock, Instant};
use platform::queues::Queues;
use platform::secrets::Secrets;
use platform::settings::Settings;
use platform::{Deadlines, Function, Invocation, Platform};
use segment::delivery::Delivery;

use crate::event::{Batch, BatchItemFailure, BatchResponse};

/// Kept before the invocation's deadline, for the answer.
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// Kept before that, for parking.
const PARKING_TIME: Duration = Duration::from_secs(3);

/// Kept before that, for the answers to calls that are under way: as long as Segment may take.
const UPSTREAM_ANSWER_TIME: Duration = Duration::from_secs(5);

/// The function's state, shared by all invocations of a process.
#[derive(Debug)]
pub struct Source {
    settings: Arc<Settings>,
    clock: Clock,
    secrets: Arc<Secrets>,
    delivery: Delivery,
    queues: Arc<Queues>,
}

/// Lambda must resend the batch as a whole.
#[derive(Debug, PartialEq, Eq)]
pub struct BatchFailed {
    failed: usize,
    of: usize,
}

impl From<BatchFailed> for Diagnostic {
    fn from(error: BatchFailed) -> Self {
        let BatchFailed { failed, of } = error;
        Self {
            error_type: "BatchFailed".to_owned(),
            error_message: format!(
                "{failed} of {of} records could be neither delivered nor parked; Lambda resends the batch"
            ),
        }
    }
}

impl Function for Source {
    const NAME: &'static str = "source";
    type Event = Batch;
    type Response = BatchResponse;
    type Error = BatchFailed;

    fn new(platform: Platform) -> Self {
        Self {
            delivery: Delivery::new(&platform),
            settings: platform.settings,
            clock: platform.clock,
            secrets: platform.secrets,
            queues: platform.queues,
        }
    }

    fn read(event: Bytes) -> serde_json::Result<Batch> {
        event::read(&event)
    }

    fn deadlines(&self, now: Instant, left: Duration) -> Deadlines {
        let budget = left.saturating_sub(ANSWER_TIME);
        Deadlines::within(now, budget, PARKING_TIME, UPSTREAM_ANSWER_TIME)
    }

    async fn handle(
        &self,
        batch: Batch,
        invocation: &Invocation,
    ) -> Result<BatchResponse, BatchFailed> {
        let of = batch.len();
        let failed = process::process(self, &batch, invocation).await;
        let partial = self.settings.partial_batch_response && failed.len() < of;
        if !failed.is_empty() && !partial {
            return Err(BatchFailed { failed: failed.len(), of });
        }
        let failures =
            failed.into_iter().map(|item_identifier| BatchItemFailure { item_identifier });
        Ok(BatchResponse { batch_item_failures: failures.collect() })
    }
}

#[cfg(test)]
mod tests {
    mod large;
    mod lines;
    mod section;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use platform::telemetry::{Count, Tally};
    use platform::testing::{Reply, World, application};
    use serde_json::{Value, json};

    use super::*;

    const PARTIAL: &[(&str, &str)] = &[("PWSEG_PARTIAL_BATCH_RESPONSE", "true")];

    fn record(code: &str, hwid: &str) -> Value {
        json!({"event_name": "Push Sent", "timestamp": 1_769_860_800, "application_code": code,
            "message_code": "M", "hwid": hwid, "user_id": "u"})
    }

    /// A record whose Track call holds the HWID.
    fn anonymous(hwid: &str) -> Value {
        let mut record = record("A", hwid);
        record["user_id"] = "".into();
        record
    }

    /// Records of one partition, offsets from 10.
    fn event(values: &[Value]) -> Batch {
        let records = values.iter().enumerate().map(|(index, value)| {
            let value =
                value.as_str().map_or_else(|| STANDARD.encode(value.to_string()), str::to_owned);
            json!({"offset": 10 + index, "value": value})
        });
        let records: Vec<Value> = records.collect();
        read(&json!({"records": {"topic-0": records}}))
    }

    fn read(event: &Value) -> Batch {
        Source::read(event.to_string().into()).unwrap()
    }

    async fn invoke(
        source: &Source,
        world: &World,
        event: Batch,
    ) -> (Result<Vec<i64>, BatchFailed>, Tally) {
        let deadlines = source.deadlines(world.now(), Duration::from_mins(1));
        let invocation = Invocation::begin("request", &world.platform.clock, deadlines);
        let result = source.handle(event, &invocation).await.map(|response| {
            let failures = response.batch_item_failures.into_iter();
            failures.map(|failure| failure.item_identifier.offset).collect()
        });
        (result, invocation.tally)
    }

    fn setup(settings: &[(&str, &str)]) -> (World, Source) {
        let world = World::new(settings);
        let source = Source::new(world.platform.clone());
        (world, source)
    }

    fn outcomes(tally: &Tally) -> Vec<(&'static str, u64)> {
        tally.outcomes().iter().map(|(outcome, number)| (outcome.code(), *number)).collect()
    }

    /// The same, added up by code.
    fn by_code(tally: &Tally) -> Vec<(&'static str, u64)> {
        let mut codes: Vec<(&'static str, u64)> = Vec::new();
        for (code, number) in outcomes(tally) {
            match codes.last_mut() {
                Some((last, sum)) if *last == code => *sum += number,
                _ => codes.push((code, number)),
            }
        }
        codes
    }

    /// The events that the upstream received, by write key.
    fn sent(world: &World) -> Vec<(String, usize)> {
        let batch = |request: &platform::transport::Request| {
            let body: Value = serde_json::from_slice(request.body()).unwrap();
            let calls = body["batch"].as_array().unwrap().len();
            (body["writeKey"].as_str().unwrap().to_owned(), calls)
        };
        let mut sent: Vec<_> = world.requests().iter().map(batch).collect();
        sent.sort();
        sent
    }

    #[tokio::test(start_paused = true)]
    async fn time_is_kept_for_parking_and_for_the_answer() {
        let (world, source) = setup(&[]);
        let now = world.now();
        let deadlines = source.deadlines(now, Duration::from_mins(1));
        assert_eq!(deadlines.end.since(now), Duration::from_secs(58));
        assert_eq!(deadlines.answer.since(now), Duration::from_secs(55));
        assert_eq!(deadlines.start.since(now), Duration::from_secs(50));
    }

    /// Everything in them ends in one outcome.
    #[tokio::test(start_paused = true)]
    async fn events_in_other_forms_are_worked_on() {
        let encoded = STANDARD.encode(record("A", "h1").to_string());
        let one = json!({"topic": "t", "partition": 0, "offset": 10, "value": encoded});
        let plain = json!({"offset": "11", "value": record("A", "h2")});
        for (records, delivered, others) in [
            (json!({ "t-0": one }), 1, vec![]),
            (json!([one]), 1, vec![]),
            (json!({"t-0": [one, plain]}), 2, vec![]),
            (
                json!({"t-0": [one, null, 5, "text"], "t-1": true}),
                1,
                vec![("disregarded", 1), ("rejected", 3)],
            ),
        ] {
            let (world, source) = setup(&[]);
            let event = read(&json!({ "records": records }));
            let (result, tally) = invoke(&source, &world, event).await;
            assert_eq!(result, Ok(vec![]), "{records}");
            let expected = [vec![("delivered", delivered)], others].concat();
            assert_eq!(by_code(&tally), expected, "{records}");
        }
    }

    /// Two stacks may export to one Segment workspace.
    #[tokio::test(start_paused = true)]
    async fn ids_are_those_of_the_stack() {
        let mut ids = Vec::new();
        for stack in ["one", "one", "two", ""] {
            let (world, source) = setup(&[("PWSEG_STACK_NAME", stack)]);
            invoke(&source, &world, event(&[record("A", "h1")])).await.0.unwrap();
            let body: Value = serde_json::from_slice(world.requests()[0].body()).unwrap();
            ids.push(body["batch"][0]["messageId"].clone());
        }
        // Also where the settings could not be read, and the call waits.
        let (world, source) = setup(&[("PWSEG_STACK_NAME", "one")]);
        world.secrets_manager("A", platform::testing::aws_error("InternalServiceError"));
        invoke(&source, &world, event(&[record("A", "h1")])).await.0.unwrap();
        let (_, entry) = &world.messages()[0];
        let parked: Value = serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap();
        assert_eq!(parked["work"]["segment"][0]["messageId"], ids[0]);
        assert_eq!(ids[0], ids[1]);
        assert!(ids[1] != ids[2] && ids[2] != ids[3] && ids[1] != ids[3], "{ids:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn records_go_to_their_applications_and_others_are_skipped() {
        let (world, source) = setup(&[]);
        world.secret("B", &application("token", "other"));
        world.secret("C", &json!({"pushwoosh": {"api_token": "t"}}));
        let mut opened = record("A", "h4");
        opened["event_name"] = "Push Opened".into();
        let mut timeless = record("A", "h5");
        timeless["timestamp"] = Value::Null;
        let values = [
            record("A", "h1"),
            record("B", "h1"),
            record("A", "h2"),
            record("A", "h1"),
            record("C", "h1"),
            record("X", "h1"),
            opened,
            timeless,
            json!("?"),
        ];
        let (result, tally) = invoke(&source, &world, event(&values)).await;
        assert_eq!(result, Ok(vec![]));
        assert_eq!(sent(&world), [("key".to_owned(), 2), ("other".to_owned(), 1)]);
        assert_eq!(tally.counts()[&Count::DeniedUnknown], 1, "C is known, X is not");
        let by_reason: Vec<_> = tally
            .outcomes()
            .into_iter()
            .filter_map(|(outcome, number)| Some((outcome.reason()?.code(), number)))
            .collect();
        let expected = [
            ("not_configured", 2),
            ("event_not_exported", 1),
            ("duplicate", 1),
            ("not_base64", 1),
            ("bad_timestamp", 1),
        ];
        assert_eq!(by_reason, expected);
        let rejects: Vec<Value> = world
            .messages()
            .iter()
            .map(|(queue, entry)| {
                assert_eq!(queue, "rejects");
                serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap()
            })
            .collect();
        assert_eq!(
            (&rejects[0]["origin"], &rejects[1]["origin"]),
            (&json!("topic-0-17"), &json!("topic-0-18"))
        );
        assert_eq!((&rejects[0]["kind"], &rejects[1]["raw"]), (&json!("record"), &json!("?")));
    }

    #[tokio::test(start_paused = true)]
    async fn an_application_exports_the_events_that_it_names() {
        let (world, source) = setup(&[]);
        let mut secret = application("token", "key");
        secret["segment"]["events"] = "Email Sent".into();
        world.secret("A", &secret);
        let (result, tally) = invoke(&source, &world, event(&[record("A", "h")])).await;
        assert_eq!((result, outcomes(&tally)), (Ok(vec![]), vec![("disregarded", 1)]));
    }

    #[tokio::test(start_paused = true)]
    async fn what_segment_cannot_take_now_is_parked_together() {
        let (world, source) = setup(&[]);
        world.upstream(|_| Reply::Limited(429, "120"));
        let (result, tally) =
            invoke(&source, &world, event(&[record("A", "h1"), record("A", "h2")])).await;
        assert_eq!((result, outcomes(&tally)), (Ok(vec![]), vec![("parked", 2)]));
        let [(queue, entry)] = world.messages().try_into().unwrap();
        assert_eq!((queue.as_str(), &entry["DelaySeconds"]), ("retry", &json!(120)));
        let parked: Value = serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap();
        assert_eq!(parked["work"]["segment"].as_array().unwrap().len(), 2);
        assert_eq!((&parked["application"], &parked["cause"]), (&json!("A"), &json!("http_429")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_of_parked_calls_stays_within_the_limit_of_the_queue() {
        let (world, source) = setup(&[]);
        world.upstream(|_| Reply::Limited(429, "1"));
        let values: Vec<Value> =
            (0..40).map(|n| anonymous(&format!("{n}{}", "x".repeat(10_000)))).collect();
        let (result, tally) = invoke(&source, &world, event(&values)).await;
        assert_eq!((result, outcomes(&tally)), (Ok(vec![]), vec![("parked", 40)]));
        let bodies: Vec<String> = world
            .messages()
            .iter()
            .map(|(_, entry)| entry["MessageBody"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(bodies.len(), 2);
        assert!(bodies.iter().all(|body| body.len() <= platform::message::MAX_BYTES
            && body.starts_with("{\"application\"")));
    }

    #[tokio::test(start_paused = true)]
    async fn records_of_an_application_whose_settings_cannot_be_read_are_parked_unsent() {
        let (world, source) = setup(&[("PWSEG_TRACK_PROPERTIES", "message_code")]);
        world.secrets_manager("A", Reply::Status(503, json!({})));
        let (result, tally) = invoke(&source, &world, event(&[record("A", "h1")])).await;
        assert_eq!((result, outcomes(&tally)), (Ok(vec![]), vec![("parked", 1)]));
        assert_eq!(world.requests().len(), 0);
        let parked: Value =
            serde_json::from_str(world.messages()[0].1["MessageBody"].as_str().unwrap()).unwrap();
        assert_eq!(parked["work"]["segment"][0]["properties"]["message_code"], "M");
    }

    #[tokio::test(start_paused = true)]
    async fn the_applications_of_an_event_are_looked_up_together() {
        let (world, source) = setup(&[]);
        let late = Reply::Status(200, json!({"SecretString": application("t", "k").to_string()}));
        let late = Reply::Late(Duration::from_millis(24), Box::new(late));
        let codes: Vec<String> = (0..500).map(|n| format!("A{n}")).collect();
        for code in &codes {
            world.secrets_manager(code, late.clone());
        }
        let values: Vec<Value> = codes.iter().map(|code| record(code, "h")).collect();
        let before = world.now();
        let (result, tally) = invoke(&source, &world, event(&values)).await;
        assert_eq!((result, outcomes(&tally)), (Ok(vec![]), vec![("delivered", 500)]));
        assert!(world.now().since(before) < Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn while_secrets_manager_hangs_the_topic_moves_on() {
        let (world, source) = setup(&[]);
        let codes: Vec<String> = (0..500).map(|n| format!("A{n}")).collect();
        for code in &codes {
            world.secrets_manager(code, Reply::Hang);
        }
        let values: Vec<Value> = codes.iter().map(|code| record(code, "h")).collect();
        let before = world.now();
        let (result, tally) = invoke(&source, &world, event(&values)).await;
        assert_eq!((result, outcomes(&tally)), (Ok(vec![]), vec![("parked", 500)]));
        assert!(world.now().since(before) <= Duration::from_secs(5));
        assert!(world.aws_calls("GetSecretValue") <= 64);
    }

    /// Anybody who can write to the topic can name applications.
    #[tokio::test(start_paused = true)]
    async fn made_up_codes_cost_few_calls() {
        let (world, source) = setup(&[]);
        for batch in 0..40 {
            let values: Vec<Value> =
                (0..500).map(|n| record(&format!("X{batch}-{n}"), "h")).collect();
            invoke(&source, &world, event(&values)).await.0.unwrap();
        }
        assert!(world.aws_calls("GetSecretValue") < 2_000);
    }

    #[tokio::test(start_paused = true)]
    async fn records_of_an_application_that_was_served_a_moment_ago_are_not_dropped() {
        let (world, source) = setup(&[]);
        invoke(&source, &world, event(&[record("A", "h1")])).await.0.unwrap();
        world.secrets_manager("A", platform::testing::aws_error("ResourceNotFoundException"));
        world.freeze(Duration::from_mins(6));
        let (_, tally) = invoke(&source, &world, event(&[record("A", "h2")])).await;
        assert_eq!(outcomes(&tally), [("delivered", 1)]);
        // After one TTL it is gone.
        world.freeze(Duration::from_mins(5));
        let (_, tally) = invoke(&source, &world, event(&[record("A", "h3")])).await;
        assert_eq!(outcomes(&tally), [("disregarded", 1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn records_of_an_application_whose_segment_section_is_unusable_are_parked() {
        let (world, source) = setup(&[]);
        let mut secret = application("token", "key");
        secret["segment"]["region"] = "mars".into();
        world.secret("A", &secret);
        let (_, tally) = invoke(&source, &world, event(&[record("A", "h1")])).await;
        assert_eq!(outcomes(&tally), [("parked", 1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_segment_refuses_is_rejected_alone() {
        let (world, source) = setup(&[]);
        world.upstream(|request| {
            let bad = String::from_utf8_lossy(request.body()).contains("h2");
            Reply::Status(if bad { 400 } else { 200 }, json!({}))
        });
        let values = [anonymous("h1"), anonymous("h2"), anonymous(&"x".repeat(40_000))];
        let (result, tally) = invoke(&source, &world, event(&values)).await;
        assert_eq!(result, Ok(vec![]));
        assert_eq!(outcomes(&tally), [("delivered", 1), ("rejected", 1), ("rejected", 1)]);
        let reasons: Vec<Value> = world
            .messages()
            .iter()
            .map(|(_, entry)| {
                let reject: Value =
                    serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap();
                reject["reason"].clone()
            })
            .collect();
        assert_eq!(reasons, ["refused_by_segment", "too_large"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_that_nobody_keeps_is_reported_by_its_offset() {
        let (world, source) = setup(PARTIAL);
        world.upstream(|request| {
            let down = String::from_utf8_lossy(request.body()).contains("\"other\"");
            if down { Reply::Broken } else { Reply::Status(200, json!({})) }
        });
        world.secret("B", &application("token", "other"));
        world.sqs(Reply::Status(500, json!({})));
        let values = [record("A", "h1"), record("B", "h1"), record("B", "h2")];
        let (result, tally) = invoke(&source, &world, event(&values)).await;
        assert_eq!(result, Ok(vec![11, 12]));
        assert_eq!(outcomes(&tally), [("delivered", 1), ("failed", 2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_batch_fails_as_a_whole_where_nothing_else_is_read_or_nothing_worked() {
        for (settings, values, failed) in [
            (&[][..], vec![record("A", "h1"), json!({})], 1),
            (PARTIAL, vec![record("A", "h1")], 1),
        ] {
            let (world, source) = setup(settings);
            world.upstream(|_| Reply::Broken);
            world.sqs(Reply::Status(500, json!({})));
            let of = values.len();
            let (result, _) = invoke(&source, &world, event(&values)).await;
            assert_eq!(result, Err(BatchFailed { failed, of }));
        }
        let diagnostic = Diagnostic::from(BatchFailed { failed: 1, of: 2 });
        assert_eq!(diagnostic.error_type, "BatchFailed");
        assert!(diagnostic.error_message.starts_with("1 of 2 records"));
    }
}
