//! `explain` shows what an event would do, and sends nothing.

use reqwest::Method;
use serde_json::{Value, json};

use crate::sandbox::{Sandbox, command, compare, events, inputs};

fn file(name: &str, value: &str) -> String {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, value).unwrap();
    file.to_str().unwrap().to_owned()
}

fn track() -> Value {
    json!({"type": "track", "userId": "u1", "event": "E", "timestamp": "2026-01-02T03:04:05Z",
        "context": {"device": {"id": "d1", "type": "ios"}, "ip": "127.0.0.1"}, "properties": {"a": 1}})
}

#[test]
fn a_file_is_explained_for_people_and_for_machines() {
    let event = file("explain-event.json", &track().to_string());
    let (ok, text) = command(&["explain", &event]);
    assert!(ok);
    for part in ["POST /json/1.3/postEvent", "request.event ← event", "went nowhere: context.ip"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    let mapping = json!({"external_id": {"@path": "$.userId"}, "device_platform": "web", "name": "Renamed", "timestamp": 5});
    let mapping = file("explain-mapping.json", &mapping.to_string());
    let (ok, json) = command(&["explain", &event, "--mapping", &mapping, "--json"]);
    assert!(ok);
    let explained: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(explained["calls"][0]["body"]["request"]["event"], "Renamed");
    let field =
        json!({"field": "external_id", "directive": "@path", "inputs": ["userId"], "value": "u1"});
    assert_eq!(explained["mappings"][0]["fields"][0], field);
    let (ok, json) =
        command(&["explain", events("source/records.ndjson").to_str().unwrap(), "--json"]);
    assert!(ok && json.lines().count() > 1);
    let broken = file("explain-broken.json", r#"{"x": {"@nope": 1}}"#);
    assert!(!command(&["explain", &event, "--mapping", &broken]).0);
    assert!(!command(&["explain", &file("explain-none.json", "none")]).0);
}

/// The setting of the functions counts for what is shown, too.
#[test]
fn records_are_explained_with_the_properties_that_the_setting_asks_for() {
    let record = json!({"event_name": "Push Sent", "timestamp": 1_769_860_800, "message_code": "M",
        "application_code": "A", "hwid": "H"});
    let record = file("explain-record.json", &record.to_string());
    let property = |flags: &[&str]| {
        let (ok, json) = command(&[&["explain", "--json", &record], flags].concat());
        assert!(ok);
        let explained: Value = serde_json::from_str(&json).unwrap();
        explained["calls"][0]["body"]["batch"][0]["properties"]["message_code"].clone()
    };
    assert_eq!(property(&[]), Value::Null);
    assert_eq!(property(&["--track-properties", "campaign_id, message_code"]), "M");
    assert!(!command(&["explain", &record, "--track-properties", "payload"]).0);
}

/// Every raw event in `events/segment` is explained as expected.
#[test]
fn raw_events_are_explained_field_by_field() {
    let files = inputs("segment");
    assert!(files.len() >= 5);
    for file in files {
        let (ok, explained) = command(&["explain", "--json", file.to_str().unwrap()]);
        assert!(ok);
        let found = serde_json::from_str(&explained).unwrap();
        compare(&file, &found);
    }
}

#[tokio::test]
async fn the_page_explains_with_the_applications_own_mappings_and_sends_nothing() {
    let sandbox = Sandbox::with_apps(
        "explain",
        &json!({"DEMO0-00001": {
            "pushwoosh": {"api_token": "demo-token"},
            "mappings": [{"subscribe": "type = \"track\"", "action": "trackEvent", "mapping": {
                "external_id": {"@path": "$.userId"}, "device_platform": "web", "name": "Mine", "timestamp": {"@path": "$.timestamp"}}}],
        }}),
    );
    let asked = json!({"input": track().to_string()}).to_string();
    let answer = sandbox.send(Method::POST, "/_sandbox/explain", asked).await;
    let explained: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(explained["explained"][0]["calls"][0]["body"]["request"]["event"], "Mine");
    let odd = json!([{"subscribe": "type = 'track'", "action": "trackEvent", "mapping": {}}]);
    let asked = json!({"input": track(), "mapping": odd}).to_string();
    let answer = sandbox.send(Method::POST, "/_sandbox/explain", asked).await;
    assert!(answer.body.contains("single quotes"), "{}", answer.body);
    let asked = json!({"input": "none"}).to_string();
    let answer = sandbox.send(Method::POST, "/_sandbox/explain", asked).await;
    assert_eq!(answer.status, 400);
    assert!(sandbox.calls("pushwoosh").await.is_empty());
}
