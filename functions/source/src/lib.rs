//! Records of Pushwoosh's topic `channels-tracking-log` become Track calls of Segment.
//!
//! Invariants: every record ends in one outcome; a record that could be neither delivered nor kept
//! is reported by exactly the key and offset it came with. Everything ends two seconds before the
//! invocation does. Where nothing at all worked, or where the event source mapping reads no
//! partial-batch response, the invocation fails instead, so that Lambda brings the whole batch
//! again; Segment removes the repeats by their `messageId`.
//!
//! # Layout
//! * [`msk`]: the event and the answer.
//! * `batch`: one batch, from records to outcomes.
//! * `sort`: which of its records are to be sent, and for whom.

mod batch;
pub mod msk;
mod sort;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lambda_runtime::{Context, Diagnostic, Error, LambdaEvent, service_fn};
use platform::queues::Queues;
use platform::secrets::Secrets;
use platform::settings::Settings;
use platform::telemetry::{self, Count, Tally};
use segment::delivery::Delivery;
use tokio::time::Instant;

use crate::msk::{BatchItemFailure, Event, Response};

/// Kept before the invocation's deadline, for the answer.
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// Kept before that, for parking.
const PARKING_TIME: Duration = Duration::from_secs(3);

/// The function's state, shared by all invocations of a process.
#[derive(Debug)]
pub struct Source {
    settings: Settings,
    secrets: Arc<Secrets>,
    delivery: Delivery,
    queues: Queues,
}

/// The batch has to come again as a whole.
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
                "{failed} of {of} records could be neither delivered nor parked; the batch comes again"
            ),
        }
    }
}

/// Starts the function and serves invocations until the environment is shut down.
pub async fn run() -> Result<(), Error> {
    telemetry::init();
    let settings = Settings::from_env()?;
    let config = platform::aws::config().await;
    let client = segment::Client::new(platform::upstream::http_client()?, settings.segment_gzip);
    let source = Arc::new(Source {
        delivery: Delivery::new(client, settings.segment_concurrency),
        secrets: Arc::new(Secrets::from_settings(&config, &settings)),
        queues: Queues::from_settings(&config, &settings),
        settings,
    });
    let handler = service_fn(move |event: LambdaEvent<Event>| {
        let source = Arc::clone(&source);
        // Boxed: the future is large, and nested deeper than the compiler follows.
        Box::pin(async move { source.handle(event).await })
    });
    lambda_runtime::run_concurrent(handler).await
}

impl Source {
    /// Works on one event.
    pub async fn handle(&self, event: LambdaEvent<Event>) -> Result<Response, BatchFailed> {
        let started = Instant::now();
        let tally = Tally::default();
        let end = started + remaining(&event.context).saturating_sub(ANSWER_TIME);
        let upstream_end = end.checked_sub(PARKING_TIME).unwrap_or(started).max(started);
        let of = event.payload.records.values().map(Vec::len).sum();
        let failed = batch::process(self, event.payload, upstream_end, end, &tally).await;
        tally.time(Count::DurationMs, started.elapsed());
        tally.add(Count::SecretsStale, self.secrets.take_stale());
        tally.report("source");
        let whole_batch =
            !failed.is_empty() && (failed.len() == of || !self.settings.partial_batch_response);
        if whole_batch {
            return Err(BatchFailed { failed: failed.len(), of });
        }
        let batch_item_failures =
            failed.into_iter().map(|item_identifier| BatchItemFailure { item_identifier });
        Ok(Response { batch_item_failures: batch_item_failures.collect() })
    }
}

/// What is left of the invocation's time.
fn remaining(context: &Context) -> Duration {
    let deadline = SystemTime::UNIX_EPOCH + Duration::from_millis(context.deadline);
    deadline.duration_since(SystemTime::now()).unwrap_or_default()
}
