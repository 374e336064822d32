//! `doctor` finds what Pushwoosh would skip, and the calls that mend it.

use std::process::Command;

use serde_json::{Value, json};

use crate::sandbox::{Sandbox, command_with};

fn sandbox(name: &str) -> Sandbox {
    Sandbox::with_apps(
        name,
        &json!({"DEMO0-00001": {"pushwoosh": {"api_token": "demo-token"},
            "sandbox": {"server_token": "server", "tags": {"plan": "string", "age": "integer"}}}}),
    )
}

fn doctor(sandbox: &Sandbox, sample: &str, flags: &[&str]) -> (i32, Value, String) {
    let arguments = [&["doctor", "--sandbox", &sandbox.url, "--json"], flags].concat();
    let (exit, out, said) = command_with(&arguments, sample);
    (exit, serde_json::from_str(&out).unwrap_or_default(), said)
}

fn rows(report: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .map(|one| (text(&one["severity"]), text(&one["code"]), text(&one["subject"])))
        .collect()
}

fn has(report: &Value, severity: &str, code: &str, subject: &str) -> bool {
    rows(report).contains(&(severity.to_owned(), code.to_owned(), subject.to_owned()))
}

/// Runs the calls that the doctor names, as a person would.
fn mend(report: &Value) {
    for call in report["findings"].as_array().unwrap().iter().filter_map(|one| one["mend"].as_str())
    {
        let call = format!("{call} -sSf");
        let output = Command::new("sh")
            .args(["-ec", &call])
            .env("PUSHWOOSH_SERVER_TOKEN", "server")
            .output()
            .unwrap();
        assert!(output.status.success(), "{call}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[tokio::test]
async fn a_sample_says_what_would_be_skipped_and_the_calls_mend_it() {
    let sandbox = sandbox("doctor-sample");
    let identify = |traits: Value| json!({"type": "identify", "userId": "u1", "traits": traits});
    let track = |context: Value, event: &str| {
        json!({"type": "track", "userId": "u1", "event": event, "timestamp": "2026-01-02T03:04:05Z",
            "context": context, "properties": {"total": 5}})
    };
    let sample = [
        identify(json!({"plann": "gold", "it's \"new\"": ["a"], "age": "old"})),
        track(json!({"device": {"type": "ios", "id": "d"}}), &"n".repeat(33)),
        track(json!({"device": {"type": "ios"}}), "Order"),
        track(json!({}), "Order"),
    ];
    let sample = sample.map(|event| event.to_string()).join("\n");
    let flags = ["-", "--server-token", "server"];
    let (exit, report, said) = doctor(&sandbox, &sample, &flags);
    assert_eq!(exit, 1, "{said}");
    for (severity, code, subject) in [
        ("wrong", "tag_missing", "plann"),
        ("wrong", "tag_missing", "it's \"new\""),
        ("wrong", "tag_type", "age"),
        ("wrong", "no_platform", ""),
        ("warning", "no_device", ""),
        ("warning", "long_event_name", ""),
        ("note", "event_must_exist", "Order"),
    ] {
        assert!(has(&report, severity, code, subject), "{code} {subject} in {:#?}", rows(&report));
    }
    let message = report["findings"].to_string();
    assert!(message.contains(r#"it has \"plan\": is that meant?"#), "{message}");
    assert!(sandbox.calls("pushwoosh").await.iter().all(|call| {
        ["/json/1.3/checkDevice", "/json/1.3/listTags"].contains(&call["path"].as_str().unwrap())
    }));

    let good = [
        identify(json!({"plann": "gold", "it's \"new\"": ["a"]})),
        track(json!({"device": {"type": "ios", "id": "d"}}), "Order"),
    ];
    let good = good.map(|event| event.to_string()).join("\n");
    let (exit, report, _) = doctor(&sandbox, &good, &flags);
    assert_eq!((exit, rows(&report).len()), (1, 4), "{:#?}", rows(&report));
    mend(&report);
    let (exit, report, said) = doctor(&sandbox, &good, &flags);
    assert_eq!(exit, 0, "{said} {:#?}", rows(&report));
}

#[tokio::test]
async fn the_log_says_what_was_skipped() {
    let sandbox = sandbox("doctor-log");
    let profile = json!({"user_id": "u1", "attributes": {"nope": "x", "plan": "gold"}});
    sandbox.post("track-user", &profile).await;
    sandbox.post("post-events", &json!({"events": [{"user_id": "u1", "name": "E"}]})).await;
    let report = sandbox
        .until("the lines are there", async |sandbox| {
            let (_, report, _) = doctor(sandbox, "", &[]);
            (rows(&report).len() >= 4).then_some(report)
        })
        .await;
    assert!(has(&report, "wrong", "tag_missing", "nope"), "{:#?}", rows(&report));
    assert!(has(&report, "wrong", "no_platform", ""), "{:#?}", rows(&report));
    assert!(!has(&report, "wrong", "tag_missing", "plan"));
}

/// A sample of which nothing arrives is not well.
#[test]
fn nothing_to_look_at_is_not_ok_and_what_no_mapping_selects_is_skipped() {
    let sandbox = sandbox("doctor-nothing");
    let human = |sample: &str| command_with(&["doctor", "-", "--sandbox", &sandbox.url], sample);
    let record = json!({"event_name": "Push Sent", "timestamp": 1, "application_code": "OTHER-00001", "hwid": "H"});
    for sample in [record.to_string(), json!({"events": []}).to_string()] {
        let (exit, out, _) = human(&sample);
        assert!(
            exit == 1 && out.contains("nothing to look at") && !out.contains("would be skipped"),
            "{out}"
        );
    }
    let (exit, out, said) = human(r#"{"type":"group","userId":"u1"}"#);
    assert!(
        exit == 1 && out.contains("WRONG   no_mapping") && !out.contains("would be skipped"),
        "{exit} {out}"
    );
    assert!(said.contains("1 kind of trouble"), "{said}");
    assert_eq!(human("[]").0, 2);
    let (exit, out, _) =
        command_with(&["doctor", "--app", "DEMO0-00001", "--sandbox", &sandbox.url], "");
    assert!(
        exit == 0 && out.contains("nothing to look at") && !out.contains("would be skipped"),
        "{exit} {out}"
    );
}

#[test]
fn places_are_named_and_no_call_is_offered_for_names_that_are_too_long() {
    let sandbox = sandbox("doctor-places");
    let identify = |name: &str| json!({"type": "identify", "userId": "u1", "traits": {name: "x"}});
    let track = json!({"type": "track", "userId": "u1", "event": "n".repeat(33), "timestamp": "2026-01-02T03:04:05Z",
        "context": {"device": {"type": "ios", "id": "d"}}});
    let sample =
        [identify("plan"), identify("nope"), identify("nope"), track, identify(&"t".repeat(201))];
    let sample = sample.map(|event| event.to_string()).join("\n");
    let (_, report, _) = doctor(&sandbox, &sample, &["-", "--server-token", "server"]);
    let findings = report["findings"].as_array().unwrap();
    let find = |code: &str, part: &str| {
        let is_it = |one: &&Value| {
            one["code"] == code && one["subject"].as_str().unwrap_or_default().starts_with(part)
        };
        findings.iter().find(is_it)
    };
    let nope = find("tag_missing", "nope").unwrap();
    assert_eq!((&nope["number"], &nope["places"]), (&json!(2), &json!(["2", "3"])));
    assert!(nope["mend"].is_string());
    assert!(find("tag_missing", "ttt").unwrap()["mend"].is_null());
    assert!(find("event_must_exist", "nnn").is_none(), "{findings:#?}");
}

#[test]
fn what_the_doctor_cannot_look_at_is_said_in_one_line() {
    let sandbox = sandbox("doctor-bad");
    for (flags, sample, exit, part) in [
        (vec!["-"], "{}", 2, "it is none of what is known"),
        (vec!["-", "--app", "a/b"], "{}", 2, "is no application code"),
        (vec!["-", "--app", "NONE0-00001"], "{}", 1, "connect it with `segment-pushwoosh connect"),
        (vec!["no-such-file.json"], "", 1, "no-such-file.json cannot be read"),
    ] {
        let (found, _, said) = doctor(&sandbox, sample, &flags);
        assert!(found == exit && said.contains(part), "{found} {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let sample = json!({"user_id": "u1", "attributes": {"plan": "gold"}}).to_string();
    let (exit, report, _) = doctor(&sandbox, &sample, &["-", "--server-token", "demo-token"]);
    assert!(exit == 1 && has(&report, "wrong", "tags_not_listed", ""), "{:#?}", rows(&report));
    let (exit, report, _) = doctor(&sandbox, &sample, &["-"]);
    assert!(exit == 0 && has(&report, "note", "tags_not_listed", ""), "{:#?}", rows(&report));
}

/// `explain` on the page knows the same tags.
#[tokio::test]
async fn the_page_notes_tags_that_pushwoosh_does_not_have() {
    let sandbox = sandbox("doctor-page");
    let asked = json!({"input": {"user_id": "u", "attributes": {"plan": "gold", "nope": 1}}});
    let answer = sandbox.send(reqwest::Method::POST, "/_sandbox/explain", asked.to_string()).await;
    let explained: Value = serde_json::from_str(&answer.body).unwrap();
    let notes = explained["explained"][0]["notes"].as_array().unwrap();
    assert_eq!((notes.len(), &notes[0]["field"]), (1, &json!("nope")), "{notes:?}");
}
