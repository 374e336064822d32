//! Who sends to the functions: Segment as the caller of the destination, and the event source mappings of
//! the topic and of the retry queue.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use destination::Destination;
use platform::clock::between;
use retry::Retry;
use serde_json::Value;
use source::Source;
use tokio::sync::{Semaphore, oneshot};
use world::api_gateway::{self, HttpRequest};
use world::kafka::mapping::{Next, TopicMapping};
use world::queue_mapping::QueueMapping;
use world::segment::caller::{self, Caller, PATIENCE, Verdict};

use crate::fleet::{Ended, Fleet};
use crate::items::{Attempt, Key, markers};
use crate::sabotage::Sabotage;
use crate::service::Service;
use crate::services::{TOPIC, World};
use crate::time::{sleep, wall};

/// Batches of the retry queue at the same time, as the template sets it.
const RETRY_CONCURRENCY: usize = 5;

/// A request of Segment.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) application: String,
    pub(crate) user: String,
    pub(crate) path: &'static str,
    pub(crate) body: String,
    pub(crate) markers: Vec<u64>,
    /// Used in place of the key that is set up in Segment.
    pub(crate) key: Option<String>,
}

/// Sends a request until it is taken or refused for good.
pub(crate) async fn send(world: Arc<World>, fleet: Arc<Fleet<Destination>>, request: Outgoing) {
    let mut caller = Caller::new(caller::Options { parallel: 1, ..caller::Options::default() });
    caller.add(request, wall(world.time.now()));
    while let Some(due) = caller.next_due() {
        sleep(between(wall(world.time.now()), due)).await;
        let next = caller.next(wall(world.time.now()), &mut world.state().rng);
        let Some((id, request)) = next.map(|(id, request)| (id, request.clone())) else { return };
        let status = attempt(&world, &fleet, &request).await;
        // 0 stands for no answer.
        let status = (status != 0).then_some(status);
        let now = world.time.now();
        let verdict = caller.answered(id, status, wall(now), &mut world.state().rng);
        match verdict {
            Verdict::Taken => {
                let mut state = world.state();
                for marker in &request.markers {
                    if let Some(item) = state.items.get_mut(*marker) {
                        item.accepted.get_or_insert(now);
                        item.taken += 1;
                    }
                }
            }
            // Somebody else's wrong key is tried once.
            Verdict::Repeated if request.key.is_some() => return,
            Verdict::Repeated => {}
            Verdict::Gone => {
                world.trace(|| format!("Segment gives up on {:?}", request.markers));
            }
        }
    }
}

async fn attempt(world: &Arc<World>, fleet: &Arc<Fleet<Destination>>, request: &Outgoing) -> u16 {
    let at = world.time.now();
    let (key, standing) = {
        let state = world.state();
        let keys = state.keys.get(&request.application);
        let key = request.key.clone().or_else(|| Some(keys?.caller.clone())).unwrap_or_default();
        let standing = keys.map_or(Key::Unclear, |keys| keys.standing(&key, at));
        (key, standing)
    };
    let headers = [
        ("authorization".to_owned(), format!("Token {key}")),
        ("x-pw-appcode".to_owned(), request.application.clone()),
        ("content-type".to_owned(), "application/json".to_owned()),
        ("host".to_owned(), "destination.test".to_owned()),
    ];
    let http = HttpRequest {
        method: "POST",
        path: request.path,
        query: "",
        headers: &headers,
        body: request.body.as_bytes(),
    };
    let (status, died, cold) = match api_gateway::event(&http, wall(at)) {
        Ok(event) => {
            let (sender, receiver) = oneshot::channel();
            let fleet = Arc::clone(fleet);
            // The function goes on when its caller has left.
            tokio::spawn(async move { sender.send(fleet.invoke(&event).await).ok() });
            match futures::future::select(receiver, Box::pin(sleep(PATIENCE))).await {
                futures::future::Either::Left((Ok((ended, cold)), _)) => match ended {
                    Ended::Answered(answer) => (status(&answer), false, cold),
                    Ended::Failed | Ended::Died => (500, true, cold),
                    Ended::Throttled => (503, true, cold),
                },
                _ => (0, false, Duration::ZERO),
            }
        }
        Err(reply) => (reply.status, false, Duration::ZERO),
    };
    let ended = world.time.now();
    world.trace(|| {
        let (application, user, path) = (&request.application, &request.user, request.path);
        format!("Segment: {application} {user} {path} {:?}: {status}", request.markers)
    });
    world.state().attempts.push(Attempt {
        at,
        ended,
        cold,
        application: request.application.clone(),
        user: request.user.clone(),
        status,
        died,
        key: standing,
        markers: request.markers.clone(),
    });
    status
}

fn status(answer: &[u8]) -> u16 {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let status = answer.get("statusCode").and_then(Value::as_u64).unwrap_or(500);
    u16::try_from(status).unwrap_or(500)
}

