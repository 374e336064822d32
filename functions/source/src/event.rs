//! What invokes the function, and what it answers: the event of an Amazon MSK event source mapping, and
//! its partial-batch response.
//!
//! Own types, because those of `aws_lambda_events` 1.2 lose a millisecond of most timestamps,
//! refuse a whole event when one record has no headers or an unsigned header byte, and know no
//! partial-batch response for Kafka, whose item identifier is an object.
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/kafka-retry-configurations.html>
//!
//! * [`Batch`]: the records of an event, as they are worked on.
//! * `plain`: reads events as Lambda writes them; `record`: in any other form.
//!
//! Invariant: a record that cannot be read in some respect never fails the event.

mod batch;
mod plain;
mod record;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::batch::{Batch, Placed};
pub use self::record::{MskRecord, RecordValue, UNKNOWN_OFFSET};

/// A batch of records of one topic. The event's other fields are not read: nothing depends on them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct MskEvent {
    /// Records by `topic-partition`; in order, so that logs and tests are stable.
    #[serde(deserialize_with = "record::by_partition")]
    pub records: BTreeMap<String, Vec<MskRecord>>,
}

/// The records of an event.
pub fn read(event: &[u8]) -> serde_json::Result<Batch> {
    match plain::read(event) {
        Some(batch) => Ok(batch),
        None => serde_json::from_slice::<MskEvent>(event).map(Batch::from),
    }
}

/// Which records Lambda must resend. An empty list is success.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    /// One entry per record.
    pub batch_item_failures: Vec<BatchItemFailure>,
}

/// One record that Lambda must resend.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchItemFailure {
    /// Which one. One that was not in the event would make Lambda resend the whole batch.
    pub item_identifier: ItemIdentifier,
}

/// A record's place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ItemIdentifier {
    /// The key under which the event held the record.
    pub partition: String,
    /// Its offset, as a number.
    pub offset: i64,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(event: &str) -> MskEvent {
        serde_json::from_str(event).unwrap()
    }

    fn bytes(offset: i64, value: &str) -> MskRecord {
        MskRecord { offset, value: RecordValue::Bytes(value.as_bytes().to_vec()) }
    }

    #[test]
    fn odd_records_are_read() {
        let event: MskEvent = serde_json::from_value(json!({
            "eventSource": "aws:kafka", "eventSourceArn": "arn", "bootstrapServers": "b", "records": {"t-0": [
                {"topic": "t", "partition": 0, "offset": 15, "timestamp": 1_545_084_650_987_i64,
                 "timestampType": "CREATE_TIME", "value": "e30=", "headers": [{"h": [-1, 255]}]},
                {"topic": "t", "partition": 0, "offset": 16, "value": null},
                {"offset": 17, "key": null, "keySchemaMetadata": {"schemaId": "s"}},
                {"offset": 18, "value": "no base64"},
            ]},
        }))
        .unwrap();
        let records = &event.records["t-0"];
        assert_eq!(records[0], bytes(15, "{}"));
        let tombstone = |offset| MskRecord { offset, value: RecordValue::Tombstone };
        assert_eq!(records[1..3], [tombstone(16), tombstone(17)]);
        let value = RecordValue::NotBase64(b"no base64".to_vec());
        assert_eq!(records[3], MskRecord { offset: 18, value });
    }

    #[test]
    fn records_are_read_as_lists_and_as_objects() {
        let record = r#"{"topic":"t","partition":0,"offset":5,"value":"e30="}"#;
        for records in [
            format!(r#"{{"t-0":[{record}]}}"#),
            format!(r#"{{"t-0":{record}}}"#),
            format!("[{record}]"),
        ] {
            let event = read(&format!(r#"{{"records":{records}}}"#));
            assert_eq!(event.records["t-0"], [bytes(5, "{}")], "{records}");
            assert_eq!(event.records.len(), 1, "{records}");
        }
        // An object of records, in the order of their offsets; of which one is odd, it is a record alone.
        let [ninth, tenth] =
            [9, 10].map(|offset| format!(r#"{{"offset":{offset},"value":"e30="}}"#));
        let event = read(&format!(r#"{{"records":{{"t-0":{{"1":{tenth},"0":{ninth}}}}}}}"#));
        assert_eq!(event.records["t-0"], [bytes(9, "{}"), bytes(10, "{}")]);
        let odd = format!(r#"{{"0":{ninth},"hwid":"H"}}"#);
        let event = read(&format!(r#"{{"records":{{"t-0":{odd}}}}}"#));
        assert_eq!(event.records["t-0"], [bytes(UNKNOWN_OFFSET, &odd)]);
        for none in ["{}", r#"{"records":null}"#, r#"{"records":{"t-0":null}}"#] {
            assert!(read(none).records.values().all(Vec::is_empty), "{none}");
        }
    }

    /// A value that nobody encoded is the record itself.
    #[test]
    fn a_value_may_be_json() {
        let event = read(
            r#"{"records":{"t-0":[{"offset":1,"value":{"hwid":"cut \ud83d"}},{"hwid":"H"}]}}"#,
        );
        let records = &event.records["t-0"];
        assert_eq!(records[0], bytes(1, r#"{"hwid":"cut \ud83d"}"#));
        assert_eq!(records[1], bytes(UNKNOWN_OFFSET, r#"{"hwid":"H"}"#));
        assert_eq!(records[1].offset, -1, "no record of Kafka has it");
    }

    #[test]
    fn no_record_fails_the_event() {
        let odd = [
            "null",
            "5",
            "true",
            r#""text""#,
            r#""\ud83d""#,
            "[]",
            r#"[1,"e30="]"#,
            "{}",
            r#"{"\ud83d":1}"#,
            r#"{"offset":"\ud83d","value":"\ud83d"}"#,
            r#"{"offset":1.5,"value":[]}"#,
            r#"{"offset":{},"value":5}"#,
            r#"{"offset":1,"offset":2,"value":"e30="}"#,
            r#"{"topic":5,"partition":{},"offset":99999999999999999999,"value":false}"#,
        ];
        let good = r#"{"topic":"t","partition":0,"offset":"7","value":"e30="}"#;
        for odd in odd {
            for records in [
                format!(r#"{{"t-0":[{odd},{good}]}}"#),
                format!(r#"{{"t-1":{odd},"t-0":[{good}]}}"#),
                format!("[{odd},{good}]"),
            ] {
                let event = read(&format!(r#"{{"eventSource":5,"records":{records}}}"#));
                assert_eq!(event.records["t-0"].last(), Some(&bytes(7, "{}")), "{records}");
            }
        }
    }

    #[test]
    fn a_failure_names_partition_and_offset_as_an_object() {
        let item_identifier =
            ItemIdentifier { partition: "channels-tracking-log-0".into(), offset: 16 };
        let response =
            BatchResponse { batch_item_failures: vec![BatchItemFailure { item_identifier }] };
        assert_eq!(
            serde_json::to_string(&response).unwrap(),
            r#"{"batchItemFailures":[{"itemIdentifier":{"partition":"channels-tracking-log-0","offset":16}}]}"#
        );
        assert_eq!(
            serde_json::to_string(&BatchResponse::default()).unwrap(),
            r#"{"batchItemFailures":[]}"#
        );
    }
}
