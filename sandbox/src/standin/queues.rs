//! The queues, in real time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use operator::content::Content;
use platform::message;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;
use world::aws;
use world::faults::{Fault, Faults};
use world::queue_mapping::{Batch, QueueMapping};
use world::reply::Exchange;
use world::sqs::{Attributes, NewMessage, RedrivePolicy, Sqs};

use crate::deployed::QUEUE_RETENTION;

/// A poller looks again after this, for messages whose visibility has run out.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The queues of the deployment.
pub(crate) struct Queues {
    state: Mutex<State>,
    /// A message may have become visible.
    changed: Notify,
}

/// A message that can be sent again.
pub(crate) struct Waiting {
    pub(crate) id: String,
    pub(crate) body: String,
    group: Option<String>,
}

/// What was discarded, and what was not.
#[derive(Debug, Default)]
pub(crate) struct Discarded {
    /// What is gone for good.
    pub(crate) gone: Vec<Content>,
    /// Messages that stay, because they delete a person.
    pub(crate) deletions: Vec<String>,
    /// Messages that were named and are not on the queue.
    pub(crate) missing: Vec<String>,
}

struct State {
    sqs: Sqs,
    faults: Faults,
    rng: Rng,
}

impl Queues {
    /// Empty queues. After this many receives a message of `retry` goes to `dead`.
    pub(crate) fn new(max_receives: u32) -> Self {
        let mut sqs = Sqs::default();
        let attributes = Attributes { retention: QUEUE_RETENTION, ..Attributes::default() };
        sqs.create("dead", attributes.clone());
        sqs.create("rejects", attributes.clone());
        let redrive = Some(RedrivePolicy { dead_letter_queue: "dead".to_owned(), max_receives });
        sqs.create("retry", Attributes { redrive, ..attributes });
        let state = State { sqs, faults: Faults::default(), rng: Rng::new() };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    /// Replaces the faults.
    pub(crate) fn set_faults(&self, faults: Vec<Fault>) {
        self.lock().faults.set(faults);
    }

    /// Answers a request.
    pub(crate) fn exchange(
        &self,
        operation: &str,
        body: &[u8],
        idle: Option<Duration>,
    ) -> Exchange {
        let exchange = {
            let State { sqs, faults, rng } = &mut *self.lock();
            faults.on_connection(idle);
            aws::exchange(sqs, faults, operation, body, Timestamp::now(), rng)
        };
        self.changed.notify_one();
        exchange
    }

    /// Sends the messages of `dead` to `retry` again, and returns how many.
    pub(crate) fn redrive(&self) -> Result<usize, String> {
        let moved = {
            let sqs = &mut self.lock().sqs;
            // SQS cannot tell where a message came from that was sent to the queue.
            let moved = sqs.start_move("dead", Some("retry"), None, Timestamp::now());
            moved.map_err(|error| error.message)?;
            sqs.tasks().last().map_or(0, |task| task.moved)
        };
        self.changed.notify_one();
        Ok(moved)
    }

    /// The faults that are left.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        self.lock().faults.list()
    }

    /// The messages that no function has at the moment; all, or those of these.
    pub(crate) fn waiting(&self, queue: &str, ids: Option<&[String]>) -> Option<Vec<Waiting>> {
        let now = Timestamp::now();
        let mut state = self.lock();
        state.sqs.advance(now);
        let messages = state.sqs.queue(queue)?.messages().filter(|(id, message)| {
            let in_flight = message.visible_at > now && message.receives_here > 0;
            !in_flight && ids.is_none_or(|ids| ids.contains(id))
        });
        let waiting = messages.map(|(id, message)| Waiting {
            id,
            body: message.body.clone(),
            group: message.group.clone(),
        });
        Some(waiting.collect())
    }

    /// Sends a message to `retry`, due now, in place of one that leaves its queue.
    pub(crate) fn move_to_retry(
        &self,
        queue: &str,
        waiting: &Waiting,
        body: String,
    ) -> anyhow::Result<()> {
        {
            let mut state = self.lock();
            let gone = || anyhow::anyhow!("it is not on the queue any more");
            let left = state.sqs.queue_mut(queue).ok_or_else(gone)?.discard(&waiting.id);
            anyhow::ensure!(left, gone());
            let message =
                NewMessage { body, delay: Some(Duration::ZERO), group: waiting.group.clone() };
            let sent = state.sqs.send("retry", message, Timestamp::now());
            sent.map_err(|error| anyhow::anyhow!("{}", error.message))?;
        }
        self.changed.notify_one();
        Ok(())
    }

    /// Discards all messages of a queue, or these. Deletions stay: they have to reach Pushwoosh.
    pub(crate) fn discard(&self, queue: &str, ids: Option<&[String]>) -> Option<Discarded> {
        let mut state = self.lock();
        let queue = state.sqs.queue_mut(queue)?;
        let meant = queue.messages().filter(|(id, _)| ids.is_none_or(|ids| ids.contains(id)));
        let found: Vec<(String, Content)> =
            meant.map(|(id, message)| (id, Content::read(&message.body))).collect();
        let is_found = |id: &String| found.iter().any(|(found, _)| found == id);
        let mut discarded = Discarded {
            missing: ids.unwrap_or_default().iter().filter(|id| !is_found(id)).cloned().collect(),
            ..Discarded::default()
        };
        for (id, content) in found {
            if content.deletes() {
                discarded.deletions.push(id);
            } else if queue.discard(&id) {
                discarded.gone.push(content);
            }
        }
        Some(discarded)
    }

    /// The next batch of a mapping.
    pub(crate) fn poll(&self, mapping: &QueueMapping) -> Option<Batch> {
        let State { sqs, rng, .. } = &mut *self.lock();
        mapping.poll(sqs, Timestamp::now(), rng).ok().flatten()
    }

    /// Deletes what the function has taken.
    pub(crate) fn settle(&self, mapping: &QueueMapping, batch: &Batch, answer: Option<&[u8]>) {
        {
            let State { sqs, rng, .. } = &mut *self.lock();
            mapping.settle(sqs, batch, answer, Timestamp::now(), rng);
        }
        self.changed.notify_one();
    }

    /// Waits until there may be something to receive.
    pub(crate) async fn wait(&self) {
        tokio::time::timeout(LOOK_AGAIN, self.changed.notified()).await.ok();
    }

    /// Messages per queue, for `/_sandbox/state`.
    pub(crate) fn lengths(&self) -> Map<String, Value> {
        let mut state = self.lock();
        state.sqs.advance(Timestamp::now());
        state.sqs.queues().map(|queue| (queue.name.clone(), queue.len().into())).collect()
    }

    /// The messages of a queue, for `/_sandbox/queues`.
    pub(crate) fn list(&self, queue: &str) -> Option<Value> {
        let now = Timestamp::now();
        let mut state = self.lock();
        state.sqs.advance(now);
        let messages = state.sqs.queue(queue)?.messages().map(|(id, message)| {
            let left =
                Duration::try_from(message.visible_at.duration_since(now)).unwrap_or_default();
            json!({
                "message_id": id,
                "body": readable(&message.body),
                "receive_count": message.receives,
                "sent_at": format!("{:.3}", message.sent_at),
                "visible_in_ms": u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
            })
        });
        Some(messages.collect())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message's body as JSON, decompressed where it was compressed; as text where it is neither.
fn readable(body: &str) -> Value {
    message::decode(body).unwrap_or_else(|| body.into())
}
