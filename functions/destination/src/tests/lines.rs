//! What the log and the queues say of items that were not delivered.

use platform::testing::Logs;

use super::*;

/// The state of a deletion can be looked up while Pushwoosh is down, and afterwards.
#[tokio::test(start_paused = true)]
async fn a_deletion_is_in_the_log_by_the_hash_of_its_user() {
    let (world, destination) = setup();
    let (logs, _guard) = Logs::capture();
    let deletion = || call("delete-user", &json!({"external_id": "u1"}));
    invoke(&destination, &world, deletion()).await;
    let [receipt] = logs.with_message("deletion accepted by Pushwoosh").try_into().unwrap();
    let hash = json!(platform::telemetry::hashed("u1"));
    assert_eq!((&receipt["app.code"], &receipt["user"]), (&json!("A"), &hash));
    assert!(logs.with_message("item").is_empty());
    world.upstream(|_| Reply::Status(503, json!({})));
    invoke(&destination, &world, deletion()).await;
    let [line] = logs.with_message("item").try_into().unwrap();
    assert_eq!((&line["user"], &line["cause"]), (&hash, &json!("http_503")));
    assert_eq!((&line["kind"], &line["outcome"]), (&json!("deletion"), &json!("parked")));
}

/// Who asks why a tag did not arrive looks for the user.
#[tokio::test(start_paused = true)]
async fn a_profile_without_some_of_its_tags_has_a_line() {
    let (world, destination) = setup();
    let (logs, _guard) = Logs::capture();
    let skipped = json!([{"tag": "plan", "reason": "Not found"}, {"tag": "age"}]);
    world.upstream(move |_| {
        Reply::Status(200, json!({"status_code": 200, "response": {"skipped": skipped}}))
    });
    let profile = json!({"user_id": "u1", "attributes": {"plan": "a", "age": 1, "a": 1}});
    invoke(&destination, &world, call("track-user", &profile)).await;
    let [line] = logs.with_message("item").try_into().unwrap();
    let hash = json!(platform::telemetry::hashed("u1"));
    assert_eq!((&line["outcome"], &line["user"]), (&json!("delivered"), &hash));
    assert_eq!(line["detail"], "Pushwoosh did not save: plan (Not found), age");
}

/// What Pushwoosh says about an item is in the log and on the queue, word for word.
#[tokio::test(start_paused = true)]
async fn pushwooshs_own_words_reach_the_log_and_the_queues() {
    let words = "event Purchase does not exist";
    let event =
        json!({"user_id": "u1", "device_id": "d1", "device_platform": "ios", "name": "Purchase"});
    for (status, outcome, queue) in [(400, "rejected", "rejects"), (503, "parked", "retry")] {
        let (world, destination) = setup();
        let (logs, _guard) = Logs::capture();
        world.upstream(move |_| {
            Reply::Status(status, json!({"status_code": 210, "status_message": words}))
        });
        if status == 503 {
            world.upstream(move |_| Reply::Status(status, json!({"status_message": words})));
        }
        invoke(&destination, &world, call("post-events", &json!({"events": [event]}))).await;
        let [line] = logs.with_message("item").try_into().unwrap();
        let hash = |id| json!(platform::telemetry::hashed(id));
        for (field, value) in [
            ("outcome", json!(outcome)),
            ("app.code", json!("A")),
            ("kind", json!("event")),
            ("name", json!("Purchase")),
            ("user", hash("u1")),
            ("device", hash("d1")),
            ("origin", json!("request 0")),
            ("status", json!(status)),
            ("words", json!(words)),
            ("attempts", json!(1)),
        ] {
            assert_eq!(line[field], value, "{field} of {line}");
        }
        let [(name, entry)] = world.messages().try_into().unwrap();
        let message: Value = serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap();
        assert_eq!((name.as_str(), &message["words"]), (queue, &json!(words)));
        assert_eq!((&message["status"], &message["attempts"]), (&json!(status), &json!(1)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_of_which_one_mapping_gives_nothing_has_a_line() {
    let (world, destination) = setup();
    let (logs, _guard) = Logs::capture();
    let mut secret = platform::testing::application("token", "key");
    secret["mappings"] = json!([
        {"action": "updateUserProfile", "subscribe": "type = \"identify\"", "mapping": {"external_id": {"@path": "$.userId"}, "custom_attributes": {"@path": "$.traits"}}},
        {"action": "trackEvent", "subscribe": "type = \"identify\"", "mapping": {"device_platform": "web", "external_id": {"@path": "$.userId"}}},
    ]);
    world.secret("A", &secret);
    let mut event = identify("u1", "a");
    event["messageId"] = json!("m1");
    let answered = invoke(&destination, &world, webhook(&event)).await;
    assert_eq!(answered.tally.outcomes()[&Outcome::Delivered], 1);
    let [line] = logs.with_message("item").try_into().unwrap();
    let found = (&line["outcome"], &line["reason"], &line["message_id"]);
    assert_eq!(found, (&json!("delivered"), &json!("no_event_name"), &json!("m1")));
}
