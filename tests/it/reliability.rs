//! Nothing is lost. Each scenario breaks something while events and records come in, heals it, and
//! counts every distinct one at the other end.
//!
//! `UPDATE_DOCS=1 cargo test --test it reliability` writes the table of `docs/RELIABILITY.md`.

use std::collections::HashMap;
use std::fmt::Write as _;

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::docs;
use crate::sandbox::Sandbox;

const EVENTS: usize = 500;
const EVENTS_PER_REQUEST: usize = 50;
const RECORDS: usize = 5_000;

/// The application whose upstream is broken, and the one beside it.
const SICK: &str = "SICKK-00001";
const HEALTHY: &str = "HEALT-00001";

fn apps() -> Value {
    let app = |name: &str| json!({"pushwoosh": {"api_token": format!("token-{name}")}, "segment": {"write_key": format!("key-{name}")}});
    json!({SICK: app(SICK), HEALTHY: app(HEALTHY)})
}

/// What arrived of what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counted {
    sent: usize,
    arrived: usize,
    /// Arrivals beyond the first of each.
    repeated: usize,
}

impl Counted {
    fn count(sent: usize, arrivals: impl Iterator<Item = String>) -> Self {
        let mut times: HashMap<String, usize> = HashMap::new();
        for id in arrivals {
            *times.entry(id).or_default() += 1;
        }
        let repeated = times.values().map(|times| times - 1).sum();
        Self { sent, arrived: times.len(), repeated }
    }
}

/// A scenario's figures.
struct Figures {
    events: Counted,
    records: Counted,
}

/// Sends events of an application as Segment does: a request that is answered with 5xx, or not at
/// all, is sent again.
async fn send_events(sandbox: &Sandbox, application: &str) {
    let requests = (0..EVENTS).step_by(EVENTS_PER_REQUEST).map(|start| async move {
        let events: Vec<Value> = (start..start + EVENTS_PER_REQUEST)
            .map(|n| json!({"user_id": format!("u{n}"), "device_platform": "ios", "name": "E", "attributes": {"n": n}}))
            .collect();
        let body = json!({ "events": events }).to_string();
        let token = format!("token-{application}");
        sandbox
            .until("a request is taken", async |sandbox| {
                let path = "/integration-segment/v1/post-events";
                let answer = sandbox.send_as(Method::POST, path, body.clone(), application, &token).await;
                assert!(answer.status == 200 || answer.status >= 500, "{answer:?}");
                (answer.status == 200).then_some(())
            })
            .await;
    });
    join_all(requests).await;
}

async fn send_records(sandbox: &Sandbox, application: &str) {
    let record = |n: usize| {
        json!({"event_name": "Push Sent", "timestamp": 1_769_860_800 + n, "application_code": application,
               "message_code": "M", "platform": 1, "hwid": format!("H{n}"), "user_id": format!("u{n}")})
    };
    sandbox.produce(&(0..RECORDS).map(record).collect::<Vec<_>>()).await;
}

/// What Pushwoosh took of an application's events.
async fn events_of(sandbox: &Sandbox, application: &str) -> Counted {
    let calls = sandbox.calls("pushwoosh").await;
    let taken = calls.iter().filter(|call| {
        call["status"] == 200 && call["body"]["request"]["application"] == application
    });
    Counted::count(EVENTS, taken.map(|call| call["body"]["request"]["attributes"]["n"].to_string()))
}

/// What Segment took of an application's records.
async fn records_of(sandbox: &Sandbox, application: &str) -> Counted {
    let calls = sandbox.calls("segment").await;
    let key = format!("key-{application}");
    let taken =
        calls.iter().filter(|call| call["status"] == 200 && call["body"]["writeKey"] == key);
    let tracks = taken.flat_map(|call| call["body"]["batch"].as_array().unwrap().clone());
    Counted::count(RECORDS, tracks.map(|track| track["messageId"].to_string()))
}

/// Waits until everything has arrived and nothing is under way.
async fn settle(sandbox: &Sandbox) -> Figures {
    sandbox
        .until("everything has arrived", async |sandbox| {
            let state = sandbox.get("state").await;
            if state["topic"]["lag"] != 0 || state["queues"]["retry"] != 0 {
                return None;
            }
            let figures = Figures {
                events: events_of(sandbox, SICK).await,
                records: records_of(sandbox, SICK).await,
            };
            (figures.events.arrived == EVENTS && figures.records.arrived == RECORDS)
                .then_some(figures)
        })
        .await
}

