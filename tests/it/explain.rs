//! `explain` shows what an event would do, and sends nothing.

use reqwest::Method;
use serde_json::{Value, json};

use crate::sandbox::{Sandbox, command, command_with, compare, events, inputs};

fn file(name: &str, value: &str) -> String {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, value).unwrap();
    file.to_str().unwrap().to_owned()
}

fn track() -> Value {
    json!({"type": "track", "userId": "u1", "event": "E", "timestamp": "2026-01-02T03:04:05Z",
        "context": {"device": {"id": "d1", "type": "ios"}, "ip": "127.0.0.1"}, "properties": {"a": 1}})
}

#[test]
fn a_file_is_explained_for_people_and_for_machines() {
    let event = file("explain-event.json", &track().to_string());
    let (ok, text) = command(&["explain", &event]);
    assert!(ok);
    for part in ["POST /json/1.3/postEvent", "request.event ← event", "went nowhere: context.ip"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    let mapping = json!({"external_id": {"@path": "$.userId"}, "device_platform": "web", "name": "Renamed", "timestamp": 5});
    let mapping = file("explain-mapping.json", &mapping.to_string());
    let (ok, json) = command(&["explain", &event, "--mapping", &mapping, "--json"]);
    assert!(ok);
    let explained: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(explained["calls"][0]["body"]["request"]["event"], "Renamed");
    let field =
        json!({"field": "external_id", "directive": "@path", "inputs": ["userId"], "value": "u1"});
    assert_eq!(explained["mappings"][0]["fields"][0], field);
    let (ok, json) =
        command(&["explain", events("source/records.ndjson").to_str().unwrap(), "--json"]);
    assert!(ok && json.lines().count() > 1);
    let broken = file("explain-broken.json", r#"{"x": {"@nope": 1}}"#);
    assert!(!command(&["explain", &event, "--mapping", &broken]).0);
}

/// Whatever people find in a log, a queue or a test: the command says what it takes it for.
#[test]
fn every_kind_of_input_in_the_repository_is_known() {
    for (directory, taken) in [
        ("api-gateway", "taken for an event of API Gateway to "),
        ("destination", "taken for an HTTP request to "),
        ("retry", "taken for an event of SQS with "),
        ("segment", "taken for a"),
        ("source", "taken for "),
    ] {
        for file in inputs(directory) {
            let (exit, _, said) = command_with(&["explain", file.to_str().unwrap()], "");
            assert!(exit == 0 && said.contains(taken), "{}: {exit} {said}", file.display());
            assert!(!said.contains('\u{1b}'), "colours are for terminals");
        }
    }
    let (exit, out, said) = command_with(&["explain", "-", "--json"], &format!("{:#}", track()));
    assert_eq!((exit, said.trim()), (0, "taken for a raw Segment event\nwith the presets"));
    assert_eq!(out.lines().count(), 1);
}

#[test]
fn an_unknown_input_ends_with_2_and_one_line_that_says_what_was_looked_for() {
    for (input, part) in [
        ("none", "it is not JSON"),
        ("{}", "it is none of what is known"),
        (r#"{"usre_id":"u"}"#, r#""usre_id" resembles "user_id""#),
        (r#"{"pushwoosh":{"api_token":"t"}}"#, "check-secret"),
        ("GET /else HTTP/1.1", "it is a request to /else"),
    ] {
        let (exit, out, said) = command_with(&["explain", "-"], input);
        assert_eq!((exit, out.as_str(), said.lines().count()), (2, "", 1), "{input}: {said}");
        assert!(
            said.contains(part) && said.contains("expected") || said.contains("check-secret"),
            "{said}"
        );
    }
    let (exit, _, said) = command_with(&["explain", "no-such-file.json"], "");
    assert!(exit == 1 && said.contains("no-such-file.json cannot be read"), "{said}");
}

/// Why an event is not selected, and what is misspelt.
#[test]
fn clauses_and_misspelt_names_are_shown() {
    let mapping = json!([{"name": "Orders", "subscribe": "type = \"track\" and properties.total > 7",
        "action": "trackEvent", "maping": 1,
        "mapping": {"externalid": {"@path": "$.userID"}, "name": {"@path": "$.event"}, "timestamp": 5}}]);
    let mapping = file("explain-clauses.json", &mapping.to_string());
    let mut event = track();
    event["properties"]["total"] = json!(5);
    event["receivedat"] = json!("x");
    let explain = |event: &Value, flags: &[&str]| {
        let flags = [&["explain", "-", "--mapping", &mapping], flags].concat();
        command_with(&flags, &event.to_string())
    };
    let (exit, text, said) = explain(&event, &[]);
    assert_eq!(exit, 0);
    for part in [
        "not selected",
        "true  type = \"track\"",
        "false properties.total > 7  (it is 5)",
        "unknown field externalid: is external_id meant?",
        "unknown field receivedat: is receivedAt meant?",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(said.contains("mappings[0].maping is not read: is mapping meant?"), "{said}");
    event["properties"]["total"] = json!(8);
    let (_, json, _) = explain(&event, &["--json"]);
    let explained: Value = serde_json::from_str(&json).unwrap();
    let attempt = &explained["mappings"][0];
    assert_eq!(attempt["conditions"]["parts"][1]["holds"], true);
    assert_eq!(attempt["unknown"][1], json!({"field": "userID", "nearest": "userId"}));
}

/// The presets as printed are what applies without a mapping.
#[test]
fn the_presets_are_printed_as_a_mapping_to_start_from() {
    let (exit, presets, _) = command_with(&["explain", "--presets"], "");
    assert_eq!(exit, 0);
    let presets = file("explain-presets.json", &presets);
    let event = file("explain-presets-event.json", &track().to_string());
    let (ok, with) = command(&["explain", &event, "--json", "--mapping", &presets]);
    let with = with.replacen(r#""mappings_of":"file""#, r#""mappings_of":"presets""#, 1);
    assert_eq!((ok, with), command(&["explain", &event, "--json"]));
    assert_eq!(command_with(&["explain"], "").0, 2);
}

#[test]
fn what_an_event_lacks_is_noted() {
    let mut event = track();
    event["context"]["device"]["id"] = Value::Null;
    let (_, text, _) = command_with(&["explain", "-"], &event.to_string());
    assert!(
        text.contains("note: the event names no device: it may start no Customer Journey"),
        "{text}"
    );
}

/// The setting of the functions counts for what is shown, too.
#[test]
fn records_are_explained_with_the_properties_that_the_setting_asks_for() {
    let record = json!({"event_name": "Push Sent", "timestamp": 1_769_860_800, "message_code": "M",
        "application_code": "A", "hwid": "H"});
    let record = file("explain-record.json", &record.to_string());
    let property = |flags: &[&str]| {
        let (ok, json) = command(&[&["explain", "--json", &record], flags].concat());
        assert!(ok);
        let explained: Value = serde_json::from_str(&json).unwrap();
        explained["calls"][0]["body"]["batch"][0]["properties"]["message_code"].clone()
    };
    assert_eq!(property(&[]), Value::Null);
    assert_eq!(property(&["--track-properties", "campaign_id, message_code"]), "M");
    assert!(!command(&["explain", &record, "--track-properties", "payload"]).0);
}

/// Every raw event in `events/segment` is explained as expected.
#[test]
fn raw_events_are_explained_field_by_field() {
    let files = inputs("segment");
    assert!(files.len() >= 5);
    for file in files {
        let (ok, explained) = command(&["explain", "--json", file.to_str().unwrap()]);
        assert!(ok);
        let found = serde_json::from_str(&explained).unwrap();
        compare(&file, &found);
    }
}

/// An application's own mappings, where it says where they are; otherwise it says that they are not used.
#[tokio::test]
async fn an_applications_own_mappings_are_read_and_named() {
    let mapping = json!({"external_id": {"@path": "$.userId"}, "device_platform": "web", "name": "Mine", "timestamp": 5});
    let sandbox = Sandbox::with_apps(
        "explain-own",
        &json!({
            "ABCDE-00002": {"pushwoosh": {"api_token": "t"},
                "mappings": [{"subscribe": "type = \"track\"", "action": "trackEvent", "mapping": mapping}]},
            "ABCDE-00003": {"pushwoosh": {"api_token": "t"}},
        }),
    );
    let explain = |flags: &[&str]| {
        command_with(&[&["explain", "-", "--json"], flags].concat(), &track().to_string())
    };
    for (app, event, said, source) in [
        ("ABCDE-00002", "Mine", "with the mappings of ABCDE-00002", "ABCDE-00002"),
        ("ABCDE-00003", "E", "with the presets, since ABCDE-00003 has no mappings", "presets"),
    ] {
        let (exit, out, found) = explain(&["--app", app, "--sandbox", &sandbox.url]);
        assert!(exit == 0 && found.contains(said), "{exit} {found}");
        let explained: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(explained["calls"][0]["body"]["request"]["event"], event);
        assert_eq!(
            (&explained["form"], &explained["mappings_of"]),
            (&json!("raw_event"), &json!(source))
        );
    }
    let (_, _, said) = explain(&["--app", "ABCDE-00002"]);
    assert!(said.contains("with the presets: --stack NAME or --sandbox URL"), "{said}");
    let (exit, _, said) = explain(&["--app", "NONE0-00001", "--sandbox", &sandbox.url]);
    assert!(exit == 1 && said.contains("connect it with"), "{exit} {said}");
    for app in ["bad!", ""] {
        let (exit, _, said) = explain(&["--app", app]);
        assert!(exit == 2 && said.contains("is no application code"), "{exit} {said}");
    }
}

#[test]
fn a_mapping_that_has_no_effect_or_is_none_is_said() {
    let mapping = json!([{"subscribe": "type = \"track\"", "action": "trackEvent", "mapping": {"name": "E"}}]);
    let good = file("explain-no-effect.json", &mapping.to_string());
    let body = json!({"user_id": "u", "attributes": {"a": 1}}).to_string();
    let (exit, _, said) = command_with(&["explain", "-", "--mapping", &good], &body);
    assert!(exit == 0 && said.contains("--mapping has no effect"), "{exit} {said}");
    for (name, text) in [
        ("explain-empty.json", "{}"),
        ("explain-secret.json", r#"{"pushwoosh":{"api_token":"t"}}"#),
        ("explain-not-object.json", "5"),
    ] {
        let name = file(name, text);
        let (exit, out, said) =
            command_with(&["explain", "-", "--mapping", &name], &track().to_string());
        assert!(exit == 2 && out.is_empty() && said.contains(&name), "{exit} {said}");
    }
}

/// What the sandbox and the other commands show can be given to `explain`.
#[tokio::test]
async fn what_other_commands_print_is_known() {
    let sandbox = Sandbox::start();
    let event =
        json!({"user_id": "u1", "device_platform": "ios", "name": "E", "timestamp": "soon"});
    let good = json!({"user_id": "u1", "device_platform": "ios", "name": "E"});
    sandbox.post("post-events", &json!({"events": [event, good]})).await;
    let origin = sandbox.queue("rejects").await[0]["body"]["origin"].as_str().unwrap().to_owned();
    let (_, shown) = sandbox.command(&["queue", "show", "--json", &origin]);
    let listed = sandbox.get("queues/rejects").await.to_string();
    let items = sandbox.get("items").await;
    let rejected = items.as_array().unwrap().iter().find(|item| item["outcome"] == "rejected");
    let item = sandbox.get(&format!("items/{}", rejected.unwrap()["id"])).await.to_string();
    for text in [shown, listed, item] {
        let (exit, out, said) = command_with(&["explain", "-"], &text);
        assert!(exit == 0 && out.contains("bad_timestamp"), "{text}: {exit} {said}");
        assert!(!out.contains("()"), "{out}");
    }
    let ping = "POST /integration-segment/v1/ping HTTP/1.1\n\n{}";
    let (exit, out, _) = command_with(&["explain", "-", "--json"], ping);
    let line: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((exit, &line["form"]), (0, &json!("http_request")));
}

#[tokio::test]
async fn the_page_explains_with_the_applications_own_mappings_and_sends_nothing() {
    let sandbox = Sandbox::with_apps(
        "explain",
        &json!({"DEMO0-00001": {
            "pushwoosh": {"api_token": "demo-token"},
            "mappings": [{"subscribe": "type = \"track\"", "action": "trackEvent", "mapping": {
                "external_id": {"@path": "$.userId"}, "device_platform": "web", "name": "Mine", "timestamp": {"@path": "$.timestamp"}}}],
        }}),
    );
    let asked = json!({"input": track().to_string()}).to_string();
    let answer = sandbox.send(Method::POST, "/_sandbox/explain", asked).await;
    let explained: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(explained["explained"][0]["calls"][0]["body"]["request"]["event"], "Mine");
    assert_eq!(explained["input"], json!({"form": "raw_event", "text": "a raw Segment event"}));
    let odd = json!([{"subscribe": "type = 'track'", "action": "trackEvent", "mapping": {}}]);
    let asked = json!({"input": track(), "mapping": odd}).to_string();
    let answer = sandbox.send(Method::POST, "/_sandbox/explain", asked).await;
    assert!(answer.body.contains("single quotes"), "{}", answer.body);
    let asked = json!({"input": "none"}).to_string();
    let answer = sandbox.send(Method::POST, "/_sandbox/explain", asked).await;
    assert_eq!(answer.status, 400);
    // A request names its application.
    let request = "POST /integration-segment/v1/track-user\nX-PW-AppCode: OTHER-1\n\n{\"user_id\":\"u\",\"attributes\":{\"a\":1}}";
    let asked = json!({ "input": request }).to_string();
    let answer = sandbox.send(Method::POST, "/_sandbox/explain", asked).await;
    let explained: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(explained["explained"][0]["application"], "OTHER-1");
    assert!(sandbox.calls("pushwoosh").await.is_empty());
}
