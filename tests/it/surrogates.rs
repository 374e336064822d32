//! Text that was cut within an emoji: half a surrogate pair in JSON.

use reqwest::Method;
use serde_json::{Value, json};

use crate::sandbox::{Sandbox, command};

/// A cut text as it stands in JSON.
const CUT: &str = r"cut \ud83d";

/// What is read of it.
const READ: &str = "cut \u{FFFD}";

#[tokio::test]
async fn half_a_surrogate_pair_costs_no_item_on_any_route() {
    let sandbox = Sandbox::start();
    let post = async |action: &str, body: String| {
        let path = format!("/integration-segment/v1/{action}");
        let answer = sandbox.send(Method::POST, &path, body).await;
        assert_eq!(answer.status, 200, "{action}: {}", answer.body);
    };
    post("track-user", format!(r#"{{"user_id":"u1","attributes":{{"plan":"{CUT}"}}}}"#)).await;
    let event =
        |name: &str| format!(r#"{{"user_id":"u1","device_platform":"ios","name":"{name}"}}"#);
    post("post-events", format!(r#"{{"events":[{},{}]}}"#, event(CUT), event("whole"))).await;
    post("delete-user", format!(r#"{{"external_id":"{CUT}"}}"#)).await;
    let raw = format!(
        r#"{{"type":"identify","messageId":"m","userId":"u2","traits":{{"plan":"{CUT}"}}}}"#
    );
    assert_eq!(sandbox.webhook(&raw, "demo-secret", &raw).await.status, 200);
    let record = format!(
        r#"{{"event_name":"Push Sent","timestamp":1769860800,"application_code":"DEMO0-00001","hwid":"H","campaign_code":"{CUT}"}}"#
    );
    sandbox.produce_raw(record).await;
    sandbox.topic_read().await;

    assert_eq!(sandbox.outcomes("destination").await, json!({"delivered": 5}));
    assert_eq!(sandbox.outcomes("source").await, json!({"delivered": 1}));
    let pushwoosh = json!(sandbox.calls("pushwoosh").await).to_string();
    assert_eq!(pushwoosh.matches(READ).count(), 4, "{pushwoosh}");
    let segment = sandbox.calls("segment").await;
    assert_eq!(segment[0]["body"]["batch"][0]["properties"]["campaign_code"], READ);
}

/// Names may be cut as well as values: those of tags, of properties, and of unknown fields.
#[tokio::test]
async fn half_a_surrogate_pair_in_a_name_costs_no_item_on_any_route() {
    let sandbox = Sandbox::start();
    let post = async |action: &str, body: String| {
        let path = format!("/integration-segment/v1/{action}");
        let answer = sandbox.send(Method::POST, &path, body).await;
        assert_eq!(answer.status, 200, "{action}: {}", answer.body);
    };
    post("track-user", format!(r#"{{"{CUT}":1,"user_id":"u1","attributes":{{"{CUT}":"a"}}}}"#))
        .await;
    let event = format!(
        r#"{{"{CUT}":1,"user_id":"u1","device_platform":"ios","name":"E","attributes":{{"{CUT}":1}}}}"#
    );
    post("post-events", format!(r#"{{"{CUT}":1,"events":[{event}]}}"#)).await;
    post("post-events", format!(r#"{{"events":[{event}],"{CUT}":[1]}}"#)).await;
    post("delete-user", format!(r#"{{"{CUT}":1,"external_id":"u3"}}"#)).await;
    let raw = |id: &str| {
        format!(
            r#"{{"{CUT}":1,"type":"identify","messageId":"{id}","userId":"u2","traits":{{"{CUT}":"a"}}}}"#
        )
    };
    for raw in [raw("m1"), format!("[{},{}]", raw("m2"), raw("m3"))] {
        assert_eq!(sandbox.webhook(&raw, "demo-secret", &raw).await.status, 200);
    }
    let record = format!(
        r#"{{"{CUT}":1,"event_name":"Push Sent","timestamp":1769860800,"application_code":"DEMO0-00001","hwid":"H"}}"#
    );
    sandbox.produce_raw(record).await;
    sandbox.topic_read().await;

    assert_eq!(sandbox.outcomes("destination").await, json!({"delivered": 7}));
    assert_eq!(sandbox.outcomes("source").await, json!({"delivered": 1}));
}

#[test]
fn such_text_is_explained() {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("explain-cut.json");
    std::fs::write(&file, format!(r#"{{"user_id":"u","attributes":{{"a":"{CUT}"}}}}"#)).unwrap();
    let (ok, json) = command(&["explain", "--json", file.to_str().unwrap()]);
    let explained: Value = serde_json::from_str(&json).unwrap();
    assert!(ok);
    assert_eq!(explained["calls"][0]["body"]["request"]["tags"]["a"], READ);
}
