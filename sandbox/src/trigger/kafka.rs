//! The topic `channels-tracking-log` and its event source mapping, in real time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Notify;
use world::kafka::mapping::{Next, TopicMapping};
use world::kafka::{Record, StartingPosition};

use crate::deployed::{TOPIC, TOPIC_BATCH_SIZE, TOPIC_MAX_RETRIES};
use crate::lambda::Function;
use crate::recent::{self, Recent};

const PARTITIONS: usize = 3;

/// A batch is invoked this long after its first record. AWS waits 500 ms where nothing is set.
pub(crate) const WINDOW: Duration = Duration::from_millis(200);

/// Batches that were given up and are kept for the page.
const MAX_GIVEN_UP: usize = 100;

/// The topic, and how far it was read.
#[derive(Debug)]
pub(crate) struct Topic {
    mapping: TopicMapping,
    log: Mutex<world::kafka::Topic>,
    /// What the event source mapping gave up, as it would lie in S3.
    given_up: Mutex<Recent>,
    arrived: Notify,
}

impl Topic {
    /// An empty topic, read with provisioned or with on-demand pollers.
    pub(crate) fn new(on_demand: bool) -> Self {
        let mapping = if on_demand {
            // The template has a failure bucket with either kind of pollers.
            TopicMapping {
                on_failure: true,
                ..TopicMapping::on_demand(TOPIC, "source", TOPIC_BATCH_SIZE)
            }
        } else {
            TopicMapping::provisioned(TOPIC, "source", TOPIC_BATCH_SIZE, TOPIC_MAX_RETRIES)
        };
        let topic = world::kafka::Topic::new(TOPIC, PARTITIONS, StartingPosition::TrimHorizon);
        let (log, given_up) = (Mutex::new(topic), Mutex::new(Recent::new(MAX_GIVEN_UP)));
        Self { mapping, log, given_up, arrived: Notify::new() }
    }

    /// Appends record values, as one request of a producer.
    pub(crate) fn append(&self, values: impl IntoIterator<Item = Option<Bytes>>) -> usize {
        let number = lock(&self.log).append(values, Timestamp::now());
        self.arrived.notify_one();
        number
    }

    /// For `/_sandbox/state`.
    pub(crate) fn state(&self) -> Value {
        let topic = lock(&self.log);
        let partitions = topic.progress().into_iter().enumerate().map(|(number, partition)| {
            json!({"partition": number, "end_offset": partition.end,
                   "committed_offset": partition.committed, "lag": partition.end - partition.committed})
        });
        json!({"name": TOPIC, "partitions": partitions.collect::<Vec<_>>(), "lag": topic.lag()})
    }

    /// What the event source mapping gave up, as a JSON list.
    pub(crate) fn given_up(&self) -> String {
        lock(&self.given_up).list()
    }

    /// Feeds the function until the process ends.
    pub(crate) async fn poll(&self, function: &Function) {
        loop {
            let arrived = self.arrived.notified();
            let batch = self.mapping.next_batch(&mut lock(&self.log));
            if batch.is_empty() {
                arrived.await;
                // The first record opens the window.
                tokio::time::sleep(WINDOW).await;
                continue;
            }
            self.deliver(function, batch.clone()).await;
            let mut topic = lock(&self.log);
            topic.commit(&batch);
            topic.trim(0);
        }
    }

    /// Invokes the function until every record of the batch is taken or given up.
    pub(crate) async fn deliver(&self, function: &Function, batch: Vec<Record>) {
        let mut delivery = self.mapping.deliver(batch);
        loop {
            let next = if let Some(next) = delivery.too_large(Timestamp::now()) {
                next
            } else {
                let Some(event) = delivery.event() else { return };
                let answer = function.invoke(Bytes::from(event.to_string())).await;
                delivery.answered(answer.ok().as_deref(), Timestamp::now())
            };
            match next {
                Next::Taken => {}
                Next::Retry(pause) => tokio::time::sleep(pause).await,
                Next::GivenUp(object) => {
                    if let Some(object) = object {
                        lock(&self.given_up).push(recent::text(&object));
                    }
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
