//! The runbooks of `docs/OPERATIONS.md`, walked: the fault that an alarm is for, what its runbook says will be found, and the
//! way back. Where an alarm's metric exists in AWS only, [`ONLY_IN_AWS`] says what of it was not walked.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::insights::finds;
use crate::queries::queries;
use crate::sandbox::{HttpResponse, Sandbox};

const OPERATIONS: &str = include_str!("../../docs/OPERATIONS.md");

/// Runbooks that the sandbox has no fault for, and why.
const ONLY_IN_AWS: [(&str, &str); 10] = [
    ("DestinationThrottles", "the quota is the account's"),
    ("SourceThrottles", "the quota is the account's"),
    ("RetryThrottles", "the quota is the account's"),
    ("RetryStopped", "the sandbox's event source mapping cannot be disabled"),
    ("SourceGivenUpLost", "the failure bucket always takes what it is given"),
    ("SourcePolling", "the topic needs no authentication and no network"),
    ("SourceCommits", "the metric is that of provisioned pollers"),
    ("PollersSaturated", "the metric is that of provisioned pollers"),
    ("DestinationQuiet", "nothing is found where nothing came"),
    ("SourceQuiet", "nothing is found where nothing came"),
];

const APP: &str = "DEMO0-00001";

/// A runbook's text.
fn runbook(name: &str) -> &'static str {
    let (_, rest) = OPERATIONS.split_once(&format!("### {name}\n")).unwrap();
    rest.split("\n###").next().unwrap()
}

/// What a saved query finds, which a runbook names.
async fn found(sandbox: &Sandbox, runbook: &str, title: &str) -> Vec<Value> {
    assert!(runbook.replace('\n', " ").contains(&format!("*{title}*")), "{title}: {runbook}");
    let query = &queries()[title];
    let find = async |sandbox: &Sandbox| {
        let logs = sandbox.get("logs").await;
        let found = logs.as_array().unwrap().iter().filter(|line| finds(query, line)).cloned();
        Some(found.collect::<Vec<Value>>()).filter(|found| !found.is_empty())
    };
    sandbox.until(&format!("{title} finds something"), find).await
}

/// How often a metric was written for a function, once it was.
async fn metric(sandbox: &Sandbox, function: &str, name: &str) -> u64 {
    let written = async |sandbox: &Sandbox| {
        sandbox.get("state").await["metrics"][function][name].as_u64().filter(|number| *number > 0)
    };
    sandbox.until(&format!("{function} writes {name}"), written).await
}

fn event() -> Value {
    json!({"events": [{"user_id": "u1", "device_platform": "ios", "name": "E"}]})
}

fn record() -> Value {
    json!({"event_name": "Push Sent", "timestamp": 1_769_860_800, "application_code": APP, "hwid": "d1", "user_id": "u1"})
}

/// Stops a function's process once an upstream has a call of it.
pub(crate) async fn kill_at_work(sandbox: &Sandbox, function: &str, upstream: &str) {
    let called =
        async |sandbox: &Sandbox| (!sandbox.calls(upstream).await.is_empty()).then_some(());
    sandbox.until("the function works", called).await;
    let pid = sandbox.get("state").await["functions"][function]["pid"].to_string();
    std::process::Command::new("kill").args(["-KILL", &pid]).status().unwrap();
}

async fn nothing_waits(sandbox: &Sandbox) {
    let empty = async |sandbox: &Sandbox| {
        (sandbox.get("state").await["queues"]["retry"] == 0).then_some(())
    };
    sandbox.until("nothing is parked", empty).await;
}

#[test]
fn every_runbook_is_walked_or_it_is_said_why_not() {
    let (_, alarms) = OPERATIONS.split_once("## Alarms").unwrap();
    let runbooks: BTreeSet<&str> =
        alarms.split("\n### ").skip(1).map(|text| text.lines().next().unwrap()).collect();
    let walked = include_str!("runbooks.rs").split("= runbook(\"").skip(1);
    let walked = walked
        .map(|rest| rest.split('"').next().unwrap())
        .filter(|name| name.starts_with(char::is_uppercase));
    let named: BTreeSet<&str> = walked.chain(ONLY_IN_AWS.iter().map(|(name, _)| *name)).collect();
    assert_eq!(named, runbooks);
}

