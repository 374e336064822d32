//! Requests from Segment, and the calls that Pushwoosh receives.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::sandbox::{HttpResponse, Sandbox, compare, inputs};

/// How long the stricter of Segment's clients waits for a response.
const SEGMENT_PATIENCE: Duration = Duration::from_secs(5);

fn apps() -> Value {
    json!({"APP-1": {"pushwoosh": {"api_token": "KEY"}, "sandbox": {"unknown_tags": ["unknown"]}}})
}

/// The calls as the expectations hold them. Offsets of time zones depend on the day of the test.
pub(crate) fn calls(calls: &[Value]) -> Value {
    let calls = calls.iter().map(|call| {
        let mut body = call["body"].clone();
        for field in ["timezone", "tz_offset"] {
            if let Some(offset) = body.pointer_mut(&format!("/request/{field}")) {
                *offset = json!("offset of the time zone");
            }
        }
        json!({"path": call["path"], "body": body})
    });
    Value::Array(calls.collect())
}

/// Every request in `events/destination/*.http`, byte for byte as its sender wrote it, gets the
/// expected response and becomes the expected calls.
#[tokio::test]
async fn every_request_form_becomes_the_right_calls() {
    let sandbox = Sandbox::with_apps("forms", &apps());
    let files = inputs("destination");
    assert!(files.len() > 30);
    for file in files {
        sandbox.clear("pushwoosh").await;
        let before = sandbox.outcomes("destination").await;
        let response = sandbox.raw(&std::fs::read(&file).unwrap());
        let after = sandbox.outcomes("destination").await;
        let found = json!({
            "response": {"status": response.status, "body": response.body},
            "outcomes": difference(&before, &after),
            "calls": calls(&in_order(sandbox.calls("pushwoosh").await)),
        });
        compare(&file, &found);
    }
}

/// Every event of API Gateway in `events/api-gateway`, one per route, is answered and becomes calls
/// as expected.
#[tokio::test]
async fn every_gateway_event_becomes_the_right_calls() {
    let files = inputs("api-gateway");
    assert!(files.len() >= 5);
    for file in files {
        let sandbox = Sandbox::start();
        let response = sandbox.invoke("destination", std::fs::read(&file).unwrap()).await;
        let found = json!({
            "response": response,
            "outcomes": sandbox.outcomes("destination").await,
            "calls": calls(&in_order(sandbox.calls("pushwoosh").await)),
        });
        compare(&file, &found);
    }
}

/// Calls of a stage run at the same time; the expectations hold them in the order of their paths.
fn in_order(mut calls: Vec<Value>) -> Vec<Value> {
    calls.sort_by_key(|call| (call["path"].to_string(), call["body"].to_string()));
    calls
}

fn difference(before: &Value, after: &Value) -> Value {
    let counts = after.as_object().into_iter().flatten().filter_map(|(outcome, number)| {
        let more = number.as_u64()? - before[outcome].as_u64().unwrap_or(0);
        (more > 0).then(|| (outcome.clone(), more.into()))
    });
    Value::Object(counts.collect())
}

fn response(status: u16, body: &str) -> HttpResponse {
    HttpResponse { status, body: body.to_owned() }
}