/// Both directions at once, while something is broken until `heal` is done.
async fn figures(
    name: &str,
    upstreams: Value,
    others: &[&str],
    hold: impl AsyncFn(&Sandbox),
) -> Figures {
    let sandbox = Sandbox::with_apps(name, &apps());
    for upstream in ["pushwoosh", "segment"] {
        sandbox.faults(upstream, &upstreams).await;
    }
    for other in others {
        sandbox.faults(other, &json!([{"status": 500}])).await;
    }
    send_records(&sandbox, SICK).await;
    let healing = async {
        hold(&sandbox).await;
        for broken in ["pushwoosh", "segment"].iter().chain(others) {
            sandbox.faults(broken, &json!([])).await;
        }
    };
    futures::future::join(send_events(&sandbox, SICK), healing).await;
    let figures = settle(&sandbox).await;
    assert!(sandbox.queue("dead").await.is_empty() && sandbox.queue("rejects").await.is_empty());
    assert_eq!(sandbox.get("on-failure").await, json!([]));
    figures
}

/// Until the stand-ins have refused this many calls.
async fn refused(sandbox: &Sandbox, number: usize) {
    sandbox
        .until("calls are refused", async |sandbox| {
            let (pushwoosh, segment) =
                (sandbox.calls("pushwoosh").await, sandbox.calls("segment").await);
            let refused =
                |calls: &[Value]| calls.iter().filter(|call| call["status"] != 200).count();
            (refused(&pushwoosh) >= number && refused(&segment) >= 1).then_some(())
        })
        .await;
}

/// Until all events are parked and the topic is read.
async fn all_parked(sandbox: &Sandbox) {
    sandbox
        .until("everything is parked", async |sandbox| {
            let state = sandbox.get("state").await;
            let parked = state["outcomes"]["destination"]["parked"].as_u64().unwrap_or(0);
            (parked >= EVENTS as u64 && state["topic"]["lag"] == 0).then_some(())
        })
        .await;
}

