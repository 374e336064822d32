//! The topic on a real broker (`--kafka`), in place of the one in memory: a consumer group that
//! commits only what the function has taken.
//!
//! On failure of the broker the consumer goes on trying, as a poller does; what was not committed
//! is read again.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use operator::terminal::say;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use world::kafka::Record;

use super::kafka::{Topic, WINDOW};
use crate::deployed::{TOPIC, TOPIC_BATCH_SIZE};
use crate::lambda::Function;

/// The consumer group, as `ConsumerGroupId` of an event source mapping.
const GROUP: &str = "segment-pushwoosh-sandbox";

/// Pause after an error of the broker.
const PAUSE: Duration = Duration::from_secs(1);

/// Feeds the function until the process ends.
pub(crate) async fn poll(
    brokers: String,
    topic: Arc<Topic>,
    function: Arc<Function>,
) -> Result<()> {
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", &brokers)
        .set("group.id", GROUP)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        // The shortest that brokers allow: a restarted sandbox should not wait for its old self.
        .set("session.timeout.ms", "6000")
        .create()
        .context("--kafka cannot be used")?;
    consumer.subscribe(&[TOPIC]).context("--kafka cannot be used")?;
    loop {
        let batch = next_batch(&consumer).await;
        if batch.is_empty() {
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        topic.deliver(&function, batch.clone()).await;
        if let Err(error) = commit(&consumer, &batch) {
            say(&format!("kafka: offsets were not committed, the records come again: {error}"));
        }
    }
}

/// A batch, once its first record is there and its window over; none after an error.
async fn next_batch(consumer: &StreamConsumer) -> Vec<Record> {
    let mut batch = Vec::new();
    match consumer.recv().await {
        Ok(message) => batch.push(record(&message)),
        Err(error) => {
            say(&format!("kafka: {error}"));
            return batch;
        }
    }
    let end = tokio::time::Instant::now() + WINDOW;
    while batch.len() < TOPIC_BATCH_SIZE {
        match tokio::time::timeout_at(end, consumer.recv()).await {
            Ok(Ok(message)) => batch.push(record(&message)),
            Ok(Err(_)) | Err(_) => break,
        }
    }
    batch
}

fn record(message: &BorrowedMessage<'_>) -> Record {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    Record {
        partition: usize::try_from(message.partition()).unwrap_or_default(),
        offset: usize::try_from(message.offset()).unwrap_or_default(),
        timestamp: message.timestamp().to_millis().unwrap_or_default(),
        key: message.key().map(Bytes::copy_from_slice),
        value: message.payload().map(Bytes::copy_from_slice),
        headers: headers
            .map(|header| {
                (header.key.to_owned(), Bytes::copy_from_slice(header.value.unwrap_or_default()))
            })
            .collect(),
    }
}

/// Commits the offset after the last record of each partition.
fn commit(consumer: &StreamConsumer, batch: &[Record]) -> Result<()> {
    let mut offsets = TopicPartitionList::new();
    for record in batch {
        let next = Offset::Offset(i64::try_from(record.offset)? + 1);
        let partition = i32::try_from(record.partition)?;
        if let Some(mut element) = offsets.find_partition(TOPIC, partition) {
            element.set_offset(next)?;
        } else {
            offsets.add_partition_offset(TOPIC, partition, next)?;
        }
    }
    consumer.commit(&offsets, CommitMode::Sync)?;
    Ok(())
}
