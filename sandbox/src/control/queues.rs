//! Routes: what is parked, dead, rejected; send again; discard. `?id=` names messages; without it all are
//! meant.

use hyper::Method;
use jiff::Timestamp;
use mapping::{Item, ItemKind, Origin, Rules};
use operator::resend;
use platform::message::{self, Reject};
use serde_json::{Value, json};

use super::{Control, not_found};
use crate::http::{self, Request, Response};
use crate::items::pairs;

/// Why a deletion is not discarded.
const IS_DELETION: &str = "it is the deletion of a person, which has to reach Pushwoosh";

/// Why nothing is done with a message that is not on the queue, or that a function has.
const IS_MISSING: &str = "it was being tried: it has a new message, or has left the queue";

impl Control {
    pub(super) fn queues(&self, method: &Method, parts: &[&str], request: &Request) -> Response {
        let queues = &self.standins.aws.queues;
        let ids = ids(request);
        match (method, parts) {
            (&Method::GET, [queue]) => {
                queues.list(queue).map_or_else(not_found, |list| http::json(200, &list))
            }
            (&Method::DELETE, [queue]) => self.discard(queue, ids.as_deref()),
            (&Method::POST, ["dead", "redrive"]) if ids.is_none() => match queues.redrive() {
                Ok(moved) => http::json(200, &json!({ "moved": moved, "stay": [] })),
                Err(message) => http::json(400, &json!({ "message": message })),
            },
            (&Method::POST, [queue, "redrive"]) => self.send_again(queue, ids.as_deref()),
            _ => not_found(),
        }
    }

    /// Discards messages, and tells the items. Deletions stay, and so does what is named and is not there.
    fn discard(&self, queue: &str, ids: Option<&[String]>) -> Response {
        let Some(discarded) = self.standins.aws.queues.discard(queue, ids) else {
            return not_found();
        };
        for content in &discarded.gone {
            self.items.discarded(&content.origins(), queue);
        }
        let deletions = discarded.deletions.iter().map(|id| stays(id, IS_DELETION));
        let missing = discarded.missing.iter().map(|id| stays(id, IS_MISSING));
        let stay: Vec<Value> = deletions.chain(missing).collect();
        http::json(200, &json!({ "discarded": discarded.gone.len(), "stay": stay }))
    }

    /// Sends messages again: they become messages of the retry queue that are due now.
    fn send_again(&self, queue: &str, ids: Option<&[String]>) -> Response {
        let queues = &self.standins.aws.queues;
        let (mut moved, mut tried, mut stay) = (0_usize, Vec::new(), Vec::new());
        let Some(messages) = queues.waiting(queue, ids) else { return not_found() };
        for message in messages {
            let again = match queue {
                "rejects" => self.corrected(&message.body),
                _ => Ok(message.body.clone()),
            };
            match again.and_then(|body| queues.move_to_retry(queue, &message, body)) {
                Ok(()) => moved += 1,
                Err(why) => stay.push(stays(&message.id, &format!("{why:#}"))),
            }
            tried.push(message.id);
        }
        let missing = ids.unwrap_or_default().iter().filter(|id| !tried.contains(id));
        stay.extend(missing.map(|id| stays(id, IS_MISSING)));
        http::json(200, &json!({ "moved": moved, "stay": stay }))
    }

    /// What a reject would send if it came in now, as a message of the retry queue.
    fn corrected(&self, body: &str) -> anyhow::Result<String> {
        let reject: Reject = message::decode(body)
            .ok_or_else(|| anyhow::anyhow!("it is not a message that a function made"))?;
        let (bytes, now) = (resend::whole(&reject)?, Timestamp::now());
        let parked = if reject.kind == ItemKind::Parked {
            resend::of_work(&reject, &bytes, now)?
        } else {
            let named: Value = mapping::json::read(&bytes).unwrap_or_default();
            let named = named.get("application_code").and_then(Value::as_str);
            let code = reject.application.as_deref().or(named).unwrap_or_default();
            let application = self.standins.aws.apps.application(code);
            let track_properties = self.track_properties();
            let rules = match &application {
                Some(application) => application.rules(&track_properties, reject.at),
                None => Rules {
                    now: reject.at,
                    track_properties: &track_properties,
                    ..Rules::of_presets(code)
                },
            };
            let rules = Rules { stack: self.stack_name(), ..rules };
            let origin = Origin::First(&reject.origin);
            let item = Item { kind: reject.kind, application: Some(code), origin, bytes: &bytes };
            resend::of_item(&item, &rules, reject.at, now)?
        };
        message::encode(&parked)
            .ok_or_else(|| anyhow::anyhow!("it is larger than a message may be"))
    }
}

/// A message that stays as it is, and why.
fn stays(id: &str, why: &str) -> Value {
    json!({ "message_id": id, "why": why })
}

/// The messages that a request names; nothing where it names none.
fn ids(request: &Request) -> Option<Vec<String>> {
    let pairs = pairs(request.uri().query().unwrap_or_default()).unwrap_or_default();
    let ids: Vec<String> =
        pairs.into_iter().filter(|(name, _)| name == "id").map(|(_, id)| id).collect();
    (!ids.is_empty()).then_some(ids)
}
