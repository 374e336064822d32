//! The topic `channels-tracking-log`, and its MSK event source mapping with provisioned pollers.
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/kafka-retry-configurations.html>
//!
//! Invariants: a record's offset is committed only when the function has taken it, or when it went
//! to the on-failure destination after the last retry; a partition is read in order.

use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use crate::deployed::{TOPIC, TOPIC_BATCH_SIZE, TOPIC_MAX_RETRIES};
use crate::lambda::Function;

const PARTITIONS: usize = 3;

/// A batch is invoked this long after its first record. AWS waits 500 ms where nothing is set.
pub(crate) const WINDOW: Duration = Duration::from_millis(200);

/// Lambda's limit on the event, less what surrounds the records.
const MAX_PAYLOAD: usize = 6 * 1024 * 1024 - 64 * 1024;

/// What a record costs in the event beside its value.
const RECORD_OVERHEAD: usize = 220;

/// Kafka's producer stays with a partition for this many bytes (`batch.size`).
const STICKY_BYTES: usize = 16 * 1024;

/// Pauses between attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// The topic, and how far it was read.
#[derive(Debug)]
pub(crate) struct Topic {
    /// Pollers without the controls that only provisioned ones have.
    on_demand: bool,
    log: Mutex<Log>,
    arrived: Notify,
}

#[derive(Debug)]
struct Log {
    partitions: Vec<Partition>,
    /// Where the next record goes, and how many bytes went there.
    sticky: (usize, usize),
    /// What the event source mapping gave up, as it would lie in S3.
    given_up: Vec<Value>,
}

#[derive(Debug, Default)]
struct Partition {
    records: Vec<Record>,
    committed: usize,
}

/// A record and its place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    pub(crate) partition: usize,
    pub(crate) offset: usize,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
    pub(crate) headers: Vec<(String, Bytes)>,
}

impl Default for Log {
    fn default() -> Self {
        let partitions = std::iter::repeat_with(Partition::default).take(PARTITIONS).collect();
        Self { partitions, sticky: (0, 0), given_up: Vec::new() }
    }
}

impl Topic {
    /// An empty topic.
    pub(crate) fn new(on_demand: bool) -> Self {
        Self { on_demand, log: Mutex::default(), arrived: Notify::new() }
    }

    /// Appends record values. They stay on one partition as long as a producer would.
    pub(crate) fn append(&self, values: impl IntoIterator<Item = Option<Bytes>>) -> usize {
        let mut log = self.lock();
        let timestamp = Timestamp::now().as_millisecond();
        let mut number = 0;
        for value in values {
            let (partition, bytes) = log.sticky;
            let bytes = bytes + value.as_ref().map_or(0, Bytes::len);
            log.sticky = if bytes > STICKY_BYTES {
                ((partition + 1) % PARTITIONS, 0)
            } else {
                (partition, bytes)
            };
            if let Some(log) = log.partitions.get_mut(partition) {
                let offset = log.records.len();
                log.records.push(Record {
                    partition,
                    offset,
                    timestamp,
                    value,
                    ..Record::default()
                });
                number += 1;
            }
        }
        // The next request starts a partition of its own, like the next batch of a producer.
        log.sticky = ((log.sticky.0 + 1) % PARTITIONS, 0);
        drop(log);
        self.arrived.notify_one();
        number
    }

    /// For `/_sandbox/state`.
    pub(crate) fn state(&self) -> Value {
        let log = self.lock();
        let lag = |partition: &Partition| partition.records.len() - partition.committed;
        let partitions: Vec<Value> = log
            .partitions
            .iter()
            .enumerate()
            .map(|(number, partition)| {
                json!({"partition": number, "end_offset": partition.records.len(),
                       "committed_offset": partition.committed, "lag": lag(partition)})
            })
            .collect();
        let total: usize = log.partitions.iter().map(lag).sum();
        json!({"name": TOPIC, "partitions": partitions, "lag": total})
    }

    /// What the event source mapping gave up.
    pub(crate) fn given_up(&self) -> Vec<Value> {
        self.lock().given_up.clone()
    }

    /// Feeds the function until the process ends.
    pub(crate) async fn poll(&self, function: &Function) {
        loop {
            let arrived = self.arrived.notified();
            let batch = self.next_batch();
            if batch.is_empty() {
                arrived.await;
                // The first record opens the window.
                tokio::time::sleep(WINDOW).await;
                continue;
            }
            self.deliver(function, batch.clone()).await;
            self.commit(&batch);
        }
    }

