use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;

fn answer(status: u16, body: &str) -> Bytes {
    Bytes::from(json!({"statusCode": status, "body": body}).to_string())
}

/// An event of the HTTP API.
fn request(path: &str, body: &str) -> String {
    let headers = json!({"x-pw-appcode": "A"});
    json!({"rawPath": path, "headers": headers, "body": body,
        "requestContext": {"http": {"method": "POST"}}})
    .to_string()
}

fn records(values: &[&str]) -> String {
    use base64::Engine as _;
    let encode = |value: &str| base64::engine::general_purpose::STANDARD.encode(value);
    let records = values.iter().enumerate().map(|(offset, value)| {
        json!({"topic": "t", "partition": 0, "offset": offset, "value": encode(value)})
    });
    json!({"records": {"t-0": records.collect::<Vec<_>>()}}).to_string()
}

fn line(origin: &str, more: &Value) -> serde_json::Map<String, Value> {
    let mut line = json!({"message": "item", "timestamp": "2026-01-31T12:00:00.123456Z",
        "origin": origin, "user": "b4f1hashed"});
    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    line.as_object().unwrap().clone()
}

fn rows(items: &Items, query: &str) -> Vec<Value> {
    serde_json::from_str(&items.list(&Filter::read(query).unwrap())).unwrap()
}

/// Two events of a request, of which the second is rejected.
fn two_events() -> Items {
    let items = Items::default();
    let body = r#"{"events":[{"user_id":"u1","device_id":"d1","name":"E"},{"user_id":"u2"}]}"#;
    items.invoked(
        "destination",
        "r-1",
        request("/integration-segment/v1/post-events", body).as_bytes(),
    );
    items.line("destination", &line("r-1 0", &json!({"outcome": "delivered", "attempts": 1})));
    items.answered("r-1", &Ok(answer(200, "")));
    items.line("destination", &line("r-1 1", &json!({"outcome": "rejected", "reason": "no_event_name", "words": "name: text is expected"})));
    items
}

#[test]
fn an_item_has_the_ids_of_its_input_and_the_outcome_of_its_line() {
    let items = two_events();
    let found = rows(&items, "");
    assert_eq!(found.len(), 2, "newest first");
    let at = found[1]["at"].clone();
    assert_eq!(
        found[1],
        json!({"id": 1, "at": at, "kind": "event", "app": "A", "user": "u1", "device": "d1",
            "name": "E", "message_id": null, "outcome": "delivered", "reason": null, "cause": null,
            "detail": null, "attempts": 1, "origin": "r-1 0"})
    );
    assert_eq!(found[0]["reason"], "no_event_name");
    assert_eq!(found[0]["detail"], "name: text is expected");
    let counts = items.counts();
    assert_eq!(counts.now.values().sum::<u64>(), 2, "what came in: {counts:?}");
    assert_eq!(counts.now["pending"], 0);
}