#[tokio::test]
async fn wrong_credentials_get_a_clear_response() {
    let sandbox = Sandbox::start();
    let ping = async |application: &str, token: &str| {
        sandbox
            .send_as(Method::POST, "/integration-segment/v1/ping", "{}", application, token)
            .await
    };
    assert_eq!(ping("DEMO0-00001", "demo-token").await, response(200, ""));
    assert_eq!(ping(" DEMO0-00001 ", " demo-token ").await, response(200, ""));
    for token in ["wrong", "", "demo-token2", "demo-write-key"] {
        assert_eq!(
            ping("DEMO0-00001", token).await,
            response(401, r#"{"message":"unauthorized"}"#),
            "{token}"
        );
    }
    for application in ["OTHER", "../DEMO0-00001", "%2e"] {
        let refused = response(400, r#"{"message":"application not found"}"#);
        assert_eq!(ping(application, "demo-token").await, refused, "{application}");
    }
    assert_eq!(
        ping("", "demo-token").await,
        response(400, r#"{"message":"missing application code"}"#)
    );
    // Only the right key is shown to Pushwoosh, which is asked whether it takes it.
    let calls = sandbox.calls("pushwoosh").await;
    let asked: Vec<_> = calls.iter().map(|call| call["path"].as_str().unwrap()).collect();
    assert_eq!(asked, ["/json/1.3/checkDevice"; 2]);
}

#[tokio::test]
async fn bad_requests_get_a_clear_response() {
    let sandbox = Sandbox::start();
    let failure = |action: &str, message: &str| {
        response(
            400,
            &json!({"action": action, "status": "failure", "error": {"message": message}})
                .to_string(),
        )
    };
    let post = async |action: &str, body: &'static str| {
        sandbox.send(Method::POST, &format!("/integration-segment/v1/{action}"), body).await
    };
    for body in ["", "nope", "[]", "{}", r#"{"events":1}"#, "{\"events\":[}"] {
        let expected = failure("post event", "an object with a list of events is expected");
        assert_eq!(post("post-events", body).await, expected, "{body}");
    }
    assert_eq!(post("track-user", "nope").await, failure("track user", "JSON is expected"));
    assert_eq!(
        post("delete-user", "[1]").await,
        failure("delete user", "a JSON object is expected")
    );
    assert_eq!(post("other", "{}").await, response(404, r#"{"message":"not found"}"#));
    let get = sandbox.send(Method::GET, "/integration-segment/v1/ping", "").await;
    assert_eq!(get.status, 405);
    let large = sandbox
        .send(Method::POST, "/integration-segment/v1/track-user", vec![b'x'; 6_300_000])
        .await;
    assert_eq!(large, response(413, r#"{"message":"Request Entity Too Large"}"#));
    // Bodies that cannot be decoded are kept with their bytes.
    let rejects = sandbox.queue("rejects").await;
    let nope = rejects.iter().find(|reject| reject["body"]["raw"] == "nope").unwrap();
    assert_eq!(nope["body"]["reason"], "not_json");
    assert_eq!(nope["body"]["kind"], "profile");
}

#[tokio::test]
async fn a_key_may_be_rotated_on_either_side_first() {
    let sandbox = Sandbox::start();
    let identify = json!({"user_id": "u1", "attributes": {"a": 1}});
    assert_eq!(sandbox.post("track-user", &identify).await.status, 200);
    let rotated = json!({"pushwoosh": {"api_token": "new-token"}});
    sandbox.send(Method::PUT, "/_sandbox/secrets/DEMO0-00001", rotated.to_string()).await;
    // Segment still presents the previous key, Pushwoosh accepts only the new one. The item is
    // delivered once a function has read the secret again.
    assert_eq!(sandbox.post("track-user", &identify).await.status, 200);
    sandbox
        .until("the item is delivered with the new key", async |sandbox| {
            let calls = sandbox.calls("pushwoosh").await;
            let new = |call: &Value| {
                call["status"] == 200 && call["headers"]["authorization"] == "Token new-token"
            };
            calls.iter().any(new).then_some(())
        })
        .await;
    let identify = identify.to_string();
    let track_user = "/integration-segment/v1/track-user";
    let new = sandbox
        .send_as(Method::POST, track_user, identify.clone(), "DEMO0-00001", "new-token")
        .await;
    assert_eq!(new.status, 200);
    // The previous key until the grace time of 5 s is over; one that was never right as soon as the
    // rotation has settled.
    for refused in ["never-right", "demo-token"] {
        sandbox
            .until("the key is refused", async |sandbox| {
                let body = identify.clone();
                let answer =
                    sandbox.send_as(Method::POST, track_user, body, "DEMO0-00001", refused).await;
                assert!([200, 401, 503].contains(&answer.status), "{answer:?}");
                (answer.status == 401).then_some(())
            })
            .await;
    }
}

#[tokio::test]
async fn a_broken_secret_gives_503_to_its_own_application_only() {
    let sandbox = Sandbox::with_apps(
        "broken",
        &json!({"BROKEN": "no JSON", "EMPTY": {}, "GOOD": {"pushwoosh": {"api_token": "t"}}}),
    );
    let ping = async |application: &str| {
        sandbox
            .send_as(Method::POST, "/integration-segment/v1/ping", "{}", application, "t")
            .await
            .status
    };
    assert_eq!((ping("BROKEN").await, ping("EMPTY").await, ping("GOOD").await), (503, 503, 200));
}

/// Segment's largest batch: 1,000 events in 4 MB, one of them bad. On a busy machine the last of them are
/// parked.
#[tokio::test]
async fn the_largest_batch_is_delivered_in_bounded_memory() {
    let sandbox = Sandbox::start();
    let filler = "x".repeat(4_000);
    let mut batch: Vec<Value> = (0..1_000)
        .map(|n| json!({"user_id": format!("u{n}"), "device_platform": "ios", "name": "E", "attributes": {"n": n, "filler": filler}}))
        .collect();
    batch[500]["device_platform"] = json!(null);
    assert_eq!(sandbox.post("post-events", &json!({ "events": batch })).await, response(200, ""));
    let seen = sandbox.until("every event has arrived", async |sandbox| {
        let calls = sandbox.calls("pushwoosh").await;
        let attributes = calls.iter().map(|call| &call["body"]["request"]["attributes"]["n"]);
        let mut seen: Vec<u64> = attributes.map(|number| number.as_u64().unwrap()).collect();
        seen.sort_unstable();
        (seen.len() >= 999).then_some(seen)
    });
    assert!(seen.await.into_iter().eq((0..1_000).filter(|n| *n != 500)), "each once");
    let pid = sandbox.get("state").await["functions"]["destination"]["pid"].clone();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kilobytes < 64 * 1024, "peak memory is {kilobytes} kB");
}

/// In random batches, every item gets the right outcome, and a reject names its index in the batch.
#[tokio::test]
async fn the_outcomes_of_any_batch_add_up() {
    let sandbox = Sandbox::start();
    let mut random = fastrand::Rng::with_seed(7);
    let mut expected = Map::new();
    for _ in 0..20 {
        let mut events = Vec::new();
        let mut rejected = Vec::new();
        for index in 0..random.usize(2..120) {
            let mut event = json!({"user_id": "u", "device_platform": "web", "name": "E", "timestamp": 1_767_323_045});
            let outcome = match random.u8(0..8) {
                0 => {
                    event =
                        [json!(null), json!([1]), json!("x"), json!(7)][random.usize(..4)].clone();
                    "rejected"
                }
                1 => {
                    event["timestamp"] = json!("bad");
                    "rejected"
                }
                2 => {
                    event["name"] = json!(" ");
                    "rejected"
                }
                3 => {
                    event["user_id"] = json!("");
                    "disregarded"
                }
                4 => {
                    event["device_platform"] = json!(null);
                    "disregarded"
                }
                _ => "delivered",
            };
            if outcome == "rejected" {
                rejected.push((index, event.clone()));
            }
            let count = expected.entry(outcome).or_insert(json!(0));
            *count = json!(count.as_u64().unwrap() + 1);
            events.push(event);
        }
        assert_eq!(
            sandbox.post("post-events", &json!({ "events": events })).await,
            response(200, "")
        );
        let rejects = sandbox.queue("rejects").await;
        let last: Vec<(usize, Value)> = rejects[rejects.len() - rejected.len()..]
            .iter()
            .map(|reject| {
                let (_, index) =
                    reject["body"]["origin"].as_str().unwrap().split_once(' ').unwrap();
                let raw = reject["body"]["raw"].as_str().unwrap();
                (index.parse().unwrap(), serde_json::from_str(raw).unwrap())
            })
            .collect();
        assert_eq!(last.len(), rejected.len());
        assert!(rejected.iter().all(|reject| last.contains(reject)));
    }
    assert_eq!(sandbox.outcomes("destination").await, Value::Object(expected));
}

/// Objects may be nested as deeply as Segment allows. An event with deeper ones is rejected; its
/// neighbours are delivered.
#[tokio::test]
async fn too_deep_nesting_rejects_only_its_own_event() {
    let sandbox = Sandbox::start();
    let event = |name: &str, depth: usize| {
        let nested = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        format!(
            r#"{{"user_id":"u","device_platform":"ios","name":"{name}","attributes":{{"deep":{nested}}}}}"#
        )
    };
    let body =
        format!(r#"{{"events":[{},{},{}]}}"#, event("A", 100), event("B", 5_000), event("C", 1));
    let sent = sandbox.send(Method::POST, "/integration-segment/v1/post-events", body).await;
    assert_eq!(sent, response(200, ""));
    let calls = in_order(sandbox.calls("pushwoosh").await);
    let deep = |index: usize| {
        calls[index]["body"]["request"]["attributes"]["deep"].as_str().unwrap().len()
    };
    assert_eq!((calls.len(), deep(0), deep(1)), (2, 601, 7));
    assert_eq!(sandbox.outcomes("destination").await, json!({"delivered": 2, "rejected": 1}));
}

/// Pushwoosh refuses for good in two forms: HTTP 400, and 200 with a status in the body.
#[tokio::test]
async fn items_that_pushwoosh_refuses_for_good_are_rejected() {
    let sandbox = Sandbox::start();
    for http in [200, 400] {
        let refusal =
            json!({"status_code": 210, "status_message": "argument error", "response": null});
        sandbox.faults("pushwoosh", &json!([{"status": http, "body": refusal, "times": 1}])).await;
        let identify = json!({"user_id": "u1", "attributes": {"a": 1}});
        assert_eq!(sandbox.post("track-user", &identify).await, response(200, ""));
    }
    let rejects = sandbox.queue("rejects").await;
    assert_eq!(rejects.len(), 2);
    for reject in rejects {
        assert_eq!(reject["body"]["reason"], "refused_by_pushwoosh");
        assert_eq!(
            reject["body"]["raw"],
            json!({"user_id": "u1", "attributes": {"a": 1}}).to_string()
        );
    }
    assert!(sandbox.queue("retry").await.is_empty());
}

/// A tag that Pushwoosh skips is logged and counted; the other tags are saved.
#[tokio::test]
async fn skipped_tags_are_logged_and_counted() {
    let sandbox = Sandbox::with_apps("skipped", &apps());
    let identify = json!({"user_id": "u1", "attributes": {"known": 1, "unknown": 2}}).to_string();
    let path = "/integration-segment/v1/track-user";
    assert_eq!(
        sandbox.send_as(Method::POST, path, identify, "APP-1", "KEY").await,
        response(200, "")
    );
    assert_eq!(sandbox.outcomes("destination").await, json!({"delivered": 1}));
    let logs = sandbox.get("logs").await;
    let line =
        logs.as_array().unwrap().iter().find(|line| line["reason"] == "skipped_tag").unwrap();
    assert_eq!((&line["app.code"], &line["tag.name"]), (&json!("APP-1"), &json!("unknown")));
    assert_eq!(sandbox.get("state").await["metrics"]["destination"]["SkippedTags"], 1);
}

/// The destination responds before Segment's time-out, whatever Pushwoosh does.
#[tokio::test]
async fn the_response_is_in_time_whatever_pushwoosh_does() {
    let sandbox = Sandbox::start();
    let event = json!({"events": [{"user_id": "u", "device_platform": "ios", "name": "E"}]});
    for fault in [
        json!({"delay_ms": 600_000, "times": 1}),
        json!({"reset": true, "times": 1}),
        json!({"body_bytes": 100_000_000, "times": 1}),
        json!({"body": "<html>", "times": 1}),
        json!({"status": 301, "times": 1}),
        json!({"status": 429, "retry_after": 3600, "times": 1}),
    ] {
        sandbox.faults("pushwoosh", &json!([fault])).await;
        let sent =
            tokio::time::timeout(SEGMENT_PATIENCE, sandbox.post("post-events", &event)).await;
        assert_eq!(
            sent.expect("no response before Segment's time-out"),
            response(200, ""),
            "{fault}"
        );
    }
}
