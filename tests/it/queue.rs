//! The queues by the command: looked at, sent again, edited, discarded.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;

use serde_json::{Value, json};

use crate::sandbox::{Sandbox, command_with};

fn refused() -> Value {
    json!([{"status": 400, "body": {"status_code": 210, "status_message": "event not found"}, "times": 1}])
}

#[tokio::test]
async fn a_reject_is_shown_and_then_delivered() {
    let sandbox = Sandbox::start();
    sandbox.faults("pushwoosh", &refused()).await;
    let event =
        json!({"user_id": "u1", "device_platform": "ios", "name": "E", "timestamp": 1_767_323_045});
    assert_eq!(sandbox.post("post-events", &json!({"events": [event]})).await.status, 200);
    sandbox.produce_raw("not json").await;
    sandbox.topic_read().await;
    let rejects = sandbox.queue("rejects").await;
    assert_eq!(rejects.len(), 2);
    let reject = rejects.iter().find(|reject| reject["body"]["kind"] == "event").unwrap();
    assert_eq!(reject["body"]["reason"], "refused_by_pushwoosh");
    assert!(reject["body"]["message"].as_str().unwrap().contains("210"));

    let (ok, shown) = sandbox.command(&["queue", "redrive", "--dry-run"]);
    assert!(ok && shown.contains("DEMO0-00001 /json/1.3/postEvent"), "{shown}");
    assert!(shown.contains("stays, not_json"), "{shown}");
    assert_eq!(
        (sandbox.queue("rejects").await.len(), sandbox.calls("pushwoosh").await.len()),
        (2, 1)
    );

    assert!(sandbox.command(&["queue", "redrive"]).0);
    sandbox
        .until("the event is delivered", async |sandbox| {
            (sandbox.calls("pushwoosh").await.len() == 2).then_some(())
        })
        .await;
    let calls = sandbox.calls("pushwoosh").await;
    assert_eq!(calls[1]["body"], calls[0]["body"]);
    assert_eq!(sandbox.queue("rejects").await.len(), 1);
}

/// Its second way is a new one: an event is sent once per id.
#[tokio::test]
async fn an_item_that_is_refused_again_can_be_redriven_again() {
    let sandbox = Sandbox::start();
    let refused = json!([{"status": 400, "body": {"status_code": 210}, "times": 2}]);
    sandbox.faults("pushwoosh", &refused).await;
    let event = json!({"user_id": "u1", "device_platform": "ios", "name": "E"});
    assert_eq!(sandbox.post("post-events", &json!({"events": [event]})).await.status, 200);
    for calls in [2, 3] {
        assert!(sandbox.command(&["queue", "redrive"]).0);
        sandbox
            .until("it is tried", async |sandbox| {
                let rejects = sandbox.queue("rejects").await.len();
                (sandbox.calls("pushwoosh").await.len() == calls && rejects == 3 - calls)
                    .then_some(())
            })
            .await;
    }
    assert_eq!(sandbox.calls("pushwoosh").await[2]["status"], 200);
}

#[tokio::test]
async fn what_came_before_a_deletion_is_not_sent_after_it() {
    let sandbox = Sandbox::start();
    sandbox.faults("pushwoosh", &refused()).await;
    let event = json!({"user_id": "u1", "device_platform": "ios", "name": "E"});
    assert_eq!(sandbox.post("post-events", &json!({"events": [event]})).await.status, 200);
    let deletion = json!({"external_id": "u1"});
    assert_eq!(sandbox.post("delete-user", &deletion).await.status, 200);
    assert!(sandbox.command(&["queue", "redrive"]).0);
    sandbox
        .until("it is dropped", async |sandbox| {
            let outcomes = &sandbox.get("state").await["outcomes"]["retry"];
            (*outcomes == json!({"disregarded": 1})).then_some(())
        })
        .await;
    assert_eq!(sandbox.calls("pushwoosh").await.len(), 2, "the refused event and the deletion");
}

