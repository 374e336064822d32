//! Segment calls an HTTP API; its requests become calls of Pushwoosh.
//!
//! Invariants: every item of a request ends in one outcome, and the request is answered within the time
//! budget whatever Pushwoosh does. An item that cannot be used never harms the items beside it. 503 is
//! answered only where something could be neither delivered nor kept, so that Segment resends it.
//!
//! # Layout
//! * [`event`]: what invokes the function, and what it answers.
//! * [`route`]: which endpoint a request is for; `endpoints`: one file per route.
//! * `caller`: which application, and whether the caller holds its key; [`signature`]: whether a
//!   webhook's sender holds the shared secret.
//! * `process`: from items to outcomes, the same for every route.
//! * `recent`, `seen`: items that need not be sent again when they come again.

mod caller;
mod endpoints;
pub mod event;
mod process;
mod recent;
pub mod route;
mod seen;
pub mod signature;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use platform::clock::Instant;
use platform::queues::Queues;
use platform::secrets::Secrets;
use platform::settings::Settings;
use platform::{Deadlines, Function, Invocation, Platform};
use pushwoosh::delivery::Delivery;

use crate::event::{HttpRequest, HttpResponse};
use crate::route::{Credential, Route};

/// Part of the time budget that is kept for parking what could not be sent.
const PARKING_TIME: Duration = Duration::from_secs(1);

/// Reserved for response overhead: the way back through Lambda and API Gateway.
const RESPONSE_TIME: Duration = Duration::from_millis(150);

/// The function's state, shared by all invocations of a process.
#[derive(Debug)]
pub struct Destination {
    settings: Arc<Settings>,
    secrets: Arc<Secrets>,
    delivery: Delivery,
    queues: Arc<Queues>,
    recent: recent::Recent,
    seen: seen::Seen,
}

impl Function for Destination {
    const NAME: &'static str = "destination";
    type Event = ApiGatewayV2httpRequest;
    type Response = HttpResponse;
    type Error = Infallible;

    fn new(platform: Platform) -> Self {
        Self {
            delivery: Delivery::new(&platform),
            recent: recent::Recent::default(),
            seen: seen::Seen::default(),
            settings: platform.settings,
            secrets: platform.secrets,
            queues: platform.queues,
        }
    }

    /// The time budget is the setting's: Segment waits for 5 to 10 seconds, whatever Lambda allows.
    fn deadlines(&self, now: Instant, _: Duration) -> Deadlines {
        let budget = self.settings.time_budget;
        Deadlines {
            upstream: now + budget.saturating_sub(PARKING_TIME),
            end: now + budget.saturating_sub(RESPONSE_TIME),
        }
    }

    async fn handle(
        &self,
        event: ApiGatewayV2httpRequest,
        invocation: &Invocation,
    ) -> Result<HttpResponse, Infallible> {
        Ok(match HttpRequest::read(event) {
            Ok(request) => {
                self.respond(&request, invocation).await.unwrap_or_else(|response| response)
            }
            Err(response) => response,
        })
    }
}

impl Destination {
    /// The response to a request. An error is the response to one that is not worked on.
    async fn respond(
        &self,
        request: &HttpRequest,
        invocation: &Invocation,
    ) -> Result<HttpResponse, HttpResponse> {
        let (route, code) = Route::find(&request.method, &request.path)?;
        let endpoint = route.endpoint();
        let body = (endpoint.split)(&request.body);
        let application = match endpoint.credential {
            Credential::ApiKey => caller::by_api_key(&self.secrets, request).await?,
            Credential::Signature => {
                let first = body.as_ref().ok().and_then(|body| body.first_of_list());
                let code = code.unwrap_or_default();
                caller::by_signature(&self.secrets, code, request, first).await?
            }
        };
        // Only now: a stranger is told nothing about the body.
        let body = body?;
        let results = match endpoint.kind {
            Some(kind) => self.process(&application, kind, body.items(), invocation).await,
            None => Vec::new(),
        };
        Ok((endpoint.respond)(&body, &results))
    }
}
