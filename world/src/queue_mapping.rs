//! The event source mapping from a queue to a function, with partial-batch responses.
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>
//!
//! Invariant: a message is deleted only when the function has taken it.

use std::collections::HashSet;
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::aws::{REGION, ServiceError};
use crate::sqs::wire::{arn, message_attributes};
use crate::sqs::{Receive, Received, Sqs, md5};

/// The mapping's properties.
#[derive(Debug, Clone)]
pub struct QueueMapping {
    /// Name of the queue.
    pub queue: String,
    /// `BatchSize`: at most ten where there is no batching window.
    pub batch_size: usize,
    /// How long messages of an invocation are invisible. In AWS: the queue's `VisibilityTimeout`.
    pub visibility: Duration,
    /// When the messages of a failed invocation become visible again, counted from its end. In AWS they
    /// come back when `visibility` has passed since they were received: `None`.
    pub return_after: Option<Duration>,
}

/// The messages of one invocation.
#[derive(Debug, Clone)]
pub struct Batch {
    /// At least one.
    pub messages: Vec<Received>,
}

impl QueueMapping {
    /// The next batch, if there is one. The mapping polls with a wait, which is the caller's.
    pub fn poll(
        &self,
        sqs: &mut Sqs,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Result<Option<Batch>, ServiceError> {
        let request =
            Receive { number: self.batch_size, visibility: Some(self.visibility), long_poll: true };
        let messages = sqs.receive(&self.queue, request, now, rng)?;
        Ok((!messages.is_empty()).then_some(Batch { messages }))
    }

    /// The event that the function is invoked with.
    pub fn event(&self, batch: &Batch) -> Value {
        json!({"Records": batch.messages.iter().map(|message| self.record(message)).collect::<Vec<_>>()})
    }

    fn record(&self, message: &Received) -> Value {
        json!({
            "messageId": message.id, "receiptHandle": message.receipt, "body": message.body,
            "attributes": message_attributes(message), "messageAttributes": {},
            "md5OfBody": md5(&message.body), "eventSource": "aws:sqs",
            "eventSourceARN": arn(&self.queue), "awsRegion": REGION,
        })
    }

    /// Deletes what the function has taken. After an error, or an answer that cannot be read or names
    /// what was not sent, all messages of the batch stay.
    pub fn settle(
        &self,
        sqs: &mut Sqs,
        batch: &Batch,
        answer: Option<&[u8]>,
        now: Timestamp,
        rng: &mut Rng,
    ) {
        let failed = answer.and_then(failed_ids).filter(|failed| {
            failed.iter().all(|id| batch.messages.iter().any(|message| message.id == *id))
        });
        for message in &batch.messages {
            // A message may have expired or been received by somebody else meanwhile.
            match (&failed, self.return_after) {
                (Some(failed), _) if !failed.contains(&message.id) => {
                    sqs.delete(&self.queue, &message.receipt, now, rng).ok();
                }
                (None, Some(pause)) => {
                    sqs.change_visibility(&self.queue, &message.receipt, pause, now).ok();
                }
                _ => {}
            }
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PartialBatchResponse {
    batch_item_failures: Vec<ItemFailure>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ItemFailure {
    item_identifier: String,
}

/// The ids that the answer names; nothing where it cannot be read. An empty answer names none.
fn failed_ids(answer: &[u8]) -> Option<HashSet<String>> {
    let response: Option<PartialBatchResponse> = serde_json::from_slice(answer).ok()?;
    let failures = response.unwrap_or_default().batch_item_failures;
    Some(failures.into_iter().map(|failure| failure.item_identifier).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqs::Attributes;
    use crate::time::after;

    const VISIBILITY: Duration = Duration::from_mins(6);

    fn start() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn mapping() -> QueueMapping {
        let queue = "retry".to_owned();
        QueueMapping { queue, batch_size: 10, visibility: VISIBILITY, return_after: None }
    }

    fn polled(messages: u32) -> (Sqs, Batch) {
        let (mut sqs, mut rng) = (Sqs::default(), Rng::with_seed(1));
        sqs.create("retry", Attributes::default());
        for number in 0..messages {
            sqs.send("retry", number.to_string(), start()).unwrap();
        }
        let batch = mapping().poll(&mut sqs, start(), &mut rng).unwrap().unwrap();
        (sqs, batch)
    }

    fn left(answer: Option<&str>) -> Vec<String> {
        let (mut sqs, batch) = polled(2);
        let answer = answer.map(|answer| {
            batch.messages.iter().enumerate().fold(answer.to_owned(), |answer, (index, message)| {
                answer.replace(&format!("ID{index}"), &message.id)
            })
        });
        let answer = answer.as_deref().map(str::as_bytes);
        mapping().settle(&mut sqs, &batch, answer, start(), &mut Rng::with_seed(1));
        sqs.queue("retry").unwrap().messages().map(|(_, message)| message.body.clone()).collect()
    }

    #[test]
    fn the_event_is_that_of_aws() {
        let (_, batch) = polled(1);
        assert_eq!(
            mapping().event(&batch).to_string(),
            r#"{"Records":[{"messageId":"00000000-0000-4000-8000-000000000000","receiptHandle":"0:1","body":"0","attributes":{"ApproximateReceiveCount":"1","SentTimestamp":"1800000000000","SenderId":"AIDAIENQZJOLO23YVJ4VO","ApproximateFirstReceiveTimestamp":"1800000000000"},"messageAttributes":{},"md5OfBody":"cfcd208495d565ef66e7dff9f98764da","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:eu-central-1:123456789012:retry","awsRegion":"eu-central-1"}]}"#
        );
    }

    // services-sqs-errorhandling, "Success and failure conditions".
    #[test]
    fn only_what_the_function_has_taken_is_deleted() {
        for success in ["null", "{}", r#"{"batchItemFailures":[]}"#] {
            assert!(left(Some(success)).is_empty(), "{success}");
        }
        let one = r#"{"batchItemFailures":[{"itemIdentifier":"ID1"}]}"#;
        assert_eq!(left(Some(one)), ["1"]);
        for wrong in [
            "not json",
            r#"{"batchItemFailures":[{"itemIdentifier":"unknown"}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":{"partition":"x-0","offset":1}}]}"#,
        ] {
            assert_eq!(left(Some(wrong)), ["0", "1"], "{wrong}");
        }
        assert_eq!(left(None), ["0", "1"]);
    }

    #[test]
    fn a_failed_batch_is_visible_again_after_the_visibility_timeout_or_the_given_time() {
        for (return_after, comes_back) in
            [(None, VISIBILITY), (Some(Duration::from_secs(1)), Duration::from_secs(1))]
        {
            let (mut sqs, batch) = polled(2);
            let (mapping, mut rng) =
                (QueueMapping { return_after, ..mapping() }, Rng::with_seed(1));
            mapping.settle(&mut sqs, &batch, None, start(), &mut rng);
            let early = after(start(), comes_back.saturating_sub(Duration::from_millis(1)));
            assert!(mapping.poll(&mut sqs, early, &mut rng).unwrap().is_none());
            let again = mapping.poll(&mut sqs, after(start(), comes_back), &mut rng).unwrap();
            assert_eq!(again.unwrap().messages.len(), 2);
        }
    }
}
