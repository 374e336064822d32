//! Who sends: callers of the HTTP API, each with one request at a time, and a producer of the topic.
//!
//! Everybody sends as fast as it is answered, and pauses while too much waits: that is the highest rate that
//! holds. A request that is answered with 5xx is sent again until it is taken, as Segment does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::Soak;
use super::books::Kind;
use crate::sandbox::{HttpResponse, Sandbox};

/// Callers of the HTTP API.
const CALLERS: usize = 8;

/// Several, since an upstream that answers 429 is not called for an application for a while.
const APPLICATIONS: usize = 10;

/// Users of a caller. Few, so that their profiles overtake each other; not so few that two of one user are
/// under way within the seconds in which nothing is guaranteed.
const USERS: usize = 50;

const EVENTS_PER_REQUEST: usize = 20;
const RAW_EVENTS_PER_REQUEST: usize = 10;
const RECORDS_PER_REQUEST: usize = 100;

/// Records on the topic, and messages on the retry queue, above which nobody sends.
const MAX_LAG: u64 = 3_000;
const MAX_PARKED: u64 = 500;

/// Signs raw events.
const SECRET: &str = "secret";

/// Pause before a request is sent again, or while too much waits.
const PAUSE: Duration = Duration::from_millis(100);

fn application(index: usize) -> String {
    format!("SOAK0-{index:05}")
}

/// The secrets of the applications.
pub(super) fn apps() -> Value {
    let app = |index: usize| {
        let secret = json!({"pushwoosh": {"api_token": format!("token-{index}")},
            "segment": {"write_key": format!("key-{index}")}, "webhook": {"shared_secret": SECRET}});
        (application(index), secret)
    };
    Value::Object((0..APPLICATIONS).map(app).collect())
}

/// Whether the functions are behind.
pub(super) fn too_much_waits(state: &Value) -> bool {
    let number = |pointer: &str| state.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    number("/topic/lag") > MAX_LAG || number("/queues/retry") > MAX_PARKED
}

/// Starts everybody.
pub(super) fn start(soak: &Arc<Soak>) -> Vec<JoinHandle<()>> {
    let callers = (0..CALLERS).map(|number| {
        let soak = Arc::clone(soak);
        tokio::spawn(async move { Caller::new(&soak, number as u64).call().await })
    });
    let mut tasks: Vec<JoinHandle<()>> = callers.collect();
    let soak = Arc::clone(soak);
    tasks.push(tokio::spawn(async move { produce(&soak).await }));
    tasks
}

async fn wait_while_held(soak: &Soak) {
    while soak.is_held() && soak.is_sending() {
        tokio::time::sleep(PAUSE).await;
    }
}

/// A user until the deletion of that number.
#[derive(Debug, Clone)]
struct User {
    application: usize,
    deletion: usize,
    id: String,
}

struct Caller<'a> {
    soak: &'a Soak,
    rng: Rng,
    users: Vec<User>,
}

impl<'a> Caller<'a> {
    fn new(soak: &'a Soak, number: u64) -> Self {
        let mut caller = Self { soak, rng: Rng::with_seed(number), users: Vec::new() };
        caller.users = (0..USERS).map(|_| caller.user()).collect();
        caller
    }

    fn user(&mut self) -> User {
        let (deletion, id) = self.soak.books.open(Kind::Deletion, None);
        User { application: self.rng.usize(..APPLICATIONS), deletion, id }
    }

    async fn call(mut self) {
        while self.soak.is_sending() {
            match self.rng.u8(..100) {
                0..45 => self.events().await,
                45..75 => self.profile().await,
                75..95 => self.raw_events().await,
                _ => self.deletion().await,
            }
            wait_while_held(self.soak).await;
        }
    }

    /// Some requests have an event that cannot be read among the others.
    async fn events(&mut self) {
        let bad = self.rng.usize(..10 * EVENTS_PER_REQUEST);
        let (items, events): (Vec<usize>, Vec<Value>) = (0..EVENTS_PER_REQUEST)
            .map(|index| {
                let (item, mark) = self.soak.books.open(Kind::Event, None);
                let user = format!("u{}", self.rng.u16(..1_000));
                let mut event = json!({"user_id": user, "device_platform": "ios", "name": "E", "attributes": {"n": mark}});
                if index == bad {
                    event["timestamp"] = "today".into();
                }
                (item, event)
            })
            .unzip();
        let application = self.rng.usize(..APPLICATIONS);
        self.post(application, "post-events", &json!({ "events": events }), &items).await;
    }

