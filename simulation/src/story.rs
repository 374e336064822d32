//! What happens in a story: made from the seed before it begins, so that what the functions do changes
//! nothing in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use destination::Destination;
use fastrand::Rng;
use serde_json::{Value, json};
use world::faults::Fault;
use world::pushwoosh::Account;

use crate::fleet::Fleet;
use crate::items::{Item, What, mark};
use crate::sabotage::Sabotage;
use crate::senders::{self, Outgoing};
use crate::services::{Service, World, secret};
use crate::trouble::{Concerns, Trouble, of_dynamodb, of_secrets, of_sqs, of_upstream};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

const APPLICATIONS: usize = 3;
const USERS: usize = 4;

/// Codes on the topic that belong to others.
const FOREIGN: usize = 60;

/// Probability that an invocation dies, on an ordinary day and on a bad one.
const CRASH: f64 = 0.001;
const CRASH_IN_TROUBLE: f64 = 0.3;

/// How long items live in stories with a wrong key: the age limit, scaled down with the queue's retention so
/// that stories stay short.
pub(crate) const SHORT_LIFE: Duration = DAY;

/// How long a secret is away: less than the time for which settings are kept.
const AWAY: Duration = Duration::from_mins(3);

/// Something that happens.
#[derive(Debug, Clone)]
enum Action {
    Profile(usize, usize),
    Events(usize, usize, usize),
    Deletion(usize, usize),
    /// Records of these applications, and of so many foreign codes.
    Records(Vec<(usize, usize)>, usize),
    Begin(usize),
    End(usize),
    Rotate(usize),
    /// Segment gets the new key.
    NewKeyInSegment(usize),
    /// Somebody uses the first key.
    OldKey(usize),
    Redrive,
}

/// A story before it is told.
pub(crate) struct Plan {
    actions: Vec<(Duration, Action)>,
    troubles: Vec<Trouble>,
    pub(crate) provisioned: bool,
    /// Items live for [`SHORT_LIFE`] only.
    pub(crate) short_lives: bool,
}

fn code(application: usize) -> String {
    format!("APP{application}-00000")
}

fn user_id(application: usize, user: usize) -> String {
    format!("user-{application}-{user}")
}

struct Planner {
    rng: Rng,
    end: Duration,
    actions: Vec<(Duration, Action)>,
    troubles: Vec<Trouble>,
    /// The application with a wrong key, and when.
    wrong_key: Option<(usize, Duration, Duration)>,
}

