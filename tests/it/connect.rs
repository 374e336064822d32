//! `connect` tries an application's keys and writes them into its secret.

use serde_json::{Value, json};

use crate::sandbox::{Sandbox, command_with};

const API_KEY: &str = "marker-api-key-0123";
const WRITE_KEY: &str = "marker-write-key-01";

/// An application that Pushwoosh and Segment know, and that has no secret yet.
fn sandbox(name: &str, secret_id: &str) -> Sandbox {
    let apps = json!({
        "NEW00-00001": {"sandbox": {"api_token": API_KEY, "write_key": WRITE_KEY}},
        "NEW00-00002": {"pushwoosh": {"api_token": "other"}, "mappings": []},
    });
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.json"));
    std::fs::write(&file, apps.to_string()).unwrap();
    Sandbox::with(&["--apps", file.to_str().unwrap(), "--secret-id", secret_id])
}

fn connect(sandbox: &Sandbox, answers: &Value, flags: &[&str]) -> (i32, String, String) {
    let arguments = [&["connect", "--sandbox", &sandbox.url, "--stdin"], flags].concat();
    let (exit, out, said) = command_with(&arguments, &answers.to_string());
    assert!(!out.contains("marker") && !said.contains("marker"), "{out}{said}");
    (exit, out, said)
}

async fn ping(sandbox: &Sandbox, code: &str, key: &str) -> u16 {
    let path = "/integration-segment/v1/ping";
    sandbox.send_as(reqwest::Method::POST, path, "{}", code, key).await.status
}

#[tokio::test]
async fn an_application_is_connected_from_standard_input() {
    for secret_id in ["segment-pushwoosh/{app_code}", "sp/{app_code:2}/x", "all"] {
        let name = format!("connect-{}", secret_id.len());
        let sandbox = sandbox(&name, secret_id);
        let answers = json!({"app": "NEW00-00001", "api_key": API_KEY, "write_key": WRITE_KEY, "events": "Push Sent"});
        let (exit, out, said) = connect(&sandbox, &answers, &["--json", "--make-webhook-secret"]);
        assert_eq!(exit, 0, "{secret_id}: {said}");
        let result: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(result["pushwoosh"], json!({"answer": "taken"}));
        let url = format!("{}/webhook/NEW00-00001", sandbox.url);
        assert_eq!(result["webhook_url"], json!(url));
        let secret = result["webhook_secret"].as_str().unwrap();
        let event = json!({"type": "identify", "userId": "u1", "traits": {"a": 1}}).to_string();
        sandbox
            .until("the application is known", async |sandbox| {
                let answer = sandbox.webhook_as("NEW00-00001", &event, secret, &event).await;
                (answer.status == 200).then_some(())
            })
            .await;
        assert_eq!(ping(&sandbox, "NEW00-00001", API_KEY).await, 200);
        // Again it is the same; and the application beside it in the map stays.
        let (exit, out, _) = connect(&sandbox, &answers, &["--json"]);
        let result: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((exit, &result["secret"]["written"]), (0, &json!("unchanged")));
        assert_eq!(ping(&sandbox, "NEW00-00002", "other").await, 200);
    }
}

#[tokio::test]
async fn a_refused_key_is_not_written() {
    let sandbox = sandbox("connect-refused", "segment-pushwoosh/{app_code}");
    for (answers, part) in [
        (
            json!({"app": "NEW00-00001", "api_key": "another-key-0123456"}),
            "Pushwoosh refuses the key",
        ),
        (
            json!({"app": "NONE0-00001", "api_key": API_KEY}),
            "Pushwoosh refuses the key or the application",
        ),
        (
            json!({"app": "NEW00-00001", "api_key": API_KEY, "write_key": "another-key-0123456"}),
            "Segment refuses the key",
        ),
    ] {
        let (exit, _, said) = connect(&sandbox, &answers, &[]);
        assert!(exit == 1 && said.contains(part), "{exit} {said}");
    }
    sandbox.faults("pushwoosh", &json!([{"path": "/json/1.3/checkDevice", "status": 503}])).await;
    let answers = json!({"app": "NEW00-00001", "api_key": API_KEY});
    let (exit, _, said) = connect(&sandbox, &answers, &[]);
    assert!(exit == 1 && said.contains("could not be asked"), "{said}");
    let state = sandbox.get("state").await;
    for operation in ["CreateSecret", "PutSecretValue"] {
        assert_eq!(state["aws"]["calls"][operation], Value::Null);
    }
    let (exit, _, said) = connect(&sandbox, &answers, &["--unchecked"]);
    assert_eq!(exit, 0, "{said}");
}

/// One line that says what to do, and no secret is read for it.
#[test]
fn what_cannot_be_used_ends_with_2() {
    let sandbox = sandbox("connect-bad", "segment-pushwoosh/{app_code}");
    for (answers, part) in [
        (json!({"app": "a/b"}), "is no application code"),
        (json!({}), "--app is missing"),
        (json!({"app": 5}), "standard input must be a JSON object"),
        (json!({"app": "A", "api_token": "t"}), "standard input must be a JSON object"),
        (json!({"app": "NEW00-00001"}), "pushwoosh.api_token or segment.write_key is required"),
        (
            json!({"app": "NEW00-00001", "api_key": API_KEY, "pushwoosh_url": "http://example.com"}),
            "must be https",
        ),
        (
            json!({"app": "NEW00-00001", "write_key": WRITE_KEY, "events": "Push Sennt"}),
            "names no known event: Push Sennt; expected some of Email Sent",
        ),
    ] {
        let (exit, out, said) = connect(&sandbox, &answers, &[]);
        assert!(exit == 2 && out.is_empty() && said.contains(part), "{exit} {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let (exit, _, said) =
        command_with(&["connect", "--sandbox", "http://127.0.0.1:1", "--app", "A"], "");
    assert!(exit == 1 && said.contains("no sandbox answers"), "{said}");
}

/// Whoever enters a key in Segment learns whether Pushwoosh takes it; a stranger does not.
#[tokio::test]
async fn a_ping_says_whether_pushwoosh_takes_the_key() {
    let apps = json!({"APP-1": {"pushwoosh": {"api_token": "ours"}, "sandbox": {"api_token": "pushwooshs"}}});
    let sandbox = Sandbox::with_apps("ping-refused", &apps);
    let path = "/integration-segment/v1/ping";
    let answer = sandbox.send_as(reqwest::Method::POST, path, "{}", "APP-1", "ours").await;
    assert_eq!(answer.status, 401);
    assert!(answer.body.contains("Pushwoosh refuses this API key"), "{}", answer.body);
    let answer = sandbox.send_as(reqwest::Method::POST, path, "{}", "APP-1", "pushwooshs").await;
    assert_eq!((answer.status, answer.body.as_str()), (401, r#"{"message":"unauthorized"}"#));
    sandbox.faults("pushwoosh", &json!([{"status": 503}])).await;
    assert_eq!(ping(&sandbox, "APP-1", "ours").await, 200);
}
