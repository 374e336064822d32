//! The services around the functions: the models of `world`, and what the judge wants to know of their calls.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;
use tokio::sync::Notify;
use world::aws;
use world::dynamodb::{DynamoDb, TableOptions};
use world::faults::{Fault, Faults};
use world::kafka::{StartingPosition, Topic};
use world::pushwoosh::Pushwoosh;
use world::reply::{Connection, Exchange, Reply};
use world::secrets_manager::{LateReads, SecretsManager};
use world::segment::Segment;
use world::sqs::{Attributes, Chances, RedrivePolicy, Sqs};
use world::upstream::{Call, Upstream, decompressed, document};

use crate::incoming::Incoming;
use crate::items::{Attempt, Items, Keys, markers};
use crate::plan::SHORT_LIFE;
use crate::sabotage::Sabotage;
use crate::service::{PUSHWOOSH, SEGMENT, Service};
use crate::time::{StoryTime, show, wall};
use crate::trouble::Trouble;

/// Name of the topic.
pub(crate) const TOPIC: &str = "channels-tracking-log";

/// Name of the table.
pub(crate) const LEDGER: &str = "ledger";

/// The deployed queues, as the template sets them up.
const RETENTION: Duration = Duration::from_hours(14 * 24);
const AGE_LIMIT: Duration = Duration::from_hours(7 * 24);
const VISIBILITY: Duration = Duration::from_mins(6);
const MAX_RECEIVES: u32 = 100;

/// A call of an upstream, as the upstream saw it.
#[derive(Debug, Clone)]
pub(crate) struct UpstreamCall {
    pub(crate) at: Duration,
    pub(crate) path: String,
    pub(crate) user: Option<String>,
    pub(crate) markers: Vec<u64>,
    /// The upstream did what was asked.
    pub(crate) took_effect: bool,
    /// The answer said so, and the connection held.
    pub(crate) answered: bool,
    /// How long the answer took.
    pub(crate) took: Duration,
    /// The caller had stopped waiting when the answer came.
    pub(crate) abandoned: bool,
    pub(crate) invocation: u64,
}

/// The state of the world.
pub(crate) struct State {
    pub(crate) rng: Rng,
    pub(crate) sqs: Sqs,
    pub(crate) secrets: SecretsManager,
    pub(crate) dynamodb: DynamoDb,
    pub(crate) pushwoosh: Pushwoosh,
    pub(crate) segment: Segment,
    pub(crate) topic: Topic,
    pub(crate) faults: BTreeMap<Service, Faults>,
    /// Troubles so far and to come.
    pub(crate) troubles: Vec<Trouble>,
    /// How long an item waits before it is dead.
    pub(crate) age_limit: Duration,
    /// Probability that an invocation dies at one of its awaits.
    pub(crate) crash: f64,
    pub(crate) calls: Vec<UpstreamCall>,
    /// Invocations that died: crashes and time-outs.
    pub(crate) died: BTreeSet<u64>,
    pub(crate) invocations: u64,
    /// New versions of the functions so far.
    pub(crate) deployments: u32,
    /// On-failure objects of the topic's mapping.
    pub(crate) given_up: Vec<String>,
    /// What SQS deleted at the end of the retention.
    pub(crate) expired: BTreeSet<u64>,
    /// The bodies of those of them that hold no marker.
    pub(crate) expired_unmarked: Vec<String>,
    /// What SQS handed out again while it was with an invocation, or after its deletion.
    pub(crate) handed_out_twice: BTreeSet<u64>,
    pub(crate) keys: BTreeMap<String, Keys>,
    /// What was on the retry queue once.
    pub(crate) parked: BTreeSet<u64>,
    /// When the record left the topic.
    pub(crate) committed: BTreeMap<u64, Duration>,
    pub(crate) items: Items,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) sabotage: Option<Sabotage>,
    pub(crate) trace: Option<Vec<String>>,
    pub(crate) story: Vec<String>,
}

