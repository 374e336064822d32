//! What the log and the queues say of items that were not delivered.

use super::*;

/// What the upstream said last is there at the end, and the item is known by where it first came in.
#[tokio::test(start_paused = true)]
async fn an_item_is_known_by_its_origin_until_it_is_dead_with_the_last_words() {
    let (world, retry) = setup(&[("PWSEG_RETRY_MAX_AGE_S", "600")]);
    let (logs, _guard) = Logs::capture();
    let parked = Parked::new("A", plan(), Cause::Timeout, world.platform.clock.wall());
    let parked = parked.known_as("request 3").of_kind(mapping::ItemKind::Profile);
    let mut message = message::encode(&parked).unwrap();
    world.upstream(|_| Reply::Status(503, json!({"status_message": "for an hour"})));
    for _ in 0..3 {
        invoke(&retry, &world, &message).await;
        message = world.messages().pop().unwrap().1["MessageBody"].as_str().unwrap().to_owned();
        tokio::time::advance(Duration::from_mins(4)).await;
    }
    invoke(&retry, &world, &message).await;
    let lines = logs.with_message("item");
    for (line, (attempts, cause)) in
        lines.iter().zip([(2, "http_503"), (3, "http_503"), (4, "http_503"), (4, "expired")])
    {
        let hash = json!(platform::telemetry::hashed("u1"));
        for (field, value) in [
            ("origin", json!("request 3")),
            ("kind", json!("profile")),
            ("user", hash),
            ("attempts", json!(attempts)),
            ("cause", json!(cause)),
            ("status", json!(503)),
            ("words", json!("for an hour")),
        ] {
            assert_eq!(line[field], value, "{field} of {line}");
        }
    }
    assert_eq!((lines.len(), &lines[3]["last_cause"]), (4, &json!("http_503")));
    let (queue, dead) = kept(&world).pop().unwrap();
    assert_eq!((queue.as_str(), &dead["cause"]), ("dead", &json!("http_503")));
    assert_eq!(dead["words"], "for an hour");
}

/// An answer to an attempt before would say that the upstream was the reason.
#[tokio::test(start_paused = true)]
async fn an_item_that_ends_otherwise_is_written_without_the_words_of_an_earlier_attempt() {
    let (world, retry) = setup(&[]);
    let (logs, _guard) = Logs::capture();
    world.upstream(|_| Reply::Status(503, json!({"status_message": "for an hour"})));
    invoke(&retry, &world, &parked(&world, "A", plan())).await;
    let message = world.messages()[0].1["MessageBody"].as_str().unwrap().to_owned();
    let deadline = world.now() + Duration::from_secs(5);
    let ledger = &world.platform.ledger;
    ledger.deleted("A", "u1", world.platform.clock.wall(), deadline).await.unwrap();
    invoke(&retry, &world, &message).await;
    let [waits, dropped] = logs.with_message("item").try_into().unwrap();
    assert_eq!((&waits["status"], &waits["attempts"]), (&json!(503), &json!(2)));
    assert_eq!((&dropped["reason"], &dropped["attempts"]), (&json!("user_deleted"), &json!(3)));
    assert_eq!((dropped.get("status"), dropped.get("words")), (None, None));
}

