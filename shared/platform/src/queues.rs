//! The two SQS queues: `retry` for what could not be delivered yet, `rejects` for what never can be.
//!
//! Invariants: an item is either on its queue or the caller is told that it is not; a message holds
//! no key, and is encrypted by the queue. The client is made on first use, so that start-up does
//! not pay for it.

use std::fmt;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use futures::StreamExt;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::message::{self, Parked, Reject};
use crate::settings::Settings;

/// Entries of one `SendMessageBatch`.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
const MAX_ENTRIES: usize = 10;

/// Requests to SQS at the same time.
const CONCURRENCY: usize = 16;

/// Longest `DelaySeconds` of SQS.
const MAX_DELAY: Duration = Duration::from_mins(15);

/// Why something is not on a queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// Larger than a message may be, even compressed.
    #[error("the item is larger than an SQS message may be")]
    TooLarge,
    /// SQS refused it, cannot be reached, or the time was up.
    #[error("SQS did not take the item")]
    NotTaken,
}

/// Access to both queues.
pub struct Queues {
    config: SdkConfig,
    client: OnceCell<Client>,
    retry_url: String,
    rejects_url: String,
}

impl fmt::Debug for Queues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queues")
            .field("retry", &self.retry_url)
            .field("rejects", &self.rejects_url)
            .finish_non_exhaustive()
    }
}

impl Queues {
    /// Queues as the settings name them.
    pub fn from_settings(config: &SdkConfig, settings: &Settings) -> Self {
        Self {
            config: config.clone(),
            client: OnceCell::new(),
            retry_url: settings.retry_queue_url.clone(),
            rejects_url: settings.rejects_queue_url.clone(),
        }
    }

    async fn client(&self) -> &Client {
        self.client.get_or_init(async || Client::new(&self.config)).await
    }

    /// Parks items, each for its own delay. The result has one element per item, in their order.
    pub async fn park(
        &self,
        items: &[(Parked, Duration)],
        deadline: Instant,
    ) -> Vec<Result<(), QueueError>> {
        let messages = items.iter().map(|(item, delay)| (message::encode(item), *delay)).collect();
        self.send(&self.retry_url, messages, deadline).await
    }

    /// Sets rejects aside. The result has one element per item, in their order.
    pub async fn reject(&self, items: &[Reject], deadline: Instant) -> Vec<Result<(), QueueError>> {
        let messages = items.iter().map(|item| (message::encode(item), Duration::ZERO)).collect();
        self.send(&self.rejects_url, messages, deadline).await
    }

    /// Lets a message of the retry queue come back after this time.
    pub async fn postpone(&self, receipt: &str, delay: Duration) -> Result<(), QueueError> {
        let seconds = i32::try_from(delay.as_secs()).unwrap_or(i32::MAX);
        let request = self.client().await.change_message_visibility().queue_url(&self.retry_url);
        match request.receipt_handle(receipt).visibility_timeout(seconds).send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::warn!(error = %DisplayErrorContext(&error), "a retry could not be postponed; it comes back earlier");
                Err(QueueError::NotTaken)
            }
        }
    }

    async fn send(
        &self,
        url: &str,
        messages: Vec<(Option<String>, Duration)>,
        deadline: Instant,
    ) -> Vec<Result<(), QueueError>> {
        let mut results: Vec<_> =
            messages
                .iter()
                .map(|(body, _)| {
                    if body.is_some() {
                        Err(QueueError::NotTaken)
                    } else {
                        Err(QueueError::TooLarge)
                    }
                })
                .collect();
        let sendable: Vec<(usize, String, Duration)> = messages
            .into_iter()
            .enumerate()
            .filter_map(|(index, (body, delay))| Some((index, body?, delay)))
            .collect();
        let taken: Vec<Vec<usize>> = futures::stream::iter(group(sendable))
            .map(|batch| async move {
                let taken = tokio::time::timeout_at(deadline, self.send_batch(url, batch)).await;
                taken.unwrap_or_else(|_| {
                    tracing::error!("SQS gave no answer in time");
                    Vec::new()
                })
            })
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await;
        for index in taken.into_iter().flatten() {
            if let Some(result) = results.get_mut(index) {
                *result = Ok(());
            }
        }
        results
    }

    /// Sends one batch and tells which of its items SQS took.
    async fn send_batch(&self, url: &str, batch: Vec<(usize, String, Duration)>) -> Vec<usize> {
        let entries = batch.into_iter().map(|(index, body, delay)| {
            let delay = i32::try_from(delay.min(MAX_DELAY).as_secs()).unwrap_or_default();
            SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(body)
                .delay_seconds(delay)
                .build()
        });
        let Ok(entries) = entries.collect::<Result<Vec<_>, _>>() else {
            return Vec::new();
        };
        match self
            .client()
            .await
            .send_message_batch()
            .queue_url(url)
            .set_entries(Some(entries))
            .send()
            .await
        {
            Ok(answer) => {
                if let Some(failed) = answer.failed().first() {
                    tracing::error!(
                        error.code = failed.code(),
                        number = answer.failed().len(),
                        "SQS refused messages"
                    );
                }
                answer.successful().iter().filter_map(|entry| entry.id().parse().ok()).collect()
            }
            Err(error) => {
                tracing::error!(error = %DisplayErrorContext(&error), "SQS did not take a batch");
                Vec::new()
            }
        }
    }
}

/// Cuts messages into batches that SQS takes: at most ten, together no larger than one may be.
fn group(messages: Vec<(usize, String, Duration)>) -> Vec<Vec<(usize, String, Duration)>> {
    let mut batches = Vec::new();
    let mut batch = Vec::new();
    let mut size = 0;
    for message in messages {
        if batch.len() == MAX_ENTRIES
            || (!batch.is_empty() && size + message.1.len() > message::MAX_BYTES)
        {
            batches.push(std::mem::take(&mut batch));
            size = 0;
        }
        size += message.1.len();
        batch.push(message);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn batches_lose_nothing_and_keep_the_limits(sizes in proptest::collection::vec(1..message::MAX_BYTES, 0..60)) {
            let messages: Vec<_> = sizes.iter().enumerate().map(|(index, size)| (index, "x".repeat(*size), Duration::ZERO)).collect();
            let batches = group(messages);
            let indexes: Vec<usize> = batches.iter().flatten().map(|message| message.0).collect();
            prop_assert_eq!(indexes, (0..sizes.len()).collect::<Vec<_>>());
            for batch in batches {
                prop_assert!((1..=MAX_ENTRIES).contains(&batch.len()));
                prop_assert!(batch.iter().map(|message| message.1.len()).sum::<usize>() <= message::MAX_BYTES);
            }
        }
    }
}
