//! The one way in which a function starts and is invoked.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_config::SdkConfig;
use bytes::Bytes;
use jiff::Timestamp;
use lambda_runtime::layers::TracingLayer;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, Runtime, service_fn};
use serde::Serialize;

use crate::clock::{Clock, Instant};
use crate::events::Events;
use crate::invocation::{Deadlines, Invocation};
use crate::ledger::Ledger;
use crate::queues::Queues;
use crate::secrets::Secrets;
use crate::settings::Settings;
use crate::telemetry::{self, Count};
use crate::transport::{self, Transport};

/// What every function is made of.
#[derive(Debug, Clone)]
pub struct Platform {
    /// Settings of the environment.
    pub settings: Arc<Settings>,
    /// The clock.
    pub clock: Clock,
    /// The way to the upstreams.
    pub transport: Arc<dyn Transport>,
    /// The applications' settings.
    pub secrets: Arc<Secrets>,
    /// The queues.
    pub queues: Arc<Queues>,
    /// The ledger.
    pub ledger: Arc<Ledger>,
}

impl Platform {
    /// A platform on this clock and this transport, with AWS as the environment names it.
    pub async fn new(settings: Settings, clock: Clock, transport: Arc<dyn Transport>) -> Self {
        let config = crate::aws::config(&clock, &transport).await;
        Self::on(&config, settings, clock, transport)
    }

    /// The same with this configuration of the AWS SDK.
    pub fn on(
        config: &SdkConfig,
        settings: Settings,
        clock: Clock,
        transport: Arc<dyn Transport>,
    ) -> Self {
        Self {
            secrets: Arc::new(Secrets::from_settings(config, &settings, clock.clone())),
            queues: Arc::new(Queues::from_settings(config, &settings, clock.clone())),
            ledger: Arc::new(Ledger::from_settings(config, &settings, clock.clone())),
            settings: Arc::new(settings),
            clock,
            transport,
        }
    }
}

/// A Lambda function.
pub trait Function: fmt::Debug + Send + Sync + Sized + 'static {
    /// Its name in logs and metrics.
    const NAME: &'static str;
    /// What invokes it.
    type Event: Send + 'static;
    /// What it answers.
    type Response: Serialize + Send + 'static;
    /// Why an invocation failed as a whole.
    type Error: Into<Diagnostic> + fmt::Debug + Send + 'static;

    /// The function's state, shared by all invocations of a process.
    fn new(platform: Platform) -> Self;

    /// Reads an event, as Lambda sent it.
    fn read(event: Bytes) -> serde_json::Result<Self::Event>;

    /// The limits of an invocation that begins now and has this long left.
    fn deadlines(&self, now: Instant, left: Duration) -> Deadlines;

    /// Works on one event.
    fn handle(
        &self,
        event: Self::Event,
        invocation: &Invocation,
    ) -> impl Future<Output = Result<Self::Response, Self::Error>> + Send;
}

/// A function in one environment: what Lambda invokes.
#[derive(Debug)]
pub struct Environment<F> {
    function: F,
    platform: Platform,
    warm: AtomicBool,
}

impl<F: Function> Environment<F> {
    /// A cold environment.
    pub fn new(platform: Platform) -> Self {
        Self { function: F::new(platform.clone()), platform, warm: AtomicBool::new(false) }
    }

    /// One invocation, from the event to the report of what became of it.
    pub async fn invoke(&self, event: LambdaEvent<F::Event>) -> Result<F::Response, F::Error> {
        let (result, invocation) = self.invoke_unreported(event).await;
        let cold_start = !self.warm.swap(true, Ordering::Relaxed);
        telemetry::report(F::NAME, &invocation.tally, cold_start, self.platform.clock.wall());
        result
    }

    /// One invocation, with what would be reported. Nothing is written to the standard output.
    pub async fn invoke_unreported(
        &self,
        event: LambdaEvent<F::Event>,
    ) -> (Result<F::Response, F::Error>, Invocation) {
        let LambdaEvent { payload, context, .. } = event;
        let clock = &self.platform.clock;
        let deadlines =
            self.function.deadlines(clock.now(), time_left(context.deadline, clock.wall()));
        let invocation = Invocation::begin(context.request_id, clock, deadlines)
            .logging(self.platform.settings.log_items);
        let result = self.function.handle(payload, &invocation).await;
        invocation.finish();
        let tally = &invocation.tally;
        tally.time(Count::DurationMs, clock.elapsed(invocation.started));
        tally.add(Count::SecretsStale, self.platform.secrets.take_stale());
        tally.add(Count::UnknownOverBudget, self.platform.secrets.take_over_budget());
        tally.add(Count::SecretsUnusable, self.platform.secrets.take_unusable().min(1));
        (result, invocation)
    }
}

/// Starts the function and serves invocations until the environment is shut down.
pub async fn run<F: Function>() -> Result<(), Error> {
    telemetry::init();
    let settings = Settings::from_env()?;
    telemetry::salt_hashes(&settings.log_salt);
    let clock = Clock::system();
    let platform = Platform::new(settings, clock.clone(), transport::system(clock)?).await;
    let environment = Arc::new(Environment::<F>::new(platform));
    let events = Events::default();
    let taken = events.clone();
    let handler = service_fn(move |event: LambdaEvent<()>| {
        let environment = Arc::clone(&environment);
        let body = taken.take(&event.context.request_id);
        // Boxed: the future is large, and nested deeper than the compiler follows.
        Box::pin(async move {
            let payload = F::read(body).map_err(|error| unreadable(&error))?;
            let event = LambdaEvent::new(payload, event.context);
            environment.invoke(event).await.map_err(Into::into)
        })
    });
    Runtime::new(handler).layer(events).layer(TracingLayer::new()).run_concurrent().await
}

/// Why an event cannot be worked on: it is not of the kind that invokes the function.
fn unreadable(error: &serde_json::Error) -> Diagnostic {
    tracing::error!(error = %error, "the event cannot be read");
    Diagnostic { error_type: "UnreadableEvent".to_owned(), error_message: error.to_string() }
}

/// What is left of an invocation's time; its deadline is in milliseconds since 1970.
fn time_left(deadline: u64, now: Timestamp) -> Duration {
    let now = u64::try_from(now.as_millisecond()).unwrap_or(0);
    Duration::from_millis(deadline.saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_never_negative() {
        let now = Timestamp::from_millisecond(1_000).unwrap();
        assert_eq!(time_left(1_500, now), Duration::from_millis(500));
        assert_eq!(time_left(900, now), Duration::ZERO);
    }
}
