//! `delete-user`: a user and their devices leave Pushwoosh (spec D3).
//!
//! Segment may not repeat a deletion: it is answered with 200 once it is delivered or parked.

use mapping::{Outcome, deletion};
use platform::Application;
use platform::message::Kind;
use platform::telemetry::hashed;

use super::single;
use crate::answer::Answer;
use crate::request::Request;
use crate::{Destination, Invocation};

/// Deletes the user.
pub(super) async fn answer(
    destination: &Destination,
    application: &Application,
    request: &Request,
    invocation: &Invocation,
) -> Answer {
    let map = |body: &[u8]| deletion::plan(&application.code, body);
    let processed =
        destination.process_one(application, Kind::Deletion, &request.body, map, invocation).await;
    if processed.outcome == Outcome::Parked {
        let user = mapping::identity_of(&request.body).map(|id| hashed(&id));
        tracing::info!(
            app.code = application.code,
            user.hash = user,
            "deletion parked until Pushwoosh takes it"
        );
    }
    single(&processed, "delete user")
}
