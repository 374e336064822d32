//! Startup errors are reported in one line, and the sandbox ends.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::sandbox::Sandbox;

fn file(name: &str, text: &str) -> String {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

/// What a sandbox says that does not start.
fn refusal(address: &str, flags: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_segment-pushwoosh"));
    command.args(["serve", "--listen", address]).args(flags);
    let output = command.stdout(Stdio::null()).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

const ANY: &str = "127.0.0.1:0";

#[test]
fn a_wrong_flag_is_reported() {
    let empty = file("startup-empty", "");
    let artifact = format!("source={empty}");
    for (flags, part) in [
        (["--apps", "none.json"], "--apps none.json cannot be read"),
        (["--apps", &empty], "is not JSON"),
        (["--bootstrap", "source=none"], "none does not exist"),
        (["--bootstrap", &artifact], "the function source cannot be started"),
        (["--bootstrap", "other=x"], "destination, source or retry is expected"),
        (["--environment", "none.json"], "--environment none.json cannot be read"),
    ] {
        let said = refusal(ANY, &flags);
        assert!(said.contains(part), "{flags:?}: {said}");
    }
}

#[test]
fn a_port_in_use_is_reported() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refusal(&address, &[]);
    assert!(said.contains("choose another address with --listen"), "{said}");
}

#[test]
fn a_function_with_wrong_variables_does_not_start() {
    let wrong = json!({"PWSEG_TIME_BUDGET_MS": "soon", "PWSEG_RETRY_QUEUE_URL": "x", "PWSEG_REJECTS_QUEUE_URL": "x"});
    let functions = json!({"destination": wrong, "source": wrong, "retry": wrong});
    let said =
        refusal(ANY, &["--environment", &file("startup-environment.json", &functions.to_string())]);
    assert!(said.contains("does not start: what it wrote above says why"), "{said}");
}

/// As X-Ray has it, so that a line leads to its trace.
#[test]
fn a_secret_that_secrets_manager_would_not_take_is_named() {
    let app = |number: usize| {
        let secret = json!({"pushwoosh": {"api_token": "t".repeat(80)}});
        (format!("AB{number:03}-00001"), secret)
    };
    let apps = Value::Object((0..900).map(app).collect());
    let apps = file("too-many.json", &apps.to_string());
    let said = refusal(ANY, &["--apps", &apps, "--secret-id", "s/{app_code:2}"]);
    assert!(said.contains("the secret s/AB would hold 900 applications"), "{said}");
}

#[tokio::test]
async fn log_lines_have_the_request_and_the_trace() {
    let sandbox = Sandbox::start();
    sandbox.post("track-user", &json!({"user_id": "u1", "attributes": {"a": 1}})).await;
    let of_invocation = |line: &&Value| line["message"] == "invocation";
    let line = sandbox
        .until("the invocation is logged", async |sandbox| {
            let logs = sandbox.get("logs").await;
            logs.as_array().unwrap().iter().find(of_invocation).cloned()
        })
        .await;
    assert!(line["span"]["requestId"].is_string(), "{line}");
    assert!(line["span"]["xrayTraceId"].as_str().unwrap().starts_with("Root=1-"), "{line}");
}

/// Who writes a secret of their own names them as the applications' upstreams.
#[tokio::test]
async fn the_state_says_where_the_upstreams_are() {
    let sandbox = Sandbox::start();
    let upstream = sandbox.get("state").await["upstream"].clone();
    for name in ["pushwoosh", "segment"] {
        let url = upstream[name].as_str().unwrap();
        let answer = reqwest::Client::new().post(format!("{url}/x")).body("{}").send().await;
        assert!(answer.is_ok(), "{name}: {url}");
    }
}