#[tokio::test]
async fn a_record_that_is_too_large_for_the_queue_is_kept_cut_and_not_sent_again() {
    let sandbox = Sandbox::start();
    let mut noise = 1_u32;
    let random = std::iter::repeat_with(|| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from_digit((noise >> 16) % 36, 36).unwrap()
    });
    let poison: String = random.take(1_000_000).collect();
    sandbox.produce_raw(format!("{poison}\n")).await;
    sandbox.produce(&[json!({"event_name": "Push Sent", "timestamp": 1, "application_code": "DEMO0-00001", "hwid": "H1"})]).await;
    sandbox.topic_read().await;
    assert_eq!(sandbox.calls("segment").await.len(), 1, "the partition goes on");
    assert_eq!(sandbox.outcomes("source").await, json!({"delivered": 1, "rejected": 1}));
    let (ok, shown) = sandbox.command(&["queue", "redrive"]);
    assert!(ok && shown.contains("of its 1000000 bytes were kept"), "{shown}");
    assert_eq!(sandbox.queue("rejects").await.len(), 1);
}

#[tokio::test]
async fn a_batch_of_the_failure_bucket_is_sent_from_its_file_with_the_same_ids() {
    let sandbox = Sandbox::start();
    let record = json!({"event_name": "Push Sent", "timestamp": 1_769_860_800, "application_code": "DEMO0-00001",
                        "message_code": "M", "hwid": "H1", "platform": 1});
    sandbox.produce(&[record]).await;
    let ids = async || {
        let calls = sandbox.calls("segment").await;
        calls.iter().map(|call| call["body"]["batch"][0]["messageId"].clone()).collect::<Vec<_>>()
    };
    sandbox.topic_read().await;
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../events/source/on-failure.json");
    let (ok, shown) = sandbox.command(&["queue", "redrive", "--file", file]);
    assert!(ok && shown.contains("channels-tracking-log-0-7: DEMO0-00001 /v1/batch"), "{shown}");
    assert!(shown.contains("channels-tracking-log-0-8: not sent"), "{shown}");
    sandbox
        .until("the record is sent again", async |_| (ids().await.len() == 2).then_some(()))
        .await;
    let ids = ids().await;
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn a_dead_letter_comes_back_by_the_command_and_by_the_queues_own_redrive() {
    futures::future::join(dead_letter_comes_back(true), dead_letter_comes_back(false)).await;
}

async fn dead_letter_comes_back(by_command: bool) {
    let sandbox = Sandbox::with(&["--max-age", "2"]);
    sandbox.faults("pushwoosh", &json!([{"status": 503}])).await;
    let identify = json!({"user_id": "u1", "attributes": {"a": 1}});
    sandbox.post("track-user", &identify).await;
    sandbox
        .until("it is dead", async |sandbox| (sandbox.queue("dead").await.len() == 1).then_some(()))
        .await;
    sandbox.faults("pushwoosh", &json!([])).await;
    if by_command {
        let (ok, shown) = sandbox.command(&["queue", "redrive", "--queue", "dead"]);
        assert!(ok && shown.contains("DEMO0-00001 /json/1.3/setTags"), "{shown}");
    } else {
        sandbox.send(reqwest::Method::POST, "/_sandbox/queues/dead/redrive", "").await;
    }
    sandbox
        .until("it is delivered", async |sandbox| {
            let calls = sandbox.calls("pushwoosh").await;
            calls.iter().any(|call| call["status"] == 200).then_some(())
        })
        .await;
}

/// Three rejects: an event that Pushwoosh refused, one without a name, and a record that is not JSON.
async fn with_rejects() -> Sandbox {
    let sandbox = Sandbox::start();
    sandbox.faults("pushwoosh", &refused()).await;
    let event =
        |user: &str, name: &str| json!({"user_id": user, "device_platform": "ios", "name": name});
    let events = json!({"events": [event("u1", "Purchase"), event("u2", "")]});
    assert_eq!(sandbox.post("post-events", &events).await.status, 200);
    sandbox.produce_raw("not json").await;
    sandbox.topic_read().await;
    assert_eq!(sandbox.queue("rejects").await.len(), 3);
    sandbox
}

fn listed(sandbox: &Sandbox, flags: &[&str]) -> Vec<Value> {
    let (ok, shown) = sandbox.command(&[&["queue", "list", "--json"], flags].concat());
    assert!(ok, "{shown}");
    serde_json::from_str(&shown).unwrap()
}

#[tokio::test]
async fn messages_are_found_by_what_is_known_of_them() {
    let sandbox = with_rejects().await;
    assert_eq!(listed(&sandbox, &[]).len(), 3);
    for (flags, reason) in [
        (["--reason", "refused_by_pushwoosh"], "refused_by_pushwoosh"),
        (["--user", "u2"], "no_event_name"),
        (["--origin", "channels-tracking-log-0-0"], "not_json"),
    ] {
        let found =
            listed(&sandbox, &[&flags[..], &["--queue", "rejects", "--since", "1h"]].concat());
        let reasons: Vec<_> = found.iter().map(|one| one["reason"].as_str().unwrap()).collect();
        assert_eq!(reasons, [reason]);
    }
    let of_app = listed(&sandbox, &["--app", "DEMO0-00001", "--queue", "rejects"]);
    assert_eq!(of_app.len(), 2, "what is not JSON names no application");
    assert_eq!(
        listed(&sandbox, &["--since", "2100-01-01T00:00:00Z", "--queue", "rejects"]).len(),
        0
    );
    // The log's hash finds the item too: a sandbox has no salt.
    let hash = platform::telemetry::hashed_with("", "u1");
    let [refused] = listed(&sandbox, &["--user", &hash, "--queue", "rejects"]).try_into().unwrap();
    assert_eq!(
        (&refused["name"], &refused["words"]),
        (&json!("Purchase"), &json!("event not found"))
    );
    assert_eq!((&refused["status"], &refused["attempts"]), (&json!(400), &json!(1)));

    let (ok, shown) = sandbox.command(&["queue", "list", "--queue", "rejects"]);
    assert!(ok && shown.contains("\"Purchase\" HTTP 400 1 attempt: event not found"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "colours are for terminals");
    let origin = refused["origin"].as_str().unwrap();
    let (ok, shown) = sandbox.command(&["queue", "show", origin]);
    assert!(ok && shown.contains("what to do: Read Pushwoosh's answer"), "{shown}");
    assert!(
        shown.contains(r#"{"user_id":"u1","device_platform":"ios","name":"Purchase"}"#),
        "{shown}"
    );
    assert!(!sandbox.command(&["queue", "show", "nothing"]).0);
    assert_eq!(sandbox.queue("rejects").await.len(), 3, "looking changes nothing");
}

#[tokio::test]
async fn what_is_meant_is_discarded_and_deletions_stay() {
    let sandbox = with_rejects().await;
    assert!(!sandbox.command(&["queue", "discard", "--queue", "rejects"]).0, "it needs a filter");
    let discard = |more: &[&str]| {
        let flags = ["queue", "discard", "--queue", "rejects", "--json"];
        let (ok, shown) = sandbox.command(&[&flags, more].concat());
        assert!(ok, "{shown}");
        serde_json::from_str::<Value>(&shown).unwrap()
    };
    let shown = discard(&["--reason", "not_json", "--dry-run"]);
    assert_eq!(
        (shown["discarded"].as_array().unwrap().len(), &shown["dry_run"]),
        (1, &json!(true))
    );
    assert_eq!(sandbox.queue("rejects").await.len(), 3);
    discard(&["--reason", "not_json"]);
    assert_eq!(sandbox.queue("rejects").await.len(), 2);
    sandbox.faults("pushwoosh", &refused()).await;
    sandbox.post("delete-user", &json!({"external_id": "u9"})).await;
    let shown = discard(&["--all"]);
    assert_eq!(
        (shown["discarded"].as_array().unwrap().len(), &shown["deletions_kept"]),
        (2, &json!(1))
    );
    assert_eq!(sandbox.queue("rejects").await.len(), 1);
}

#[tokio::test]
async fn a_reject_is_sent_as_the_editor_leaves_it() {
    let sandbox = with_rejects().await;
    let editor = |script: &str| format!("sed -i '{script}'");
    let redrive = |flags: &[&str], script: &str| {
        let editor = editor(script);
        let all = [&["queue", "redrive", "--edit", "--editor", &editor], flags].concat();
        sandbox.command(&all)
    };
    assert!(!redrive(&[], "").0, "three rejects are meant");
    let user = ["--user", "u2"];
    assert!(!redrive(&user, "s/ios/nonsense/").0, "it still cannot be sent");
    assert_eq!(sandbox.queue("rejects").await.len(), 3);
    let (ok, shown) = redrive(&user, "s/\"name\":\"\"/\"name\":\"Mended\"/");
    assert!(ok && shown.contains(r#""event":"Mended""#), "{shown}");
    sandbox
        .until("it is delivered", async |sandbox| {
            let calls = sandbox.calls("pushwoosh").await;
            calls.iter().any(|call| call["body"]["request"]["event"] == "Mended").then_some(())
        })
        .await;
    assert_eq!(sandbox.queue("rejects").await.len(), 2);
}

/// Several applications share a secret whose name a flag of the sandbox gave.
#[tokio::test]
async fn raw_events_are_redriven_where_the_sandbox_has_its_own_name_of_secrets() {
    let file = format!("{}/queue-shard.json", env!("CARGO_TARGET_TMPDIR"));
    let mapping = json!({"external_id": {"@path": "$.userId"}, "device_platform": "web",
        "name": {"@path": "$.event"}, "timestamp": {"@path": "$.timestamp"}});
    let apps = json!({"ABCDE-00002": {
        "pushwoosh": {"api_token": "key"},
        "webhook": {"shared_secret": "secret"},
        "mappings": [{"subscribe": "type = \"track\"", "action": "trackEvent", "mapping": mapping}],
    }});
    std::fs::write(&file, apps.to_string()).unwrap();
    let flags = ["--apps", &file, "--secret-id", "segment-pushwoosh/{app_code:2}"];
    let sandbox = Sandbox::with(&flags);
    let event = json!([{"type": "track", "userId": "u1", "event": "", "timestamp": "2026-01-02T03:04:05Z"}]);
    let event = event.to_string();
    sandbox.webhook_as("ABCDE-00002", &event, "secret", &event).await;
    assert_eq!(sandbox.queue("rejects").await.len(), 1);
    let (ok, shown) = sandbox.command(&["queue", "redrive", "--dry-run"]);
    assert!(ok && shown.contains("stays, no_event_name"), "{shown}");
    let editor = r#"sed -i 's/"event":""/"event":"Mended"/'"#;
    let (ok, shown) = sandbox.command(&["queue", "redrive", "--edit", "--editor", editor]);
    assert!(ok && shown.contains(r#""event":"Mended""#), "{shown}");
}

/// Bad input gets one line that says what to do.
#[test]
fn what_cannot_be_meant_is_refused_in_one_line() {
    for (flags, exit, part) in [
        (vec!["redrive", "--queue", "retry"], 2, "is tried by itself"),
        (vec!["redrive", "--queue", "dead", "--mapping", "m.json"], 2, "leave --queue out"),
        (vec!["redrive", "--queue", "dead", "--edit"], 2, "leave --queue out"),
        (vec!["redrive", "--queue", "rejects", "--file", "f"], 2, "leave --queue out"),
        (vec!["redrive", "--reason", "not_json", "--file", "f"], 2, "have no reason"),
        (vec!["redrive", "--queue", "dead", "--reason", "not_json"], 2, "choose with --cause"),
        (vec!["redrive", "--cause", "timeout"], 2, "choose with --reason"),
        (vec!["list", "--queue", "dead", "--reason", "not_json"], 2, "choose with --cause"),
        (
            vec!["list", "--cause", "timeout", "--reason", "not_json"],
            2,
            "both a reason and a cause",
        ),
        (vec!["discard", "--queue", "dead"], 2, "or --all"),
        (vec!["list", "--app", "bad!"], 2, "is no application code"),
        (vec!["list", "--sandbox", "notaurl"], 2, "is no URL"),
        (vec!["list", "--sandbox", "http://127.0.0.1:1"], 1, "start one with `cargo run`"),
        (vec!["list", "--reason", "nonsense"], 2, "mapping_failed"),
        (vec!["list", "--since", "yesterday"], 2, "such as 30m"),
    ] {
        let (found, out, said) = command_with(&[&["queue"], &flags[..]].concat(), "");
        assert!(
            found == exit && out.is_empty() && said.contains(part),
            "{flags:?}: {found} {said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.matches("127.0.0.1:1").count() < 2, "{said}");
    }
}

/// What is wrong with the flags of a redrive ends with 2, as wrong flags do.
#[tokio::test]
async fn files_and_filters_of_a_redrive_are_checked() {
    let sandbox = with_rejects().await;
    let redrive = |flags: &[&str]| {
        command_with(&[&["queue", "redrive", "--sandbox", &sandbox.url], flags].concat(), "")
    };
    let broken = format!("{}/broken-mapping.json", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&broken, "{").unwrap();
    for (flags, part) in [
        (vec!["--mapping", &broken], "is not JSON"),
        (vec!["--file", &broken], "is not JSON"),
        (vec!["--edit"], "3 are meant: name it with --origin"),
        (vec!["--track-properties", "nonsense"], "comma-separated list"),
    ] {
        let (exit, _, said) = redrive(&flags);
        assert!(exit == 2 && said.contains(part), "{flags:?}: {exit} {said}");
    }
    let batch = concat!(env!("CARGO_MANIFEST_DIR"), "/../events/source/on-failure.json");
    for (flags, part) in [
        (["--origin", "channels-tracking-log-0-7"], "1 would be sent again, 0 cannot"),
        (["--app", "OTHER-00001"], "0 would be sent again, 0 cannot"),
        (["--user", "nobody"], "0 would be sent again, 0 cannot"),
    ] {
        let (exit, _, said) = redrive(&[&["--file", batch, "--dry-run"], &flags[..]].concat());
        assert!(exit == 0 && said.contains(part), "{flags:?}: {exit} {said}");
    }
}

/// Secrets Manager shows an application to nobody without the permission: that is not the same as having none.
#[tokio::test]
async fn a_secret_that_may_not_be_read_is_not_said_to_be_missing() {
    let sandbox = Sandbox::start();
    let event = json!([{"type": "track", "userId": "u1", "event": "", "timestamp": "2026-01-02T03:04:05Z"}]);
    let event = event.to_string();
    sandbox.webhook(&event, "demo-secret", &event).await;
    let denied = json!([{"status": 400, "code": "AccessDeniedException"}]);
    sandbox.faults("secretsmanager", &denied).await;
    let (_, out, _) =
        command_with(&["queue", "redrive", "--dry-run", "--sandbox", &sandbox.url], "");
    let (exit, _, said) = command_with(&["doctor", "--sandbox", &sandbox.url], "");
    assert_eq!(exit, 1);
    for text in [out, said] {
        assert!(text.contains("allow secretsmanager:GetSecretValue"), "{text}");
        assert!(!text.contains("connect it"), "{text}");
    }
}

/// During an incident most of what waits is delayed or in flight.
#[tokio::test]
async fn a_list_says_where_hidden_messages_are_and_a_dead_letter_what_to_do() {
    let sandbox = Sandbox::with(&["--max-age", "2"]);
    sandbox.faults("pushwoosh", &json!([{"status": 503}])).await;
    sandbox.post("track-user", &json!({"user_id": "u1", "attributes": {"a": 1}})).await;
    sandbox
        .until("it is dead", async |sandbox| (sandbox.queue("dead").await.len() == 1).then_some(()))
        .await;
    let (ok, shown) = sandbox.command(&["queue", "list", "--queue", "dead", "--json"]);
    let listed: Value = serde_json::from_str(&shown).unwrap();
    assert!(ok);
    let (ok, shown) = sandbox.command(&["queue", "show", listed[0]["origin"].as_str().unwrap()]);
    assert!(ok && shown.contains("what to do: It was undelivered for longer"), "{shown}");
    assert!(shown.contains("Its last cause is http_503"), "{shown}");
    sandbox.faults("pushwoosh", &json!([{"status": 503, "retry_after": 60}])).await;
    sandbox.post("track-user", &json!({"user_id": "u2", "attributes": {"a": 1}})).await;
    let (_, _, said) =
        command_with(&["queue", "list", "--queue", "retry", "--sandbox", &sandbox.url], "");
    assert!(said.contains("what is not shown is on the sandbox's page"), "{said}");
}

/// A CloudFormation that describes one stack.
fn cloudformation(outputs: &[(&str, String)]) -> String {
    let mut members = String::new();
    for (key, value) in outputs {
        let output = format!("<OutputKey>{key}</OutputKey><OutputValue>{value}</OutputValue>");
        write!(members, "<member>{output}</member>").unwrap();
    }
    let body = format!(
        "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>mine</StackName><StackId>{STACK_ID}</StackId>\
         <CreationTime>2026-01-01T00:00:00Z</CreationTime><StackStatus>CREATE_COMPLETE</StackStatus>\
         <Outputs>{members}</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut request = [0; 16_384];
            assert!(connection.read(&mut request).unwrap() > 0);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\nconnection: close\r\n";
            write!(connection, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
        }
    });
    url
}

const STACK_ID: &str = "arn:aws:cloudformation:eu-central-1:123456789012:stack/mine/1";

#[tokio::test]
async fn the_queues_of_a_stack_are_found_by_its_outputs() {
    let sandbox = with_rejects().await;
    let aws = sandbox.get("state").await["aws"]["endpoint"].as_str().unwrap().to_owned();
    let url = |queue: &str| format!("{aws}/123456789012/{queue}");
    let cloudformation = cloudformation(&[
        ("RetryQueueUrl", url("retry")),
        ("DeadQueueUrl", url("dead")),
        ("RejectsQueueUrl", url("rejects")),
        ("SecretId", "segment-pushwoosh/{app_code}".to_owned()),
    ]);
    let queue = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_segment-pushwoosh"));
        command.arg("queue").args(arguments).args(["--stack", "mine", "--json"]);
        for (name, value) in [
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ENDPOINT_URL", aws.as_str()),
            ("AWS_ENDPOINT_URL_CLOUDFORMATION", cloudformation.as_str()),
        ] {
            command.env(name, value);
        }
        let output = command.output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{error}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    // The log's hashes are salted with the stack's ARN.
    let hash = platform::telemetry::hashed_with(STACK_ID, "u1");
    let found = queue(&["list", "--queue", "rejects", "--user", &hash]);
    assert_eq!((found.as_array().unwrap().len(), &found[0]["name"]), (1, &json!("Purchase")));
    let done = queue(&["redrive", "--user", &hash]);
    assert_eq!((done["moved"].as_array().unwrap().len(), &done["stay"]), (1, &json!([])));
    sandbox
        .until("it is delivered", async |sandbox| {
            let calls = sandbox.calls("pushwoosh").await;
            calls.iter().any(|call| call["status"] == 200).then_some(())
        })
        .await;
}