    async fn profile(&mut self) {
        let User { application, deletion, id } = self.users[self.rng.usize(..USERS)].clone();
        let (item, mark) = self.soak.books.open(Kind::Profile, Some(deletion));
        let body = json!({"user_id": id, "attributes": {"n": mark}});
        self.post(application, "track-user", &body, &[item]).await;
    }

    async fn deletion(&mut self) {
        let new = self.user();
        let index = self.rng.usize(..USERS);
        let User { application, deletion, id } = std::mem::replace(&mut self.users[index], new);
        let body = json!({"external_id": id});
        self.post(application, "delete-user", &body, &[deletion]).await;
    }

    async fn raw_events(&mut self) {
        let (items, events): (Vec<usize>, Vec<Value>) = (0..RAW_EVENTS_PER_REQUEST)
            .map(|_| {
                let (item, mark) = self.soak.books.open(Kind::RawEvent, None);
                let event = json!({"type": "track", "messageId": mark, "userId": "u1", "event": "E",
                    "timestamp": "2026-01-02T03:04:05Z", "context": {"device": {"type": "ios"}}, "properties": {"n": mark}});
                (item, event)
            })
            .unzip();
        let application = application(self.rng.usize(..APPLICATIONS));
        let body = Value::Array(events).to_string();
        until_taken(self.soak, &Request { application, body, to: To::Webhook }, &items).await;
    }

    async fn post(&self, index: usize, action: &str, body: &Value, items: &[usize]) {
        let to = To::Action {
            path: format!("/integration-segment/v1/{action}"),
            token: format!("token-{index}"),
        };
        let request = Request { application: application(index), body: body.to_string(), to };
        until_taken(self.soak, &request, items).await;
    }
}

enum To {
    Action { path: String, token: String },
    Webhook,
}

struct Request {
    application: String,
    body: String,
    to: To,
}

impl Request {
    async fn send(&self, sandbox: &Sandbox) -> HttpResponse {
        let Self { application, body, to } = self;
        match to {
            To::Action { path, token } => {
                sandbox.send_as(Method::POST, path, body.clone(), application, token).await
            }
            To::Webhook => sandbox.webhook_as(application, body, SECRET, body).await,
        }
    }
}

/// Sends a request until it is not answered with 5xx.
async fn until_taken(soak: &Soak, request: &Request, items: &[usize]) {
    loop {
        let started = Instant::now();
        let status = request.send(&soak.sandbox).await.status;
        soak.gauge.answered(started.elapsed());
        match status {
            200 => return soak.books.accepted(items),
            500.. => soak.books.resent(),
            _ => return soak.books.refuse(),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Appends records; one of each request is broken.
async fn produce(soak: &Soak) {
    let mut rng = Rng::with_seed(CALLERS as u64);
    while soak.is_sending() {
        let broken = rng.usize(..RECORDS_PER_REQUEST);
        let (items, lines): (Vec<usize>, Vec<String>) = (0..RECORDS_PER_REQUEST)
            .map(|index| {
                let (item, mark) = soak.books.open(Kind::Record, None);
                let application = application(rng.usize(..APPLICATIONS));
                let record = json!({"event_name": "Push Sent", "timestamp": 1_769_860_800, "application_code": application,
                    "message_code": "M", "platform": 1, "hwid": mark})
                .to_string();
                (item, if index == broken { format!("broken {record}") } else { record })
            })
            .unzip();
        soak.sandbox.produce_raw(lines.join("\n")).await;
        soak.books.accepted(&items);
        let lag = soak.sandbox.get("state").await["topic"]["lag"].as_u64().unwrap_or(0);
        if lag > MAX_LAG / 2 {
            tokio::time::sleep(PAUSE).await;
        }
        wait_while_held(soak).await;
    }
}
