//! Who is not let in, and with what.

use platform::telemetry::Count;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_request_of_more_items_than_the_limit_is_refused_unread() {
    let (world, destination) = setup();
    let event = |n: usize| json!({"type": "identify", "messageId": n.to_string(), "userId": "u", "traits": {"a": n}});
    let posted = |number| {
        let events: Vec<Value> = (0..number).map(|n| posted(&n.to_string())).collect();
        call("post-events", &json!({ "events": events }))
    };
    let raw = |number| webhook(&json!((0..number).map(event).collect::<Vec<Value>>()));
    // Segment batches up to 1,000 events for its own destination, and up to 4,000 for a webhook.
    for (limit, within, beyond) in
        [(2_000, posted(2_000), posted(2_001)), (4_000, raw(4_000), raw(4_001))]
    {
        let before = world.requests().len();
        let answered = invoke(&destination, &world, within).await;
        assert_eq!(answered.response.status_code, 200, "{limit}");
        assert_eq!(world.requests().len() - before, limit);
        let answered = invoke(&destination, &world, beyond).await;
        let expected = format!(
            r#"{{"message":"a request may have at most {limit} items: send them in several requests"}}"#
        );
        assert_eq!((answered.response.status_code, answered.response.body), (413, expected));
        assert_eq!(world.requests().len() - before, limit);
        assert_eq!(answered.tally.counts()[&Count::DeniedSize], 1);
    }
}

/// Whoever has seen one signed event can put others behind it.
#[tokio::test(start_paused = true)]
async fn a_deletion_is_taken_only_from_what_is_signed() {
    let (world, destination) = setup();
    let mut secret = platform::testing::application("token", "key");
    secret["webhook"]["signed"] = json!("first_element");
    world.secret("A", &secret);
    let delete = |user: &str| json!({"type": "delete", "userId": user});
    let signed_by_first = |list: &Value| {
        let mut mac = Hmac::<Sha1>::new_from_slice(b"secret").unwrap();
        mac.update(list[0].to_string().as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        event("/webhook/A", &json!({ "x-signature": signature }), &list.to_string())
    };
    for (first, others) in
        [(delete("u1"), identify("u2", "a")), (identify("u1", "a"), delete("u1"))]
    {
        let list = json!([first, others, delete("u3")]);
        let answered = invoke(&destination, &world, signed_by_first(&list)).await;
        assert_eq!(answered.response.status_code, 200);
        let statuses: Value = serde_json::from_str(&answered.response.body).unwrap();
        assert_eq!(statuses[2]["status"], 400, "{statuses}");
    }
    assert_eq!(paths(&world), ["deleteUser", "setTags", "setTags"]);
    let reasons: Vec<Value> =
        parked(&world).into_iter().map(|reject| reject["reason"].clone()).collect();
    assert_eq!(reasons, vec![json!("unsigned_deletion"); 3]);
    // With a signature over the whole body all of them are taken.
    let list = json!([identify("u4", "a"), delete("u4")]);
    invoke(&destination, &world, webhook(&list)).await;
    assert_eq!(paths(&world)[3..], ["setTags", "deleteUser"]);
}

#[tokio::test(start_paused = true)]
async fn a_denied_request_is_counted_and_logged_with_its_application_and_address() {
    let (world, destination) = setup();
    let (logs, _guard) = Logs::capture();
    let from = |mut event: Value| {
        event["requestContext"]["http"]["sourceIp"] = json!("192.0.2.1");
        event
    };
    let made_up = "X".repeat(100);
    for (request, door, denial, count, kind) in [
        (with_key("wrong"), "api", "wrong_key", Count::DeniedKey, json!("profile")),
        (
            event("/integration-segment/v1/ping", &json!({"x-pw-appcode": made_up}), ""),
            "api",
            "unknown_application",
            Count::DeniedUnknown,
            Value::Null,
        ),
        (
            event("/webhook/A", &json!({}), "{}"),
            "webhook",
            "no_signature",
            Count::DeniedKey,
            json!("raw_event"),
        ),
    ] {
        let answered = invoke(&destination, &world, from(request)).await;
        assert_eq!(answered.tally.counts()[&count], 1, "{denial}");
        let lines = logs.with_message("refused");
        let line = lines.last().unwrap();
        let found = (&line["source"], &line["reason"], &line["address"]);
        assert_eq!(found, (&json!(door), &json!(denial), &json!("192.0.2.1")));
        assert_eq!((&line["outcome"], &line["origin"]), (&json!("refused"), &json!("request")));
        let status = json!(answered.response.status_code);
        assert_eq!((&line["status"], &line["kind"]), (&status, &kind));
        let code = line["app.code"].as_str().unwrap();
        assert!(code == "A" || code == "X".repeat(64), "{code}");
        assert!(!line.to_string().contains("wrong\""), "{line}");
    }
    for _ in 0..200 {
        invoke(&destination, &world, with_key("wrong")).await;
    }
    assert_eq!(logs.with_message("refused").len(), 100);
}

/// Segment drops what is answered with 4xx for good: it must not go without a trace.
#[tokio::test(start_paused = true)]
async fn every_request_that_is_not_worked_on_has_a_line() {
    let (world, destination) = setup();
    world.secrets_manager("S", Reply::Status(500, json!({})));
    let headers = json!({"x-pw-appcode": "A", "authorization": "Token token"});
    let of_s = json!({"x-pw-appcode": "S", "authorization": "Token token"});
    let path = "/integration-segment/v1/post-events";
    for (request, status, reason, kind) in [
        (event(path, &headers, "no json"), 400, "bad_body", json!("event")),
        (event("/elsewhere", &headers, ""), 404, "no_route", Value::Null),
        (event(path, &of_s, "{}"), 503, "settings_unavailable", json!("event")),
    ] {
        let (logs, _guard) = Logs::capture();
        let answered = invoke(&destination, &world, request).await;
        assert_eq!(answered.response.status_code, status);
        let [line] = logs.with_message("refused").try_into().unwrap();
        let found = (&line["reason"], &line["status"], &line["kind"]);
        assert_eq!(found, (&json!(reason), &json!(status), &kind));
    }
}

#[tokio::test(start_paused = true)]
async fn only_allowed_addresses_are_let_in() {
    let world = World::new(&[("PWSEG_ALLOWED_ADDRESSES", "192.0.2.0/24, 2001:db8::1")]);
    let destination = Destination::new(world.platform.clone());
    for (address, status) in [
        (json!("192.0.2.0"), 200),
        (json!("192.0.2.255"), 200),
        (json!("2001:db8::1"), 200),
        (json!("192.0.3.0"), 403),
        (json!("2001:db8::2"), 403),
        (json!("unknown"), 403),
        (Value::Null, 403),
    ] {
        let mut ping = call("ping", &json!({}));
        ping["requestContext"]["http"]["sourceIp"] = address.clone();
        let answered = invoke(&destination, &world, ping).await;
        assert_eq!(answered.response.status_code, status, "{address}");
        let denied = answered.tally.counts().contains_key(&Count::DeniedAddress);
        assert_eq!(denied, status == 403);
    }
}
