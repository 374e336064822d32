//! Faults of every kind at every service, and processes that are killed.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Soak;
use crate::sandbox::Sandbox;

/// Share of a service's calls that fail in one way or another.
const FAULTS: f64 = 0.01;

/// Between two kills.
const KILL_EVERY: Duration = Duration::from_secs(20);

/// What an upstream does wrong.
fn upstream_faults() -> Vec<Value> {
    vec![
        json!({"status": 500}),
        json!({"status": 503, "processed": true}),
        json!({"status": 429, "retry_after": 1}),
        json!({"status": 400}),
        json!({"status": 401}),
        json!({"reset": true}),
        json!({"reset": true, "processed": true}),
        json!({"hang": true}),
        json!({"hang": true, "processed": true}),
        json!({"delay_ms": 1_000}),
        json!({"body": "<html>"}),
        json!({"body_bytes": 1_000_000}),
    ]
}

/// What a service of AWS does wrong.
fn aws_faults(throttled: &str) -> Vec<Value> {
    vec![
        json!({"status": 500}),
        json!({"status": 400, "code": throttled}),
        json!({"status": 500, "processed": true}),
        json!({"reset": true}),
        json!({"reset": true, "processed": true}),
        json!({"hang": true}),
        json!({"delay_ms": 1_000}),
    ]
}

/// Every kind has the same share.
fn shared(faults: Vec<Value>) -> Value {
    let number = faults.len();
    let share = FAULTS / f64::from(u32::try_from(number).unwrap());
    let seeded = faults.into_iter().zip(1..).map(|(mut fault, seed)| {
        fault["probability"] = share.into();
        fault["seed"] = Value::from(seed);
        fault
    });
    seeded.collect()
}

/// Begins the faults.
pub(super) async fn begin(sandbox: &Sandbox) {
    let mut sqs = aws_faults("ThrottlingException");
    sqs.push(json!({"path": "SendMessageBatch", "failed_entries": 1}));
    let mut dynamodb = aws_faults("ThrottlingException");
    dynamodb.push(json!({"path": "BatchGetItem", "failed_entries": 1}));
    for (service, faults) in [
        ("pushwoosh", upstream_faults()),
        ("segment", upstream_faults()),
        ("secretsmanager", aws_faults("ThrottlingException")),
        ("sqs", sqs),
        ("dynamodb", dynamodb),
    ] {
        sandbox.faults(service, &shared(faults)).await;
    }
}

/// Ends the faults.
pub(super) async fn heal(sandbox: &Sandbox) {
    for service in ["pushwoosh", "segment", "secretsmanager", "sqs", "dynamodb"] {
        sandbox.faults(service, &json!([])).await;
    }
}

/// Kills a process of each function in turn, the one that was used last, until the time is over.
pub(super) async fn kill_until(soak: &Soak, duration: Duration) {
    let started = Instant::now();
    let mut victims = ["destination", "source", "retry"].iter().cycle();
    while let Some(left) = duration.checked_sub(started.elapsed()) {
        tokio::time::sleep(KILL_EVERY.min(left)).await;
        if left < KILL_EVERY {
            return;
        }
        let state = soak.sandbox.get("state").await;
        let victim = victims.next().unwrap();
        let pid = state["functions"][*victim]["pid"].to_string();
        std::process::Command::new("kill").args(["-KILL", &pid]).status().unwrap();
    }
}