impl Planner {
    fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (least, most) = (milliseconds(least), milliseconds(most));
        Duration::from_millis(self.rng.u64(least..=most.max(least)))
    }

    fn add(&mut self, at: Duration, action: Action) {
        if at < self.end {
            self.actions.push((at, action));
        }
    }

    fn trouble(&mut self, mut trouble: Trouble) {
        let index = self.troubles.len();
        trouble.to = trouble.to.min(self.end);
        self.add(trouble.from, Action::Begin(index));
        // Also what lasts beyond the story ends with it.
        self.actions.push((trouble.to, Action::End(index)));
        self.troubles.push(trouble);
    }

    /// Nobody corrects an application's key for longer than its items live.
    fn wrong_key(&mut self) {
        let from = self.between(DAY, 3 * DAY);
        let to = from + self.between(2 * SHORT_LIFE, 3 * SHORT_LIFE);
        let number = self.rng.usize(..APPLICATIONS);
        self.wrong_key = Some((number, from, to));
        let application = Some(code(number));
        let (concerns, label) = (Concerns::Key, "takes another key than the secret holds");
        let faults = Vec::new();
        self.trouble(Trouble { from, to, concerns, application, label, faults });
    }

    /// Whether an application's users do little: what they do is tried again every few minutes for days.
    fn is_quiet(&mut self, application: usize, at: Duration) -> bool {
        let quiet = self
            .wrong_key
            .is_some_and(|(number, from, to)| number == application && (from..to).contains(&at));
        quiet && self.rng.u8(0..5) > 0
    }

    /// What users do on an ordinary day.
    fn ordinary_day(&mut self, day: Duration) {
        for application in 0..APPLICATIONS {
            for user in 0..USERS {
                for _ in 0..self.rng.usize(0..=2) {
                    let mut at = day + self.between(Duration::ZERO, DAY);
                    for _ in 0..self.rng.usize(1..=3) {
                        let action = match self.rng.u8(0..100) {
                            0..45 => Action::Profile(application, user),
                            45..95 => Action::Events(application, user, self.rng.usize(1..=4)),
                            _ => Action::Deletion(application, user),
                        };
                        if !self.is_quiet(application, at) {
                            self.add(at, action);
                        }
                        at += self.between(MINUTE, 20 * MINUTE);
                    }
                }
            }
        }
        for _ in 0..self.rng.usize(2..=4) {
            let at = day + self.between(Duration::ZERO, DAY);
            self.records(at);
        }
    }

    fn records(&mut self, at: Duration) {
        let number = self.rng.usize(1..=5);
        let records = (0..number)
            .map(|_| (self.rng.usize(..APPLICATIONS), self.rng.usize(..USERS)))
            .collect();
        let foreign = self.rng.usize(0..=4);
        self.add(at, Action::Records(records, foreign));
    }

    /// What users do while an application's upstream is in trouble, and a little later.
    fn drama(&mut self, application: usize, from: Duration, to: Duration) {
        for user in 0..USERS {
            let mut at = from + self.between(MINUTE, 10 * MINUTE);
            for _ in 0..self.rng.usize(2..=5) {
                let action = match self.rng.u8(0..10) {
                    0..5 => Action::Profile(application, user),
                    5..7 => Action::Events(application, user, self.rng.usize(1..=3)),
                    _ => Action::Deletion(application, user),
                };
                if at < to + 30 * MINUTE {
                    self.add(at, action);
                }
                at += self.between(MINUTE, 40 * MINUTE);
            }
        }
    }

    fn some_trouble(&mut self) {
        let from = self.between(HOUR, self.end.saturating_sub(6 * HOUR));
        let to = from + self.between(5 * MINUTE, 3 * HOUR);
        let number = self.rng.usize(..APPLICATIONS);
        let application = Some(code(number));
        match self.rng.u8(0..100) {
            0..35 => {
                let (label, fault) = of_upstream(self.rng.u8(0..=6));
                let concerns = Concerns::Service(Service::Pushwoosh);
                let faults = vec![Fault { application: application.clone(), ..fault }];
                self.trouble(Trouble { from, to, concerns, application, label, faults });
                self.drama(number, from, to);
                if label.contains("slow") {
                    let at = from + self.between(MINUTE, 5 * MINUTE);
                    let events = self.rng.usize(100..=250);
                    self.add(at, Action::Events(number, 0, events));
                }
            }
            35..50 => {
                let (label, fault) = of_upstream(self.rng.u8(0..=6));
                let concerns = Concerns::Service(Service::Segment);
                let faults = vec![Fault { application: application.clone(), ..fault }];
                self.trouble(Trouble { from, to, concerns, application, label, faults });
                for _ in 0..6 {
                    let at = self.between(from, to);
                    let records = vec![(number, 0), (number, 1)];
                    self.add(at, Action::Records(records, 0));
                }
                if self.rng.bool() {
                    let place = self.rng.f64();
                    self.away(number, place, (from, to));
                }
            }
            50..62 => {
                let (label, fault) = of_secrets(self.rng.u8(0..=3));
                let concerns = Concerns::Service(Service::SecretsManager);
                let faults = vec![fault];
                self.trouble(Trouble { from, to, concerns, application: None, label, faults });
                for _ in 0..3 {
                    let at = self.between(from, to);
                    let records = vec![(number, 0), (number, 1)];
                    self.add(at, Action::Records(records, FOREIGN));
                }
            }
            62..72 => self.rotation(number, from),
            72..80 => {
                let (label, fault) = of_sqs(self.rng.u8(0..=2));
                let concerns = Concerns::Service(Service::Sqs);
                let faults = vec![fault];
                self.trouble(Trouble { from, to, concerns, application: None, label, faults });
            }
            80..88 => {
                // Some entries are not taken while an upstream makes them necessary.
                let concerns = Concerns::SingleEntries;
                let fault = Fault {
                    path: Some("SendMessageBatch".to_owned()),
                    failed_entries: Some(1),
                    probability: Some(0.2),
                    ..Fault::default()
                };
                let faults = vec![fault];
                let label = "takes all but one entry of a batch";
                self.trouble(Trouble { from, to, concerns, application: None, label, faults });
                let (label, fault) = of_upstream(0);
                let faults = vec![Fault { application: application.clone(), ..fault }];
                let concerns = Concerns::Service(Service::Pushwoosh);
                self.trouble(Trouble { from, to, concerns, application, label, faults });
                self.drama(number, from, to);
            }
            88..91 => {
                let (label, fault) = of_dynamodb(self.rng.u8(0..=3));
                let concerns = Concerns::Service(Service::DynamoDb);
                let faults = vec![fault];
                self.trouble(Trouble { from, to, concerns, application: None, label, faults });
                self.drama(number, from, to);
            }
            91..95 => {
                let to = from + self.between(5 * MINUTE, HOUR);
                let (concerns, label) = (Concerns::Processes, "invocations die");
                let faults = Vec::new();
                self.trouble(Trouble { from, to, concerns, application: None, label, faults });
                self.drama(number, from, to);
            }
            _ => self.away(number, 0.0, (from, to)),
        }
    }

    /// An application's secret is deleted and comes back.
    fn away(&mut self, number: usize, place: f64, (from, to): (Duration, Duration)) {
        let from = from + to.saturating_sub(from).mul_f64(place * 0.9);
        let to = from + AWAY;
        let application = Some(code(number));
        let label = "the secret is away";
        let (concerns, faults) = (Concerns::Secret, Vec::new());
        self.trouble(Trouble { from, to, concerns, application, label, faults });
    }

    /// A rotation; half of them while Secrets Manager fails.
    fn rotation(&mut self, number: usize, from: Duration) {
        let switched = from + self.between(MINUTE, 20 * MINUTE);
        let settled = switched + 30 * MINUTE;
        self.add(from, Action::Rotate(number));
        self.add(switched, Action::NewKeyInSegment(number));
        let (concerns, application) = (Concerns::Rotation, Some(code(number)));
        let (label, faults) = ("a rotation", Vec::new());
        self.trouble(Trouble { from, to: settled, concerns, application, label, faults });
        for user in 0..USERS {
            let at = self.between(switched, settled);
            self.add(at, Action::Events(number, user, 1));
        }
        let later = from + self.between(2 * DAY, 5 * DAY);
        self.add(later, Action::OldKey(number));
        if self.rng.bool() {
            let (label, fault) = of_secrets(self.rng.u8(0..=2));
            let concerns = Concerns::Service(Service::SecretsManager);
            let (from, faults) = (from + MINUTE / 2, vec![fault]);
            self.trouble(Trouble { from, to: settled, concerns, application: None, label, faults });
        }
    }
}