/// The mapping from the topic to the source, for as long as the story lasts.
pub(crate) async fn topic(world: Arc<World>, fleet: Arc<Fleet<Source>>, mapping: TopicMapping) {
    loop {
        let batch = mapping.next_batch(&mut world.state().topic);
        if batch.is_empty() {
            world.topic_changed.notified().await;
            // The batching window.
            sleep(Duration::from_millis(500)).await;
            continue;
        }
        while waits(&world) {
            sleep(Duration::from_mins(1)).await;
        }
        let skipped = {
            let mut state = world.state();
            state.sabotage == Some(Sabotage::SkippedBatches) && state.rng.u8(0..20) == 0
        };
        let mut delivery = mapping.deliver(batch.clone());
        while let Some(event) = delivery.event().filter(|_| !skipped) {
            let (ended, _) = fleet.invoke(&event.to_string()).await;
            let answer = match &ended {
                Ended::Answered(answer) => Some(answer.as_slice()),
                _ => None,
            };
            match delivery.answered(answer, world.time.wall()) {
                Next::Taken => {}
                Next::Retry(pause) => sleep(pause).await,
                Next::GivenUp(object) => {
                    let now = world.time.now();
                    let mut state = world.state();
                    state.trace(now, || "the topic's mapping gives up a batch".to_owned());
                    // Its payload holds the records in base64.
                    let values = batch.iter().filter_map(|record| record.value.as_ref());
                    let values: Vec<String> =
                        values.map(|value| String::from_utf8_lossy(value).into_owned()).collect();
                    if object.is_some() {
                        state.given_up.extend(values);
                    }
                }
            }
        }
        let now = world.time.now();
        let mut state = world.state();
        state.topic.commit(&batch);
        state.topic.trim(1);
        for value in batch.iter().filter_map(|record| record.value.as_ref()) {
            for marker in markers(&String::from_utf8_lossy(value)) {
                state.committed.insert(marker, now);
            }
        }
    }
}

/// Whether a sabotage keeps the topic waiting.
fn waits(world: &World) -> bool {
    let (now, state) = (world.time.now(), world.state());
    state.sabotage == Some(Sabotage::WaitingTopic)
        && state.troubles.iter().any(|trouble| {
            trouble.service() == Some(Service::SecretsManager) && trouble.overlaps(now, now)
        })
}

/// The mapping from the retry queue, for as long as the story lasts.
pub(crate) async fn retries(world: Arc<World>, fleet: Arc<Fleet<Retry>>) {
    let mapping = Arc::new(QueueMapping {
        queue: "retry".to_owned(),
        batch_size: 10,
        visibility: Duration::from_mins(6),
        return_after: None,
    });
    let permits = Arc::new(Semaphore::new(RETRY_CONCURRENCY));
    // Messages that are with an invocation, and those that were deleted.
    let known: Arc<std::sync::Mutex<BTreeSet<String>>> = Arc::default();
    let sleeps = world.state().sabotage == Some(Sabotage::SleepingRetries);
    loop {
        if sleeps {
            sleep(Duration::from_hours(3)).await;
        }
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let batch = poll(&world, &mapping, &known);
        let Some(batch) = batch else {
            drop(permit);
            let now = world.time.now();
            let next =
                world.state().sqs.queue("retry").and_then(world::sqs::Queue::next_visible_at);
            let until = next.map_or(Duration::from_hours(24), |next| {
                Duration::try_from(next.duration_since(wall(now))).unwrap_or_default()
            });
            // What is visible and was not handed out goes to the dead letters, or is tried a little later.
            let until = until.max(Duration::from_millis(200));
            let changed = world.queue_changed.notified();
            futures::future::select(std::pin::pin!(changed), std::pin::pin!(sleep(until))).await;
            continue;
        };
        let (world, fleet) = (Arc::clone(&world), Arc::clone(&fleet));
        let (mapping, known) = (Arc::clone(&mapping), Arc::clone(&known));
        tokio::spawn(async move {
            let event = mapping.event(&batch).to_string();
            let (ended, _) = fleet.invoke(&event).await;
            let answer = match &ended {
                Ended::Answered(answer) => Some(answer.as_slice()),
                _ => None,
            };
            let now = world.time.now();
            {
                let mut state = world.state();
                state.expire(now);
                let state = &mut *state;
                mapping.settle(&mut state.sqs, &batch, answer, wall(now), &mut state.rng);
                let mut known = known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let queue = state.sqs.queue("retry");
                let text = answer.map(String::from_utf8_lossy).unwrap_or_default();
                for message in &batch.messages {
                    let reported = answer.is_none() || text.contains(&message.id);
                    if reported && queue.is_some_and(|queue| queue.holds(&message.id)) {
                        known.remove(&message.id);
                    }
                }
            }
            world.queue_changed.notify_one();
            drop(permit);
        });
    }
}

fn poll(
    world: &World,
    mapping: &QueueMapping,
    known: &std::sync::Mutex<BTreeSet<String>>,
) -> Option<world::queue_mapping::Batch> {
    let now = world.time.now();
    let mut state = world.state();
    state.expire(now);
    let state = &mut *state;
    let batch = mapping.poll(&mut state.sqs, wall(now), &mut state.rng).ok().flatten()?;
    let mut known = known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for message in &batch.messages {
        if !known.insert(message.id.clone()) {
            state.handed_out_twice.extend(markers(&message.body));
        }
    }
    let found: Vec<u64> =
        batch.messages.iter().flat_map(|message| markers(&message.body)).collect();
    state.trace(now, || format!("SQS hands out {} messages: {found:?}", batch.messages.len()));
    Some(batch)
}

/// The mapping of the topic with or without provisioned pollers.
pub(crate) fn topic_mapping(provisioned: bool) -> TopicMapping {
    if provisioned {
        TopicMapping::provisioned(TOPIC, "source", 100, 10)
    } else {
        TopicMapping { on_failure: true, ..TopicMapping::on_demand(TOPIC, "source", 100) }
    }
}