#[tokio::test]
async fn a_process_that_dies_is_found_in_the_errors() {
    let sandbox = Sandbox::start();
    sandbox.faults("pushwoosh", &json!([{"hang": true, "times": 1}])).await;
    let event = event();
    let (answer, ()) = tokio::join!(
        sandbox.post("post-events", &event),
        kill_at_work(&sandbox, "destination", "pushwoosh")
    );
    assert_eq!(answer.status, 500);
    let destination_errors = runbook("DestinationErrors");
    let lines = found(&sandbox, destination_errors, "errors").await;
    assert_eq!(lines[0]["record"]["errorType"], "Runtime.ExitError");
    assert!(destination_errors.contains("Runtime.ExitError"));
    assert_eq!(sandbox.post("post-events", &event).await.status, 200, "Segment sends it again");
}

#[tokio::test]
async fn a_retry_that_dies_is_found_in_the_errors_and_its_item_arrives() {
    let sandbox = Sandbox::start();
    sandbox
        .faults("pushwoosh", &json!([{"status": 503, "times": 1}, {"hang": true, "times": 1}]))
        .await;
    let profile = json!({"user_id": "u1", "attributes": {"plan": "gold"}});
    assert_eq!(sandbox.post("track-user", &profile).await.status, 200);
    sandbox.clear("pushwoosh").await;
    kill_at_work(&sandbox, "retry", "pushwoosh").await;
    let retry_errors = runbook("RetryErrors");
    let lines = found(&sandbox, retry_errors, "errors").await;
    assert_eq!(
        (&lines[0]["function"], &lines[0]["record"]["status"]),
        (&json!("retry"), &json!("error"))
    );
    nothing_waits(&sandbox).await;
    assert_eq!(sandbox.calls("pushwoosh").await.last().unwrap()["status"], 200);
}

#[tokio::test]
async fn slow_upstreams_are_found_among_the_slowest_invocations() {
    let sandbox = Sandbox::start();
    let hang = json!([{"hang": true, "times": 1}]);
    // Once for the destination, once for the retry.
    sandbox.faults("pushwoosh", &json!([{"hang": true, "times": 2}])).await;
    sandbox.faults("segment", &hang).await;
    sandbox.produce(&[record()]).await;
    assert_eq!(sandbox.post("post-events", &event()).await.status, 200, "it is parked");
    let slow = |lines: &[Value], function: &str| {
        lines.iter().any(|line| {
            line["function"] == function
                && line["upstream_ms"].as_u64() > Some(line["duration_ms"].as_u64().unwrap() / 2)
        })
    };
    sandbox.topic_read().await;
    let destination_slow = runbook("DestinationSlow");
    let lines = found(&sandbox, destination_slow, "slowest invocations").await;
    assert!(slow(&lines, "destination"), "{lines:?}");
    let source_slow = runbook("SourceSlow");
    let lines = found(&sandbox, source_slow, "slowest invocations").await;
    assert!(slow(&lines, "source"), "{lines:?}");
    let retry_slow = runbook("RetrySlow");
    assert!(retry_slow.contains("Nothing is lost"));
    nothing_waits(&sandbox).await;
    let lines = found(&sandbox, destination_slow, "slowest invocations").await;
    assert!(slow(&lines, "retry"), "{lines:?}");
    assert_eq!(sandbox.outcomes("retry").await["delivered"], 2);
}

