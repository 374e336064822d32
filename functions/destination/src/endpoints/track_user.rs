//! `track-user`: one profile (spec D1).

use jiff::Timestamp;
use mapping::profile;
use platform::Application;
use platform::message::Kind;

use super::single;
use crate::answer::Answer;
use crate::request::Request;
use crate::{Destination, Invocation};

/// Saves the profile.
pub(super) async fn answer(
    destination: &Destination,
    application: &Application,
    request: &Request,
    invocation: &Invocation,
) -> Answer {
    let now = Timestamp::now();
    let map = |body: &[u8]| profile::plan(&application.code, body, now);
    let processed =
        destination.process_one(application, Kind::Profile, &request.body, map, invocation).await;
    single(&processed, "track user")
}
