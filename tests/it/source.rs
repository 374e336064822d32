//! Records on the topic, and the Track calls that Segment receives.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::sandbox::{Sandbox, compare, events, inputs};

fn record(event: &str, number: usize) -> Value {
    json!({
        "event_name": event, "timestamp": "2026-01-31T12:00:00Z", "application_code": "DEMO0-00001",
        "message_id": 12_345_678_900_u64, "message_code": "A444-AAABBBCC-00112233", "campaign_code": "AAAAA-XXXXX",
        "platform": 3, "hwid": format!("H{number}"), "user_id": format!("u{number}"), "payload": "personal", "description": "personal",
    })
}

/// The Track calls of all batches that Segment accepted.
pub(crate) async fn tracks(sandbox: &Sandbox) -> Vec<Value> {
    let calls = sandbox.calls("segment").await;
    let taken = calls.iter().filter(|call| call["status"] == 200);
    taken.flat_map(|call| call["body"]["batch"].as_array().unwrap().clone()).collect()
}

#[tokio::test]
async fn the_exported_records_become_one_batch_and_the_others_are_skipped() {
    let sandbox = Sandbox::start();
    let lines = std::fs::read(events("source/records.ndjson")).unwrap();
    sandbox.produce_raw(lines).await;
    sandbox.topic_read().await;
    let calls = sandbox.calls("segment").await;
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0]["path"], "/v1/batch");
    compare(&events("source/records.ndjson"), &calls[0]["body"]["batch"]);
    assert!(!calls[0]["body"].to_string().contains("personal"));
}

#[tokio::test]
async fn unusable_records_do_not_affect_the_others() {
    let sandbox = Sandbox::start();
    let good = record("Push Sent", 1).to_string();
    let mut lines = Vec::new();
    for bad in [
        &b"not json"[..],
        b"\xff\xfe",
        b"",
        b"[]",
        b"null",
        br#"{"application_code":"DEMO0-00001","event_name":"Push Sent"}"#,
    ] {
        lines.extend_from_slice(bad);
        lines.push(b'\n');
    }
    lines.extend_from_slice(good.as_bytes());
    sandbox.produce_raw(lines).await;
    sandbox.send(Method::POST, "/_sandbox/topics/channels-tracking-log?tombstone", "").await;
    sandbox.topic_read().await;
    let outcomes = sandbox.outcomes("source").await;
    assert_eq!(outcomes, json!({"delivered": 1, "disregarded": 1, "rejected": 6}));
    assert_eq!(tracks(&sandbox).await.len(), 1);
    let rejects = sandbox.queue("rejects").await;
    assert_eq!(rejects.len(), 6);
    assert!(rejects.iter().any(|reject| reject["body"]["raw_base64"] == "//4="));
    let origins: HashSet<&str> =
        rejects.iter().map(|reject| reject["body"]["origin"].as_str().unwrap()).collect();
    assert!(origins.contains("channels-tracking-log-0-0"));
}