/// What it waits for is the upstream, also while no call is made: who redrives by cause finds it.
#[tokio::test(start_paused = true)]
async fn while_the_circuit_is_open_an_item_keeps_what_the_upstream_answered() {
    let (world, retry) = setup(&[]);
    let (logs, _guard) = Logs::capture();
    world.upstream(|_| Reply::Status(503, json!({"status_message": "down"})));
    let parked = |cause| {
        let parked = Parked::new("A", plan(), cause, world.platform.clock.wall());
        message::encode(&parked.known_as("request 3")).unwrap()
    };
    let answered = loop {
        invoke(&retry, &world, &parked(Cause::Timeout)).await;
        let (_, entry) = world.messages().pop().unwrap();
        if retry.pushwoosh.is_paused("A") {
            break entry["MessageBody"].as_str().unwrap().to_owned();
        }
    };
    let before = logs.with_message("item").len();
    let calls = world.requests().len();
    for message in [answered, parked(Cause::Timeout), parked(Cause::BehindAnother)] {
        invoke(&retry, &world, &message).await;
    }
    assert_eq!(world.requests().len(), calls, "no call is made");
    let lines = logs.with_message("item");
    let causes: Vec<&Value> = lines[before..].iter().map(|line| &line["cause"]).collect();
    assert_eq!(causes, ["http_503", "timeout", "circuit_open"]);
    assert_eq!((&lines[before]["status"], &lines[before]["words"]), (&json!(503), &json!("down")));
    assert_eq!(kept(&world).pop().unwrap().1["cause"], "circuit_open");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_read_says_what_is_wrong_with_it() {
    for (body, detail) in [
        ("no JSON", "The message is not JSON text."),
        ("{}", "The message is JSON text, but not that of a parked item."),
    ] {
        let (world, retry) = setup(&[]);
        let (logs, _guard) = Logs::capture();
        invoke(&retry, &world, body).await;
        let [line] = logs.with_message("item").try_into().unwrap();
        assert_eq!((&line["reason"], &line["detail"]), (&json!("not_json"), &json!(detail)));
        assert_eq!(kept(&world).pop().unwrap().1["message"], detail);
    }
}

/// Who asks why a tag did not arrive looks for the user, also where the profile had to wait.
#[tokio::test(start_paused = true)]
async fn a_profile_without_some_of_its_tags_has_a_line() {
    let (world, retry) = setup(&[]);
    let (logs, _guard) = Logs::capture();
    let parked = Parked::new("A", plan(), Cause::Timeout, world.platform.clock.wall());
    let message = message::encode(&parked.known_as("request 3")).unwrap();
    let skipped = json!([{"tag": "plan", "reason": "Not found"}]);
    world.upstream(move |_| {
        Reply::Status(200, json!({"status_code": 200, "response": {"skipped": skipped}}))
    });
    let (_, tally) = invoke(&retry, &world, &message).await;
    assert_eq!(outcomes(&tally), [("delivered", 1)]);
    let [line] = logs.with_message("item").try_into().unwrap();
    assert_eq!((&line["outcome"], &line["origin"]), (&json!("delivered"), &json!("request 3")));
    let detail = line["detail"].as_str().unwrap();
    assert!(detail.starts_with("Pushwoosh did not save: plan (Not found)"), "{detail}");
}

/// A message of Track calls stands for as many records, each with a line of its own.
#[tokio::test(start_paused = true)]
async fn every_track_call_keeps_the_place_of_its_record() {
    let (world, retry) = setup(&[]);
    let (logs, _guard) = Logs::capture();
    let now = world.platform.clock.wall();
    let parked = Parked::new("A", tracks(&["Push Sent", "bad", "Email Sent"]), Cause::Timeout, now);
    let origins = ["t-0-1", "t-0-2", "t-0-3"].map(str::to_owned).into();
    let message = message::encode(&Parked { origins, ..parked }).unwrap();
    world.upstream(|request| {
        let bad = String::from_utf8_lossy(request.body()).contains("bad");
        Reply::Status(if bad { 400 } else { 200 }, json!({"message": "no such event"}))
    });
    invoke(&retry, &world, &message).await;
    let [line] = logs.with_message("item").try_into().unwrap();
    let found = (&line["origin"], &line["name"], &line["kind"]);
    assert_eq!(found, (&json!("t-0-2"), &json!("bad"), &json!("record")));
    assert_eq!((&line["words"], &line["status"]), (&json!("no such event"), &json!(400)));
    let [(_, reject)] = kept(&world).try_into().unwrap();
    assert_eq!((&reject["origin"], &reject["words"]), (&json!("t-0-2"), &json!("no such event")));
    world.upstream(|_| Reply::Limited(429, "1"));
    invoke(&retry, &world, &message).await;
    let (_, again) = kept(&world).pop().unwrap();
    assert_eq!(again["origins"], json!(["t-0-1", "t-0-2", "t-0-3"]));
    assert_eq!(logs.with_message("item").len(), 4);
}