/// Until the stand-ins have received calls that the faults applied to.
async fn met(sandbox: &Sandbox) {
    sandbox
        .until("calls are received", async |sandbox| {
            let (pushwoosh, segment) =
                (sandbox.calls("pushwoosh").await, sandbox.calls("segment").await);
            (pushwoosh.len() >= 40 && segment.len() >= 5).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reliability() {
    let mut table = String::new();
    let mut row = |name: &str, figures: &Figures| {
        let Figures { events, records } = figures;
        assert_eq!((events.arrived, records.arrived), (events.sent, records.sent), "{name}");
        writeln!(
            table,
            "| {name} | {} | {} | {} | {} | {} | {} |",
            events.sent,
            events.arrived,
            events.repeated,
            records.sent,
            records.arrived,
            records.repeated
        )
        .unwrap();
    };
    let once =
        |figures: &Figures| assert_eq!((figures.events.repeated, figures.records.repeated), (0, 0));

    let down = figures("down", json!([{"status": 503}]), &[], all_parked).await;
    once(&down);
    row("Pushwoosh and Segment down for the whole test, then back", &down);

    let limited = json!([{"status": 429, "retry_after": 1, "times": 20}]);
    let limited = figures("limited", limited, &[], at_once_refused).await;
    once(&limited);
    row("429 with `Retry-After`", &limited);

    let resets =
        figures("resets", json!([{"reset": true, "times": 60}]), &[], at_once_refused).await;
    once(&resets);
    row("connections reset before an answer", &resets);

    // The upstream takes the call and its answer does not come, or cannot be read: it is not known,
    // so that these are sent again.
    let hangs = figures("hangs", json!([{"delay_ms": 600_000, "times": 30}]), &[], met).await;
    assert!((1..=30).contains(&hangs.events.repeated));
    row("30 calls hang", &hangs);

    let garbage = json!([{"body": "<html>", "times": 10}, {"body_bytes": 100_000_000, "times": 2}]);
    let garbage = figures("garbage", garbage, &[], met).await;
    assert!((1..=12).contains(&garbage.events.repeated));
    row("12 answers are garbage, two of them of 100 MB", &garbage);

    let queues = figures("queues", json!([{"status": 503}]), &["sqs"], async |sandbox| {
        refused(sandbox, 20).await;
    })
    .await;
    once(&queues);
    row("SQS down together with both upstreams", &queues);

    let secrets = figures("secrets", json!([]), &["secretsmanager"], secrets_refused).await;
    once(&secrets);
    row("Secrets Manager down, nothing cached", &secrets);

    let killed = killed().await;
    row("processes killed with SIGKILL in the middle", &killed);

    let header = "| | events | arrived | repeated | records | arrived | repeated |\n|---|---|---|---|---|---|---|\n";
    docs::update("RELIABILITY.md", &[("reliability", format!("{header}{table}"))], false);
}

async fn at_once_refused(sandbox: &Sandbox) {
    refused(sandbox, 5).await;
}

/// Until requests were turned away, and the records parked because settings were unavailable.
async fn secrets_refused(sandbox: &Sandbox) {
    sandbox
        .until("a call of Secrets Manager fails", async |sandbox| {
            let state = sandbox.get("state").await;
            let turned_away = state["functions"]["destination"]["invocations"].as_u64().unwrap();
            let parked = state["outcomes"]["source"]["parked"].as_u64();
            (turned_away >= 20 && parked == Some(RECORDS as u64)).then_some(())
        })
        .await;
}

/// Every function's process is killed again and again while everything is under way.
async fn killed() -> Figures {
    let sandbox = Sandbox::with_apps("killed", &apps());
    // Slow enough that the kills hit work under way.
    let slow = json!([{"delay_ms": 20}]);
    sandbox.faults("pushwoosh", &slow).await;
    sandbox.faults("segment", &slow).await;
    send_records(&sandbox, SICK).await;
    let killing = async {
        for victim in ["destination", "source", "destination", "source", "retry", "destination"] {
            let (pid, starts) = sandbox
                .until("there is a process", async |sandbox| {
                    let state = sandbox.get("state").await;
                    let function = &state["functions"][victim];
                    let under_way = state["metrics"][victim]["Invocations"]
                        != function["invocations"]
                        || victim == "retry";
                    under_way.then(|| {
                        (function["pid"].to_string(), function["cold_starts"].as_u64().unwrap())
                    })
                })
                .await;
            std::process::Command::new("kill").args(["-KILL", &pid]).status().unwrap();
            sandbox
                .until("it is started again", async |sandbox| {
                    let state = sandbox.get("state").await;
                    (state["functions"][victim]["cold_starts"].as_u64().unwrap() > starts)
                        .then_some(())
                })
                .await;
        }
    };
    futures::future::join(send_events(&sandbox, SICK), killing).await;
    settle(&sandbox).await
}

/// While one application's upstreams fail, the other's calls flow, and nothing of it is parked.
#[tokio::test]
async fn an_outage_of_one_application_does_not_affect_another() {
    let sandbox = Sandbox::with_apps("beside", &apps());
    for fault in [
        json!({"application": SICK, "status": 503}),
        json!({"application": SICK, "delay_ms": 600_000}),
    ] {
        for upstream in ["pushwoosh", "segment"] {
            sandbox.clear(upstream).await;
            sandbox.faults(upstream, &json!([fault])).await;
        }
        futures::join!(
            send_events(&sandbox, SICK),
            send_events(&sandbox, HEALTHY),
            send_records(&sandbox, SICK),
            send_records(&sandbox, HEALTHY),
        );
        sandbox.topic_read().await;
        let (events, records) =
            (events_of(&sandbox, HEALTHY).await, records_of(&sandbox, HEALTHY).await);
        assert_eq!(events, Counted { sent: EVENTS, arrived: EVENTS, repeated: 0 });
        assert_eq!(records, Counted { sent: RECORDS, arrived: RECORDS, repeated: 0 });
        let parked = sandbox.queue("retry").await;
        assert!(
            !parked.is_empty()
                && parked.iter().all(|message| message["body"]["application"] == SICK)
        );
    }
}

/// Settings that were read once serve while Secrets Manager is down.
#[tokio::test]
async fn cached_settings_serve_while_secrets_manager_is_down() {
    let sandbox = Sandbox::start();
    let identify = json!({"user_id": "u1", "attributes": {"a": 1}});
    assert_eq!(sandbox.post("track-user", &identify).await.status, 200);
    sandbox.faults("secretsmanager", &json!([{"status": 500}])).await;
    assert_eq!(sandbox.post("track-user", &identify).await.status, 200);
    assert_eq!(sandbox.calls("pushwoosh").await.len(), 2);
}

/// A deletion is answered with 200 once it is delivered or parked, and arrives.
#[tokio::test]
async fn a_deletion_is_durable() {
    let sandbox = Sandbox::start();
    sandbox.faults("pushwoosh", &json!([{"status": 503}])).await;
    assert_eq!(sandbox.post("delete-user", &json!({"external_id": "u1"})).await.status, 200);
    assert_eq!(sandbox.queue("retry").await.len(), 1);
    sandbox.faults("pushwoosh", &json!([])).await;
    sandbox
        .until("the user is deleted", async |sandbox| {
            let calls = sandbox.calls("pushwoosh").await;
            calls
                .iter()
                .any(|call| call["status"] == 200 && call["body"]["user_id"] == "u1")
                .then_some(())
        })
        .await;
    let receipt = sandbox
        .until("there is a receipt", async |sandbox| {
            let logs = sandbox.get("logs").await;
            logs.as_array()
                .unwrap()
                .iter()
                .find(|line| line["message"] == "deletion accepted by Pushwoosh")
                .cloned()
        })
        .await;
    assert_eq!(receipt["user"].as_str().unwrap().len(), 16);
    assert!(!receipt.to_string().contains("u1"));
}
