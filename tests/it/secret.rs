//! `check-secret` reports what is wrong with a secret before it is deployed.

use mapping::tracking_log::MessageEvent;
use platform::Application;
use serde_json::{Value, json};

use crate::sandbox::{command, command_with};

fn check(name: &str, secret: &str) -> (bool, String) {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, secret).unwrap();
    command(&["check-secret", file.to_str().unwrap()])
}

#[test]
fn a_secret_says_what_each_function_will_do_with_it() {
    let secret = json!({"pushwoosh": {"api_token": "marker-0123456789"}, "segment": {"write_key": "marker-0123456789", "region": "eu", "events": "push sent"},
        "webhook": {"shared_secret": ["marker-0123456789", "marker-0123456780"], "secret": 5, "max_age_s": 60}});
    let (ok, said) = check("secret-good.json", &secret.to_string());
    assert!(ok);
    for part in [
        "https://api.pushwoosh.com",
        "open to 2 shared secret(s), with 2 preset mapping(s); the whole body must be signed, up to 60 s from now",
        "https://events.eu1.segmentapis.com/v1: Push Sent",
        "warning: webhook.max_age_s is less than 14400",
        "warning: unknown field webhook.secret",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(!said.contains("marker"));
    let (ok, said) = check(
        "secret-map.json",
        &json!({"A": secret, "B": {"segment": {"write_key": 5}}}).to_string(),
    );
    assert!(
        !ok && said.contains("B: wrong: segment.write_key") && said.contains("A: webhook is open"),
        "{said}"
    );
}

#[test]
fn what_cannot_be_used_is_named() {
    for (secret, part) in [
        ("", ""),
        ("[]", "must be a JSON object"),
        ("{}", "pushwoosh.api_token or segment.write_key is required"),
        (r#"{"pushwoosh":{"api_token":""}}"#, "pushwoosh.api_token is required"),
    ] {
        let (ok, said) = check("secret-bad.json", secret);
        assert!(!ok && said.contains(part), "{secret}: {said}");
    }
}

#[test]
fn findings_are_told_to_programs_too() {
    let secret = json!({"pushwoosh": {"api_token": "marker-short"}, "other": 1});
    let (exit, out, _) = command_with(&["check-secret", "-", "--json"], &secret.to_string());
    let kinds: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["kind"].clone())
        .collect();
    assert_eq!(exit, 1);
    assert!(kinds.contains(&json!("refused")) && kinds.contains(&json!("warning")), "{out}");
    let (exit, out, said) = command_with(&["check-secret", "-"], "{\"api_token\": marker");
    assert_eq!((exit, out.as_str(), said.lines().count()), (2, "", 1));
    assert!(!said.contains("marker"), "{said}");
}

/// The functions would use these.
#[test]
fn what_is_unsafe_in_production_is_refused() {
    for (pointer, value, part) in [
        ("/pushwoosh/api_token", json!("short"), "pushwoosh.api_token has fewer than 16"),
        ("/webhook/shared_secret", json!("…"), "webhook.shared_secret is a placeholder"),
        (
            "/pushwoosh/base_url",
            json!("http://api.pushwoosh.com"),
            "pushwoosh.base_url must be https",
        ),
        (
            "/segment/events",
            json!("Push Sent, Push Sennt"),
            "segment.events names an unknown event: Push Sennt",
        ),
    ] {
        let mut secret = json!({
            "pushwoosh": {"api_token": "0123456789abcdef", "base_url": ""},
            "segment": {"write_key": "0123456789abcdef", "events": ""},
            "webhook": {"shared_secret": "0123456789abcdef"},
        });
        assert!(check("secret-safe.json", &secret.to_string()).0);
        *secret.pointer_mut(pointer).unwrap() = value;
        assert!(Application::read("A", &secret).is_ok());
        let (ok, said) = check("secret-unsafe.json", &secret.to_string());
        assert!(!ok && said.contains(&format!("refused: {part}")), "{said}");
    }
}

/// Secrets Manager would refuse it.
#[test]
fn a_map_that_is_too_large_for_a_secret_is_refused() {
    let one = json!({"segment": {"write_key": "k".repeat(32)}});
    let map: serde_json::Map<String, Value> =
        (0..1_000).map(|n| (format!("AB{n:03}-00001"), one.clone())).collect();
    let (ok, said) = check("secret-large.json", &Value::Object(map).to_string());
    assert!(!ok && said.contains("65536 at most"), "{said}");
}

/// Whoever writes secrets with the schema gets what the functions read.
#[test]
fn the_schema_agrees_with_the_code() {
    let schema: Value =
        serde_json::from_str(include_str!("../../docs/secret.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let full = json!({
        "pushwoosh": {"api_token": "t", "base_url": "https://api.pushwoosh.com"},
        "segment": {"write_key": "k", "region": "us", "base_url": "https://api.segment.io/v1", "events": "Push Sent"},
        "webhook": {"shared_secret": "s", "signed": "body", "max_age_s": 18_000},
        "mappings": [{"subscribe": "type = \"track\"", "action": "trackEvent", "mapping": {}}],
    });
    assert!(platform::application::warnings(&full).is_empty());
    for event in MessageEvent::ALL {
        let name = event.name();
        for spelling in [name.to_uppercase(), format!("Other, {name} ,"), name.replace(' ', "_")] {
            let mut secret = full.clone();
            secret["segment"]["events"] = spelling.into();
            assert!(validator.is_valid(&secret), "{secret}");
        }
    }
    let others = [
        json!(""),
        json!(" "),
        json!(5),
        json!(null),
        json!([]),
        json!({}),
        json!(["a"]),
        json!("ftp://x"),
        json!("mars"),
    ];
    for pointer in [
        "",
        "/pushwoosh",
        "/pushwoosh/api_token",
        "/pushwoosh/base_url",
        "/segment",
        "/segment/write_key",
        "/segment/region",
        "/segment/base_url",
        "/segment/events",
        "/webhook",
        "/webhook/shared_secret",
        "/webhook/signed",
        "/webhook/max_age_s",
        "/mappings",
    ] {
        for other in &others {
            let mut secret = full.clone();
            *secret.pointer_mut(pointer).unwrap() = other.clone();
            let read = Application::read("A", &secret).is_ok();
            let valid = validator.is_valid(&secret);
            // A schema may be stricter than a tolerant reader, never the other way round.
            assert!(read || !valid, "{pointer} = {other} is valid, and cannot be read");
            if valid != read {
                let tolerated =
                    ["/pushwoosh", "/segment", "/webhook", "/segment/region", "/mappings", ""];
                assert!(
                    tolerated.contains(&pointer),
                    "{pointer} = {other} can be read, and is not valid"
                );
            }
        }
    }
}

#[test]
fn an_id_is_shown_as_logs_have_it() {
    for salt in ["", "arn:aws:cloudformation:eu-central-1:123456789012:stack/s/1"] {
        let (ok, hash) = command(&["hash-id", "u1", "--salt", salt]);
        assert!(ok);
        assert_eq!(hash.trim(), platform::telemetry::hashed_with(salt, "u1"));
    }
}