#[tokio::test]
async fn without_a_queue_nothing_is_answered_and_the_errors_name_it() {
    let sandbox = Sandbox::with(&["--on-demand"]);
    for upstream in ["pushwoosh", "segment"] {
        sandbox.faults(upstream, &json!([{"status": 503}])).await;
    }
    sandbox.faults("sqs", &json!([{"status": 403, "code": "AccessDeniedException"}])).await;
    assert_eq!(sandbox.post("post-events", &event()).await.status, 503);
    let api_server_errors = runbook("ApiServerErrors");
    let lines = found(&sandbox, api_server_errors, "errors").await;
    let names = |line: &Value| {
        line["queue"] == "retry"
            && line["app.code"] == APP
            && line["error"].as_str().is_some_and(|error| error.contains("allow sqs:SendMessage"))
    };
    assert!(lines.iter().any(names), "{lines:?}");
    let lasting = runbook("ApiServerErrorsLasting");
    assert!(lasting.contains("#apiservererrors"));
    let items_failing = runbook("ItemsFailing");
    assert!(items_failing.contains("missing permission on the queue"));
    assert_eq!(metric(&sandbox, "destination", "ItemsFailed").await, 1);

    sandbox.produce(&[record()]).await;
    metric(&sandbox, "source", "ItemsFailed").await;
    let source_errors = runbook("SourceErrors");
    let lines = found(&sandbox, source_errors, "errors").await;
    assert!(
        lines.iter().any(|line| line["function"] == "source" && line["queue"] == "retry"),
        "{lines:?}"
    );
    // Lambda's runtime and the AWS SDK add no lines of their own.
    let logged = lines.iter().filter(|line| line["level"] == "ERROR");
    for line in logged {
        let is_ours = line["queue"].is_string() || line["message"] == "item";
        assert!(is_ours && line["app.code"] == APP, "{line}");
    }
    let source_lag = runbook("SourceLag");
    assert!(source_lag.contains("#sourceerrors"));
    let lag = |state: &Value| state["topic"]["lag"].as_u64().unwrap();
    assert_eq!(lag(&sandbox.get("state").await), 1, "the batch is sent again");

    let given_up = async |sandbox: &Sandbox| {
        sandbox.get("on-failure").await.as_array().and_then(|objects| objects.first().cloned())
    };
    let object = sandbox.until("the batch is given up", given_up).await;
    let source_given_up = runbook("SourceGivenUp");
    assert!(source_given_up.contains("run -- queue redrive --stack STACK --file OBJECT"));
    for service in ["pushwoosh", "segment", "sqs"] {
        sandbox.faults(service, &json!([])).await;
    }
    let file = format!("{}/given-up.json", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&file, object.to_string()).unwrap();
    let (ok, said) = sandbox.command(&["queue", "redrive", "--file", &file]);
    assert!(ok, "{said}");
    sandbox
        .until("the record is in Segment", async |sandbox| {
            let calls = sandbox.calls("segment").await;
            (calls.last()?["status"] == 200).then_some(())
        })
        .await;
    assert_eq!(sandbox.post("post-events", &event()).await.status, 200);
}

#[tokio::test]
async fn refused_callers_are_found_with_their_application_and_reason() {
    let sandbox = Sandbox::start();
    let path = "/integration-segment/v1/post-events";
    let send = async |application: &str, token: &str, body: &Value| -> HttpResponse {
        sandbox.send_as(Method::POST, path, body.to_string(), application, token).await
    };
    let many = json!({"events": vec![json!({}); 20_001]});
    assert_eq!(send(APP, "wrong", &event()).await.status, 401);
    assert_eq!(send("OTHER-00001", "any", &event()).await.status, 400);
    assert_eq!(send(APP, "demo-token", &many).await.status, 413);
    let api_client_errors = runbook("ApiClientErrors");
    let callers_without_key = runbook("CallersWithoutKey");
    let unknown_applications = runbook("UnknownApplications");
    let oversized_requests = runbook("OversizedRequests");
    for (text, metric_name, reason, application) in [
        (api_client_errors, "DeniedKey", "wrong_key", APP),
        (callers_without_key, "DeniedKey", "wrong_key", APP),
        (unknown_applications, "DeniedUnknown", "unknown_application", "OTHER-00001"),
        (oversized_requests, "DeniedSize", "too_many_items", APP),
    ] {
        assert_eq!(metric(&sandbox, "destination", metric_name).await, 1);
        let lines = found(&sandbox, text, "refused callers").await;
        let is_it = |line: &Value| {
            line["reason"] == reason
                && line["app.code"] == application
                && line["address"] == "127.0.0.1"
        };
        assert!(lines.iter().any(is_it), "{reason}: {lines:?}");
    }
}

#[tokio::test]
async fn callers_from_other_addresses_are_found() {
    let variables = json!({"PWSEG_RETRY_QUEUE_URL": "x", "PWSEG_REJECTS_QUEUE_URL": "x", "PWSEG_DEAD_QUEUE_URL": "x",
        "PWSEG_LEDGER_TABLE": "ledger", "PWSEG_STACK_NAME": "s", "PWSEG_ALLOWED_ADDRESSES": "10.0.0.0/8"});
    let all = json!({"destination": variables, "source": variables, "retry": variables});
    let file = format!("{}/addresses.json", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&file, all.to_string()).unwrap();
    let sandbox = Sandbox::with(&["--environment", &file]);
    assert_eq!(sandbox.post("post-events", &event()).await.status, 403);
    assert_eq!(metric(&sandbox, "destination", "DeniedAddress").await, 1);
    let denied_addresses = runbook("DeniedAddresses");
    let lines = found(&sandbox, denied_addresses, "refused callers").await;
    assert_eq!(
        (&lines[0]["reason"], &lines[0]["address"]),
        (&json!("address"), &json!("127.0.0.1"))
    );
}

