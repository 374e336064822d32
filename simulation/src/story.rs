//! How a plan happens: its actions, one after another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use destination::Destination;
use serde_json::{Value, json};
use world::faults::Fault;
use world::pushwoosh::Account;

use crate::fleet::Fleet;
use crate::items::{Item, What, mark};
use crate::plan::{APPLICATIONS, Action, CRASH, CRASH_IN_TROUBLE, Plan, code, user_id};
use crate::sabotage::Sabotage;
use crate::senders::{self, Outgoing};
use crate::service::Service;
use crate::services::{World, secret};
use crate::time::sleep;
use crate::trouble::{Concerns, Trouble};

/// Events of an equal request, and the time until it comes.
const TWINS: usize = 2;
const BETWEEN_TWINS: Duration = Duration::from_mins(10);

impl Plan {
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
        Action::Twins(application, user) => {
            let twins: Vec<(u64, String)> =
                (0..TWINS).map(|_| item(world, What::Event, application, user, false)).collect();
            for (marker, _) in &twins {
                if let Some(item) = world.state().items.get_mut(*marker) {
                    item.copies = 2;
                }
            }
            // Without a time of their own, what users do twice is equal.
            let event = |(marker, user): &(u64, String)| {
                json!({"user_id": user, "device_platform": "ios", "name": "Order",
                    "attributes": {"order": mark(*marker)}})
            };
            let body = json!({ "events": twins.iter().map(event).collect::<Vec<_>>() });
            let path = "/integration-segment/v1/post-events";
            let markers: Vec<u64> = twins.iter().map(|(marker, _)| *marker).collect();
            let user = user_id(application, user);
            let (world, destination) = (Arc::clone(world), Arc::clone(destination));
            tokio::spawn(async move {
                request(&world, &destination, application, &user, path, &body, markers.clone());
                sleep(BETWEEN_TWINS).await;
                request(&world, &destination, application, &user, path, &body, markers);
            });
        }
        Action::Deletion(application, user) => {
            let (marker, user) = item(world, What::Deletion, application, user, false);
            let path = "/integration-segment/v1/delete-user";
            let body = json!({ "external_id": user });
            request(world, destination, application, &user, path, &body, vec![marker]);
        }
        Action::Records(records, foreign) => produce(world, &records, foreign),
        Action::Begin(index) => change(world, index, true),
        Action::End(index) => end(world, index),
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
        Action::Deploy => {
            world.state().deployments += 1;
            world.tell("a new version of every function is deployed");
        }
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
        copies: 1,
        taken: 0,
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

/// For how long a sabotage lets a trouble go on after its end.
fn lingers(sabotage: Option<Sabotage>, trouble: &Trouble) -> Duration {
    sabotage.map(|sabotage| sabotage.lingers(trouble.concerns)).unwrap_or_default()
}

/// A trouble ends, or lingers.
fn end(world: &Arc<World>, index: usize) {
    let lingering = {
        let state = world.state();
        state.troubles.get(index).map(|trouble| lingers(state.sabotage, trouble))
    };
    match lingering.filter(|lingering| !lingering.is_zero()) {
        None => change(world, index, false),
        Some(lingering) => {
            let world = Arc::clone(world);
            tokio::spawn(async move {
                sleep(lingering).await;
                change(&world, index, false);
            });
        }
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
                let to = trouble.to.saturating_add(lingers(state.sabotage, trouble));
                let lasts = trouble.from <= at && at < to;
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
