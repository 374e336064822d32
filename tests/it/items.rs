//! What the sandbox says of the items: `/_sandbox/items`, the events, the queues, the metrics.

use reqwest::Method;
use serde_json::{Value, json};

use crate::sandbox::Sandbox;

/// The rows that a filter lets through, once there are so many and all have ended.
async fn rows(sandbox: &Sandbox, filter: &str, number: usize) -> Vec<Value> {
    let path = format!("items?{filter}");
    sandbox
        .until("the items have ended", async |sandbox| {
            let rows = sandbox.get(&path).await.as_array()?.clone();
            let ended = rows.iter().all(|row| row["outcome"] != "pending");
            (ended && rows.len() == number).then_some(rows)
        })
        .await
}

#[tokio::test]
async fn every_item_has_a_row_that_tells_its_outcome_its_calls_and_what_to_do() {
    let sandbox = Sandbox::start();
    let event = |user: &str| json!({"user_id": user, "device_id": "d", "device_platform": "ios", "name": "E"});
    let mut nameless = event("u2");
    nameless.as_object_mut().unwrap().remove("name");
    sandbox.post("post-events", &json!({"events": [event("u1"), nameless]})).await;
    sandbox
        .produce(&[json!({"event_name": "Push Sent", "timestamp": 1_769_860_800,
        "application_code": "DEMO0-00001", "hwid": "h1", "user_id": "u1", "platform": 1})])
        .await;
    sandbox
        .send_as(Method::POST, "/integration-segment/v1/track-user", "{}", "DEMO0-00001", "wrong")
        .await;

    let of_user = rows(&sandbox, "user=u1", 2).await;
    assert!(of_user.iter().all(|row| row["outcome"] == "delivered"), "{of_user:?}");
    let rejected = rows(&sandbox, "outcome=rejected", 1).await;
    assert_eq!(
        (&rejected[0]["reason"], &rejected[0]["user"]),
        (&json!("no_event_name"), &json!("u2"))
    );
    let refused = rows(&sandbox, "outcome=refused", 1).await;
    assert_eq!(
        (&refused[0]["reason"], &refused[0]["kind"]),
        (&json!("wrong_key"), &json!("request"))
    );

    for (row, path) in of_user.iter().zip(["/v1/batch", "/json/1.3/postEvent"]) {
        let item = sandbox.get(&format!("items/{}", row["id"])).await;
        let [call] = item["calls"].as_array().unwrap().as_slice() else { panic!("{item:#}") };
        assert_eq!((&call["path"], &call["status"]), (&json!(path), &json!(200)), "{item:#}");
        assert_eq!(item["steps"].as_array().unwrap().len(), 1, "{item:#}");
        assert!(item["explanation"]["calls"][0]["fields"].is_array() && item["input"].is_object());
    }
    let item = sandbox.get(&format!("items/{}", rejected[0]["id"])).await;
    assert!(item["remedy"].as_str().unwrap().contains("Map the name"), "{item:#}");
    assert_eq!(item["calls"], json!([]));
    let answer = sandbox.send(Method::GET, "/_sandbox/items?colour=red", "").await;
    assert!(answer.status == 400 && answer.body.contains("colour is no filter"), "{answer:?}");
    assert_eq!(sandbox.send(Method::GET, "/_sandbox/items/77", "").await.status, 404);
    let metrics = sandbox.send(Method::GET, "/_sandbox/metrics", "").await.body;
    assert!(metrics.contains("pwseg_items{outcome=\"delivered\"} 2\n"), "{metrics}");
}

/// The same origin from the first attempt to the last: one row.
#[tokio::test]
async fn an_item_that_is_parked_keeps_its_row_until_it_is_delivered() {
    let sandbox = Sandbox::start();
    sandbox.faults("pushwoosh", &json!([{"path": "/json/1.3/postEvent", "status": 503}])).await;
    let event =
        json!({"user_id": "u1", "device_platform": "ios", "name": "E", "timestamp": 1_769_860_800});
    sandbox.post("post-events", &json!({ "events": [event] })).await;
    let parked = rows(&sandbox, "outcome=parked&reason=http_503", 1).await;
    sandbox.faults("pushwoosh", &json!([])).await;
    let delivered = rows(&sandbox, "outcome=delivered", 1).await;
    assert_eq!(parked[0]["id"], delivered[0]["id"]);
    let item = sandbox.get(&format!("items/{}", delivered[0]["id"])).await;
    let outcomes: Vec<&Value> =
        item["steps"].as_array().unwrap().iter().map(|step| &step["outcome"]).collect();
    assert_eq!((outcomes[0], *outcomes.last().unwrap()), (&json!("parked"), &json!("delivered")));
    let statuses: Vec<&Value> =
        item["calls"].as_array().unwrap().iter().map(|call| &call["status"]).collect();
    assert_eq!((statuses[0], *statuses.last().unwrap()), (&json!(503), &json!(200)));
}

