//! Raw Segment events through the webhook route.

use reqwest::Method;
use serde_json::{Value, json};

use crate::sandbox::Sandbox;

const SECRET: &str = "demo-secret";

fn event(id: &str, change: &Value) -> Value {
    let mut event = json!({"type": "track", "messageId": id, "userId": "u1", "event": id, "timestamp": "2026-01-02T03:04:05Z",
        "context": {"device": {"id": "d1", "type": "ios"}}, "properties": {"a": 1}});
    event.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    event
}

async fn names(sandbox: &Sandbox) -> Vec<String> {
    let calls = sandbox.calls("pushwoosh").await;
    let mut names: Vec<String> = calls
        .iter()
        .map(|call| {
            let event = call["body"]["request"]["event"].as_str();
            event.or(call["path"].as_str()).unwrap().rsplit('/').next().unwrap().to_owned()
        })
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn single_events_lists_and_mixed_types_become_calls() {
    let sandbox = Sandbox::start();
    let none = json!({});
    let one = event("one", &none).to_string();
    let answer = sandbox.webhook(&one, SECRET, &one).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    let mixed = json!([
        event("two", &none),
        {"type": "identify", "messageId": "i", "userId": "u1", "traits": {"plan": "gold"}},
        event("bad", &json!({"timestamp": "today"})),
        {"type": "delete", "messageId": "d1", "userId": "u2", "context": [], "integrations": []},
        {"type": "delete", "userId": "u3"},
        {"type": "group", "groupId": "g"},
        5,
        event("three", &json!({"context": null})),
    ]);
    let body = mixed.to_string();
    let answer = sandbox.webhook(&body, SECRET, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let statuses: Vec<Value> = serde_json::from_str(&answer.body).unwrap();
    let codes: Vec<u64> = statuses.iter().map(|one| one["status"].as_u64().unwrap()).collect();
    assert_eq!(codes, [200, 200, 400, 200, 200, 200, 400, 200]);
    assert!(statuses[2]["errormessage"].as_str().unwrap().contains("date-like"));
    assert_eq!(names(&sandbox).await, ["deleteUser", "deleteUser", "one", "setTags", "two"]);
    let outcomes = sandbox.outcomes("destination").await;
    assert_eq!(outcomes, json!({"delivered": 5, "disregarded": 2, "rejected": 2}));
    assert_eq!(sandbox.queue("rejects").await.len(), 2);
}

#[tokio::test]
async fn only_a_signed_webhook_is_accepted() {
    let sandbox = Sandbox::start();
    let list = json!([event("a", &json!({})), event("b", &json!({}))]);
    let (body, first) = (list.to_string(), list[0].to_string());
    for (secret, signed) in [("wrong", &body), (SECRET, &list[1].to_string())] {
        assert_eq!(sandbox.webhook(&body, secret, signed).await.status, 401);
    }
    let path = "/webhook/DEMO0-00001";
    assert_eq!(sandbox.send(Method::POST, path, body.clone()).await.status, 401);
    assert_eq!(sandbox.send(Method::POST, "/webhook/OTHER", "{}").await.status, 400);
    assert_eq!(sandbox.send(Method::GET, path, "").await.status, 405);
    assert!(sandbox.calls("pushwoosh").await.is_empty());
    // As Segment signs lists today. Whoever has seen one signed event could put others behind it.
    let answer = sandbox.webhook(&body, SECRET, &first).await;
    assert!(answer.status == 401 && answer.body.contains("webhook.signed"), "{}", answer.body);
    assert_eq!(sandbox.webhook(&body, SECRET, &body).await.status, 200);
    assert_eq!(names(&sandbox).await, ["a", "b"]);

    let put = async |secret: Value| {
        let path = "/_sandbox/secrets/DEMO0-00001";
        sandbox.send(Method::PUT, path, secret.to_string()).await;
    };
    let rotated = |secret: Value| json!({"pushwoosh": {"api_token": "demo-token"}, "webhook": {"shared_secret": secret}});
    put(rotated(json!(["new", "newer"]))).await;
    for secret in ["new", "newer"] {
        let body = event(secret, &json!({})).to_string();
        let heard = async |sandbox: &Sandbox| {
            (sandbox.webhook(&body, secret, &body).await.status == 200).then_some(())
        };
        sandbox.until("the new secret is read", heard).await;
    }
    put(json!({"pushwoosh": {"api_token": "demo-token"}})).await;
    let closed = async |sandbox: &Sandbox| {
        (sandbox.webhook("{}", "none", "{}").await.status == 403).then_some(())
    };
    sandbox.until("the route is closed", closed).await;
}

#[tokio::test]
async fn a_message_that_was_seen_is_not_sent_twice() {
    let sandbox = Sandbox::start();
    let body =
        json!([event("a", &json!({})), event("a", &json!({})), event("b", &json!({}))]).to_string();
    for _ in 0..2 {
        let answer = sandbox.webhook(&body, SECRET, &body).await;
        assert_eq!(answer.body, r#"[{"status":200},{"status":200},{"status":200}]"#);
    }
    assert_eq!(names(&sandbox).await, ["a", "b"]);
}

#[tokio::test]
async fn what_can_be_neither_delivered_nor_kept_is_refused_with_503() {
    let sandbox = Sandbox::start();
    sandbox.faults("pushwoosh", &json!([{"status": 503, "times": 1}])).await;
    sandbox.faults("sqs", &json!([{"status": 503}])).await;
    let body = event("a", &json!({})).to_string();
    assert_eq!(sandbox.webhook(&body, SECRET, &body).await.status, 503);
    sandbox.faults("sqs", &json!([])).await;
    assert_eq!(sandbox.webhook(&body, SECRET, &body).await.status, 200);
    sandbox
        .until("it is delivered", async |sandbox| {
            let calls = sandbox.calls("pushwoosh").await;
            calls.iter().any(|call| call["status"] == 200).then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_reject_goes_through_the_corrected_mapping_when_it_is_redriven() {
    let mapping = |platform: &str| {
        json!({"DEMO0-00001": {"pushwoosh": {"api_token": "t"}, "webhook": {"shared_secret": SECRET}, "mappings": [
            {"subscribe": "type = \"track\"", "action": "trackEvent", "mapping": {
                "external_id": {"@path": "$.userId"}, "device_platform": "web", "name": {"@path": "$.event"}, "timestamp": {"@path": platform}}},
            {"subscribe": "nonsense", "action": "trackEvent", "mapping": {}}]}})
    };
    let sandbox = Sandbox::with_apps("webhook-redrive", &mapping("$.nothing"));
    let body = event("a", &json!({})).to_string();
    assert_eq!(sandbox.webhook(&body, SECRET, &body).await.status, 400);
    assert_eq!(sandbox.queue("rejects").await.len(), 1);
    let (ok, shown) = sandbox.command(&["queue", "redrive", "--dry-run"]);
    assert!(ok && shown.contains("stays, bad_timestamp"), "{shown}");
    let corrected = mapping("$.timestamp")["DEMO0-00001"].to_string();
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("corrected.json");
    for (mappings, counts) in [
        (&mapping("$.timestamp")["DEMO0-00001"]["mappings"], [1, 0, 0]),
        (
            &json!([{"subscribe": "type = \"identify\"", "action": "trackEvent", "mapping": {}}]),
            [0, 1, 0],
        ),
        (&mapping("$.nothing")["DEMO0-00001"]["mappings"], [0, 0, 1]),
    ] {
        std::fs::write(&file, mappings.to_string()).unwrap();
        let flags = ["queue", "redrive", "--json", "--mapping", file.to_str().unwrap()];
        let (ok, shown) = sandbox.command(&flags);
        assert!(ok, "{shown}");
        let shown: Value = serde_json::from_str(&shown).unwrap();
        let found = ["delivered", "different", "rejected"].map(|name| shown[name].clone());
        assert_eq!(found, counts.map(Value::from), "{shown}");
    }
    assert_eq!(sandbox.queue("rejects").await.len(), 1, "nothing was sent");
    let path = "/_sandbox/secrets/DEMO0-00001";
    sandbox.send(Method::PUT, path, corrected).await;
    assert!(sandbox.command(&["queue", "redrive"]).0);
    sandbox
        .until("it is delivered", async |sandbox| (names(sandbox).await == ["a"]).then_some(()))
        .await;
    let logs = sandbox.get("logs").await.to_string();
    assert!(logs.contains("mappings[1].subscribe"), "the wrong mapping is named");
}
