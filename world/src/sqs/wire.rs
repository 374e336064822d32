//! SQS in AWS's JSON protocol.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_Operations.html>

use std::collections::HashSet;
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use md5::{Digest, Md5};
use serde_json::{Value, json};

use super::message::{NewMessage, Receive, Received};
use super::{MAX_ENTRIES, MAX_MESSAGE, MoveTask, Sqs, missing};
use crate::aws::{ACCOUNT, REGION, Service, ServiceError, list, text};
use crate::faults::Fault;

/// MD5 as SQS tells it and the SDKs compare it.
pub fn md5(body: &str) -> String {
    hex::encode(Md5::digest(body.as_bytes()))
}

impl Service for Sqs {
    fn call(
        &mut self,
        operation: &str,
        input: &Value,
        fault: Option<&Fault>,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Result<Value, ServiceError> {
        let name = text(input, "QueueUrl").rsplit('/').next().unwrap_or_default();
        match operation {
            "SendMessage" => self.send_entry(name, input, now),
            "SendMessageBatch" => {
                let bytes = |entry: &Value| text(entry, "MessageBody").len();
                if list(input, "Entries").iter().map(bytes).sum::<usize>() > MAX_MESSAGE {
                    return Err(ServiceError::new(
                        "AWS.SimpleQueueService.BatchRequestTooLong",
                        "the batch is longer than 1048576 bytes",
                    ));
                }
                self.batch(name, input, fault, rng, |sqs, entry, _| {
                    sqs.send_entry(name, entry, now)
                })
            }
            "ReceiveMessage" => {
                let number = input.get("MaxNumberOfMessages").and_then(Value::as_u64).unwrap_or(1);
                let request = Receive {
                    number: usize::try_from(number).unwrap_or(usize::MAX),
                    visibility: seconds(input, "VisibilityTimeout"),
                    long_poll: seconds(input, "WaitTimeSeconds")
                        .is_some_and(|wait| !wait.is_zero()),
                };
                let received = self.receive(name, request, now, rng)?;
                Ok(json!({"Messages": received.iter().map(message).collect::<Vec<_>>()}))
            }
            "DeleteMessage" => {
                self.delete(name, text(input, "ReceiptHandle"), now, rng)?;
                Ok(json!({}))
            }
            "DeleteMessageBatch" => self.batch(name, input, fault, rng, |sqs, entry, rng| {
                sqs.delete(name, text(entry, "ReceiptHandle"), now, rng)?;
                Ok(json!({}))
            }),
            "ChangeMessageVisibility" => {
                let visibility = seconds(input, "VisibilityTimeout").unwrap_or_default();
                self.change_visibility(name, text(input, "ReceiptHandle"), visibility, now)?;
                Ok(json!({}))
            }
            "ChangeMessageVisibilityBatch" => {
                self.batch(name, input, fault, rng, |sqs, entry, _| {
                    let visibility = seconds(entry, "VisibilityTimeout").unwrap_or_default();
                    sqs.change_visibility(name, text(entry, "ReceiptHandle"), visibility, now)?;
                    Ok(json!({}))
                })
            }
            "GetQueueAttributes" => self.attributes(name, now),
            "StartMessageMoveTask" => {
                let to = arn_name(text(input, "DestinationArn"));
                let rate = input.get("MaxNumberOfMessagesPerSecond").and_then(Value::as_u64);
                let rate = rate.map(|rate| u32::try_from(rate).unwrap_or(u32::MAX));
                let to = (!to.is_empty()).then_some(to);
                let handle = self.start_move(arn_name(text(input, "SourceArn")), to, rate, now)?;
                Ok(json!({ "TaskHandle": handle }))
            }
            "ListMessageMoveTasks" => {
                self.advance(now);
                let source = arn_name(text(input, "SourceArn"));
                let tasks = self.tasks().iter().rev().filter(|task| task.source == source);
                Ok(json!({"Results": tasks.map(task).collect::<Vec<_>>()}))
            }
            _ => Err(ServiceError::unknown_operation()),
        }
    }
}

impl Sqs {
    /// Sends what an input of `SendMessage`, or an entry of `SendMessageBatch`, describes.
    fn send_entry(
        &mut self,
        queue: &str,
        entry: &Value,
        now: Timestamp,
    ) -> Result<Value, ServiceError> {
        let body = text(entry, "MessageBody");
        let message = NewMessage {
            body: body.to_owned(),
            delay: seconds(entry, "DelaySeconds"),
            group: entry.get("MessageGroupId").and_then(Value::as_str).map(str::to_owned),
        };
        let id = self.send(queue, message, now)?;
        Ok(json!({"MessageId": id, "MD5OfMessageBody": md5(body)}))
    }

