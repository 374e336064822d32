//! Segment calls an HTTP API; its requests become calls of Pushwoosh.
//!
//! Invariants: every item of a request ends in one outcome, and the request is answered within the time
//! budget whatever Pushwoosh does. An item that cannot be used never harms the items beside it. 503 is
//! answered only where something could be neither delivered nor kept, so that Segment resends it.
//!
//! # Layout
//! * [`event`]: what invokes the function, and what it answers.
//! * [`endpoint`]: what an endpoint is; [`endpoints`]: the routes, with a file for each.
//! * `caller`: which application, and whether the caller holds its key; `sender`: whether the sender of raw
//!   events holds its shared secret, by the [`signature`].
//! * [`denial`]: why a request is denied; [`denials`]: counts and logs the requests that are not worked on.
//! * `split`: the items of a request's list, up to the limit.
//! * `process`: from items to outcomes, the same for every route; `result`: how an item ended.
//! * `seen`: raw events that were sent before and need not be sent again.

mod caller;
pub mod denial;
pub mod denials;
pub mod endpoint;
pub mod endpoints;
pub mod event;
mod process;
mod result;
mod seen;
mod sender;
pub mod signature;
mod split;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use bytes::Bytes;
use platform::clock::{Clock, Instant};
use platform::ledger::Ledger;
use platform::queues::Queues;
use platform::secrets::Secrets;
use platform::settings::Settings;
use platform::{Deadlines, Function, Invocation, Platform};
use pushwoosh::delivery::Delivery;

use crate::caller::{Caller, Known};
use crate::denial::Denial;
use crate::denials::Denials;
use crate::endpoint::{Body, Credential};
use crate::endpoints::Route;
use crate::event::{HttpRequest, HttpResponse};

/// Part of the time budget that is kept for parking what could not be sent.
const PARKING_TIME: Duration = Duration::from_millis(550);

/// Part of it in which no call is started, so that those under way are answered: Pushwoosh takes less, unless
/// it is in trouble.
const ANSWER_TIME: Duration = Duration::from_millis(1_500);

/// Reserved for response overhead: the way back through Lambda and API Gateway.
const RESPONSE_TIME: Duration = Duration::from_millis(150);

/// The function's state, shared by all invocations of a process.
#[derive(Debug)]
pub struct Destination {
    settings: Arc<Settings>,
    clock: Clock,
    secrets: Arc<Secrets>,
    delivery: Delivery,
    queues: Arc<Queues>,
    ledger: Arc<Ledger>,
    seen: seen::Seen,
    denials: Denials,
}

impl Function for Destination {
    const NAME: &'static str = "destination";
    type Event = ApiGatewayV2httpRequest;
    type Response = HttpResponse;
    type Error = Infallible;

    fn new(platform: Platform) -> Self {
        Self {
            delivery: Delivery::new(&platform),
            seen: seen::Seen::default(),
            denials: Denials::new(platform.clock.clone()),
            settings: platform.settings,
            secrets: platform.secrets,
            queues: platform.queues,
            ledger: platform.ledger,
            clock: platform.clock,
        }
    }

    /// The time budget is the setting's: Segment waits for 5 to 10 seconds, whatever Lambda allows.
    fn read(event: Bytes) -> serde_json::Result<ApiGatewayV2httpRequest> {
        serde_json::from_slice(&event)
    }

    fn deadlines(&self, now: Instant, _: Duration) -> Deadlines {
        let budget = self.settings.time_budget.saturating_sub(RESPONSE_TIME);
        Deadlines::within(now, budget, PARKING_TIME, ANSWER_TIME)
    }

    async fn handle(
        &self,
        event: ApiGatewayV2httpRequest,
        invocation: &Invocation,
    ) -> Result<HttpResponse, Infallible> {
        Ok(match HttpRequest::read(event) {
            Ok(request) => match self.respond(&request, invocation).await {
                Ok(response) => response,
                Err(response) => {
                    self.denials.report(&response, &request, invocation);
                    response
                }
            },
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
        if !self.settings.allowed_addresses.allow(request.address.as_deref()) {
            return Err(Denial::Address.into());
        }
        let endpoint = route.endpoint();
        let body = (endpoint.split)(&request.body);
        let deadline = invocation.deadlines.end;
        let caller = match endpoint.credential {
            Credential::ApiKey => {
                let application = self.by_api_key(request, deadline).await?;
                Caller { application, known: Known::All }
            }
            Credential::Signature => {
                self.by_signature(code, request, body.as_ref().ok(), deadline).await?
            }
        };
        // Only now: an unauthenticated caller learns nothing about the body.
        let body = body?;
        if matches!(body, Body::TooMany(_)) {
            return Err(HttpResponse::too_many_items(endpoint.max_items));
        }
        let mut results = Vec::new();
        if let Some(kind) = endpoint.kind {
            let items = (request.body.as_slice(), body.items());
            results = self.process(&caller, kind, items, invocation).await;
        } else {
            self.ping(&caller.application, invocation).await?;
        }
        Ok((endpoint.respond)(&body, &results))
    }
}
