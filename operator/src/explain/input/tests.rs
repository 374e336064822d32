use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use platform::message;
use serde_json::json;

use super::*;

fn taken(text: &str) -> (&'static str, String, usize) {
    let input = read(text, None).unwrap();
    (input.form, input.taken_for, input.items.len())
}

fn kinds(text: &str) -> Vec<ItemKind> {
    read(text, None).unwrap().items.iter().map(|item| item.kind).collect()
}

#[test]
fn every_form_is_recognised_and_named() {
    let record =
        json!({"event_name": "Push Sent", "application_code": "A", "hwid": "H", "timestamp": 1});
    let event = json!({"name": "E", "user_id": "u"});
    let raw = json!({"type": "track", "userId": "u"});
    for (text, form, taken_for, number) in [
        (raw.to_string(), "raw_event", "a raw Segment event", 1),
        (json!([raw, raw]).to_string(), "raw_event", "2 raw Segment events", 2),
        (json!({"batch": [raw]}).to_string(), "batch_body", "a batch of Segment's tracking API with 1 event", 1),
        (json!({"user_id": "u"}).to_string(), "track_user_body", "a track-user body", 1),
        (json!({"external_id": "u"}).to_string(), "delete_user_body", "a delete-user body", 1),
        (event.to_string(), "event", "an event of a post-events body", 1),
        (json!({"events": [event, 5]}).to_string(), "post_events_body", "a body of post-events with 2 events", 2),
        (record.to_string(), "record", "a record of the tracking log", 1),
        (format!("{record:#}"), "record", "a record of the tracking log", 1),
        (format!("\u{feff}{record}\n\n{record}\n"), "record", "2 records of the tracking log", 2),
        (format!("{record:#}\n{record:#}"), "record", "2 records of the tracking log", 2),
        (json!([raw, record]).to_string(), "items", "2 items", 2),
        (json!({"records": {"t-0": [{"offset": 5, "value": STANDARD.encode(record.to_string())}]}}).to_string(), "msk_event", "an event of MSK with 1 record", 1),
    ] {
        assert_eq!(taken(&text), (form, taken_for.to_owned(), number), "{text}");
    }
}

#[test]
fn requests_are_read_with_their_application() {
    let text = "POST /integration-segment/v1/post-events HTTP/1.1\r\nX-PW-Appcode: AB-1\r\nAuthorization: Token k\r\n\r\n{\"events\":[{},{}]}";
    let input = read(text, None).unwrap();
    assert_eq!(
        (input.form, input.application.as_deref(), input.items.len()),
        ("http_request", Some("AB-1"), 2)
    );
    let text = "POST /webhook/AB-2\n\n[{\"type\":\"track\"}]";
    let input = read(text, None).unwrap();
    assert_eq!(input.application.as_deref(), Some("AB-2"));
    assert_eq!(input.taken_for, "an HTTP request to the webhook of AB-2");
    let error = read("POST /other HTTP/1.1\n\n{}", None).unwrap_err();
    assert!(error.0.starts_with("it is a request to /other: expected"), "{error:?}");
}

#[test]
fn records_without_json_stay_items_with_their_reason() {
    let event = json!({"records": {"t-0": [
        {"offset": 1, "value": null}, {"offset": 2, "value": "no base64"}, {"offset": 3, "value": STANDARD.encode("none")}]}});
    let input = read(&event.to_string(), None).unwrap();
    let reasons: Vec<_> = input
        .items
        .iter()
        .map(|item| (item.place.as_deref().unwrap(), item.content.as_ref().unwrap_err().reason))
        .collect();
    assert_eq!(
        reasons,
        [("t-0-1", Reason::Tombstone), ("t-0-2", Reason::NotBase64), ("t-0-3", Reason::NotJson)]
    );
}

#[test]
fn messages_of_queues_are_unwrapped() {
    let parked = json!({"application": "A", "work": {"pushwoosh": []}, "first_seen": "1970-01-01T00:00:00Z",
        "attempts": 1, "cause": "timeout"});
    let sqs = json!({"Records": [{"messageId": "m", "body": parked.to_string()}]});
    assert_eq!(kinds(&sqs.to_string()), [ItemKind::Parked]);
    let reject = json!({"application": "A", "kind": "profile", "origin": "r 0", "reason": "bad_field",
        "message": "", "at": "1970-01-01T00:00:00Z", "raw": "{\"user_id\":\"u\"}"});
    assert_eq!(taken(&reject.to_string()).1, "a rejected message (profile, bad_field)");
    assert_eq!(kinds(&reject.to_string()), [ItemKind::Profile]);
    let large = json!({"application": "A", "kind": "profile", "origin": "r 0", "reason": "bad_field",
        "message": "", "at": "1970-01-01T00:00:00Z", "raw": "x".repeat(300_000)});
    let compressed = message::encode(&large).unwrap();
    assert!(compressed.starts_with("{\"gzip\""));
    assert_eq!(taken(&compressed).0, "reject");
}

fn reject(kind: &str, raw: &str) -> Value {
    json!({"application": "B", "kind": kind, "origin": "r 0", "reason": "bad_timestamp",
        "message": "", "at": "1970-01-01T00:00:00Z", "raw": raw})
}

fn parked() -> Value {
    json!({"application": "A", "work": {"pushwoosh": []}, "first_seen": "1970-01-01T00:00:00Z",
        "attempts": 1, "cause": "timeout"})
}

