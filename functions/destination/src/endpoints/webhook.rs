//! `/webhook/{app_code}`: raw Segment events, one or a list of them, through the application's mappings
//! (spec D6). Webhook destinations, Destination Functions and replays send them.
//!
//! The sender is known by the signature; without a shared secret the route is closed. A list is answered
//! with a status per event, as Destination Functions return it; where an event could be neither
//! delivered nor kept, the request as a whole has 503 too, for senders that read no list.

use mapping::{ItemKind, Outcome};
use serde_json::{Value, json};

use crate::endpoint::{Body, Credential, Endpoint};
use crate::event::HttpResponse;
use crate::result::ItemResult;
use crate::split::list;

/// Segment's client hangs on larger responses. Messages are left out of them first, then statuses.
const MAX_RESPONSE_BYTES: usize = 8_000;

/// Most events of a list: the largest `batch_size` that Segment's Webhook destination can be set to.
/// <https://github.com/segmentio/action-destinations/tree/main/packages/destination-actions/src/destinations/webhook>
const MAX_ITEMS: usize = 4_000;

/// The body is an event or a list of events.
pub(super) const ENDPOINT: Endpoint = Endpoint {
    path: "/webhook/{app_code}",
    // Segment's webhook destination may be set to PUT and PATCH.
    methods: &["POST", "PUT", "PATCH"],
    credential: Credential::Signature,
    kind: Some(ItemKind::RawEvent),
    max_items: MAX_ITEMS,
    split,
    respond,
};

fn split(body: &[u8]) -> Result<Body<'_>, HttpResponse> {
    let expected =
        || HttpResponse::message(400, "a Segment event or a list of them is expected, as JSON");
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace()).ok_or_else(expected)?;
    if *first != b'[' {
        return Ok(Body::One(body));
    }
    list(body, MAX_ITEMS).ok_or_else(expected)
}

fn respond(body: &Body<'_>, results: &[ItemResult]) -> HttpResponse {
    match body {
        Body::One(_) => match results.first().map(EventStatus::from_result) {
            None | Some(EventStatus { status: 200, .. }) => HttpResponse::ok(),
            Some(EventStatus { status, message }) => {
                HttpResponse::message(status, &message.unwrap_or_default())
            }
        },
        Body::List(_) | Body::TooMany(_) => respond_to_list(results),
    }
}

/// An event's own status, with what is wrong with it.
struct EventStatus {
    status: u16,
    message: Option<String>,
}

impl EventStatus {
    fn from_result(result: &ItemResult) -> Self {
        let (status, message) = match (result.outcome, &result.undecodable) {
            (Outcome::Failed(_), _) => (503, Some("temporarily unavailable, send it again")),
            (_, Some(message)) => (400, Some(message.as_str())),
            (Outcome::Rejected(reason), None) => (400, Some(reason.cause())),
            // A skipped event needs no repetition.
            (Outcome::Delivered | Outcome::Disregarded(_) | Outcome::Parked(_), None) => {
                (200, None)
            }
        };
        Self { status, message: message.map(str::to_owned) }
    }

    fn json(&self, with_message: bool) -> Value {
        match &self.message {
            Some(message) if with_message => {
                json!({"status": self.status, "errormessage": message})
            }
            _ => json!({ "status": self.status }),
        }
    }
}

fn respond_to_list(results: &[ItemResult]) -> HttpResponse {
    let statuses: Vec<EventStatus> = results.iter().map(EventStatus::from_result).collect();
    let failed = statuses.iter().any(|event| event.status == 503);
    let whole = if failed { 503 } else { 200 };
    [true, false]
        .iter()
        .map(|with_messages| statuses.iter().map(|event| event.json(*with_messages)).collect())
        .map(|body| HttpResponse::json(whole, &body))
        .find(|response| response.body.len() <= MAX_RESPONSE_BYTES)
        .unwrap_or_else(|| if failed { HttpResponse::unavailable() } else { HttpResponse::ok() })
}

#[cfg(test)]
mod tests {
    use mapping::{Cause, Reason};

    use super::*;

    fn result(outcome: Outcome, message: Option<&str>) -> ItemResult {
        ItemResult { outcome, undecodable: message.map(str::to_owned) }
    }

    #[test]
    fn a_list_is_answered_with_a_status_per_event_and_stays_small() {
        let good = result(Outcome::Delivered, None);
        let bad = result(Reason::NotJson.into(), Some("JSON is expected"));
        let list = Body::List(Vec::new());
        let response = respond(&list, &[good.clone(), bad.clone()]);
        assert_eq!(response.status_code, 200);
        assert_eq!(
            response.body,
            r#"[{"status":200},{"status":400,"errormessage":"JSON is expected"}]"#
        );
        let failed = result(Outcome::Failed(Cause::QueueUnavailable), None);
        assert_eq!(respond(&list, &[good.clone(), failed.clone()]).status_code, 503);
        let many = respond(&list, &vec![bad; 400]);
        assert!(many.body.len() < MAX_RESPONSE_BYTES && many.body.contains("400"));
        assert_eq!(respond(&list, &vec![good.clone(); 4000]).body, "");
        let mut thousands = vec![good; 4000];
        thousands.push(failed);
        assert_eq!(respond(&list, &thousands).status_code, 503);
    }

    #[test]
    fn one_event_is_answered_by_its_own_status() {
        let status = |outcome: Outcome, message: Option<&str>| {
            let response = respond(&Body::One(b"{}"), &[result(outcome, message)]);
            (response.status_code, response.body)
        };
        assert_eq!(status(Outcome::Delivered, None), (200, String::new()));
        assert_eq!(status(Reason::NoMapping.into(), None), (200, String::new()));
        assert_eq!(status(Outcome::Parked(Cause::Timeout), None), (200, String::new()));
        let refused = status(Reason::RefusedByPushwoosh.into(), None);
        assert_eq!((refused.0, refused.1.contains("refused")), (400, true));
        assert_eq!(
            status(Reason::BadField.into(), Some("m")),
            (400, r#"{"message":"m"}"#.to_owned())
        );
        assert_eq!(status(Outcome::Failed(Cause::QueueUnavailable), None).0, 503);
    }

    #[test]
    fn a_body_is_split_into_the_bytes_that_came() {
        let body = split(b" [ {\"a\": 1} ,5]").unwrap();
        assert_eq!(body.items(), [b"{\"a\": 1}".as_slice(), b"5"]);
        assert_eq!(body.first_of_list(), Some(b"{\"a\": 1}".as_slice()));
        let one = split(b" {}").unwrap();
        assert_eq!((one.items(), one.first_of_list()), ([b" {}".as_slice()].as_slice(), None));
        for body in ["", "  ", "[1"] {
            assert_eq!(split(body.as_bytes()).unwrap_err().status_code, 400, "{body}");
        }
    }
}