impl Plan {
    /// The story of a seed.
    pub(crate) fn new(seed: u64, days: u32) -> Self {
        let (rng, end) = (Rng::with_seed(seed), DAY * days);
        let (actions, troubles) = (Vec::new(), Vec::new());
        let mut planner = Planner { rng, end, actions, troubles, wrong_key: None };
        if days >= 7 && planner.rng.u8(0..3) == 0 {
            planner.wrong_key();
        }
        for day in 0..days {
            planner.ordinary_day(DAY * day);
            if day % 7 == 6 {
                planner.add(DAY * day + 9 * HOUR, Action::Redrive);
            }
        }
        for _ in 0..(days * 2 / 3).max(2) {
            planner.some_trouble();
        }
        let provisioned = planner.rng.bool();
        let Planner { mut actions, troubles, wrong_key, .. } = planner;
        actions.sort_by_key(|(at, _)| *at);
        Self { actions, troubles, provisioned, short_lives: wrong_key.is_some() }
    }

    /// Tells the story, until its last action.
    pub(crate) async fn tell(self, world: &Arc<World>, destination: &Arc<Fleet<Destination>>) {
        world.state().troubles = self.troubles;
        world.state().crash = CRASH;
        for application in 0..APPLICATIONS {
            rotate(world, application);
            switch(world, application);
        }
        for (at, action) in self.actions {
            world.time.sleep_until(at).await;
            act(world, destination, action);
        }
        world.state().crash = 0.0;
    }
}

