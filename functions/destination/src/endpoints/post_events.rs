//! `post-events`: one event, or a batch of up to 1,000 (spec D2, D5).
//!
//! Segment applies one status to the whole batch: a bad event is rejected on its own and the batch is
//! answered with 200. Only a request whose single event cannot be decoded gets a 400.

use mapping::ItemKind;

use crate::endpoint::{Body, Credential, Endpoint, POST, respond_to_one};
use crate::event::HttpResponse;
use crate::result::ItemResult;
use crate::split::list_in_object;

const ACTION: &str = "post event";

/// Most events of a batch: twice what Segment's own destination sends in one (1,000 events).
/// <https://github.com/segmentio/action-destinations#batching-requests>
const MAX_ITEMS: usize = 2_000;

/// The body holds the events.
pub(super) const ENDPOINT: Endpoint = Endpoint {
    path: "/integration-segment/v1/post-events",
    methods: POST,
    credential: Credential::ApiKey,
    kind: Some(ItemKind::Event),
    max_items: MAX_ITEMS,
    split,
    respond,
};

fn split(body: &[u8]) -> Result<Body<'_>, HttpResponse> {
    list_in_object(body, "events", MAX_ITEMS)
        .ok_or_else(|| HttpResponse::failure(ACTION, "an object with a list of events is expected"))
}

fn respond(_: &Body<'_>, results: &[ItemResult]) -> HttpResponse {
    if let [only] = results {
        return respond_to_one(Some(only), ACTION);
    }
    if results.iter().any(|result| result.outcome.is_failed()) {
        return HttpResponse::unavailable();
    }
    HttpResponse::ok()
}

#[cfg(test)]
mod tests {
    use mapping::{Cause, Outcome, Reason};

    use super::*;

    #[test]
    fn a_body_is_split_whatever_its_events_are() {
        let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
        let body = format!(r#" {{"other":1,"events":[{{"a": 1}},null,5,{deep}]}}"#);
        let split_body = split(body.as_bytes()).unwrap();
        assert_eq!(split_body.items().len(), 4);
        assert_eq!(split_body.items()[0], br#"{"a": 1}"#);
        assert_eq!(split(br#"{"events":[]}"#).unwrap().items().len(), 0);
        for body in ["", "[[1]]", "{}", r#"{"events":null}"#, r#"{"events":{}}"#, r#"{"events":[}"#]
        {
            assert_eq!(split(body.as_bytes()).unwrap_err().status_code, 400, "{body}");
        }
    }

    #[test]
    fn one_bad_event_fails_the_request_only_where_it_is_alone() {
        let ended = |outcome: Outcome| ItemResult {
            outcome,
            undecodable: matches!(outcome, Outcome::Rejected(_)).then(|| "m".to_owned()),
        };
        let (good, bad) = (ended(Outcome::Delivered), ended(Reason::BadField.into()));
        let failed = ended(Outcome::Failed(Cause::QueueUnavailable));
        let status = |results: &[ItemResult]| respond(&Body::List(vec![]), results).status_code;
        assert_eq!(status(&[]), 200);
        assert_eq!(status(std::slice::from_ref(&bad)), 400);
        assert_eq!(status(&[good.clone(), bad.clone()]), 200);
        assert_eq!(status(&[good, bad, failed]), 503);
    }
}