#[tokio::test]
async fn what_is_given_up_and_what_is_rejected_is_listed_and_sent_again() {
    let sandbox = Sandbox::with(&["--max-age", "4"]);
    let refusal = json!({"status_code": 210, "status_message": "event E does not exist"});
    sandbox
        .faults(
            "pushwoosh",
            &json!([{"status": 400, "body": refusal, "times": 1}, {"status": 503}]),
        )
        .await;
    for _ in 0..2 {
        assert_eq!(sandbox.post("post-events", &event()).await.status, 200);
    }
    let dead = async |sandbox: &Sandbox| (sandbox.queue("dead").await.len() == 1).then_some(());
    sandbox.until("the item is dead", dead).await;

    let parked_too_long = runbook("ParkedTooLong");
    metric(&sandbox, "retry", "Undelivered").await;
    let lines = found(&sandbox, parked_too_long, "parked by application and cause").await;
    assert!(lines.iter().all(|line| line["app.code"] == APP), "{lines:?}");
    assert_eq!((&lines[0]["cause"], &lines[0]["status"]), (&json!("http_503"), &json!(503)));
    // Also while the circuit is open: redriving by cause finds it.
    let (_, said) = sandbox.command(&["queue", "list", "--queue", "dead", "--cause", "http_503"]);
    assert!(said.contains(APP) && said.contains("http_503"), "{said}");
    assert!(parked_too_long.contains("circuit_open"));
    let dead_letters = runbook("DeadLetters");
    let lines = found(&sandbox, dead_letters, "parked by application and cause").await;
    let expired = lines.iter().find(|line| line["cause"] == "expired").unwrap();
    assert_eq!(expired["last_cause"], "http_503");
    let rejects = runbook("Rejects");
    let lines = found(&sandbox, rejects, "undelivered by application and reason").await;
    assert_eq!(
        (&lines[0]["reason"], &lines[0]["words"]),
        (&json!("refused_by_pushwoosh"), &json!("event E does not exist"))
    );

    sandbox.faults("pushwoosh", &json!([])).await;
    for queue in ["dead", "rejects"] {
        let (ok, said) = sandbox.command(&["queue", "list", "--queue", queue]);
        assert!(ok && said.contains(APP), "{said}");
        let (ok, said) = sandbox.command(&["queue", "redrive", "--queue", queue]);
        assert!(ok, "{said}");
    }
    nothing_waits(&sandbox).await;
    let calls = sandbox.calls("pushwoosh").await;
    assert_eq!(calls.iter().filter(|call| call["status"] == 200).count(), 2);
}

#[tokio::test]
async fn a_ledger_that_is_away_is_found_and_what_waits_waits() {
    let sandbox = Sandbox::start();
    sandbox.faults("dynamodb", &json!([{"status": 400, "code": "AccessDeniedException"}])).await;
    let deletion = json!({"external_id": "u1"});
    assert_eq!(sandbox.post("delete-user", &deletion).await.status, 200);
    let ledger_unavailable = runbook("LedgerUnavailable");
    let lines = found(&sandbox, ledger_unavailable, "errors").await;
    // The metric filter of the alarm.
    let of_ledger = lines
        .iter()
        .find(|line| line["message"].as_str().is_some_and(|text| text.starts_with("DynamoDB")))
        .unwrap();
    assert!(of_ledger["error"].as_str().unwrap().contains("AccessDeniedException"), "{of_ledger}");
    assert_eq!(sandbox.queue("retry").await[0]["body"]["cause"], "ledger_unavailable");
    assert_eq!(sandbox.calls("pushwoosh").await.len(), 0);
    sandbox.faults("dynamodb", &json!([])).await;
    nothing_waits(&sandbox).await;
    assert_eq!(sandbox.calls("pushwoosh").await.len(), 1);
}

#[tokio::test]
async fn refused_keys_and_limits_are_found_with_their_application() {
    let sandbox = Sandbox::start();
    let upstream_unauthorized = runbook("UpstreamUnauthorized");
    let upstream_throttled = runbook("UpstreamThrottled");
    for (text, name, fault) in [
        (upstream_unauthorized, "UpstreamUnauthorized", json!([{"status": 401}])),
        (upstream_throttled, "UpstreamThrottled", json!([{"status": 429}])),
    ] {
        sandbox.faults("pushwoosh", &fault).await;
        assert_eq!(sandbox.post("post-events", &event()).await.status, 200);
        metric(&sandbox, "destination", name).await;
        let lines = found(&sandbox, text, "applications whose calls are refused").await;
        assert!(
            lines.iter().any(|line| line["metric"] == name && line["app.code"] == APP),
            "{lines:?}"
        );
        sandbox.faults("pushwoosh", &json!([])).await;
        nothing_waits(&sandbox).await;
    }
}

