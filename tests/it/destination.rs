//! What Segment sends, and what Pushwoosh then receives.

use reqwest::Method;
use serde_json::{Value, json};

use crate::sandbox::{Answer, Sandbox, compare, events};

fn apps() -> Value {
    json!({"APP-1": {"pushwoosh": {"api_token": "KEY"}, "sandbox": {"unknown_tags": ["unknown"]}}})
}

/// The calls as the golden files hold them. Offsets of time zones depend on the day of the test.
fn calls(calls: &[Value]) -> Value {
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

/// Every request in `events/destination/*.http`, byte for byte as its sender wrote it, is answered
/// and becomes calls as the `.json` file beside it says. `UPDATE_EVENTS=1` writes those files; look
/// at what changed.
#[tokio::test]
async fn every_request_form_becomes_the_right_calls() {
    let sandbox = Sandbox::with_apps("forms", &apps());
    let mut files: Vec<_> = std::fs::read_dir(events("destination"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "http")
    });
    files.sort();
    assert!(files.len() > 30);
    for file in files {
        sandbox.clear("pushwoosh").await;
        let before = sandbox.outcomes("destination").await;
        let answer = sandbox.raw(&std::fs::read(&file).unwrap());
        let after = sandbox.outcomes("destination").await;
        let found = json!({
            "answer": {"status": answer.status, "body": answer.body},
            "outcomes": difference(&before, &after),
            "calls": calls(&in_order(sandbox.calls("pushwoosh").await)),
        });
        compare(&file.with_extension("json"), &found);
    }
}

/// Calls of a stage run together; the golden files hold them by path.
fn in_order(mut calls: Vec<Value>) -> Vec<Value> {
    calls.sort_by_key(|call| (call["path"].to_string(), call["body"].to_string()));
    calls
}

fn difference(before: &Value, after: &Value) -> Value {
    let counts = after
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(outcome, number)| {
            let more = number.as_u64()? - before[outcome].as_u64().unwrap_or(0);
            (more > 0).then(|| (outcome.clone(), more.into()))
        });
    Value::Object(counts.collect())
}

fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status,
        body: body.to_owned(),
    }
}