#[tokio::test]
async fn the_events_are_the_rows_as_they_come() {
    let sandbox = Sandbox::start();
    let mut events = reqwest::get(format!("{}/_sandbox/events", sandbox.url)).await.unwrap();
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    sandbox.post("track-user", &json!({"user_id": "u1", "attributes": {"a": "b"}})).await;
    let mut text = String::new();
    while !text.contains(r#""outcome":"delivered""#) {
        let chunk = events.chunk().await.unwrap().expect("the stream goes on");
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert!(text.contains("event: item\ndata: {") && text.contains(r#""user":"u1""#), "{text}");
}

#[tokio::test]
async fn what_lies_on_a_queue_is_sent_again_or_discarded_by_its_id() {
    let sandbox = Sandbox::start();
    let refusal = json!([{"path": "/json/1.3/postEvent", "body": {"status_code": 210, "status_message": "no such event"}}]);
    sandbox.faults("pushwoosh", &refusal).await;
    let event = |user: &str| json!({"user_id": user, "device_platform": "ios", "name": "E"});
    let events: Vec<Value> = ["u1", "u2", "u3"].map(event).into();
    sandbox.post("post-events", &json!({ "events": events })).await;
    let rejects = sandbox.queue("rejects").await;
    assert_eq!(rejects.len(), 3);
    sandbox.faults("pushwoosh", &json!([])).await;

    let act = async |method: Method, path: String| {
        let answer = sandbox.send(method, &format!("/_sandbox/queues/{path}"), "").await;
        serde_json::from_str::<Value>(&answer.body).unwrap()
    };
    let id = |index: usize| rejects[index]["message_id"].as_str().unwrap().to_owned();
    let moved = act(Method::POST, format!("rejects/redrive?id={}", id(0))).await;
    assert_eq!(moved, json!({"moved": 1, "stay": []}));
    // It is the same item: its row becomes delivered.
    rows(&sandbox, "outcome=delivered", 1).await;
    let discarded = act(Method::DELETE, format!("rejects?id={}", id(1))).await;
    assert_eq!(discarded, json!({"discarded": 1, "stay": []}));
    for act in [
        act(Method::DELETE, format!("rejects?id={}", id(1))).await,
        act(Method::POST, format!("rejects/redrive?id={}", id(1))).await,
    ] {
        assert_eq!(act["stay"][0]["message_id"], rejects[1]["message_id"]);
        assert!(act["stay"][0]["why"].as_str().unwrap().contains("it has a new message"), "{act}");
    }
    let left = sandbox.queue("rejects").await;
    assert_eq!((left.len(), &left[0]["message_id"]), (1, &rejects[2]["message_id"]));
    let discarded = act(Method::DELETE, "rejects".to_owned()).await;
    assert_eq!(discarded, json!({"discarded": 1, "stay": []}));
    rows(&sandbox, "outcome=discarded", 2).await;

    // What still cannot be sent stays, and says why.
    sandbox
        .post("post-events", &json!({"events": [{"user_id": "u4", "device_platform": "ios"}]}))
        .await;
    let stays = act(Method::POST, "rejects/redrive".to_owned()).await;
    assert_eq!(stays["moved"], 0);
    assert!(stays["stay"][0]["why"].as_str().unwrap().contains("no_event_name"), "{stays}");
    assert_eq!(sandbox.queue("rejects").await.len(), 1);
    assert_eq!(sandbox.send(Method::DELETE, "/_sandbox/queues/none", "").await.status, 404);
}

#[tokio::test]
async fn a_record_over_several_lines_is_one_record() {
    let sandbox = Sandbox::start();
    let record = json!({"event_name": "Push Sent", "timestamp": 1_769_860_800,
        "application_code": "DEMO0-00001", "hwid": "h1", "platform": 1});
    sandbox.produce_raw(format!("{record:#}\n")).await;
    assert_eq!(rows(&sandbox, "kind=record", 1).await[0]["outcome"], "delivered");
}

#[tokio::test]
async fn what_is_discarded_ends_and_a_deletion_stays() {
    let sandbox = Sandbox::start();
    sandbox.faults("pushwoosh", &json!([{"status": 503}])).await;
    let event = |user: &str| json!({"user_id": user, "device_platform": "ios", "name": "E"});
    sandbox.post("post-events", &json!({"events": [event("u1"), event("u2")]})).await;
    sandbox.post("delete-user", &json!({"external_id": "u3"})).await;
    rows(&sandbox, "outcome=parked", 3).await;
    let answer = sandbox.send(Method::DELETE, "/_sandbox/queues/retry", "").await.body;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["discarded"], 2, "{answer}");
    assert!(answer["stay"][0]["why"].as_str().unwrap().contains("deletion"), "{answer}");
    let discarded = rows(&sandbox, "outcome=discarded", 2).await;
    assert_eq!(discarded[0]["cause"], "http_503", "{discarded:?}");
    let metrics = sandbox.send(Method::GET, "/_sandbox/metrics", "").await.body;
    for line in [r#"pwseg_items{outcome="parked"} 1"#, r#"pwseg_items{outcome="discarded"} 2"#] {
        assert!(metrics.contains(&format!("{line}\n")), "{metrics}");
    }
    sandbox.faults("pushwoosh", &json!([])).await;
    rows(&sandbox, "user=u3&outcome=delivered", 1).await;
    let metrics = sandbox.send(Method::GET, "/_sandbox/metrics", "").await.body;
    assert!(metrics.contains("pwseg_oldest_undelivered_seconds 0\n"), "{metrics}");
}

#[tokio::test]
async fn a_profile_without_some_of_its_tags_says_which_and_what_to_do() {
    let secret =
        json!({"pushwoosh": {"api_token": "demo-token"}, "sandbox": {"tags": {"age": "integer"}}});
    let sandbox = Sandbox::with_apps("skipped-tags", &json!({"DEMO0-00001": secret}));
    let attributes = json!({"age": "old", "nosuch": "x"});
    sandbox.post("track-user", &json!({"user_id": "u1", "attributes": attributes})).await;
    let row = &rows(&sandbox, "reason=skipped_tag", 1).await[0];
    assert_eq!(row["outcome"], "delivered");
    let item = sandbox.get(&format!("items/{}", row["id"])).await;
    let text = |name: &str| item[name].as_str().unwrap().to_owned();
    assert!(text("happened").starts_with("Delivered, but without these tags: "), "{item:#}");
    for tag in ["age (Wrong type)", "nosuch (Not found)"] {
        assert!(text("happened").contains(tag), "{item:#}");
    }
    for part in ["create the tag in Pushwoosh", "send a value of that type"] {
        assert!(text("remedy").contains(part), "{item:#}");
    }
}

#[tokio::test]
async fn a_fault_or_a_filter_that_would_fit_nothing_is_refused() {
    let sandbox = Sandbox::start();
    for (service, path, word) in [
        ("pushwoosh", "json/1.3/setTags", "begin with /"),
        ("segment", "", "begin with /"),
        ("sqs", "/SendMessageBatch", "name of an operation"),
    ] {
        let faults = json!([{"path": path, "status": 503}]).to_string();
        let route = format!("/_sandbox/upstream/{service}/faults");
        let answer = sandbox.send(Method::PUT, &route, faults).await;
        assert!(answer.status == 400 && answer.body.contains(word), "{answer:?}");
        assert_eq!(sandbox.get(&format!("upstream/{service}/faults")).await, json!([]));
    }
    for query in ["outcome=nope", "kind=nope"] {
        let answer = sandbox.send(Method::GET, &format!("/_sandbox/items?{query}"), "").await;
        assert!(answer.status == 400 && answer.body.contains("expected one of"), "{answer:?}");
    }
}