#[test]
fn rows_are_found_by_whom_they_concern_and_how_they_ended() {
    let items = two_events();
    let number = |query: &str| rows(&items, query).len();
    for (query, expected) in [
        ("user=u1", 1),
        ("user=u", 0),
        ("q=U1", 1),
        ("q=r-1", 2),
        ("app=A&kind=event", 2),
        ("outcome=rejected", 1),
        ("reason=no_event_name&outcome=rejected", 1),
        ("since=2000-01-01T00:00:00Z", 2),
        ("since=2100-01-01T00:00:00Z", 0),
        ("limit=1", 1),
        ("user=", 2),
    ] {
        assert_eq!(number(query), expected, "{query}");
    }
    for (query, word) in [
        ("who=u1", "who is no filter"),
        ("since=now", "a time such as"),
        ("outcome=nope", "parked, rejected, failed, refused, discarded"),
        ("kind=nope", "expected one of event"),
    ] {
        let error = format!("{:#}", Filter::read(query).unwrap_err());
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn a_refused_request_is_one_row_whatever_it_held() {
    let items = Items::default();
    let body = r#"{"events":[{"user_id":"u1"},{"user_id":"u2"}]}"#;
    let path = "/integration-segment/v1/post-events";
    for (id, status, message, reason) in [
        ("r-1", 401, "unauthorized", "wrong_key"),
        ("r-2", 400, "application not found", "unknown_application"),
        ("r-3", 413, "a request may have at most 2 items", "too_many_items"),
    ] {
        items.invoked("destination", id, request(path, body).as_bytes());
        assert!(rows(&items, &format!("q={id}")).is_empty(), "it may be refused");
        items.answered(id, &Ok(answer(status, &json!({ "message": message }).to_string())));
        let found = rows(&items, &format!("reason={reason}"));
        assert_eq!(found.len(), 1, "{reason}");
        assert_eq!(found[0]["outcome"], "refused");
        assert_eq!(rows(&items, &format!("user=u2&q={id}")).len(), 1, "it names two users");
        assert_eq!(rows(&items, &format!("user=u1&q={id}")).len(), 1);
        assert_eq!(found[0]["detail"], format!("{status}: {message}"));
    }
    items.line(
        "destination",
        json!({"message": "refused", "timestamp": "2026-01-31T12:00:00Z",
        "origin": "r-2", "outcome": "refused", "reason": "no_destination"})
        .as_object()
        .unwrap(),
    );
    assert_eq!(
        rows(&items, "reason=no_destination").len(),
        1,
        "the answer does not tell them apart"
    );
    items.invoked("destination", "r-4", request("/elsewhere", "").as_bytes());
    items.answered("r-4", &Ok(answer(404, "{}")));
    assert_eq!(rows(&items, "reason=no_route").len(), 1);
    items.refused_by_gateway(path, "A", 413);
    assert_eq!(rows(&items, "reason=request_too_large")[0]["app"], "A");
}

/// The only item of a request was rejected: it is an item, not a refused request.
#[test]
fn a_rejected_item_is_not_a_refused_request() {
    let items = Items::default();
    items.invoked(
        "destination",
        "r-1",
        request("/integration-segment/v1/track-user", "no json").as_bytes(),
    );
    items.answered(
        "r-1",
        &Ok(answer(400, r#"{"status":"failure","error":{"message":"JSON is expected"}}"#)),
    );
    items
        .line("destination", &line("r-1 0", &json!({"outcome": "rejected", "reason": "not_json"})));
    let found = rows(&items, "");
    assert_eq!((found.len(), &found[0]["reason"]), (1, &json!("not_json")));
}

#[test]
fn what_nobody_waits_for_counts_all_the_same() {
    let items = Items::default();
    let path = "/integration-segment/v1/track-user";
    items.invoked("destination", "r-1", request(path, r#"{"user_id":"u1"}"#).as_bytes());
    items.unanswered("r-1");
    items.unanswered("r-1");
    assert_eq!(rows(&items, "user=u1&outcome=pending").len(), 1);
    assert!(items.lock().running.is_empty());
}

#[test]
fn a_record_keeps_its_row_through_redeliveries_and_retries() {
    let items = Items::default();
    let event = records(&[r#"{"event_name":"Push Sent","application_code":"A","hwid":"d1"}"#]);
    items.invoked("source", "s-1", event.as_bytes());
    assert_eq!(rows(&items, "outcome=pending&device=d1&app=A").len(), 1);
    assert!(items.counts().oldest_undelivered.is_some());
    items.answered("s-1", &Err(FunctionError::TimedOut(Duration::from_mins(1))));
    assert_eq!(rows(&items, "outcome=failed")[0]["detail"], "Task timed out after 60 seconds");
    items.invoked("source", "s-2", event.as_bytes());
    items.line(
        "source",
        &line("t-0-0", &json!({"outcome": "parked", "cause": "http_503", "status": 503})),
    );
    items.answered("s-2", &Ok(Bytes::from("{}")));
    items.line(
        "retry",
        &line("t-0-0", &json!({"outcome": "parked", "cause": "http_503", "attempts": 2})),
    );
    items.line("retry", &line("t-0-0", &json!({"outcome": "delivered", "attempts": 3})));
    let found = rows(&items, "");
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0]["outcome"], &found[0]["attempts"]), (&json!("delivered"), &json!(3)));
    let kept = items.find(1).unwrap();
    let steps: Vec<&str> = kept.steps.iter().map(|step| step.outcome.as_str()).collect();
    assert_eq!(steps, ["failed", "parked", "parked", "delivered"]);
    let counts = items.counts();
    assert_eq!(
        (counts.now["delivered"], counts.now["parked"], counts.entered["parked"]),
        (1, 0, 1)
    );
    assert_eq!(counts.oldest_undelivered, None);
}

#[test]
fn lines_about_other_things_and_of_items_that_were_forgotten_are_taken_as_they_are() {
    let items = Items::default();
    items.line("retry", json!({"message": "invocation"}).as_object().unwrap());
    assert!(rows(&items, "").is_empty());
    items.line(
        "retry",
        &line("r-9 0", &json!({"outcome": "delivered", "kind": "event", "app.code": "A"})),
    );
    let found = rows(&items, "app=A");
    assert_eq!((&found[0]["kind"], &found[0]["user"]), (&json!("event"), &Value::Null));
}

#[test]
fn memory_is_bounded_and_forgotten_rows_still_count() {
    let items = Items::default();
    let number = store::KEPT / 500 + 2;
    for batch in 0..number {
        let id = format!("r-{batch}");
        let events = vec![r#"{"user_id":"u"}"#; 500].join(",");
        let body = format!(r#"{{"events":[{events}]}}"#);
        let path = "/integration-segment/v1/post-events";
        items.invoked("destination", &id, request(path, &body).as_bytes());
        items.answered(&id, &Ok(answer(200, "")));
    }
    assert_eq!(rows(&items, "limit=1000000").len(), store::KEPT);
    assert_eq!(items.counts().now["pending"], number as u64 * 500);
    assert!(items.find(1).is_none());
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(400_000));
    items.invoked(
        "destination",
        "l",
        request("/integration-segment/v1/track-user", &large).as_bytes(),
    );
    items.answered("l", &Ok(answer(200, "")));
    let id = rows(&items, "kind=profile")[0]["id"].as_u64().unwrap();
    let kept = items.find(id).unwrap();
    assert!(kept.cut && kept.input.len() < large.len());
}

#[tokio::test]
async fn events_begin_with_the_newest_rows_and_go_on_where_a_reader_was() {
    use futures::StreamExt as _;
    let items = Arc::new(two_events());
    let mut stream = Box::pin(Arc::clone(&items).stream(1, None));
    let first = stream.next().await.unwrap();
    let first = std::str::from_utf8(&first).unwrap();
    assert_eq!(first.matches("event: item").count(), 1, "{first}");
    assert!(first.contains(r#""origin":"r-1 1""#));
    items.line("retry", &line("r-1 1", &json!({"outcome": "delivered"})));
    items.sample(&json!({"lag": 0}));
    let next = stream.next().await.unwrap();
    let next = std::str::from_utf8(&next).unwrap();
    assert!(next.contains(r#""outcome":"delivered""#) && next.contains("event: sample"), "{next}");
    let id = next.lines().next().unwrap().strip_prefix("id: ").unwrap();
    items.sample(&json!({"lag": 1}));
    let third = stream.next().await.unwrap();
    let third = std::str::from_utf8(&third).unwrap();
    assert_eq!(third, "event: sample\ndata: {\"lag\":1}\n\n", "nothing is sent twice");
    let mut again = Box::pin(Arc::clone(&items).stream(0, Some(id)));
    let text = again.next().await.unwrap();
    let begin = format!("event: run\ndata: {}\n\n", items.run);
    assert_eq!(&text[..], begin.as_bytes(), "nothing has changed since");
    let mut other = Box::pin(items.stream(2, Some("1-1")));
    let text = other.next().await.unwrap();
    let text = std::str::from_utf8(&text).unwrap();
    assert_eq!(text.matches("event: item").count(), 2, "an event of another run");
}

#[test]
fn every_cause_and_refusal_has_a_remedy() {
    use destination::denial::Denial;
    for denial in Denial::ALL {
        let reason = Some(denial.code().to_owned());
        let row = row::Row { outcome: REFUSED.to_owned(), reason, ..row::Row::default() };
        assert!(!remedy::of(&row).1.is_empty(), "{denial:?}");
    }
    for cause in ["timeout", "http_503", "http_429", "http_400", "status_code_500", "new"] {
        let cause = Some(cause.to_owned());
        let row = row::Row { outcome: "parked".to_owned(), cause, ..row::Row::default() };
        assert!(remedy::of(&row).1.ends_with('.'), "{row:?}");
    }
}

#[test]
fn what_was_given_up_lies_on_the_dead_letter_queue() {
    let of = |outcome: &str, cause: &str| {
        let (outcome, cause) = (outcome.to_owned(), Some(cause.to_owned()));
        remedy::of(&row::Row { outcome, cause, ..row::Row::default() })
    };
    let (happened, remedy) = of("failed", "expired");
    assert_eq!(happened, "It was given up: it is on the dead-letter queue.");
    assert!(remedy.contains("send it again from there"), "{remedy}");
    assert!(of("failed", "queue_unavailable").0.contains("neither delivered nor kept"));
}

/// A part of the item was delivered, and another part discarded: it stays what it is.
#[test]
fn a_delivered_item_is_not_discarded() {
    let items = two_events();
    items.discarded(&["r-1 0", "r-1 1", "of another run"], "rejects");
    let outcomes: Vec<Value> = rows(&items, "").iter().map(|row| row["outcome"].clone()).collect();
    assert_eq!(outcomes, ["discarded", "delivered"]);
    let step = items.find(2).unwrap().steps.pop().unwrap();
    assert_eq!(step.words.as_deref(), Some("discarded from the queue rejects"));
}
