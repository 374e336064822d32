//! `/webhook/{app_code}`: raw Segment events, one or a list of them, through the application's
//! mappings (spec D6). Webhook destinations, Destination Functions and replays send them.
//!
//! The sender is known by the signature; without a shared secret the route is closed. A list is
//! answered with a status per event, as Destination Functions return it; where an event could be
//! neither delivered nor kept, the request as a whole has 503 too, for senders that read no list.

use std::sync::Arc;

use jiff::Timestamp;
use mapping::{Outcome, Reason, segment_event};
use platform::Application;
use platform::message::Kind;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::items::Processed;
use crate::request::Request;
use crate::signature;
use crate::{Destination, Invocation};

/// Answers above this make Segment's client hang; messages are left out of them, then statuses.
const MAX_ANSWER_BYTES: usize = 8_000;

/// The events of a body, as they came.
enum Body<'a> {
    One(&'a [u8]),
    List(Vec<&'a [u8]>),
}

impl<'a> Body<'a> {
    fn read(body: &'a [u8]) -> Option<Self> {
        let first = body.iter().find(|byte| !byte.is_ascii_whitespace())?;
        if *first != b'[' {
            return Some(Self::One(body));
        }
        let items: Vec<&RawValue> = serde_json::from_slice(body).ok()?;
        Some(Self::List(items.iter().map(|item| item.get().as_bytes()).collect()))
    }

    fn items(&self) -> &[&'a [u8]] {
        match self {
            Self::One(item) => std::slice::from_ref(item),
            Self::List(items) => items,
        }
    }
}

/// Delivers the events.
pub(super) async fn answer(
    destination: &Destination,
    code: &str,
    request: &Request,
    invocation: &Invocation,
) -> Answer {
    // PUT and PATCH: Segment's webhook destination may be set to them.
    if !matches!(request.method.as_str(), "POST" | "PUT" | "PATCH") {
        return Answer::message(405, "method not allowed: send a POST");
    }
    let body = Body::read(&request.body);
    let first = match &body {
        Some(Body::List(items)) => items.first().copied(),
        _ => None,
    };
    let application = match destination.signed_by(code, request, first).await {
        Ok(application) => application,
        Err(answer) => return answer,
    };
    let Some(body) = body else {
        return Answer::message(400, "a Segment event or a list of them is expected, as JSON");
    };
    let processed = destination.events(&application, body.items(), invocation).await;
    match body {
        Body::One(_) => match processed.first().map(status) {
            Some((200, _)) | None => Answer::ok(),
            Some((code, message)) => Answer::message(code, &message.unwrap_or_default()),
        },
        Body::List(_) => list(&processed),
    }
}

impl Destination {
    /// The application, where the request is signed with one of its secrets, before or after a
    /// rotation.
    async fn signed_by(
        &self,
        code: &str,
        request: &Request,
        first: Option<&[u8]>,
    ) -> Result<Arc<Application>, Answer> {
        let application = self.application(code).await?;
        let signature = request.header("x-signature").unwrap_or_default();
        let signed = |application: &Application| {
            let secrets = &application.webhook_secrets;
            signature::is_valid(secrets, signature, &request.body, first)
        };
        if application.pushwoosh.is_some() && signed(&application) {
            return Ok(application);
        }
        if !signature.is_empty() {
            if let Ok(newer) = self.secrets.refreshed(code).await
                && newer.pushwoosh.is_some()
                && signed(&newer)
            {
                return Ok(newer);
            }
            if !application.webhook_secrets.is_empty()
                && let Ok(older) = self.secrets.previous(code).await
                && signed(&older)
            {
                return Ok(application);
            }
        }
        if application.webhook_secrets.is_empty() || application.pushwoosh.is_none() {
            tracing::warn!(
                app.code = code,
                "a webhook was turned away: the application's secret has no webhook.shared_secret, or no pushwoosh.api_token"
            );
            return Err(Answer::message(403, "the webhook of this application is closed"));
        }
        tracing::warn!(app.code = code, "a webhook without the right x-signature was turned away");
        Err(Answer::message(401, "unauthorized"))
    }

    /// Works on events; those that came before are left out.
    async fn events(
        &self,
        application: &Application,
        items: &[&[u8]],
        invocation: &Invocation,
    ) -> Vec<Processed> {
        let code = application.code.as_str();
        let ids: Vec<Option<String>> = items.iter().map(|item| message_id(item)).collect();
        let claimed: Vec<bool> =
            ids.iter().map(|id| id.as_ref().is_none_or(|id| self.seen.claim(code, id))).collect();
        let fresh: Vec<&[u8]> = items
            .iter()
            .zip(&claimed)
            .filter_map(|(item, claimed)| claimed.then_some(*item))
            .collect();
        let now = Timestamp::now();
        let map = |event: &[u8]| {
            let mapped = segment_event::plan(code, application.subscriptions(), event, now)?;
            for refusal in mapped.refusals {
                let reason = refusal.reason.code();
                tracing::warn!(app.code = code, reason, detail = %refusal.message, "one of an event's mappings gave nothing");
            }
            Ok(mapped.plan)
        };
        let mut processed = self
            .process(application, Kind::SegmentEvent, &fresh, map, invocation)
            .await
            .into_iter();
        let outcomes = ids.iter().zip(claimed).map(|(id, claimed)| {
            if !claimed {
                let outcome = Outcome::from(Reason::Duplicate);
                invocation.tally.item(outcome);
                return Processed { outcome, undecodable: None };
            }
            let one = processed
                .next()
                .unwrap_or(Processed { outcome: Outcome::Failed, undecodable: None });
            // What was not sent may come again, and then with better luck.
            let sent = matches!(one.outcome, Outcome::Delivered | Outcome::Parked);
            if let (false, Some(id)) = (sent, id) {
                self.seen.release(code, id);
            }
            one
        });
        outcomes.collect()
    }
}

fn message_id(event: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Event {
        #[serde(rename = "messageId")]
        message_id: Option<String>,
    }
    let event: Event = serde_json::from_slice(event).ok()?;
    event.message_id.filter(|id| !id.is_empty())
}

/// An event's own status, with what is wrong with it. What was disregarded by rule is settled.
fn status(processed: &Processed) -> (u16, Option<String>) {
    match (processed.outcome, &processed.undecodable) {
        (Outcome::Failed, _) => (503, Some("temporarily unavailable, send it again".to_owned())),
        (_, Some(message)) => (400, Some(message.clone())),
        (Outcome::Rejected(reason), None) => (400, Some(reason.cause().to_owned())),
        _ => (200, None),
    }
}

fn list(processed: &[Processed]) -> Answer {
    let statuses: Vec<(u16, Option<String>)> = processed.iter().map(status).collect();
    let code = if statuses.iter().any(|(status, _)| *status == 503) { 503 } else { 200 };
    let with_messages: Value = statuses
        .iter()
        .map(|(status, message)| match message {
            Some(message) => json!({"status": status, "errormessage": message}),
            None => json!({ "status": status }),
        })
        .collect();
    let without: Value = statuses.iter().map(|(status, _)| json!({ "status": status })).collect();
    [with_messages, without]
        .iter()
        .map(|body| Answer::json(code, body))
        .find(|answer| answer.body.len() <= MAX_ANSWER_BYTES)
        .unwrap_or_else(|| match code {
            200 => Answer::ok(),
            _ => Answer::unavailable(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processed(outcome: Outcome, message: Option<&str>) -> Processed {
        Processed { outcome, undecodable: message.map(str::to_owned) }
    }

    #[test]
    fn a_list_is_answered_with_a_status_per_event_and_stays_small() {
        let good = processed(Outcome::Delivered, None);
        let bad = processed(Outcome::Rejected(Reason::NotJson), Some("JSON is expected"));
        let answer = list(&[good.clone(), bad.clone()]);
        assert_eq!(answer.status_code, 200);
        assert_eq!(
            answer.body,
            r#"[{"status":200},{"status":400,"errormessage":"JSON is expected"}]"#
        );
        let failed = processed(Outcome::Failed, None);
        assert_eq!(list(&[good.clone(), failed.clone()]).status_code, 503);
        let many = list(&vec![bad; 400]);
        assert!(many.body.len() < MAX_ANSWER_BYTES && many.body.contains("400"));
        assert_eq!(list(&vec![good.clone(); 4000]).body, "");
        let mut thousands = vec![good; 4000];
        thousands.push(failed);
        assert_eq!(list(&thousands).status_code, 503);
    }

    #[test]
    fn a_body_is_split_into_the_bytes_that_came() {
        let body = Body::read(b" [ {\"a\": 1} ,5]").unwrap();
        assert_eq!(body.items(), [b"{\"a\": 1}".as_slice(), b"5"]);
        assert_eq!(Body::read(b"{}").unwrap().items(), [b"{}"]);
        assert!(Body::read(b"").is_none() && Body::read(b"[1").is_none());
    }
}