    /// Does an operation for each entry of a batch; the fault makes some of them fail.
    fn batch(
        &mut self,
        queue: &str,
        input: &Value,
        fault: Option<&Fault>,
        rng: &mut Rng,
        mut act: impl FnMut(&mut Self, &Value, &mut Rng) -> Result<Value, ServiceError>,
    ) -> Result<Value, ServiceError> {
        self.queue(queue).ok_or_else(|| missing(queue))?;
        let entries = list(input, "Entries");
        let error = |code, message| Err(ServiceError::new(code, message));
        if entries.is_empty() {
            return error("AWS.SimpleQueueService.EmptyBatchRequest", "there are no entries");
        }
        if entries.len() > MAX_ENTRIES {
            return error(
                "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
                "a batch has at most 10 entries",
            );
        }
        let ids: HashSet<&str> = entries.iter().map(|entry| text(entry, "Id")).collect();
        if ids.len() < entries.len() {
            return error(
                "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
                "two entries have the same Id",
            );
        }
        let failing = fault.and_then(|fault| fault.failed_entries).unwrap_or_default();
        let failing: HashSet<usize> =
            rng.choose_multiple(0..entries.len(), failing.min(entries.len())).into_iter().collect();
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for (index, entry) in entries.iter().enumerate() {
            let id = text(entry, "Id");
            let result = if failing.contains(&index) {
                let code = fault.and_then(|fault| fault.code.as_deref()).unwrap_or("InternalError");
                Err((code.to_owned(), "a fault of the sandbox".to_owned(), false))
            } else {
                act(self, entry, rng).map_err(|error| (error.code.to_owned(), error.message, true))
            };
            match result {
                Ok(mut done) => {
                    if let Value::Object(done) = &mut done {
                        done.insert("Id".to_owned(), id.into());
                    }
                    successful.push(done);
                }
                Err((code, message, sender)) => failed.push(
                    json!({"Id": id, "Code": code, "Message": message, "SenderFault": sender}),
                ),
            }
        }
        Ok(json!({"Successful": successful, "Failed": failed}))
    }

    fn attributes(&mut self, name: &str, now: Timestamp) -> Result<Value, ServiceError> {
        self.advance(now);
        let queue = self.queue(name).ok_or_else(|| missing(name))?;
        let counts = queue.counts(now);
        let attributes = &queue.attributes;
        let mut answer = json!({
            "QueueArn": arn(name),
            "ApproximateNumberOfMessages": counts.visible.to_string(),
            "ApproximateNumberOfMessagesNotVisible": counts.not_visible.to_string(),
            "ApproximateNumberOfMessagesDelayed": counts.delayed.to_string(),
            "DelaySeconds": attributes.delay.as_secs().to_string(),
            "VisibilityTimeout": attributes.visibility.as_secs().to_string(),
            "MessageRetentionPeriod": attributes.retention.as_secs().to_string(),
        });
        if let (Some(policy), Value::Object(answer)) = (&attributes.redrive, &mut answer) {
            let policy = json!({"deadLetterTargetArn": arn(&policy.dead_letter_queue),
                                "maxReceiveCount": policy.max_receives});
            answer.insert("RedrivePolicy".to_owned(), policy.to_string().into());
        }
        Ok(json!({ "Attributes": answer }))
    }
}

/// The attributes of a received message, as receives and Lambda events carry them.
pub(crate) fn message_attributes(message: &Received) -> Value {
    let mut attributes = json!({
        "ApproximateReceiveCount": message.receives.to_string(),
        "SentTimestamp": message.sent_at.as_millisecond().to_string(),
        "SenderId": "AIDAIENQZJOLO23YVJ4VO",
        "ApproximateFirstReceiveTimestamp": message.first_received.as_millisecond().to_string(),
    });
    if let (Some(group), Value::Object(attributes)) = (&message.group, &mut attributes) {
        attributes.insert("MessageGroupId".to_owned(), group.as_str().into());
    }
    attributes
}

fn message(message: &Received) -> Value {
    json!({
        "MessageId": message.id, "ReceiptHandle": message.receipt, "Body": message.body,
        "MD5OfBody": md5(&message.body), "Attributes": message_attributes(message),
    })
}

fn task(task: &MoveTask) -> Value {
    let mut answer = json!({
        "Status": if task.completed { "COMPLETED" } else { "RUNNING" },
        "SourceArn": arn(&task.source),
        "ApproximateNumberOfMessagesMoved": task.moved,
        "ApproximateNumberOfMessagesToMove": task.to_move,
        "StartedTimestamp": task.started_at.as_millisecond(),
    });
    if let Value::Object(answer) = &mut answer {
        if !task.completed {
            answer.insert("TaskHandle".to_owned(), task.handle.as_str().into());
        }
        let destination =
            task.destination.as_deref().map(|to| ("DestinationArn".to_owned(), arn(to).into()));
        let rate =
            task.per_second.map(|rate| ("MaxNumberOfMessagesPerSecond".to_owned(), rate.into()));
        answer.extend(destination.into_iter().chain(rate));
    }
    answer
}

/// The ARN of a queue.
pub(crate) fn arn(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")
}

fn arn_name(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or_default()
}

fn seconds(input: &Value, name: &str) -> Option<Duration> {
    Some(Duration::from_secs(input.get(name)?.as_u64()?))
}