/// A reject is no parked message, wherever it is found.
#[test]
fn messages_are_what_they_hold_whatever_lists_them() {
    let rejected = reject("event", r#"{"user_id":"u","name":"E"}"#);
    let both = [parked(), rejected];
    let listed = |list: fn(&Value) -> Value| both.iter().map(list).collect::<Vec<Value>>();
    let record = |body: &Value| json!({"messageId": "m", "eventSource": "aws:sqs", "body": body.to_string()});
    let received = |body: &Value| json!({"MessageId": "m", "Body": body.to_string()});
    let shown = |body: &Value| json!({"queue": "dead", "origin": "m", "message": body});
    let sandbox = |body: &Value| json!({"message_id": "m", "receive_count": 1, "body": body});
    for (text, form) in [
        (json!({ "Records": listed(record) }), "sqs_event"),
        (json!({ "Messages": listed(received) }), "received_messages"),
        (json!(listed(shown)), "shown_messages"),
        (json!(listed(sandbox)), "sandbox_queue"),
    ] {
        let input = read(&text.to_string(), None).unwrap();
        assert_eq!(input.form, form);
        assert!(input.taken_for.ends_with("with 2 messages"), "{}", input.taken_for);
        let found: Vec<_> = input
            .items
            .iter()
            .map(|item| (item.kind, item.place.as_deref(), item.application.as_deref()))
            .collect();
        let expected =
            [(ItemKind::Parked, Some("m"), None), (ItemKind::Event, Some("r 0"), Some("B"))];
        assert_eq!(found, expected, "{form}");
    }
    let only = json!({"Records": [record(&reject("event", "{}"))]}).to_string();
    assert_eq!(taken(&only).1, "an event of SQS with 1 rejected message");
    // What no function wrote is what `retry` takes it for.
    let odd = json!({"Records": [record(&json!({"user_id": "u"})), {"body": "none"}]}).to_string();
    let input = read(&odd, None).unwrap();
    assert!(input.items.iter().all(|item| item.kind == ItemKind::Parked));
    assert_eq!(input.items[1].place, None, "a place without a name is none");
}

#[test]
fn an_item_of_the_sandbox_is_its_input() {
    let item = json!({"id": 5, "at": "", "kind": "event", "app": "B", "outcome": "rejected", "origin": "r 0",
        "reason": "bad_timestamp", "input": {"user_id": "u", "name": "E"}, "input_cut": false, "steps": []});
    let input = read(&item.to_string(), None).unwrap();
    assert_eq!((input.form, input.application.as_deref()), ("sandbox_item", Some("B")));
    assert_eq!(input.taken_for, "an item of the sandbox (event)");
    assert_eq!(input.items[0].content.as_ref().unwrap()["name"], "E");
    let request = json!({"id": 6, "kind": "request", "outcome": "refused", "origin": "r", "app": "B",
        "name": "/integration-segment/v1/track-user", "input": {"user_id": "u"}});
    assert_eq!(kinds(&request.to_string()), [ItemKind::Profile]);
    let cut =
        json!({"id": 7, "kind": "event", "outcome": "failed", "input": "{", "input_cut": true});
    assert!(read(&cut.to_string(), None).unwrap_err().0.contains("was cut"));
}

#[test]
fn what_is_not_known_is_refused_in_one_line_that_helps() {
    for (text, part) in [
        ("", "it is empty: expected a Segment event"),
        ("none", "it is not JSON"),
        ("{} trailing", "it is not JSON"),
        ("{}", "it is none of what is known: expected"),
        (r#"{"usr_id":"u"}"#, r#""usr_id" resembles "user_id""#),
        (r#"[{"user_id":"u"},{"x":1}]"#, "item 2 is none of what is known"),
        (r#"{"subscribe":"","mapping":{}}"#, "--mapping"),
        (r#"{"pushwoosh":{"api_token":"t"}}"#, "check-secret"),
        (r#"{"name":"a package","version":"1"}"#, "it is none of what is known"),
        ("[]", "an empty list holds nothing: expected"),
        (r#"{"Records":[]}"#, "an event of SQS holds nothing"),
        (r#"{"Records":[{"eventSource":"aws:s3","s3":{}}]}"#, "it is an event of aws:s3"),
        (r#"{"Records":[{"s3":{}}]}"#, "it is an event of another service"),
        (r#"{"event":"X","userId":"u1","properties":{}}"#, r#""type" is missing, one of track"#),
        (r#"{"type":"foo","userId":"u"}"#, r#""type" is "foo", and Segment has track"#),
        (r#"{"tpye":"track","userId":"u"}"#, r#""tpye" resembles "type""#),
        (r#"{"id":1,"kind":"event","outcome":"delivered","origin":"r 0"}"#, "/_sandbox/items/ID"),
        (r#"[{"queue":"dead","origin":"r 0","kind":"event"}]"#, "queue show --json"),
        (r#"{"message":"item","outcome":"parked","origin":"r 0","kind":"event"}"#, "a log line"),
    ] {
        let error = read(text, None).unwrap_err();
        assert!(error.0.contains(part) && !error.0.contains('\n'), "{text}: {error:?}");
    }
}

#[test]
fn a_kind_that_is_named_counts() {
    let input = read(r#"{"x":1}"#, Some(ItemKind::Profile)).unwrap();
    assert_eq!(input.items[0].kind, ItemKind::Profile);
    let input = read(r#"{"events":[1,2]}"#, Some(ItemKind::Event)).unwrap();
    assert_eq!(input.items.len(), 2);
}
