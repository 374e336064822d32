//! Who gets what from a running sandbox: no other web page, and no reader of logs.

use platform::telemetry::hashed_with;
use reqwest::header::{HOST, HeaderValue, ORIGIN};
use serde_json::{Value, json};

use crate::sandbox::{Sandbox, root};

/// What a request with this header gets: status and body.
async fn get(url: &str, name: reqwest::header::HeaderName, value: &str) -> (u16, String) {
    let value = HeaderValue::from_str(value).unwrap();
    let response = reqwest::Client::new().get(url).header(name, value).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn another_web_page_gets_nothing_from_the_sandbox() {
    let sandbox = Sandbox::with(&["--host", "sandbox.test"]);
    let state = sandbox.get("state").await;
    let calls = format!("{}/_sandbox/upstream/pushwoosh", sandbox.url);
    // The stand-ins hold the same keys.
    let aws = state["aws"]["endpoint"].as_str().unwrap().to_owned();
    let pushwoosh = state["upstream"]["pushwoosh"].as_str().unwrap().to_owned();
    for url in [&calls, &aws, &pushwoosh] {
        let (status, body) = get(url, HOST, "example.com").await;
        assert!(status == 403 && body.contains("--host example.com"), "{url}: {body}");
        let (status, body) = get(url, ORIGIN, "http://example.com").await;
        assert!(status == 403 && body.contains("a page of http://example.com"), "{url}: {body}");
    }
    assert_eq!(get(&calls, HOST, "sandbox.test:8787").await.0, 200);
    assert_eq!(get(&calls, ORIGIN, &sandbox.url).await.0, 200);
    let page = reqwest::get(&sandbox.url).await.unwrap();
    assert!(page.headers().contains_key("content-security-policy"));
}

/// At TRACE the Lambda runtime prints whole events, and the HTTP stack whole requests.
#[tokio::test]
async fn at_the_lowest_level_logs_hold_no_key_and_no_id() {
    const SALT: &str = "arn:aws:cloudformation:eu-central-1:123456789012:stack/s/1";
    let variables = json!({
        "AWS_LAMBDA_LOG_LEVEL": "TRACE", "PWSEG_LOG_SALT": SALT, "PWSEG_RETRY_QUEUE_URL": "",
        "PWSEG_REJECTS_QUEUE_URL": "", "PWSEG_DEAD_QUEUE_URL": "", "PWSEG_LEDGER_TABLE": "",
    });
    let file = root().join(env!("CARGO_TARGET_TMPDIR")).join("trace.json");
    let environment = json!({"destination": variables, "source": variables, "retry": variables});
    std::fs::write(&file, environment.to_string()).unwrap();
    let sandbox = Sandbox::with(&["--environment", file.to_str().unwrap()]);
    let profile = json!({"user_id": "person-1", "attributes": {"plan": "secret-plan"}});
    assert_eq!(sandbox.post("track-user", &profile).await.status, 200);
    let nameless = json!({"user_id": "person-1", "device_platform": "ios"});
    sandbox.post("post-events", &json!({"events": [nameless, nameless]})).await;
    let hash = hashed_with(SALT, "person-1");
    let logs = sandbox
        .until("the second invocation is logged", async |sandbox| {
            let logs = sandbox.get("logs").await;
            let ended = |line: &&Value| line["message"] == "invocation";
            (logs.as_array()?.iter().filter(ended).count() >= 2).then_some(logs)
        })
        .await
        .to_string();
    assert!(logs.contains(&hash), "{hash}: {logs}");
    for secret in ["demo-token", "person-1", "secret-plan"] {
        assert!(!logs.contains(secret), "{secret}");
    }
}