fn act(world: &Arc<World>, destination: &Arc<Fleet<Destination>>, action: Action) {
    match action {
        Action::Profile(application, user) => {
            let (marker, user) = item(world, What::Profile, application, user, false);
            let body = json!({
                "user_id": user, "device_id": format!("device-{user}"), "device_platform": "ios",
                "attributes": {"plan": mark(marker)},
            });
            let path = "/integration-segment/v1/track-user";
            request(world, destination, application, &user, path, &body, vec![marker]);
        }
        Action::Events(application, user, number) => {
            let mut markers = Vec::new();
            let mut id = String::new();
            let events: Vec<Value> = (0..number)
                .map(|index| {
                    // The last of four is always one that cannot be read.
                    let bad = index == 3 && number < 10;
                    let (marker, user) = item(world, What::Event, application, user, bad);
                    markers.push(marker);
                    id.clone_from(&user);
                    let at = if bad { "never".to_owned() } else { world.time.wall().to_string() };
                    json!({
                        "user_id": user, "device_id": format!("device-{user}"),
                        "device_platform": "ios", "name": "Order", "timestamp": at,
                        "attributes": {"order": mark(marker)},
                    })
                })
                .collect();
            let path = "/integration-segment/v1/post-events";
            let body = json!({ "events": events });
            request(world, destination, application, &id, path, &body, markers);
        }
        Action::Deletion(application, user) => {
            let (marker, user) = item(world, What::Deletion, application, user, false);
            let path = "/integration-segment/v1/delete-user";
            let body = json!({ "external_id": user });
            request(world, destination, application, &user, path, &body, vec![marker]);
        }
        Action::Records(records, foreign) => produce(world, &records, foreign),
        Action::Begin(index) => change(world, index, true),
        Action::End(index) => change(world, index, false),
        Action::Rotate(application) => {
            rotate(world, application);
            world.tell(&format!("{}: the key is rotated", code(application)));
        }
        Action::NewKeyInSegment(application) => {
            switch(world, application);
            world.tell(&format!("{}: Segment has the new key", code(application)));
        }
        Action::OldKey(application) => {
            let keys = world.state().keys.get(&code(application)).cloned().unwrap_or_default();
            let replaced = keys.versions.iter().rev().nth(1).map(|(_, key)| key.clone());
            let request = Outgoing {
                application: code(application),
                user: String::new(),
                path: "/integration-segment/v1/ping",
                body: String::new(),
                markers: Vec::new(),
                key: replaced,
            };
            tokio::spawn(senders::send(Arc::clone(world), Arc::clone(destination), request));
        }
        Action::Redrive => redrive(world),
    }
}

/// An operator sends again what is dead.
pub(crate) fn redrive(world: &World) {
    let now = world.time.wall();
    let mut state = world.state();
    let dead = state.sqs.queue("dead").map_or(0, world::sqs::Queue::len);
    if dead > 0 {
        state.expire(world.time.now());
        // SQS cannot tell where a message came from that was sent to the queue.
        state.sqs.start_move("dead", Some("retry"), None, now).ok();
        drop(state);
        world.tell(&format!("an operator redrives {dead} dead letters"));
        world.queue_changed.notify_one();
    }
}

fn item(world: &World, what: What, application: usize, user: usize, bad: bool) -> (u64, String) {
    let (created, user) = (world.time.now(), user_id(application, user));
    let item = Item {
        what,
        application: code(application),
        user: user.clone(),
        created,
        accepted: None,
        bad,
    };
    (world.state().items.add(item), user)
}

fn request(
    world: &Arc<World>,
    destination: &Arc<Fleet<Destination>>,
    application: usize,
    user: &str,
    path: &'static str,
    body: &Value,
    markers: Vec<u64>,
) {
    let request = Outgoing {
        application: code(application),
        user: user.to_owned(),
        path,
        body: body.to_string(),
        markers,
        key: None,
    };
    tokio::spawn(senders::send(Arc::clone(world), Arc::clone(destination), request));
}

fn produce(world: &World, records: &[(usize, usize)], foreign: usize) {
    let (now, at) = (world.time.wall(), world.time.now());
    let mut values = Vec::new();
    // Foreign records come first: a function that waits for them keeps the others waiting.
    for number in 0..foreign {
        values.push(record(&format!("FOR{number:02}-00000"), "somebody", "none", now));
    }
    for (application, user) in records {
        let (marker, user) = item(world, What::Record, *application, *user, false);
        world.trace(|| format!("a record of {user} on the topic: {marker}"));
        if let Some(item) = world.state().items.get_mut(marker) {
            item.accepted = Some(at);
        }
        values.push(record(&code(*application), &user, &mark(marker), now));
    }
    let values = values.into_iter().map(|value| Some(Bytes::from(value)));
    world.state().topic.append(values, now);
    world.topic_changed.notify_one();
}