#[tokio::test]
async fn tags_that_are_not_saved_are_found_and_created() {
    let sandbox = Sandbox::with_apps(
        "runbook-tags",
        &json!({APP: {"pushwoosh": {"api_token": "demo-token"},
            "sandbox": {"server_token": "server", "tags": {"age": "integer"}}}}),
    );
    let profile = |age: Value| json!({"user_id": "u1", "attributes": {"plan": "gold", "age": age}});
    assert_eq!(sandbox.post("track-user", &profile(json!("old"))).await.status, 200);
    let tags_skipped = runbook("TagsSkipped");
    assert_eq!(metric(&sandbox, "destination", "SkippedTags").await, 2);
    let title = "tags that Pushwoosh does not know";
    let lines = found(&sandbox, tags_skipped, title).await;
    assert!(queries()[title].ends_with("by app.code, tag.name, detail\n| sort profiles desc"));
    for (tag, detail) in [("plan", "Not found"), ("age", "Wrong type")] {
        let line = lines.iter().find(|line| line["tag.name"] == tag).unwrap();
        assert_eq!((&line["app.code"], &line["detail"]), (&json!(APP), &json!(detail)));
        assert!(tags_skipped.contains(&format!("`{detail}`")));
    }
    let doctor = || sandbox.command(&["doctor", "--server-token", "server", "--app", APP]);
    let (_, said) = doctor();
    let call = said.lines().find(|line| line.contains("addTag")).unwrap().trim();
    let mut shell = std::process::Command::new("sh");
    let mended =
        shell.args(["-ec", &format!("{call} -sSf")]).env("PUSHWOOSH_SERVER_TOKEN", "server");
    assert!(mended.output().unwrap().status.success(), "{call}");
    assert_eq!(sandbox.post("track-user", &profile(json!(7))).await.status, 200);
    assert_eq!(metric(&sandbox, "destination", "SkippedTags").await, 2);
}

/// Whoever is woken has the way to look that is nearest.
#[test]
fn the_most_frequent_alarms_say_how_to_look_in_three_ways() {
    for name in [
        "ParkedTooLong",
        "UpstreamUnauthorized",
        "CallersWithoutKey",
        "TagsSkipped",
        "Rejects",
        "ItemsFailing",
    ] {
        let text = runbook(name).replace('\n', " ");
        for step in ["* Query: *", "* Page: *", "* Command: `cargo run -- ", "* Mend: "] {
            assert!(text.contains(step), "{name} has no {step}");
        }
        assert!(queries().keys().any(|title| text.contains(&format!("* Query: *{title}*"))));
    }
}

#[tokio::test]
async fn settings_that_cannot_be_read_or_used_are_found() {
    let sandbox = Sandbox::start();
    assert_eq!(sandbox.post("post-events", &event()).await.status, 200);
    sandbox.faults("secretsmanager", &json!([{"status": 500}])).await;
    let secrets_stale = runbook("SecretsStale");
    assert!(secrets_stale.contains("last known settings"));
    sandbox
        .until("settings are stale", async |sandbox| {
            assert_eq!(sandbox.post("post-events", &event()).await.status, 200);
            sandbox.get("state").await["metrics"]["destination"]["SecretsStale"].as_u64()
        })
        .await;
    sandbox.faults("secretsmanager", &json!([])).await;

    let secret = json!({"pushwoosh": {"api_token": 5}}).to_string();
    sandbox.send(Method::PUT, "/_sandbox/secrets/WRONG-00001", secret).await;
    let path = "/integration-segment/v1/post-events";
    let send = async || {
        sandbox.send_as(Method::POST, path, event().to_string(), "WRONG-00001", "new-token").await
    };
    sandbox
        .until("the secret is read", async |sandbox| {
            assert_eq!(send().await.status, 503);
            sandbox.get("state").await["metrics"]["destination"]["SecretsUnusable"].as_u64()
        })
        .await;
    let secrets_unusable = runbook("SecretsUnusable");
    let message = "the application's secret cannot be used: correct it";
    assert!(secrets_unusable.contains(message));
    let lines = sandbox.get("logs").await;
    let line = lines.as_array().unwrap().iter().find(|line| line["message"] == message).unwrap();
    assert_eq!(line["app.code"], "WRONG-00001");
    assert!(finds(&queries()["settings that cannot be used"], line));
    let secret = json!({"pushwoosh": {"api_token": "new-token"}}).to_string();
    sandbox.send(Method::PUT, "/_sandbox/secrets/WRONG-00001", secret).await;
    sandbox
        .until("the corrected secret is used", async |_| (send().await.status == 200).then_some(()))
        .await;
}