#[tokio::test]
async fn callers_are_told_what_is_wrong_with_their_credentials() {
    let sandbox = Sandbox::start();
    let ping = async |application: &str, token: &str| {
        sandbox
            .send_as(
                Method::POST,
                "/integration-segment/v1/ping",
                "{}",
                application,
                token,
            )
            .await
    };
    assert_eq!(ping("DEMO0-00001", "demo-token").await, answer(200, ""));
    assert_eq!(ping(" DEMO0-00001 ", " demo-token ").await, answer(200, ""));
    for token in ["wrong", "", "demo-token2", "demo-write-key"] {
        assert_eq!(
            ping("DEMO0-00001", token).await,
            answer(401, r#"{"message":"unauthorized"}"#),
            "{token}"
        );
    }
    for application in ["OTHER", "../DEMO0-00001", "%2e"] {
        let refused = answer(400, r#"{"message":"application not found"}"#);
        assert_eq!(
            ping(application, "demo-token").await,
            refused,
            "{application}"
        );
    }
    assert_eq!(
        ping("", "demo-token").await,
        answer(400, r#"{"message":"missing application code"}"#)
    );
    assert!(sandbox.calls("pushwoosh").await.is_empty());
}

#[tokio::test]
async fn bad_requests_get_a_clear_answer() {
    let sandbox = Sandbox::start();
    let failure = |action: &str, message: &str| {
        answer(
            400,
            &json!({"action": action, "status": "failure", "error": {"message": message}})
                .to_string(),
        )
    };
    let post = async |action: &str, body: &'static str| {
        sandbox
            .send(
                Method::POST,
                &format!("/integration-segment/v1/{action}"),
                body,
            )
            .await
    };
    for body in ["", "nope", "[]", "{}", r#"{"events":1}"#, "{\"events\":[}"] {
        let expected = failure("post event", "an object with a list of events is expected");
        assert_eq!(post("post-events", body).await, expected, "{body}");
    }
    assert_eq!(
        post("track-user", "nope").await,
        failure("track user", "JSON is expected")
    );
    assert_eq!(
        post("delete-user", "[1]").await,
        failure("delete user", "a JSON object is expected")
    );
    assert_eq!(
        post("other", "{}").await,
        answer(404, r#"{"message":"not found"}"#)
    );
    let get = sandbox
        .send(Method::GET, "/integration-segment/v1/ping", "")
        .await;
    assert_eq!(get.status, 405);
    let large = sandbox
        .send(
            Method::POST,
            "/integration-segment/v1/track-user",
            vec![b'x'; 6_300_000],
        )
        .await;
    assert_eq!(
        large,
        answer(413, r#"{"message":"Request Entity Too Large"}"#)
    );
    // What could not be decoded is kept for the operator, bytes and all.
    let rejects = sandbox.queue("rejects").await;
    let nope = rejects
        .iter()
        .find(|reject| reject["body"]["raw"] == "nope")
        .unwrap();
    assert_eq!(nope["body"]["reason"], "not_json");
    assert_eq!(nope["body"]["kind"], "profile");
}

#[tokio::test]
async fn a_key_may_be_rotated_on_either_side_first() {
    let sandbox = Sandbox::start();
    let identify = json!({"user_id": "u1", "attributes": {"a": 1}});
    assert_eq!(sandbox.post("track-user", &identify).await.status, 200);
    let rotated = json!({"pushwoosh": {"api_token": "new-token"}});
    sandbox
        .send(
            Method::PUT,
            "/_sandbox/secrets/DEMO0-00001",
            rotated.to_string(),
        )
        .await;
    // Segment still presents the key of before, Pushwoosh takes only the new one: the item is
    // delivered as soon as a function has read the secret again.
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
        .send_as(
            Method::POST,
            track_user,
            identify.clone(),
            "DEMO0-00001",
            "new-token",
        )
        .await;
    let wrong = sandbox
        .send_as(
            Method::POST,
            track_user,
            identify,
            "DEMO0-00001",
            "older-token",
        )
        .await;
    assert_eq!((new.status, wrong.status), (200, 401));
}

#[tokio::test]
async fn a_broken_secret_turns_callers_away_for_now_and_only_its_own() {
    let sandbox = Sandbox::with_apps(
        "broken",
        &json!({"BROKEN": "no JSON", "EMPTY": {}, "GOOD": {"pushwoosh": {"api_token": "t"}}}),
    );
    let ping = async |application: &str| {
        sandbox
            .send_as(
                Method::POST,
                "/integration-segment/v1/ping",
                "{}",
                application,
                "t",
            )
            .await
            .status
    };
    assert_eq!(
        (
            ping("BROKEN").await,
            ping("EMPTY").await,
            ping("GOOD").await
        ),
        (503, 503, 200)
    );
}

/// 1,000 events of 4 MB with a bad one among them, as large as Segment sends.
#[tokio::test]
async fn the_largest_batch_is_delivered_in_bounded_memory() {
    let sandbox = Sandbox::start();
    let filler = "x".repeat(4_000);
    let mut batch: Vec<Value> = (0..1_000)
        .map(|n| json!({"user_id": format!("u{n}"), "device_platform": "ios", "name": "E", "attributes": {"n": n, "filler": filler}}))
        .collect();
    batch[500]["device_platform"] = json!(null);
    assert_eq!(
        sandbox
            .post("post-events", &json!({ "events": batch }))
            .await,
        answer(200, "")
    );
    let calls = sandbox.calls("pushwoosh").await;
    let mut seen: Vec<u64> = calls
        .iter()
        .map(|call| call["body"]["request"]["attributes"]["n"].as_u64().unwrap())
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..1_000).filter(|n| *n != 500).collect::<Vec<_>>());
    let pid = sandbox.get("state").await["functions"]["destination"]["pid"].clone();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kilobytes < 64 * 1024, "peak memory is {kilobytes} kB");
}
