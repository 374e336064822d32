//! Delivers what could not be delivered the first time, from the retry queue.
//!
//! Invariants: a message leaves the queue only when all it holds was delivered, set aside, or put
//! on the queue again; what fails comes back later and later ([`backoff`]), and after
//! `PWSEG_RETRY_MAX_AGE_S` goes to the dead-letter queue by SQS's own redrive policy, so that SQS's
//! own redrive can bring it back. A process that dies in between costs at most a repetition.
//!
//! # Layout
//! * [`backoff`]: when a message is tried again.
//! * `attempt`: one message, through the same deliveries as the other functions use.

mod attempt;
pub mod backoff;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use futures::future::join_all;
use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use platform::queues::Queues;
use platform::secrets::Secrets;
use platform::settings::Settings;
use platform::telemetry::{self, Count, Tally};
use tokio::time::Instant;

use crate::attempt::Received;

/// Kept before the invocation's deadline, for the queues and the answer.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// Longest time for the upstreams: other messages wait.
const MAX_UPSTREAM_TIME: Duration = Duration::from_secs(20);

/// The function's state, shared by all invocations of a process.
#[derive(Debug)]
pub struct Retry {
    settings: Settings,
    secrets: Arc<Secrets>,
    pushwoosh: pushwoosh::delivery::Delivery,
    segment: segment::delivery::Delivery,
    queues: Queues,
}

/// Starts the function and serves invocations until the environment is shut down.
pub async fn run() -> Result<(), Error> {
    telemetry::init();
    let settings = Settings::from_env()?;
    let config = platform::aws::config().await;
    let http = platform::upstream::http_client()?;
    let secrets = Arc::new(Secrets::from_settings(&config, &settings));
    let segment = segment::Client::new(http.clone(), settings.segment_gzip);
    let retry = Arc::new(Retry {
        pushwoosh: pushwoosh::delivery::Delivery::new(
            pushwoosh::Client::new(http),
            Arc::clone(&secrets),
        ),
        segment: segment::delivery::Delivery::new(segment, settings.segment_concurrency),
        queues: Queues::from_settings(&config, &settings),
        secrets,
        settings,
    });
    let handler = service_fn(move |event: LambdaEvent<SqsEvent>| {
        let retry = Arc::clone(&retry);
        // Boxed: the future is large, and nested deeper than the compiler follows.
        Box::pin(async move { Ok::<_, Error>(retry.handle(event).await) })
    });
    lambda_runtime::run_concurrent(handler).await
}

impl Retry {
    /// Works on the messages of one event at the same time.
    pub async fn handle(&self, event: LambdaEvent<SqsEvent>) -> SqsBatchResponse {
        let started = Instant::now();
        let deadline = SystemTime::UNIX_EPOCH + Duration::from_millis(event.context.deadline);
        let left = deadline.duration_since(SystemTime::now()).unwrap_or_default();
        let upstream = left.saturating_sub(ANSWER_TIME).min(MAX_UPSTREAM_TIME);
        let (until, tally) = (started + upstream, Tally::default());
        let messages = event.payload.records;
        let done =
            join_all(messages.iter().map(|message| self.message(message, until, &tally))).await;
        let mut response = SqsBatchResponse::default();
        for (message, done) in messages.into_iter().zip(done) {
            if !done {
                let mut failure = BatchItemFailure::default();
                failure.item_identifier = message.message_id.unwrap_or_default();
                response.batch_item_failures.push(failure);
            }
        }
        tally.time(Count::DurationMs, started.elapsed());
        tally.add(Count::SecretsStale, self.secrets.take_stale());
        tally.report("retry");
        response
    }

    /// Works on one message; false leaves it on the queue.
    async fn message(&self, message: &SqsMessage, until: Instant, tally: &Tally) -> bool {
        let attributes = &message.attributes;
        let number = |name: &str| attributes.get(name).and_then(|value| value.parse::<u64>().ok());
        let receives =
            number("ApproximateReceiveCount").and_then(|count| u32::try_from(count).ok());
        let receives = receives.unwrap_or(1);
        // A dead letter that is redriven counts as sent anew.
        let now = Timestamp::now().as_millisecond().unsigned_abs();
        let age = number("SentTimestamp").map_or(0, |sent| now.saturating_sub(sent));
        let work = Received {
            body: message.body.as_deref().unwrap_or_default(),
            origin: message.message_id.as_deref().unwrap_or_default(),
            receives,
            expired: Duration::from_millis(age) > self.settings.retry_max_age,
        };
        match self.attempt(work, until, tally).await {
            Ok(()) => true,
            Err(later) => {
                let delay = later.delay(&self.settings, receives);
                let receipt = message.receipt_handle.as_deref().unwrap_or_default();
                // Without it the message comes back when its visibility runs out.
                self.queues.postpone(receipt, delay).await.ok();
                false
            }
        }
    }
}
