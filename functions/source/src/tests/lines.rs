//! What the log and the queues say of items that were not delivered.

use platform::testing::Logs;

use super::*;

/// Whoever asks for a record finds it, unless it is of somebody without settings.
#[tokio::test(start_paused = true)]
async fn records_that_are_not_delivered_have_lines_and_those_of_others_are_counted() {
    let (world, source) = setup(&[]);
    let (logs, _guard) = Logs::capture();
    let (mut opened, mut timeless) = (record("A", "h1"), record("A", "h2"));
    opened["event_name"] = "Push Opened".into();
    timeless["timestamp"] = Value::Null;
    let values = [record("A", "h0"), opened, timeless, record("X", "h3"), json!("?")];
    let deadlines = source.deadlines(world.now(), Duration::from_mins(1));
    let invocation = Invocation::begin("request", &world.platform.clock, deadlines);
    source.handle(event(&values), &invocation).await.unwrap();
    invocation.finish();
    let lines = logs.with_message("item");
    let hash = |id| json!(platform::telemetry::hashed(id));
    let [opened, timeless, unknown] = lines.try_into().unwrap();
    for (line, origin, reason, name) in [
        (&opened, "topic-0-11", "event_not_exported", "Push Opened"),
        (&timeless, "topic-0-12", "bad_timestamp", "Push Sent"),
    ] {
        assert_eq!((&line["origin"], &line["reason"]), (&json!(origin), &json!(reason)));
        assert_eq!((&line["user"], &line["name"]), (&hash("u"), &json!(name)));
        assert_eq!((&line["app.code"], &line["kind"]), (&json!("A"), &json!("record")));
    }
    assert_eq!((&opened["device"], &timeless["device"]), (&hash("h1"), &hash("h2")));
    assert_eq!(timeless["detail"], "timestamp: it is missing, or neither text nor a number");
    assert_eq!(unknown["detail"], "The record's value is not base64 text.");
    let (_, reject) = world.messages().into_iter().next().unwrap();
    let reject: Value = serde_json::from_str(reject["MessageBody"].as_str().unwrap()).unwrap();
    assert_eq!(reject["message"], timeless["detail"], "the log and the queue say the same");
    // What cannot be decoded names nobody.
    assert_eq!((&unknown["reason"], &unknown["user"]), (&json!("not_base64"), &Value::Null));
    let [further] = logs.with_message("further items").try_into().unwrap();
    assert_eq!(further["reasons"], json!({"not_configured": 1}).to_string());
}

#[tokio::test(start_paused = true)]
async fn a_record_that_was_delivered_has_its_line_where_all_items_have_one() {
    let (world, source) = setup(&[]);
    let (logs, _guard) = Logs::capture();
    let deadlines = source.deadlines(world.now(), Duration::from_mins(1));
    let invocation = Invocation::begin("request", &world.platform.clock, deadlines)
        .logging(platform::settings::LogItems::All);
    source.handle(event(&[record("A", "h1")]), &invocation).await.unwrap();
    let [line] = logs.with_message("item").try_into().unwrap();
    for (field, value) in [
        ("outcome", json!("delivered")),
        ("kind", json!("record")),
        ("app.code", json!("A")),
        ("origin", json!("topic-0-10")),
        ("name", json!("Push Sent")),
        ("user", json!(platform::telemetry::hashed("u"))),
    ] {
        assert_eq!(line[field], value, "{field}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_segment_says_is_in_the_log_and_on_the_queue() {
    let (world, source) = setup(&[]);
    let (logs, _guard) = Logs::capture();
    world.upstream(|_| Reply::Status(400, json!({"message": "no such source"})));
    invoke(&source, &world, event(&[record("A", "h1")])).await.0.unwrap();
    let [line] = logs.with_message("item").try_into().unwrap();
    let [(_, entry)] = world.messages().try_into().unwrap();
    let reject: Value = serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap();
    for message in [&line, &reject] {
        assert_eq!((&message["origin"], &message["status"]), (&json!("topic-0-10"), &json!(400)));
        assert_eq!(
            (&message["words"], &message["attempts"]),
            (&json!("no such source"), &json!(1))
        );
    }
    world.upstream(|_| Reply::Status(503, json!({"message": "busy"})));
    invoke(&source, &world, event(&[record("A", "h2")])).await.0.unwrap();
    let (_, entry) = world.messages().pop().unwrap();
    let parked: Value = serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap();
    assert_eq!((&parked["origins"], &parked["status"]), (&json!(["topic-0-10"]), &json!(503)));
    assert_eq!(parked["words"], "busy");
}
