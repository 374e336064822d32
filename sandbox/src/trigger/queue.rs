//! The event source mapping from the retry queue to the function `retry`, with partial-batch
//! responses. <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>
//!
//! Invariant: a message is deleted only when the function has taken it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::deployed::{RETRY_BATCH_SIZE, RETRY_CONCURRENCY};
use crate::lambda::Function;
use crate::standin::sqs::{Queue, Received};

/// Feeds the function until the process ends. After a failed invocation its messages come back
/// after `again`: in AWS that is the queue's visibility timeout, which is minutes.
pub(crate) async fn poll(
    queue: Arc<Queue>,
    function: Arc<Function>,
    visibility: Duration,
    again: Duration,
) {
    let permits = Arc::new(Semaphore::new(RETRY_CONCURRENCY));
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        let messages = queue.receive(RETRY_BATCH_SIZE, visibility);
        if messages.is_empty() {
            drop(permit);
            queue.wait().await;
            continue;
        }
        let (queue, function) = (Arc::clone(&queue), Arc::clone(&function));
        tokio::spawn(async move {
            let event = json!({"Records": messages.iter().map(record).collect::<Vec<_>>()});
            match function.invoke(Bytes::from(event.to_string())).await {
                Ok(answer) => settle(&queue, &messages, &answer, again),
                Err(_) => messages
                    .iter()
                    .for_each(|message| queue.change_visibility(&message.receipt, again)),
            }
            drop(permit);
        });
    }
}

fn record(message: &Received) -> Value {
    json!({
        "messageId": message.id, "receiptHandle": message.receipt, "body": message.body,
        "attributes": message.attributes, "messageAttributes": {}, "md5OfBody": message.md5,
        "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:retry",
        "awsRegion": "eu-central-1",
    })
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Response {
    batch_item_failures: Vec<ItemFailure>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ItemFailure {
    item_identifier: String,
}

/// Deletes what the function has taken. An answer that cannot be read, or names what was not sent,
/// leaves all of it.
fn settle(queue: &Queue, messages: &[Received], answer: &[u8], again: Duration) {
    let response: Option<Option<Response>> = serde_json::from_slice(answer).ok();
    let failed: Option<HashSet<String>> = response.map(|response| {
        let failures = response.unwrap_or_default().batch_item_failures;
        failures.into_iter().map(|failure| failure.item_identifier).collect()
    });
    let known = |id: &String| messages.iter().any(|message| message.id == *id);
    match failed.filter(|failed| failed.iter().all(known)) {
        Some(failed) => {
            for message in messages.iter().filter(|message| !failed.contains(&message.id)) {
                queue.delete(&message.receipt);
            }
        }
        None => {
            for message in messages {
                queue.change_visibility(&message.receipt, again);
            }
        }
    }
}
