//! Records of Pushwoosh's topic `channels-tracking-log` become Track calls of Segment.
//!
//! Invariants: every record ends in one outcome; a record that could be neither delivered nor kept is
//! reported by exactly the key and offset it came with. Everything ends two seconds before the
//! invocation does. Where nothing at all worked, or where the event source mapping reads no
//! partial-batch response, the invocation fails instead, so that Lambda resends the whole batch; Segment
//! removes the repeats by their `messageId`.
//!
//! # Layout
//! * [`event`]: what invokes the function, and what it answers.
//! * `classify`: which records are to be sent, and for whom.
//! * `process`: from records to outcomes.
//! * `kept`: something for a queue, and the records that it stands for.

mod classify;
pub mod event;
mod kept;
mod process;

use std::sync::Arc;
use std::time::Duration;

use lambda_runtime::Diagnostic;
use platform::clock::Instant;
use platform::queues::Queues;
use platform::secrets::Secrets;
use platform::settings::Settings;
use platform::{Deadlines, Function, Invocation, Platform};
use segment::delivery::Delivery;

use crate::event::{BatchItemFailure, BatchResponse, MskEvent};

/// Kept before the invocation's deadline, for the answer.
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// Kept before that, for parking.
const PARKING_TIME: Duration = Duration::from_secs(3);

/// The function's state, shared by all invocations of a process.
#[derive(Debug)]
pub struct Source {
    settings: Arc<Settings>,
    secrets: Arc<Secrets>,
    delivery: Delivery,
    queues: Arc<Queues>,
}

/// Lambda must resend the batch as a whole.
#[derive(Debug, PartialEq, Eq)]
pub struct BatchFailed {
    failed: usize,
    of: usize,
}

impl From<BatchFailed> for Diagnostic {
    fn from(error: BatchFailed) -> Self {
        let BatchFailed { failed, of } = error;
        Self {
            error_type: "BatchFailed".to_owned(),
            error_message: format!(
                "{failed} of {of} records could be neither delivered nor parked; Lambda resends the batch"
            ),
        }
    }
}

impl Function for Source {
    const NAME: &'static str = "source";
    type Event = MskEvent;
    type Response = BatchResponse;
    type Error = BatchFailed;

    fn new(platform: Platform) -> Self {
        Self {
            delivery: Delivery::new(&platform),
            settings: platform.settings,
            secrets: platform.secrets,
            queues: platform.queues,
        }
    }

    fn deadlines(&self, now: Instant, left: Duration) -> Deadlines {
        Deadlines::within(now, left.saturating_sub(ANSWER_TIME), PARKING_TIME)
    }

    async fn handle(
        &self,
        event: MskEvent,
        invocation: &Invocation,
    ) -> Result<BatchResponse, BatchFailed> {
        let of = event.records.values().map(Vec::len).sum();
        let failed = process::process(self, event, invocation).await;
        let partial = self.settings.partial_batch_response && failed.len() < of;
        if !failed.is_empty() && !partial {
            return Err(BatchFailed { failed: failed.len(), of });
        }
        let failures =
            failed.into_iter().map(|item_identifier| BatchItemFailure { item_identifier });
        Ok(BatchResponse { batch_item_failures: failures.collect() })
    }
}
