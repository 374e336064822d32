//! A person is erased from the queues by a command.

use serde_json::{Value, json};

use crate::sandbox::{Sandbox, command_with};

async fn profile(sandbox: &Sandbox, user: &str) {
    let body = json!({"user_id": user, "attributes": {"a": 1}});
    assert_eq!(sandbox.post("track-user", &body).await.status, 200);
}

/// Users of a queue's messages, wherever they stand in them.
async fn named(sandbox: &Sandbox, queue: &str, user: &str) -> usize {
    let messages = sandbox.queue(queue).await;
    messages.iter().filter(|message| message["body"].to_string().contains(user)).count()
}

#[tokio::test]
async fn what_the_queues_keep_of_a_person_is_removed_and_the_rest_stays() {
    let sandbox = Sandbox::start();
    // Rejected: events of two people.
    let refused = json!([{"path": "/json/1.3/postEvent", "status": 400,
                          "body": {"status_code": 210, "status_message": "event not found"}}]);
    sandbox.faults("pushwoosh", &refused).await;
    for user in ["anna", "bert"] {
        let event = json!({"user_id": user, "device_platform": "ios", "name": "E"});
        assert_eq!(sandbox.post("post-events", &json!({"events": [event]})).await.status, 200);
    }
    assert_eq!(sandbox.queue("rejects").await.len(), 2);

    let person = ["--app", "DEMO0-00001", "--user-id", "anna"];
    let (ok, shown) = sandbox.command(&[&["erase", "--dry-run"], &person[..]].concat());
    assert!(ok && shown.contains("rejects: 2 looked at, 1 would be removed"), "{shown}");
    assert!(shown.contains("ledger: last erased: never"), "{shown}");
    assert_eq!(named(&sandbox, "rejects", "anna").await, 1);

    let (ok, shown) = sandbox.command(&[&["erase"], &person[..]].concat());
    assert!(ok && shown.contains("rejects: 2 looked at, 1 removed, 0 shortened"), "{shown}");
    assert!(!shown.contains("ledger: last erased: never"), "{shown}");
    let rejects = sandbox.queue("rejects").await;
    assert_eq!((rejects.len(), named(&sandbox, "rejects", "bert").await), (1, 1));
    assert_eq!(rejects[0]["visible_in_ms"], 0, "it is put back");
    let (ok, shown) = sandbox.command(&[&["erase", "--json", "--dry-run"], &person[..]].concat());
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert!(ok && shown["ledger"]["erased"].is_string(), "{shown}");
    assert!(shown["queues"]["retry"]["found"]["looked_at"].is_u64(), "{shown}");
    let (_, shown) = sandbox.command(&[&["erase"], &person[..]].concat());
    assert!(shown.contains("rejects: 1 looked at, 0 removed"), "{shown}");
}

/// What waits with a delay cannot be seen: the ledger ends it when it is tried.
#[tokio::test]
async fn what_is_delayed_is_dropped_when_it_is_tried_and_the_deletion_is_not() {
    let sandbox = Sandbox::start();
    // For longer than the command takes.
    sandbox.faults("pushwoosh", &json!([{"status": 503, "retry_after": 5}])).await;
    for user in ["anna", "bert"] {
        profile(&sandbox, user).await;
    }
    let deletion = json!({"external_id": "anna"});
    assert_eq!(sandbox.post("delete-user", &deletion).await.status, 200);
    let person = ["erase", "--app", "DEMO0-00001", "--user-id", "anna"];
    let (ok, shown) = sandbox.command(&person);
    assert!(ok && shown.contains("ledger: deletion pending: since"), "{shown}");
    sandbox.faults("pushwoosh", &json!([])).await;
    sandbox.clear("pushwoosh").await;
    sandbox
        .until("the queue is empty", async |sandbox| {
            sandbox.queue("retry").await.is_empty().then_some(())
        })
        .await;
    let calls: Vec<String> =
        sandbox.calls("pushwoosh").await.iter().map(Value::to_string).collect();
    let of = |path: &str, user: &str| {
        calls.iter().filter(|call| call.contains(path) && call.contains(user)).count()
    };
    assert_eq!((of("setTags", "anna"), of("setTags", "bert")), (0, 1), "{calls:?}");
    assert_eq!(of("deleteUser", "anna"), 1, "{calls:?}");
    let (_, shown) = sandbox.command(&person);
    assert!(shown.contains("ledger: deletion pending: no"), "{shown}");
    assert!(!shown.contains("last deletion delivered: never"), "{shown}");
}

#[tokio::test]
async fn a_batch_loses_only_the_persons_calls_and_is_put_back() {
    let sandbox = Sandbox::start();
    let calls = json!([{"userId": "anna", "event": "Push Sent"}, {"userId": "bert", "n": 1.50}]);
    let parked = json!({"application": "DEMO0-00001", "work": {"segment": calls}, "attempts": 1,
                        "first_seen": "2026-01-31T12:00:00Z", "cause": "timeout"});
    let endpoint = sandbox.get("state").await["aws"]["endpoint"].as_str().unwrap().to_owned();
    let message = json!({"QueueUrl": format!("{endpoint}/123456789012/dead"), "MessageBody": parked.to_string()});
    let sqs = async |operation: &str, body: &Value| {
        let request = reqwest::Client::new()
            .post(&endpoint)
            .header("x-amz-target", format!("AmazonSQS.{operation}"))
            .body(body.to_string());
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        serde_json::from_str::<Value>(&response.text().await.unwrap()).unwrap()
    };
    sqs("SendMessage", &message).await;
    let (ok, shown) = sandbox.command(&["erase", "--app", "DEMO0-00001", "--user-id", "anna"]);
    assert!(ok && shown.contains("dead: 1 looked at, 0 removed, 1 shortened"), "{shown}");
    let dead = sandbox.queue("dead").await;
    assert_eq!((dead.len(), &dead[0]["visible_in_ms"]), (1, &json!(0)));
    let expected = json!([{"userId": "bert", "n": 1.50}]);
    assert_eq!(dead[0]["body"]["work"]["segment"], expected);
    assert_eq!(dead[0]["body"]["first_seen"], parked["first_seen"]);
    // A redrive takes the group along to the retry queue, which is a fair one.
    let receive = json!({"QueueUrl": message["QueueUrl"], "MessageSystemAttributeNames": ["All"]});
    let received = sqs("ReceiveMessage", &receive).await;
    assert_eq!(received["Messages"][0]["Attributes"]["MessageGroupId"], "DEMO0-00001");
}

#[test]
fn a_code_that_is_none_gets_no_receipt() {
    let (exit, out, said) = command_with(&["erase", "--app", "bad!", "--user-id", "u"], "");
    assert!(
        exit == 2 && out.is_empty() && said.contains("is no application code"),
        "{exit} {said}"
    );
}
