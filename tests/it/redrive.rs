//! Rejected items are sent again by a command.

use serde_json::{Value, json};

use crate::sandbox::{Sandbox, command, events};

fn refused() -> Value {
    json!([{"status": 400, "body": {"status_code": 210, "status_message": "event not found"}, "times": 1}])
}

#[tokio::test]
async fn a_reject_is_shown_and_then_delivered() {
    let sandbox = Sandbox::start();
    sandbox.faults("pushwoosh", &refused()).await;
    let event =
        json!({"user_id": "u1", "device_platform": "ios", "name": "E", "timestamp": 1_767_323_045});
    assert_eq!(sandbox.post("post-events", &json!({"events": [event]})).await.status, 200);
    sandbox.produce_raw("not json").await;
    sandbox.topic_read().await;
    let rejects = sandbox.queue("rejects").await;
    assert_eq!(rejects.len(), 2);
    let reject = rejects.iter().find(|reject| reject["body"]["kind"] == "event").unwrap();
    assert_eq!(reject["body"]["reason"], "refused_by_pushwoosh");
    assert!(reject["body"]["message"].as_str().unwrap().contains("210"));

    let (ok, shown) = sandbox.command(&["redrive", "--dry-run"]);
    assert!(ok && shown.contains("DEMO0-00001 /json/1.3/postEvent"), "{shown}");
    assert!(shown.contains("stays, not_json"), "{shown}");
    assert_eq!(
        (sandbox.queue("rejects").await.len(), sandbox.calls("pushwoosh").await.len()),
        (2, 1)
    );

    assert!(sandbox.command(&["redrive"]).0);
    sandbox
        .until("the event is delivered", async |sandbox| {
            (sandbox.calls("pushwoosh").await.len() == 2).then_some(())
        })
        .await;
    let calls = sandbox.calls("pushwoosh").await;
    assert_eq!(calls[1]["body"], calls[0]["body"]);
    assert_eq!(sandbox.queue("rejects").await.len(), 1);
}

/// Its second way is a new one: an event is sent once per id.
#[tokio::test]
async fn an_item_that_is_refused_again_can_be_redriven_again() {
    let sandbox = Sandbox::start();
    let refused = json!([{"status": 400, "body": {"status_code": 210}, "times": 2}]);
    sandbox.faults("pushwoosh", &refused).await;
    let event = json!({"user_id": "u1", "device_platform": "ios", "name": "E"});
    assert_eq!(sandbox.post("post-events", &json!({"events": [event]})).await.status, 200);
    for calls in [2, 3] {
        assert!(sandbox.command(&["redrive"]).0);
        sandbox
            .until("it is tried", async |sandbox| {
                let rejects = sandbox.queue("rejects").await.len();
                (sandbox.calls("pushwoosh").await.len() == calls && rejects == 3 - calls)
                    .then_some(())
            })
            .await;
    }
    assert_eq!(sandbox.calls("pushwoosh").await[2]["status"], 200);
}

#[tokio::test]
async fn what_came_before_a_deletion_is_not_sent_after_it() {
    let sandbox = Sandbox::start();
    sandbox.faults("pushwoosh", &refused()).await;
    let event = json!({"user_id": "u1", "device_platform": "ios", "name": "E"});
    assert_eq!(sandbox.post("post-events", &json!({"events": [event]})).await.status, 200);
    let deletion = json!({"external_id": "u1"});
    assert_eq!(sandbox.post("delete-user", &deletion).await.status, 200);
    assert!(sandbox.command(&["redrive"]).0);
    sandbox
        .until("it is dropped", async |sandbox| {
            let outcomes = &sandbox.get("state").await["outcomes"]["retry"];
            (*outcomes == json!({"disregarded": 1})).then_some(())
        })
        .await;
    assert_eq!(sandbox.calls("pushwoosh").await.len(), 2, "the refused event and the deletion");
}

