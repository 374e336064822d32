//! Delivers what could not be delivered the first time, from the retry queue.
//!
//! Invariants: a message leaves the queue only when all it holds was delivered, rejected, or put on the
//! queue again; what fails is retried with exponential backoff, and after `PWSEG_RETRY_MAX_AGE_S` goes
//! to the dead-letter queue by SQS's own redrive policy, so that SQS's own redrive can bring it back. A
//! process that dies in between costs at most a repetition.
//!
//! # Layout
//! * `event`: what invokes the function, and what it answers.
//! * `process`: from a message to its outcome.
//! * `backoff`: when a message is tried again.

mod backoff;
mod event;
mod process;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use futures::future::join_all;
use platform::clock::Instant;
use platform::queues::Queues;
use platform::secrets::Secrets;
use platform::settings::Settings;
use platform::{Deadlines, Function, Invocation, Platform};

use crate::event::Received;

/// Kept before the invocation's deadline, for the answer.
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// The queues may still be used for this long after the upstreams' time is up.
const QUEUE_TIME: Duration = Duration::from_secs(3);

/// Longest time for the upstreams: other messages wait.
const MAX_UPSTREAM_TIME: Duration = Duration::from_secs(20);

/// The function's state, shared by all invocations of a process.
#[derive(Debug)]
pub struct Retry {
    settings: Arc<Settings>,
    secrets: Arc<Secrets>,
    pushwoosh: pushwoosh::delivery::Delivery,
    segment: segment::delivery::Delivery,
    queues: Arc<Queues>,
}

impl Function for Retry {
    const NAME: &'static str = "retry";
    type Event = SqsEvent;
    type Response = SqsBatchResponse;
    type Error = Infallible;

    fn new(platform: Platform) -> Self {
        Self {
            pushwoosh: pushwoosh::delivery::Delivery::new(&platform),
            segment: segment::delivery::Delivery::new(&platform),
            settings: platform.settings,
            secrets: platform.secrets,
            queues: platform.queues,
        }
    }

    fn deadlines(&self, now: Instant, left: Duration) -> Deadlines {
        let budget = left.saturating_sub(ANSWER_TIME).min(MAX_UPSTREAM_TIME + QUEUE_TIME);
        Deadlines::within(now, budget, QUEUE_TIME)
    }

    /// Works on the messages of one event at the same time.
    async fn handle(
        &self,
        event: SqsEvent,
        invocation: &Invocation,
    ) -> Result<SqsBatchResponse, Infallible> {
        let messages: Vec<Received<'_>> = event.records.iter().map(Received::read).collect();
        let done = messages.iter().map(|message| self.settle(message, invocation));
        let done = join_all(done).await;
        let mut response = SqsBatchResponse::default();
        for (message, done) in messages.iter().zip(done) {
            if !done {
                let mut failure = BatchItemFailure::default();
                failure.item_identifier = message.id.to_owned();
                response.batch_item_failures.push(failure);
            }
        }
        Ok(response)
    }
}

impl Retry {
    /// Works on one message; false leaves it on the queue.
    async fn settle(&self, message: &Received<'_>, invocation: &Invocation) -> bool {
        match self.process(message, invocation).await {
            Ok(()) => true,
            Err(postponed) => {
                let delay = postponed.delay(&self.settings, message.receives);
                // Without it the message comes back when its visibility runs out.
                self.queues.postpone(message.receipt, delay).await.ok();
                false
            }
        }
    }
}
