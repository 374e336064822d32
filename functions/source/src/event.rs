//! What invokes the function, and what it answers: the event of an Amazon MSK event source mapping, and
//! its partial-batch response.
//!
//! Own types, because those of `aws_lambda_events` 1.2 lose a millisecond of most timestamps,
//! refuse a whole event when one record has no headers or an unsigned header byte, and know no
//! partial-batch response for Kafka, whose item identifier is an object.
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/kafka-retry-configurations.html>
//!
//! Invariant: a record that cannot be read in some respect never fails the event.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A batch of records of one topic.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MskEvent {
    /// `aws:kafka`.
    pub event_source: Option<String>,
    /// Records by `topic-partition`; in order, so that logs and tests are stable.
    pub records: BTreeMap<String, Vec<MskRecord>>,
}

/// A record. Its headers, key and timestamp are not read: nothing depends on them.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MskRecord {
    /// Offset in its partition.
    pub offset: i64,
    /// The value in base64; none is a tombstone.
    pub value: Option<String>,
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

    #[test]
    fn odd_records_are_read() {
        let event: MskEvent = serde_json::from_value(json!({
            "eventSource": "aws:kafka", "eventSourceArn": "arn", "bootstrapServers": "b", "records": {"t-0": [
                {"topic": "t", "partition": 0, "offset": 15, "timestamp": 1_545_084_650_987_i64,
                 "timestampType": "CREATE_TIME", "value": "e30=", "headers": [{"h": [-1, 255]}]},
                {"topic": "t", "partition": 0, "offset": 16, "value": null},
                {"offset": 17, "key": null, "keySchemaMetadata": {"schemaId": "s"}},
            ]},
        }))
        .unwrap();
        let records = &event.records["t-0"];
        assert_eq!(records[0].value.as_deref(), Some("e30="));
        assert_eq!((records[1].offset, &records[1].value), (16, &None));
        assert_eq!(records[2].offset, 17);
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