    fn next_batch(&self) -> Vec<Record> {
        let log = self.lock();
        let mut batch = Vec::new();
        let mut bytes = 0;
        for partition in &log.partitions {
            for record in partition.records.iter().skip(partition.committed) {
                let size =
                    record.value.as_ref().map_or(0, Bytes::len).div_ceil(3) * 4 + RECORD_OVERHEAD;
                let full = batch.len() == TOPIC_BATCH_SIZE
                    || (!batch.is_empty() && bytes + size > MAX_PAYLOAD);
                if full {
                    return batch;
                }
                bytes += size;
                batch.push(record.clone());
            }
        }
        batch
    }

    fn commit(&self, batch: &[Record]) {
        let mut log = self.lock();
        for record in batch {
            if let Some(partition) = log.partitions.get_mut(record.partition) {
                partition.committed = partition.committed.max(record.offset + 1);
            }
        }
    }

    /// Invokes the function until every record of the batch is taken or given up.
    pub(crate) async fn deliver(&self, function: &Function, batch: Vec<Record>) {
        let mut parts = vec![(batch, 0)];
        while let Some((mut part, attempt)) = parts.pop() {
            let result = function.invoke(Bytes::from(event(&part).to_string())).await;
            let retried = match result {
                Ok(_) if self.on_demand => None,
                Ok(answer) => failures(&answer, &part),
                Err(_) => Some(std::mem::take(&mut part)),
            };
            let Some(retried) = retried else { continue };
            if attempt == TOPIC_MAX_RETRIES && !self.on_demand {
                let mut log = self.lock();
                log.given_up.push(on_failure(&retried, function.name, attempt + 1));
                continue;
            }
            let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(attempt)).min(MAX_PAUSE);
            tokio::time::sleep(pause).await;
            // BisectBatchOnFunctionError: only a batch that failed as a whole is halved.
            if part.is_empty() && retried.len() > 1 && !self.on_demand {
                let (left, right) = retried.split_at(retried.len() / 2);
                parts.push((right.to_vec(), attempt + 1));
                parts.push((left.to_vec(), attempt + 1));
            } else {
                parts.push((retried, attempt + 1));
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The event, byte for byte as AWS sends it.
fn event(records: &[Record]) -> Value {
    let mut partitions: Map<String, Value> = Map::new();
    for record in records {
        let headers: Vec<Value> =
            record.headers.iter().map(|(name, value)| json!({ name: value.as_ref() })).collect();
        let mut value = json!({
            "topic": TOPIC, "partition": record.partition, "offset": record.offset,
            "timestamp": record.timestamp, "timestampType": "CREATE_TIME",
        });
        if let Value::Object(value) = &mut value {
            // A record without a key has none in the event.
            value.extend(
                record.key.as_ref().map(|key| ("key".to_owned(), STANDARD.encode(key).into())),
            );
            let encoded = record.value.as_ref().map(|value| STANDARD.encode(value));
            value.insert("value".to_owned(), encoded.into());
            value.insert("headers".to_owned(), headers.into());
        }
        let list =
            partitions.entry(format!("{TOPIC}-{}", record.partition)).or_insert_with(|| json!([]));
        if let Value::Array(list) = list {
            list.push(value);
        }
    }
    json!({
        "eventSource": "aws:kafka",
        "eventSourceArn": "arn:aws:kafka:eu-central-1:123456789012:cluster/sandbox/751d2973-a626-431c-9d4e-d7975eb44dd7-2",
        "bootstrapServers": "b-1.sandbox.a1bcde.c1.kafka.eu-central-1.amazonaws.com:9098",
        "records": partitions,
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Response {
    batch_item_failures: Vec<ItemFailure>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ItemFailure {
    item_identifier: Identifier,
}

#[derive(Debug, Deserialize)]
struct Identifier {
    partition: String,
    offset: usize,
}

/// The records that the answer names, or nothing where all were taken. An answer that names
/// something else brings back the whole batch.
fn failures(answer: &[u8], sent: &[Record]) -> Option<Vec<Record>> {
    let response: Option<Option<Response>> = serde_json::from_slice(answer).ok();
    let Some(response) = response else {
        return Some(sent.to_vec());
    };
    let failures = response.unwrap_or_default().batch_item_failures;
    if failures.is_empty() {
        return None;
    }
    let find = |failure: &ItemFailure| {
        let place = &failure.item_identifier;
        sent.iter().find(|record| {
            record.offset == place.offset
                && place.partition == format!("{TOPIC}-{}", record.partition)
        })
    };
    let found: Option<Vec<Record>> =
        failures.iter().map(|failure| find(failure).cloned()).collect();
    Some(found.unwrap_or_else(|| sent.to_vec()))
}

/// What lies in S3 for a batch that was given up.
/// <https://docs.aws.amazon.com/lambda/latest/dg/kafka-on-failure.html>
fn on_failure(records: &[Record], function: &str, attempts: u32) -> Value {
    let payload = event(records).to_string();
    let mut info: Map<String, Value> = Map::new();
    for record in records {
        let partition = info.entry(format!("{TOPIC}-{}", record.partition));
        let partition =
            partition.or_insert_with(|| json!({"firstRecordOffset": record.offset.to_string()}));
        if let Value::Object(partition) = partition {
            partition.insert("lastRecordOffset".to_owned(), record.offset.to_string().into());
        }
    }
    json!({
        "requestContext": {
            "requestId": format!("sandbox-{}", Timestamp::now().as_nanosecond()),
            "functionArn": format!("arn:aws:lambda:eu-central-1:123456789012:function:{function}"),
            "condition": "RetryAttemptsExhausted", "approximateInvokeCount": attempts,
        },
        "version": "1.0", "timestamp": Timestamp::now().to_string(),
        "KafkaBatchInfo": {"batchSize": records.len(), "payloadSize": payload.len(), "recordsInfo": info},
        "payload": payload,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(partition: usize, offset: usize) -> Record {
        let value = Some(Bytes::from_static(b"{}"));
        Record { partition, offset, timestamp: 1_545_084_650_987, value, ..Record::default() }
    }

    #[test]
    fn the_event_is_that_of_aws() {
        let mut tombstone = record(1, 0);
        tombstone.value = None;
        let event = event(&[record(0, 15), tombstone]);
        assert_eq!(
            event["records"]["channels-tracking-log-0"].to_string(),
            r#"[{"topic":"channels-tracking-log","partition":0,"offset":15,"timestamp":1545084650987,"timestampType":"CREATE_TIME","value":"e30=","headers":[]}]"#
        );
        assert_eq!(event["records"]["channels-tracking-log-1"][0]["value"], Value::Null);
    }

    #[test]
    fn keys_and_headers_are_in_the_event_where_there_are_any() {
        let key = Some(Bytes::from_static(b"k"));
        let headers = vec![("h".to_owned(), Bytes::from_static(&[1, 255]))];
        let event = event(&[Record { key, headers, ..record(0, 1) }]);
        let record = &event["records"]["channels-tracking-log-0"][0];
        assert_eq!(
            (&record["key"], &record["headers"]),
            (&json!("aw=="), &json!([{"h": [1, 255]}]))
        );
    }

    #[test]
    fn an_answer_brings_back_what_it_names_and_everything_where_it_is_wrong() {
        let sent = [record(0, 15), record(0, 16)];
        let offsets = |answer: &str| {
            failures(answer.as_bytes(), &sent)
                .map(|records| records.iter().map(|r| r.offset).collect::<Vec<_>>())
        };
        for success in ["null", "{}", r#"{"batchItemFailures":[]}"#] {
            assert_eq!(offsets(success), None, "{success}");
        }
        let item = |partition: &str, offset: &str| {
            format!(
                r#"{{"batchItemFailures":[{{"itemIdentifier":{{"partition":"{partition}","offset":{offset}}}}}]}}"#
            )
        };
        assert_eq!(offsets(&item("channels-tracking-log-0", "16")), Some(vec![16]));
        let all = Some(vec![15, 16]);
        assert_eq!(offsets(&item("channels-tracking-log-0", "17")), all);
        assert_eq!(offsets(&item("channels-tracking-log-0", "\"16\"")), all);
        assert_eq!(offsets(r#"{"batchItemFailures":[{"itemIdentifier":"16"}]}"#), all);
    }

    #[test]
    fn one_request_stays_on_a_partition_and_a_large_one_moves_on() {
        let topic = Topic::new(false);
        topic.append(std::iter::repeat_n(Some(Bytes::from_static(b"{}")), 7));
        topic.append([None]);
        let state = topic.state();
        assert_eq!(state["partitions"][0]["lag"], 7);
        assert_eq!(state["partitions"][1]["lag"], 1);
        topic.append(std::iter::repeat_n(Some(Bytes::from(vec![b'x'; 9_000])), 4));
        assert_eq!(topic.state()["lag"], 12);
        assert_eq!(topic.state()["partitions"][2]["lag"], 2);
    }
}
