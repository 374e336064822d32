//! The saved queries of `deploy/observability.yaml` find what an operator looks for.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};

use crate::insights::{field, finds};
use crate::runbooks::kill_at_work;
use crate::sandbox::Sandbox;

/// The saved queries by their titles.
pub(crate) fn queries() -> BTreeMap<&'static str, String> {
    let template = include_str!("../../deploy/observability.yaml");
    let queries = template.split("      Title: ").skip(1).map(|query| {
        let (title, query) = query.split_once("\n      QueryString: |\n").unwrap();
        let lines = query.lines().take_while(|line| line.starts_with("        "));
        (title, lines.map(str::trim).collect::<Vec<_>>().join("\n"))
    });
    queries.collect()
}

/// The names in the saved queries, but for what Logs Insights has itself and for words of its language.
fn names() -> BTreeSet<String> {
    const WORDS: [&str; 33] = [
        "fields",
        "filter",
        "sort",
        "stats",
        "limit",
        "desc",
        "by",
        "as",
        "and",
        "in",
        "like",
        "count",
        "max",
        "ispresent",
        "items",
        "invocations",
        "last",
        "profiles",
        "invocation",
        "secret",
        "timestamp",
        "message",
        "level",
        "error",
        "sum",
        "lines",
        "left_out",
        "or",
        "count_distinct",
        "latest",
        "most_attempts",
        "last_words",
        "requests",
    ];
    let mut names = BTreeSet::new();
    for query in queries().values() {
        for line in query.lines().filter(|line| !line.starts_with('#')) {
            // What is in quotes is a value.
            let code: String = line.split('"').step_by(2).collect();
            let words = code.split(|c: char| !(c.is_alphanumeric() || "@._".contains(c)));
            let found =
                words.filter(|word| word.starts_with(char::is_alphabetic) && !WORDS.contains(word));
            names.extend(found.map(str::to_owned));
        }
    }
    names
}

#[tokio::test]
async fn the_saved_queries_name_fields_that_logs_have() {
    let names = names();
    assert!(names.contains("user") && names.contains("metric"), "{names:?}");
    let sandbox = Sandbox::with_apps(
        "queries",
        &json!({"DEMO0-00001": {"pushwoosh": {"api_token": "demo-token"}, "segment": {"write_key": "demo-write-key"}, "sandbox": {"unknown_tags": ["unknown"]}}}),
    );
    let event = |name: &str| json!({"user_id": "u1", "device_id": "d1", "device_platform": "ios", "name": name});
    let profile = json!({"user_id": "u1", "attributes": {"a": 1}});
    sandbox.post("track-user", &json!({"user_id": "u1", "attributes": {"unknown": 1}})).await;
    sandbox.post("post-events", &json!({"events": [{"user_id": "u1", "name": "E"}]})).await;
    let ping = "/integration-segment/v1/ping";
    sandbox.send_as(Method::POST, ping, "", "DEMO0-00001", "wrong").await;
    sandbox
        .send_as(Method::POST, "/integration-segment/v1/track-user", "", "DEMO0-00001", "wrong")
        .await;
    let refusal = json!({"status_code": 210, "status_message": "event Purchase does not exist"});
    sandbox
        .faults(
            "pushwoosh",
            &json!([
                {"path": "/json/1.3/postEvent", "status": 400, "body": refusal, "times": 1},
                {"path": "/json/1.3/setTags", "status": 429, "times": 1},
            ]),
        )
        .await;
    sandbox.post("post-events", &json!({"events": [event("Purchase")]})).await;
    sandbox
        .faults("sqs", &json!([{"status": 403, "code": "AccessDeniedException", "times": 2}]))
        .await;
    sandbox.post("track-user", &profile).await;
    let record = |application: &str| {
        json!({"event_name": "Push Sent", "timestamp": 1_769_860_800,
        "application_code": application, "hwid": "d1", "user_id": "u1"})
    };
    sandbox.produce(&[record("DEMO0-00001"), record("OTHER-00001")]).await;
    let secret = json!({"pushwoosh": 5}).to_string();
    sandbox.send(Method::PUT, "/_sandbox/secrets/WRONG-00001", secret).await;
    let body = profile.to_string();
    let path = "/integration-segment/v1/track-user";
    sandbox.send_as(Method::POST, path, body, "WRONG-00001", "token").await;
    sandbox.faults("pushwoosh", &json!([{"hang": true, "times": 1}])).await;
    sandbox.clear("pushwoosh").await;
    let last = json!({"events": [event("E")]});
    tokio::join!(
        sandbox.post("post-events", &last),
        kill_at_work(&sandbox, "destination", "pushwoosh")
    );
    sandbox
        .until("every field is logged", async |sandbox| {
            let logs = sandbox.get("logs").await;
            let lines = logs.as_array().unwrap();
            let missing =
                names.iter().find(|name| !lines.iter().any(|line| field(line, name).is_some()));
            missing.is_none().then_some(())
        })
        .await;
    let logs = sandbox.get("logs").await;
    let refused =
        logs.as_array().unwrap().iter().find(|line| line["metric"] == "UpstreamThrottled");
    assert_eq!(refused.unwrap()["app.code"], "DEMO0-00001");
    let of_queue = logs.as_array().unwrap().iter().find(|line| line["queue"] == "retry").unwrap();
    assert_eq!(of_queue["app.code"], "DEMO0-00001");
    let error = of_queue["error"].as_str().unwrap();
    let expected = "AccessDeniedException: allow sqs:SendMessage";
    assert!(error.starts_with(expected) && !error.contains('\n'), "{error}");
    let refused =
        logs.as_array().unwrap().iter().find(|line| line["reason"] == "refused_by_pushwoosh");
    assert_eq!(refused.unwrap()["words"], "event Purchase does not exist");
    each_query_finds_its_lines(logs.as_array().unwrap());
}

/// What each saved query finds among real lines: at least one, and nothing else than it is for.
fn each_query_finds_its_lines(logs: &[Value]) {
    let about_user = |line: &&Value| line["user"].is_string();
    let user = logs.iter().find(about_user).unwrap()["user"].as_str().unwrap().to_owned();
    // The sandbox writes a line for each item, so that none is left out.
    let further = json!({"message": "further items", "items": 3, "reasons": "{}"});
    let logs: Vec<&Value> = logs.iter().chain([&further]).collect();
    for (title, query) in queries() {
        let query = query.replace("0123456789abcdef", &user);
        let found: Vec<&&Value> = logs.iter().filter(|line| finds(&query, line)).collect();
        assert!(!found.is_empty(), "{title} finds nothing");
        let is_for = |line: &Value| match title {
            "one user in both directions" => line["user"] == *user || line["device"] == *user,
            "undelivered by application and reason" => {
                ["rejected", "disregarded", "failed"].contains(&line["outcome"].as_str().unwrap())
            }
            "parked by application and cause" => line["outcome"] == "parked",
            "items without a line of their own" => line["message"] == "further items",
            "applications whose calls are refused" => line["metric"] == "UpstreamThrottled",
            "refused callers" => line["status"].as_u64() >= Some(400),
            // In whole, or an entry of them that is ignored.
            "settings that cannot be used" => {
                line["app.code"] == "WRONG-00001" || line["detail"].is_string()
            }
            "tags that Pushwoosh does not know" => line["tag.name"] == "unknown",
            "slowest invocations" => line["duration_ms"].is_number(),
            "errors" => line["level"] == "ERROR" || line["record"]["status"] == "error",
            _ => panic!("{title}: say here what it is for"),
        };
        for line in found {
            assert!(is_for(line), "{title} finds {line}");
        }
    }
}
