//! What Lambda writes and reads for a Kafka event source: event, partial-batch response, on-failure
//! object.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Record;
use crate::aws::{ACCOUNT, REGION};

/// What a record costs in the event beside its value.
const RECORD_OVERHEAD: usize = 220;

/// The event, byte for byte as AWS sends it.
/// <https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html>
pub fn event(topic: &str, records: &[Record]) -> Value {
    let mut partitions: Map<String, Value> = Map::new();
    for record in records {
        let headers: Vec<Value> =
            record.headers.iter().map(|(name, value)| json!({ name: value.as_ref() })).collect();
        let mut value = json!({
            "topic": topic, "partition": record.partition, "offset": record.offset,
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
            partitions.entry(partition(topic, record)).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = list {
            list.push(value);
        }
    }
    json!({
        "eventSource": "aws:kafka",
        "eventSourceArn": format!("arn:aws:kafka:{REGION}:{ACCOUNT}:cluster/sandbox/751d2973-a626-431c-9d4e-d7975eb44dd7-2"),
        "bootstrapServers": format!("b-1.sandbox.a1bcde.c1.kafka.{REGION}.amazonaws.com:9098"),
        "records": partitions,
    })
}

/// About how many bytes a record has in the event.
pub(super) fn size(record: &Record) -> usize {
    let headers = record.headers.iter().map(|(name, value)| name.len() + 4 * value.len() + 8);
    let encoded = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len).div_ceil(3) * 4;
    encoded(&record.value) + encoded(&record.key) + headers.sum::<usize>() + RECORD_OVERHEAD
}

/// The key of a record's list in the event.
fn partition(topic: &str, record: &Record) -> String {
    format!("{topic}-{}", record.partition)
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PartialBatchResponse {
    batch_item_failures: Vec<ItemFailure>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ItemFailure {
    item_identifier: ItemIdentifier,
}

#[derive(Debug, Deserialize)]
struct ItemIdentifier {
    partition: String,
    offset: usize,
}

/// The records that the answer names, or nothing where all were taken. An answer that cannot be read or
/// names something else makes Lambda resend the whole batch.
/// <https://docs.aws.amazon.com/lambda/latest/dg/kafka-retry-configurations.html>
pub fn failures(topic: &str, answer: &[u8], sent: &[Record]) -> Option<Vec<Record>> {
    let response: Option<Option<PartialBatchResponse>> = serde_json::from_slice(answer).ok();
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
            record.offset == place.offset && place.partition == partition(topic, record)
        })
    };
    let found: Option<Vec<Record>> =
        failures.iter().map(|failure| find(failure).cloned()).collect();
    Some(found.unwrap_or_else(|| sent.to_vec()))
}

/// Why a batch went to the on-failure destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// The last retry has failed.
    RetryAttemptsExhausted,
    /// One record alone is larger than an invocation.
    MaximumPayloadSizeExceeded,
}

/// What lies in S3 for a batch that was given up.
/// <https://docs.aws.amazon.com/lambda/latest/dg/kafka-on-failure.html>
pub fn on_failure(
    topic: &str,
    records: &[Record],
    function: &str,
    condition: Condition,
    attempts: u32,
    now: Timestamp,
) -> Value {
    let payload = event(topic, records).to_string();
    let mut info: Map<String, Value> = Map::new();
    for record in records {
        let partition = info.entry(partition(topic, record));
        let partition =
            partition.or_insert_with(|| json!({"firstRecordOffset": record.offset.to_string()}));
        if let Value::Object(partition) = partition {
            partition.insert("lastRecordOffset".to_owned(), record.offset.to_string().into());
        }
    }
    let condition = match condition {
        Condition::RetryAttemptsExhausted => "RetryAttemptsExhausted",
        Condition::MaximumPayloadSizeExceeded => "MaximumPayloadSizeExceeded",
    };
    json!({
        "requestContext": {
            "requestId": format!("sandbox-{}", now.as_nanosecond()),
            "functionArn": format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}"),
            "condition": condition, "approximateInvokeCount": attempts,
        },
        "version": "1.0", "timestamp": now.to_string(),
        "KafkaBatchInfo": {"batchSize": records.len(), "payloadSize": payload.len(), "recordsInfo": info},
        "payload": payload,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "channels-tracking-log";

    fn record(partition: usize, offset: usize) -> Record {
        let value = Some(Bytes::from_static(b"{}"));
        Record { partition, offset, timestamp: 1_545_084_650_987, value, ..Record::default() }
    }

    #[test]
    fn the_event_is_that_of_aws() {
        let mut tombstone = record(1, 0);
        tombstone.value = None;
        let event = event(TOPIC, &[record(0, 15), tombstone]);
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
        let event = event(TOPIC, &[Record { key, headers, ..record(0, 1) }]);
        let record = &event["records"]["channels-tracking-log-0"][0];
        assert_eq!(
            (&record["key"], &record["headers"]),
            (&json!("aw=="), &json!([{"h": [1, 255]}]))
        );
    }

    #[test]
    fn the_size_of_a_record_is_not_less_than_what_it_takes_in_the_event() {
        let value = Some(Bytes::from(vec![b'x'; 1_000]));
        let headers = vec![("header".to_owned(), Bytes::from(vec![255; 100]))];
        let records = [Record { value, headers, ..record(2, 4_000_000) }];
        let taken = event(TOPIC, &records)["records"]["channels-tracking-log-2"][0].to_string();
        assert!(size(&records[0]) >= taken.len(), "{} {}", size(&records[0]), taken.len());
    }

    #[test]
    fn an_answer_brings_back_what_it_names_and_everything_where_it_is_wrong() {
        let sent = [record(0, 15), record(0, 16)];
        let offsets = |answer: &str| {
            failures(TOPIC, answer.as_bytes(), &sent)
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
        assert_eq!(offsets("not json"), all);
    }
}
