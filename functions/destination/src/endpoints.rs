//! The endpoints, one file each. `route.rs` lists them.

pub(crate) mod delete_user;
pub(crate) mod ping;
pub(crate) mod post_events;
pub(crate) mod track_user;
pub(crate) mod webhook;

use mapping::Outcome;

use crate::event::HttpResponse;
use crate::process::ItemResult;

/// The only method of Segment's client.
const POST: &[&str] = &["POST"];

/// The response to a request of one item. An item that cannot be decoded is named; one that was
/// refused later is not, since Segment could do nothing about it.
fn respond_to_one(result: Option<&ItemResult>, action: &str) -> HttpResponse {
    match result {
        Some(ItemResult { outcome: Outcome::Failed(_), .. }) => HttpResponse::unavailable(),
        Some(ItemResult { undecodable: Some(message), .. }) => {
            HttpResponse::failure(action, message)
        }
        Some(_) | None => HttpResponse::ok(),
    }
}

#[cfg(test)]
mod tests {
    use mapping::{Cause, Reason};

    use super::*;

    #[test]
    fn one_item_is_answered_by_how_it_ended() {
        let status = |outcome: Outcome, undecodable: Option<&str>| {
            let result = ItemResult { outcome, undecodable: undecodable.map(str::to_owned) };
            respond_to_one(Some(&result), "act").status_code
        };
        assert_eq!(status(Outcome::Delivered, None), 200);
        assert_eq!(status(Outcome::Parked(Cause::Timeout), None), 200);
        assert_eq!(status(Reason::NoIdentity.into(), None), 200);
        assert_eq!(status(Reason::RefusedByPushwoosh.into(), None), 200);
        assert_eq!(status(Reason::NotJson.into(), Some("JSON is expected")), 400);
        assert_eq!(status(Outcome::Failed(Cause::QueueUnavailable), Some("m")), 503);
        assert_eq!(respond_to_one(None, "act").status_code, 200);
    }
}
