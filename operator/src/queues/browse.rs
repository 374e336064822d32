//! Looks through a queue: every message once. What stays is put back at the end, also after an error.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::{Context, Result};
use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, Message, QueueAttributeName};
use serde::Serialize;

use super::{QueueName, Queues, failed};
use crate::terminal::{Progress, say};

/// Messages stay invisible to others for this long while a queue is looked through.
const VISIBILITY: Duration = Duration::from_mins(10);

/// A queue of AWS is looked through when so many receives in a row bring nothing new: a receive does not find
/// every message, even where it waits.
const EMPTY_RECEIVES: u32 = 3;

/// A receive that waits asks all of the queue's servers.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html>
const WAIT_SECONDS: i32 = 1;

/// Messages of one receive.
const BATCH: i32 = 10;

/// A queue may have 120,000 messages in flight, and its function needs some.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
const MAX_HELD: usize = 100_000;

/// What becomes of a message that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is put back.
    Stays,
    /// It is deleted.
    Goes,
    /// It is deleted; the message with this id has what is left of it, and is not shown.
    Replaced(String),
}

/// What a queue does not show.
#[derive(Serialize)]
pub(crate) struct Hidden {
    pub(crate) delayed: u64,
    pub(crate) in_flight: u64,
}

impl Queues {
    /// What a queue does not show now.
    pub(crate) async fn hidden(&self, queue: QueueName) -> Result<Hidden> {
        let (delayed, in_flight) = (
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        );
        let request = self.client.get_queue_attributes().queue_url(self.url(queue)?);
        let request = request.attribute_names(delayed.clone()).attribute_names(in_flight.clone());
        let answer = request.send().await;
        let attributes = answer.map_err(|error| failed(queue, &error, "GetQueueAttributes"))?;
        let attributes = attributes.attributes.unwrap_or_default();
        let number =
            |name| attributes.get(&name).and_then(|number| number.parse().ok()).unwrap_or(0);
        Ok(Hidden { delayed: number(delayed), in_flight: number(in_flight) })
    }

    /// Shows every message once; whether there were not too many of them.
    pub(crate) async fn browse(
        &self,
        queue: QueueName,
        visit: impl AsyncFnMut(&Message) -> Result<Fate>,
    ) -> Result<bool> {
        let mut held = HashMap::new();
        let looked = self.look(queue, visit, &mut held).await;
        let put_back = self.put_back(queue, held).await;
        let all = looked?;
        put_back?;
        Ok(all)
    }

    /// `held`: receipts of what stays, by the messages' ids.
    async fn look(
        &self,
        queue: QueueName,
        mut visit: impl AsyncFnMut(&Message) -> Result<Fate>,
        held: &mut HashMap<String, String>,
    ) -> Result<bool> {
        let url = self.url(queue)?;
        let enough = if self.connection.is_sandbox() { 1 } else { EMPTY_RECEIVES };
        let (mut seen, mut gone, mut empty) = (HashSet::new(), HashSet::new(), 0);
        let mut progress = Progress::new(format!("{queue}: looked at"));
        while empty < enough {
            if held.len() >= MAX_HELD {
                say(&format!(
                    "{queue}: it has more than {MAX_HELD} messages; the others were not looked at: run the command again when it is shorter"
                ));
                return Ok(false);
            }
            let request = self.client.receive_message().queue_url(&url);
            let request = request.max_number_of_messages(BATCH).wait_time_seconds(WAIT_SECONDS);
            let request = request.visibility_timeout(i32::try_from(VISIBILITY.as_secs())?);
            let received = request.send().await;
            let received = received.map_err(|error| failed(queue, &error, "ReceiveMessage"))?;
            empty += 1;
            for message in received.messages.unwrap_or_default() {
                let id = message.message_id.clone().unwrap_or_default();
                if seen.insert(id.clone()) {
                    empty = 0;
                    progress.step();
                    let fate = visit(&message).await?;
                    if let Fate::Replaced(by) = &fate {
                        seen.insert(by.clone());
                    }
                    if fate != Fate::Stays {
                        self.delete(queue, &message).await?;
                        gone.insert(id);
                        continue;
                    }
                } else if gone.contains(&id) {
                    // SQS may show a message once more although it was deleted.
                    self.delete(queue, &message).await?;
                    continue;
                }
                // Only the receipt of its last receive is valid.
                held.extend(message.receipt_handle.map(|receipt| (id, receipt)));
            }
        }
        Ok(true)
    }

    async fn delete(&self, queue: QueueName, message: &Message) -> Result<()> {
        let delete = self.client.delete_message().queue_url(self.url(queue)?);
        let answer = delete.set_receipt_handle(message.receipt_handle.clone()).send().await;
        answer.map_err(|error| failed(queue, &error, "DeleteMessage"))?;
        Ok(())
    }

    /// What stays is there for the next one who looks.
    async fn put_back(&self, queue: QueueName, held: HashMap<String, String>) -> Result<()> {
        let receipts: Vec<String> = held.into_values().collect();
        let mut refused = 0;
        for receipts in receipts.chunks(usize::try_from(BATCH)?) {
            let mut request =
                self.client.change_message_visibility_batch().queue_url(self.url(queue)?);
            for (index, receipt) in receipts.iter().enumerate() {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(receipt)
                    .visibility_timeout(0);
                request = request.entries(entry.build()?);
            }
            let answer = request.send().await.with_context(|| {
                format!("{queue}: what stays could not be put back at once: SQS shows it again after 10 minutes")
            })?;
            refused += answer.failed().len();
        }
        if refused > 0 {
            say(&format!(
                "{queue}: {refused} messages could not be put back at once: SQS shows them again after 10 minutes at most"
            ));
        }
        Ok(())
    }
}
