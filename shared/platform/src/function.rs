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
        // Anybody can make up codes, and a metric by application costs money for each.
        tally.name_waiting(|code| self.platform.secrets.knows(code));
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
    use std::collections::BTreeMap;

    use super::*;
    use crate::telemetry::{MOST_NAMED, OTHER, Waiting};
    use crate::testing::{Logs, World};

    /// Cannot deliver the items of these applications.
    #[derive(Debug)]
    struct Waits(Platform);

    impl Function for Waits {
        const NAME: &'static str = "waits";
        type Event = Vec<String>;
        type Response = ();
        type Error = Diagnostic;

        fn new(platform: Platform) -> Self {
            Self(platform)
        }

        fn read(event: Bytes) -> serde_json::Result<Self::Event> {
            serde_json::from_slice(&event)
        }

        fn deadlines(&self, now: Instant, left: Duration) -> Deadlines {
            Deadlines { start: now + left, answer: now + left, end: now + left }
        }

        async fn handle(
            &self,
            codes: Vec<String>,
            invocation: &Invocation,
        ) -> Result<(), Diagnostic> {
            for (age, code) in (1..).zip(codes) {
                self.0.secrets.application(&code, invocation.deadlines.start).await.ok();
                invocation.tally.waits(&code, 1, Duration::from_secs(age));
            }
            Ok(())
        }
    }

    /// An event with items of these applications.
    fn event(world: &World, codes: &[String]) -> LambdaEvent<Vec<String>> {
        let now = u64::try_from(world.platform.clock.wall().as_millisecond()).unwrap();
        let mut context = lambda_runtime::Context::default();
        context.deadline = now + 60_000;
        LambdaEvent::new(codes.to_vec(), context)
    }

    /// What waits by application after an invocation that tried items of these.
    async fn waiting(world: &World, codes: &[String]) -> BTreeMap<String, Waiting> {
        let environment = Environment::<Waits>::new(world.platform.clone());
        let (result, invocation) = environment.invoke_unreported(event(world, codes)).await;
        result.unwrap();
        invocation.tally.waiting()
    }

    #[tokio::test(start_paused = true)]
    async fn an_environment_starts_cold_once_and_reports_every_invocation() {
        let (logs, _guard) = Logs::capture();
        let world = World::new(&[]);
        let environment = Environment::<Waits>::new(world.platform.clone());
        for _ in 0..3 {
            environment.invoke(event(&world, &[])).await.unwrap();
        }
        let reports = logs.with_message("invocation");
        let cold: Vec<_> = reports.iter().map(|line| line["cold_start"].clone()).collect();
        assert_eq!(cold, [true, false, false]);
        assert!(reports.iter().all(|line| line["function"] == "waits"));
    }

    fn codes(prefix: &str, number: usize) -> Vec<String> {
        (0..number).map(|n| format!("{prefix}{n}")).collect()
    }

    /// Each name of a metric's dimension costs money, and anybody can make up codes.
    #[tokio::test(start_paused = true)]
    async fn what_waits_of_unknown_applications_has_one_name() {
        let world = World::new(&[]);
        world.secrets_manager("B", crate::testing::aws_error("DecryptionFailure"));
        let named = [codes("X", 300), vec!["A".to_owned(), "B".to_owned()]].concat();
        let waiting = waiting(&world, &named).await;
        let seconds = Duration::from_secs;
        assert_eq!(
            waiting.into_iter().collect::<Vec<_>>(),
            [
                ("A".to_owned(), Waiting { items: 1, oldest: seconds(301) }),
                (OTHER.to_owned(), Waiting { items: 301, oldest: seconds(302) }),
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_applications_those_that_wait_longest_have_a_name() {
        let world = World::new(&[]);
        let real = codes("R", MOST_NAMED + 5);
        for code in &real {
            world.secret(code, &crate::testing::application("token", "key"));
        }
        let waiting = waiting(&world, &real).await;
        assert_eq!(waiting.len(), MOST_NAMED + 1);
        assert_eq!(waiting[OTHER], Waiting { items: 5, oldest: Duration::from_secs(5) });
    }

    #[test]
    fn the_time_left_is_never_negative() {
        let now = Timestamp::from_millisecond(1_000).unwrap();
        assert_eq!(time_left(1_500, now), Duration::from_millis(500));
        assert_eq!(time_left(900, now), Duration::ZERO);
    }
}