#[tokio::test]
async fn ten_thousand_records_arrive_once_each() {
    let sandbox = Sandbox::start();
    let mut records: Vec<Value> =
        (0..10_000).map(|number| record("Email Delivered", number)).collect();
    for number in (0..10_000).step_by(2) {
        records[number]["application_code"] = json!("OTHER-APP");
    }
    sandbox.produce(&records).await;
    sandbox.topic_read().await;
    let tracks = tracks(&sandbox).await;
    let users: HashSet<&str> =
        tracks.iter().map(|track| track["userId"].as_str().unwrap()).collect();
    assert_eq!((tracks.len(), users.len()), (5_000, 5_000));
    let ids: HashSet<&str> =
        tracks.iter().map(|track| track["messageId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 5_000);
}

#[tokio::test]
async fn an_application_chooses_its_events() {
    let apps = json!({"DEMO0-00001": {"segment": {"write_key": "k", "events": " push_sent , EMAIL BOUNCED,nonsense"}}});
    let sandbox = Sandbox::with_apps("chooses", &apps);
    let names = ["Push Sent", "Push Delivered", "Email Bounced", "Email Sent"];
    sandbox.produce(&names.map(|name| record(name, 1))).await;
    sandbox.topic_read().await;
    let tracks = tracks(&sandbox).await;
    let events: Vec<&str> = tracks.iter().map(|track| track["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["Push Sent", "Email Bounced"]);
}

/// Calls fail at random, and so does the queue that they would be parked on. The event source
/// mapping delivers the reported records again until nothing is missing.
#[tokio::test]
async fn random_faults_lose_no_record() {
    futures::future::join_all((1..=3).map(drain)).await;
}

async fn drain(seed: u64) {
    let sandbox = Sandbox::start();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut faults = |number: usize| -> Value {
        let kinds = [
            json!({"times": 1}),
            json!({"status": 503, "times": 1}),
            json!({"reset": true, "times": 1}),
            json!({"status": 429, "retry_after": 1, "times": 1}),
        ];
        (0..number).map(|_| kinds[random.usize(..kinds.len())].clone()).collect()
    };
    // Few enough that the circuit, whose pause doubles, lets all of them through within the test.
    sandbox.faults("segment", &faults(8)).await;
    let mut queue = faults(20);
    for fault in queue.as_array_mut().unwrap() {
        fault["path"] = json!("SendMessageBatch");
    }
    sandbox.faults("sqs", &queue).await;
    let records: Vec<Value> = (0..1_000).map(|number| record("SMS Sent", number)).collect();
    for part in records.chunks(97) {
        sandbox.produce(part).await;
    }
    sandbox
        .until("the topic and the retry queue are empty", async |sandbox| {
            let state = sandbox.get("state").await;
            (state["topic"]["lag"] == 0 && state["queues"]["retry"] == 0).then_some(())
        })
        .await;
    let tracks = tracks(&sandbox).await;
    let users: HashSet<&str> =
        tracks.iter().map(|track| track["userId"].as_str().unwrap()).collect();
    assert_eq!(users.len(), 1_000, "seed {seed}");
    assert_eq!(sandbox.get("on-failure").await, json!([]), "seed {seed}");
}

/// Every Kafka event in `events/source/msk-*.json` gets the
/// expected response and becomes the expected Track calls.
#[tokio::test]
async fn every_kafka_event_becomes_its_batch() {
    let mut files = inputs("source");
    files.retain(|file| file.file_name().unwrap().to_str().unwrap().starts_with("msk-"));
    assert!(files.len() >= 3);
    for file in files {
        let sandbox = Sandbox::start();
        let response = sandbox.invoke("source", std::fs::read(&file).unwrap()).await;
        let found = json!({
            "response": response,
            "outcomes": sandbox.outcomes("source").await,
            "tracks": tracks(&sandbox).await,
        });
        compare(&file, &found);
    }
}

/// On-demand pollers ignore the list of failures: they deliver the whole batch again until the
/// function succeeds.
#[tokio::test]
async fn on_demand_pollers_lose_no_record() {
    let sandbox = Sandbox::with(&["--on-demand"]);
    sandbox.faults("segment", &json!([{"status": 503}])).await;
    sandbox.faults("sqs", &json!([{"status": 500}])).await;
    sandbox.produce(&(0..100).map(|number| record("Push Sent", number)).collect::<Vec<_>>()).await;
    sandbox
        .until("the invocation has failed", async |sandbox| {
            (sandbox.get("state").await["outcomes"]["source"]["failed"].as_u64() >= Some(200))
                .then_some(())
        })
        .await;
    assert_eq!(sandbox.get("state").await["topic"]["lag"], 100);
    sandbox.faults("segment", &json!([])).await;
    sandbox.faults("sqs", &json!([])).await;
    // If Segment's circuit breaker is still open, the calls are parked, and arrive with their retry.
    sandbox
        .until("every call has arrived", async |sandbox| {
            let tracks = tracks(sandbox).await;
            let users: HashSet<String> =
                tracks.iter().map(|track| track["userId"].to_string()).collect();
            (users.len() == 100).then_some(())
        })
        .await;
    // The mapping commits once the function has answered.
    sandbox
        .until("the batch is committed", async |sandbox| {
            (sandbox.get("state").await["topic"]["lag"] == 0).then_some(())
        })
        .await;
}

/// Large records are split into invocations of at most 6 MB; their payloads are not sent to Segment.
#[tokio::test]
async fn large_payloads_are_not_sent() {
    let sandbox = Sandbox::start();
    let payload = "x".repeat(300_000);
    let records: Vec<Value> = (0..50)
        .map(|number| {
            let mut record = record("Email Sent", number);
            record["payload"] = json!(payload);
            record
        })
        .collect();
    sandbox.produce(&records).await;
    sandbox.topic_read().await;
    assert_eq!(tracks(&sandbox).await.len(), 50);
}