#[tokio::test]
async fn a_record_that_is_too_large_for_the_queue_is_kept_cut_and_not_sent_again() {
    let sandbox = Sandbox::start();
    let mut noise = 1_u32;
    let random = std::iter::repeat_with(|| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from_digit((noise >> 16) % 36, 36).unwrap()
    });
    let poison: String = random.take(1_000_000).collect();
    sandbox.produce_raw(format!("{poison}\n")).await;
    sandbox.produce(&[json!({"event_name": "Push Sent", "timestamp": 1, "application_code": "DEMO0-00001", "hwid": "H1"})]).await;
    sandbox.topic_read().await;
    assert_eq!(sandbox.calls("segment").await.len(), 1, "the partition goes on");
    assert_eq!(sandbox.outcomes("source").await, json!({"delivered": 1, "rejected": 1}));
    let (ok, shown) = sandbox.command(&["redrive"]);
    assert!(ok && shown.contains("of its 1000000 bytes were kept"), "{shown}");
    assert_eq!(sandbox.queue("rejects").await.len(), 1);
}

#[tokio::test]
async fn a_batch_of_the_failure_bucket_is_sent_from_its_file_with_the_same_ids() {
    let sandbox = Sandbox::start();
    let record = json!({"event_name": "Push Sent", "timestamp": 1_769_860_800, "application_code": "DEMO0-00001",
                        "message_code": "M", "hwid": "H1", "platform": 1});
    sandbox.produce(&[record]).await;
    let ids = async || {
        let calls = sandbox.calls("segment").await;
        calls.iter().map(|call| call["body"]["batch"][0]["messageId"].clone()).collect::<Vec<_>>()
    };
    sandbox.topic_read().await;
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../events/source/on-failure.json");
    let (ok, shown) = sandbox.command(&["redrive", "--file", file]);
    assert!(ok && shown.contains("channels-tracking-log-0-7: DEMO0-00001 /v1/batch"), "{shown}");
    assert!(shown.contains("channels-tracking-log-0-8: not sent"), "{shown}");
    sandbox
        .until("the record is sent again", async |_| (ids().await.len() == 2).then_some(()))
        .await;
    let ids = ids().await;
    assert_eq!(ids[0], ids[1]);
}

/// Under another id Segment would take it for a new event.
#[test]
fn a_record_for_queues_in_aws_needs_the_name_of_the_stack() {
    let file = events("source/on-failure.json");
    let queues = [
        "--rejects-queue-url",
        "http://127.0.0.1:1/1/r",
        "--retry-queue-url",
        "http://127.0.0.1:1/1/q",
    ];
    let redrive = |more: &[&str]| {
        let flags = ["redrive", "--dry-run", "--file", file.to_str().unwrap()];
        command(&[&flags[..], &queues[..], more].concat())
    };
    let (ok, shown) = redrive(&[]);
    assert!(ok && shown.contains("-7: not sent, its messageId depends on the stack"), "{shown}");
    let (ok, shown) = redrive(&["--stack-name", "mine"]);
    assert!(ok && shown.contains("-7: DEMO0-00001 /v1/batch"), "{shown}");
}

#[tokio::test]
async fn a_dead_letter_comes_back_by_the_queues_own_redrive() {
    let sandbox = Sandbox::with(&["--max-age", "2"]);
    sandbox.faults("pushwoosh", &json!([{"status": 503}])).await;
    let identify = json!({"user_id": "u1", "attributes": {"a": 1}});
    sandbox.post("track-user", &identify).await;
    sandbox
        .until("it is dead", async |sandbox| (sandbox.queue("dead").await.len() == 1).then_some(()))
        .await;
    sandbox.faults("pushwoosh", &json!([])).await;
    sandbox.send(reqwest::Method::POST, "/_sandbox/queues/dead/redrive", "").await;
    sandbox
        .until("it is delivered", async |sandbox| {
            let calls = sandbox.calls("pushwoosh").await;
            calls.iter().any(|call| call["status"] == 200).then_some(())
        })
        .await;
}
