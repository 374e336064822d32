//! The routes of the deployed API.

pub mod delete_user;
pub mod ping;
pub mod post_events;
pub mod track_user;
pub mod webhook;

use mapping::Outcome;

use crate::answer::Answer;
use crate::items::Processed;
use crate::request::Request;
use crate::{Destination, Invocation};

/// Path of the routes that Segment's destination calls.
const BASE: &str = "/integration-segment/v1/";

/// Path of the route for raw Segment events, up to the application code.
const WEBHOOK: &str = "/webhook/";

/// Answers a request.
pub async fn route(
    destination: &Destination,
    request: &Request,
    invocation: &Invocation,
) -> Answer {
    if let Some(code) = request.path.strip_prefix(WEBHOOK) {
        return webhook::answer(destination, code, request, invocation).await;
    }
    let Some(action) = request
        .path
        .strip_prefix(BASE)
        .filter(|action| matches!(*action, "ping" | "track-user" | "post-events" | "delete-user"))
    else {
        return Answer::message(404, "not found");
    };
    if request.method != "POST" {
        return Answer::message(405, "method not allowed: send a POST");
    }
    let application = match destination.authenticate(request).await {
        Ok(application) => application,
        Err(answer) => return answer,
    };
    match action {
        "track-user" => track_user::answer(destination, &application, request, invocation).await,
        "post-events" => post_events::answer(destination, &application, request, invocation).await,
        "delete-user" => delete_user::answer(destination, &application, request, invocation).await,
        _ => ping::answer(),
    }
}

/// The answer to a request of one item. One that cannot be decoded is told; one that was refused
/// later is not, since Segment could do nothing about it.
fn single(processed: &Processed, action: &str) -> Answer {
    match (processed.outcome, &processed.undecodable) {
        (Outcome::Failed, _) => Answer::unavailable(),
        (_, Some(message)) => Answer::failure(action, message),
        _ => Answer::ok(),
    }
}