impl State {
    /// Breaks the services before the story begins.
    pub(crate) fn sabotage_with(&mut self, sabotage: Sabotage) {
        self.sabotage = Some(sabotage);
        match sabotage {
            Sabotage::ForgetfulSegment => self.segment.options.repeat_window = Duration::ZERO,
            Sabotage::ForgottenClaims => self.sqs.chances.duplicate = 0.01,
            Sabotage::LastingLateReads => {
                self.secrets.late_reads.window = Duration::from_hours(1);
                self.secrets.late_reads.probability = 0.9;
            }
            Sabotage::ShortRetention => {
                if let Some(queue) = self.sqs.queue_mut("retry") {
                    queue.attributes.retention = Duration::from_mins(1);
                }
            }
            _ => {}
        }
    }
}

/// The world, shared by everything in a story.
pub(crate) struct World {
    pub(crate) time: StoryTime,
    state: Mutex<State>,
    pub(crate) queue_changed: Notify,
    pub(crate) topic_changed: Notify,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("World")
    }
}

impl World {
    pub(crate) fn new(seed: u64, trace: bool, short_lives: bool) -> Arc<Self> {
        let time = StoryTime::begin();
        let mut sqs = Sqs::default();
        let attributes = Attributes { retention: RETENTION, ..Attributes::default() };
        sqs.create("dead", attributes.clone());
        sqs.create("rejects", attributes.clone());
        let redrive =
            RedrivePolicy { dead_letter_queue: "dead".to_owned(), max_receives: MAX_RECEIVES };
        // Scaled with the age limit.
        let retention = if short_lives { 2 * SHORT_LIFE } else { RETENTION };
        sqs.create(
            "retry",
            Attributes { retention, visibility: VISIBILITY, redrive: Some(redrive), ..attributes },
        );
        // Far more often than SQS does it. What waits for days is sent anew hundreds of times, and every
        // duplicate of it makes one message more: with several times as many, stories would not end.
        sqs.chances =
            Chances { duplicate: 0.0005, forgotten_delete: 0.0005, disorder: 0.2, unseen: 0.0 };
        let mut secrets = SecretsManager::default();
        secrets.late_reads = LateReads { window: Duration::from_secs(10), probability: 0.2 };
        let mut dynamodb = DynamoDb::default();
        let expiry = Some("expires_at".to_owned());
        dynamodb.create(LEDGER, TableOptions { expiry, ..TableOptions::new("pk") });
        let state = State {
            rng: Rng::with_seed(seed ^ 0x5EED),
            sqs,
            secrets,
            dynamodb,
            pushwoosh: Pushwoosh::default(),
            segment: Segment::default(),
            topic: Topic::new(TOPIC, 3, StartingPosition::TrimHorizon),
            faults: BTreeMap::new(),
            troubles: Vec::new(),
            age_limit: if short_lives { SHORT_LIFE } else { AGE_LIMIT },
            crash: 0.0,
            calls: Vec::new(),
            died: BTreeSet::new(),
            invocations: 0,
            deployments: 0,
            given_up: Vec::new(),
            expired: BTreeSet::new(),
            expired_unmarked: Vec::new(),
            handed_out_twice: BTreeSet::new(),
            keys: BTreeMap::new(),
            parked: BTreeSet::new(),
            committed: BTreeMap::new(),
            items: Items::default(),
            attempts: Vec::new(),
            sabotage: None,
            trace: trace.then(Vec::new),
            story: Vec::new(),
        };
        Arc::new(Self {
            time,
            state: Mutex::new(state),
            queue_changed: Notify::new(),
            topic_changed: Notify::new(),
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a step that is printed on request.
    pub(crate) fn trace(&self, line: impl FnOnce() -> String) {
        let now = self.time.now();
        self.state().trace(now, line);
    }

    /// Notes what is always printed.
    pub(crate) fn tell(&self, line: &str) {
        let now = self.time.now();
        let mut state = self.state();
        state.trace(now, || format!("*** {line}"));
        state.story.push(format!("{}  {line}", show(now)));
    }

    pub(crate) fn exchange(
        &self,
        request: &Incoming,
        invocation: u64,
    ) -> (Exchange, Option<usize>) {
        let now = self.time.now();
        let mut state = self.state();
        match request.service {
            Service::Sqs | Service::SecretsManager | Service::DynamoDb => {
                (state.aws(request, now), None)
            }
            Service::Pushwoosh | Service::Segment => {
                let (exchange, call) = state.upstream(request, invocation, now);
                (exchange, Some(call))
            }
        }
    }
}

impl State {
    pub(crate) fn trace(&mut self, now: Duration, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{}  {}", show(now), line()));
        }
    }

    /// Lets SQS delete what has reached its retention.
    pub(crate) fn expire(&mut self, now: Duration) {
        for (queue, message) in self.sqs.advance(wall(now)) {
            let found = markers(&message.body);
            self.trace(now, || format!("SQS deletes a message of {queue}: {found:?}"));
            if found.is_empty() {
                self.expired_unmarked.push(message.body);
            }
            self.expired.extend(found);
        }
    }

    fn aws(&mut self, request: &Incoming, now: Duration) -> Exchange {
        self.expire(now);
        let faults = self.faults.entry(request.service).or_default();
        let (body, operation, rng) = (&request.body, request.path.as_str(), &mut self.rng);
        let is_closed = match self.sabotage {
            Some(Sabotage::RefusedParking) => true,
            Some(Sabotage::LastingRequests) => rng.u8(0..5) > 0,
            _ => false,
        };
        if is_closed && parks(operation, body) {
            let refused = Fault { status: Some(503), ..Fault::default() };
            return refused.exchange(Reply::json(503, &serde_json::json!({})));
        }
        let exchange = if request.service == Service::DynamoDb {
            if self.sabotage.is_some_and(|sabotage| forgets(sabotage, operation, body)) {
                return Fault::default().exchange(Reply::json(200, &serde_json::json!({})));
            }
            aws::exchange(&mut self.dynamodb, faults, operation, body, wall(now), rng)
        } else if request.service == Service::Sqs {
            if parks(operation, body) {
                self.parked.extend(markers(&String::from_utf8_lossy(body)));
            }
            let exchange = aws::exchange(&mut self.sqs, faults, operation, body, wall(now), rng);
            lose(&mut self.sqs, self.sabotage, &String::from_utf8_lossy(body));
            exchange
        } else {
            aws::exchange(&mut self.secrets, faults, operation, body, wall(now), rng)
        };
        let (service, status) = (request.service, exchange.reply.status);
        let connection = exchange.connection;
        self.trace(now, || {
            let marks = markers(&String::from_utf8_lossy(body));
            format!("    {service} {operation} {marks:?}: {status}, {connection:?}")
        });
        exchange
    }

    fn upstream(
        &mut self,
        request: &Incoming,
        invocation: u64,
        now: Duration,
    ) -> (Exchange, usize) {
        let bytes = decompressed(&request.encoding, &request.body);
        let body = document(&bytes);
        let call = Call {
            path: &request.path,
            authorization: &request.authorization,
            size: bytes.len(),
            body: &body,
        };
        let model: &mut dyn Model = match request.service {
            Service::Segment => &mut self.segment,
            _ => &mut self.pushwoosh,
        };
        let application = model.of(&call).unwrap_or_default();
        let faults = self.faults.entry(request.service).or_default();
        let fault = faults.take(call.path, Some(&application), &mut self.rng).unwrap_or_default();
        let swallowed = self.sabotage == Some(Sabotage::SwallowedCalls)
            && request.service == Service::Pushwoosh
            && self.rng.u8(0..50) == 0;
        let (reply, took_effect) = if swallowed {
            (Reply::json(200, &serde_json::json!({"status_code": 200})), false)
        } else if fault.takes_effect() {
            if self.sabotage == Some(Sabotage::ForgetfulSegment) && self.rng.u8(0..10) == 0 {
                model.take(&call, wall(now), &mut self.rng);
            }
            let reply = model.take(&call, wall(now), &mut self.rng);
            let taken = reply.status == 200;
            (reply, taken)
        } else {
            (Reply { status: 200, headers: Vec::new(), body: Vec::new() }, false)
        };
        let exchange = fault.exchange(fault.change(reply));
        let answered = exchange.connection == Connection::Answered && is_plain(&fault);
        let fields = body.get("request").unwrap_or(&body);
        let user = ["userId", "user_id"].iter().find_map(|name| fields.get(*name)?.as_str());
        let found = markers(&String::from_utf8_lossy(&bytes));
        self.trace(now, || {
            let path = &request.path;
            let (status, connection) = (exchange.reply.status, exchange.connection);
            let effect = if took_effect { "taken" } else { "not taken" };
            format!(
                "    {application} {path} {} {found:?}: {effect}, {status}, {connection:?}",
                user.unwrap_or("-")
            )
        });
        self.calls.push(UpstreamCall {
            at: now,
            path: request.path.clone(),
            user: user.map(str::to_owned),
            markers: found,
            took_effect,
            answered,
            took: request.latency + exchange.delay,
            abandoned: false,
            invocation,
        });
        (exchange, self.calls.len() - 1)
    }
}

/// Whether something is sent to the retry queue.
fn parks(operation: &str, body: &[u8]) -> bool {
    operation.starts_with("SendMessage") && String::from_utf8_lossy(body).contains("/retry\"")
}

/// Whether the ledger forgets a write.
fn forgets(sabotage: Sabotage, operation: &str, body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    let about = |key: &str| operation == "UpdateItem" && text.contains(&format!("\"{key}#"));
    match sabotage {
        Sabotage::ForgottenDeletions => about("deletion"),
        Sabotage::ForgottenPending => about("deletion") && text.contains("SET #pending"),
        // A deletion that was delivered has its time too.
        Sabotage::LastingPending => {
            about("deletion") && text.contains("REMOVE #pending") && !text.contains("#delivered")
        }
        Sabotage::ForgottenValues => about("values"),
        Sabotage::ForgottenClaims => about("claim"),
        Sabotage::ForgottenRequests => about("request"),
        Sabotage::LastingRequests => about("request") && text.contains("REMOVE #items"),
        _ => false,
    }
}

/// Deletes what the sabotage says right after it was sent.
fn lose(sqs: &mut Sqs, sabotage: Option<Sabotage>, sent: &str) {
    let (name, number) = match sabotage {
        Some(Sabotage::LostMessages) => ("retry", 1),
        Some(Sabotage::EmptiedRejects) => ("rejects", usize::MAX),
        _ => return,
    };
    let bodies = sent.matches("\"MessageBody\"").count();
    if let Some(queue) = sqs.queue_mut(name)
        && sent.contains(&format!("/{name}\""))
        && (1..=number).contains(&bodies)
    {
        let ids: Vec<String> = queue.messages().map(|(id, _)| id).collect();
        for id in ids.into_iter().rev().take(number) {
            queue.discard(&id);
        }
    }
}

/// Whether the upstream's own answer is given.
fn is_plain(fault: &Fault) -> bool {
    fault.status.is_none() && fault.body.is_none() && fault.body_bytes.is_none()
}

/// [`Upstream`] behind a pointer.
trait Model {
    fn of(&self, call: &Call<'_>) -> Option<String>;
    fn take(&mut self, call: &Call<'_>, now: jiff::Timestamp, rng: &mut Rng) -> Reply;
}

impl<T: Upstream> Model for T {
    fn of(&self, call: &Call<'_>) -> Option<String> {
        Upstream::application(self, call)
    }

    fn take(&mut self, call: &Call<'_>, now: jiff::Timestamp, rng: &mut Rng) -> Reply {
        self.handle(call, now, rng)
    }
}

/// A secret of an application.
pub(crate) fn secret(token: &str, write_key: &str) -> String {
    let secret: Value = serde_json::json!({
        "pushwoosh": {"api_token": token, "base_url": format!("http://{PUSHWOOSH}")},
        "segment": {"write_key": write_key, "base_url": format!("http://{SEGMENT}/v1")},
    });
    secret.to_string()
}