fn record(application: &str, user: &str, marker: &str, now: jiff::Timestamp) -> String {
    json!({
        "event_name": "Push Sent", "timestamp": now.to_string(), "application_code": application,
        "user_id": user, "hwid": format!("device-{user}"), "platform": "ios",
        "message_code": format!("message {marker}"), "campaign_code": marker,
    })
    .to_string()
}

fn rotate(world: &World, application: usize) {
    let (now, at, code) = (world.time.wall(), world.time.now(), code(application));
    let mut state = world.state();
    let keys = state.keys.entry(code.clone()).or_default();
    let token = format!("token-{application}-{}", keys.versions.len());
    keys.versions.push((at, token.clone()));
    let write_key = format!("write-key-{application}");
    if !keys.away {
        state.secrets.put(&secret_id(&code), secret(&token, &write_key), now);
    }
    state.segment.set_key(&code, Some(write_key));
    let trouble = state.troubles.iter().any(|trouble| {
        trouble.concerns == Concerns::Key && trouble.touches(&code) && trouble.overlaps(at, at)
    });
    if !trouble {
        state.pushwoosh.set_account(&code, Account { token: Some(token), ..Account::default() });
    }
}

fn secret_id(code: &str) -> String {
    format!("segment-pushwoosh/{code}")
}

fn switch(world: &World, application: usize) {
    let mut state = world.state();
    let keys = state.keys.entry(code(application)).or_default();
    if let Some((_, newest)) = keys.versions.last() {
        keys.caller.clone_from(newest);
    }
}

/// A trouble begins or ends.
fn change(world: &World, index: usize, begins: bool) {
    let (now, at) = (world.time.wall(), world.time.now());
    let mut state = world.state();
    let Some(trouble) = state.troubles.get(index).cloned() else { return };
    let code = trouble.application.clone().unwrap_or_default();
    let newest =
        state.keys.get(&code).and_then(|keys| keys.versions.last()).map(|(_, key)| key.clone());
    match trouble.concerns {
        Concerns::Processes => state.crash = if begins { CRASH_IN_TROUBLE } else { CRASH },
        Concerns::Secret => {
            if let Some(keys) = state.keys.get_mut(&code) {
                keys.away = begins;
            }
            if begins {
                state.secrets.delete(&secret_id(&code), Duration::ZERO, now);
            } else if let Some(token) = newest {
                let number = code.trim_start_matches("APP").trim_end_matches("-00000");
                let value = secret(&token, &format!("write-key-{number}"));
                state.secrets.put(&secret_id(&code), value, now);
            }
        }
        Concerns::Key => {
            let token = if begins { Some("another".to_owned()) } else { newest };
            state.pushwoosh.set_account(&code, Account { token, ..Account::default() });
        }
        Concerns::Rotation => return,
        Concerns::Service(_) | Concerns::SingleEntries => {
            let mut faults: BTreeMap<Service, Vec<Fault>> = BTreeMap::new();
            for (other, trouble) in state.troubles.iter().enumerate() {
                let lasts = trouble.from <= at && at < trouble.to;
                let active = if other == index { begins } else { lasts };
                if let (true, Some(service)) = (active, trouble.service()) {
                    let spreads = state.sabotage == Some(Sabotage::SpreadingTrouble);
                    let own = trouble.faults.iter().cloned().map(|fault| Fault {
                        application: fault.application.filter(|_| !spreads),
                        ..fault
                    });
                    faults.entry(service).or_default().extend(own);
                }
            }
            for service in Service::ALL {
                let list = faults.remove(&service).unwrap_or_default();
                state.faults.entry(service).or_default().set(list);
            }
        }
    }
    drop(state);
    let verb = if begins { "begins" } else { "ends" };
    let what = match trouble.service() {
        Some(service) => format!("{service} {}", trouble.label),
        None if trouble.concerns == Concerns::Key => format!("Pushwoosh {}", trouble.label),
        None => trouble.label.to_owned(),
    };
    let whose = if code.is_empty() { String::new() } else { format!("{code}: ") };
    world.tell(&format!("{whose}{what}: {verb}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_depends_on_its_seed_alone() {
        let show = |seed| format!("{:?}", Plan::new(seed, 10).actions);
        assert_eq!(show(1), show(1));
        assert_ne!(show(1), show(2));
    }
}
