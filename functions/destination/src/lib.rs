//! Segment calls an HTTP API; its requests become calls of Pushwoosh.
//!
//! Invariants: every item of a request ends in one outcome, and the request is answered within the
//! time budget whatever Pushwoosh does. An item that cannot be used never harms the items beside
//! it. 503 is answered only where something could be neither delivered nor kept, so that Segment
//! brings it again.
//!
//! # Layout
//! * [`request`], [`answer`]: the HTTP side of an API Gateway event.
//! * [`auth`]: which application, and whether the caller holds its key.
//! * [`endpoints`]: one file per route.
//! * [`items`]: what happens to the items of a request, the same for every route.
//! * [`signature`]: whether a webhook's sender holds the shared secret.
//! * `recent`, `seen`: items that need not be sent again when they come again.

pub mod answer;
pub mod auth;
pub mod endpoints;
pub mod items;
mod recent;
pub mod request;
mod seen;
pub mod signature;

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use platform::queues::Queues;
use platform::secrets::Secrets;
use platform::settings::Settings;
use platform::telemetry::{self, Count, Tally};
use pushwoosh::delivery::Delivery;
use tokio::time::Instant;

use crate::answer::Answer;
use crate::request::Request;

/// Part of the time budget that is kept for parking what could not be sent.
const PARKING_TIME: Duration = Duration::from_secs(1);

/// Kept for the way back through Lambda and API Gateway.
const ANSWER_TIME: Duration = Duration::from_millis(150);

/// The function's state, shared by all invocations of a process.
#[derive(Debug)]
pub struct Destination {
    settings: Settings,
    secrets: Arc<Secrets>,
    delivery: Delivery,
    queues: Queues,
    recent: recent::Recent,
    seen: seen::Seen,
}

/// One request's limits and counters.
#[derive(Debug)]
pub struct Invocation {
    /// Id of the request, the origin of its rejects.
    pub request_id: String,
    /// Until then calls to Pushwoosh may take.
    pub upstream_deadline: Instant,
    /// Until then everything must be done.
    pub deadline: Instant,
    /// Outcomes of its items.
    pub tally: Tally,
}

/// Starts the function and serves invocations until the environment is shut down.
pub async fn run() -> Result<(), Error> {
    telemetry::init();
    let settings = Settings::from_env()?;
    let config = platform::aws::config().await;
    let secrets = Arc::new(Secrets::from_settings(&config, &settings));
    let client = pushwoosh::Client::new(platform::upstream::http_client()?);
    let destination = Arc::new(Destination {
        delivery: Delivery::new(client, Arc::clone(&secrets)),
        queues: Queues::from_settings(&config, &settings),
        recent: recent::Recent::default(),
        seen: seen::Seen::default(),
        secrets,
        settings,
    });
    let handler = service_fn(move |event: LambdaEvent<ApiGatewayV2httpRequest>| {
        let destination = Arc::clone(&destination);
        // Boxed: the future is large, and nested deeper than the compiler follows.
        Box::pin(async move { Ok::<_, Error>(destination.handle(event).await) })
    });
    lambda_runtime::run_concurrent(handler).await
}

impl Destination {
    /// Answers one API Gateway event.
    pub async fn handle(&self, event: LambdaEvent<ApiGatewayV2httpRequest>) -> Answer {
        let started = Instant::now();
        let budget = self.settings.time_budget;
        let invocation = Invocation {
            request_id: event.context.request_id,
            upstream_deadline: started + budget.saturating_sub(PARKING_TIME),
            deadline: started + budget.saturating_sub(ANSWER_TIME),
            tally: Tally::default(),
        };
        let answer = match Request::read(event.payload) {
            Ok(request) => endpoints::route(self, &request, &invocation).await,
            Err(answer) => answer,
        };
        let tally = &invocation.tally;
        tally.time(Count::DurationMs, started.elapsed());
        tally.add(Count::SecretsStale, self.secrets.take_stale());
        tally.report("destination");
        answer
    }
}
