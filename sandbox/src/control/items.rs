//! Routes: the items, one item, and the items as server-sent events.

use std::sync::Arc;

use mapping::ItemKind;
use operator::explain::{self, Explained, Question};
use serde_json::Value;

use super::{Control, bad_request, list, not_found};
use crate::http::{self, Request, Response};
use crate::items::detail::{Around, detail};
use crate::items::{Filter, pairs};

/// Rows that the events begin with unless `?recent=` says otherwise.
const RECENT: usize = 0;

impl Control {
    /// Newest first.
    pub(super) fn list_items(&self, request: &Request) -> Response {
        match Filter::read(request.uri().query().unwrap_or_default()) {
            Ok(filter) => list(self.items.list(&filter)),
            Err(error) => bad_request(&error),
        }
    }

    /// With input, mapping trace, upstream calls and answers, attempts.
    pub(super) fn item(&self, id: &str) -> Response {
        let kept = id.parse().ok().and_then(|id| self.items.find(id));
        kept.map_or_else(not_found, |kept| http::json(200, &detail(&kept, self)))
    }

    /// From now on; `?recent=NUMBER` sends the newest rows first. A browser that comes back says what it
    /// saw last.
    pub(super) fn events(&self, request: &Request) -> Response {
        let query = pairs(request.uri().query().unwrap_or_default()).unwrap_or_default();
        let recent = query.iter().find(|(name, _)| name == "recent");
        let recent = recent.and_then(|(_, number)| number.parse().ok()).unwrap_or(RECENT);
        let last = request.headers().get("last-event-id");
        let last = last.and_then(|last| last.to_str().ok());
        http::events(Arc::clone(&self.items).stream(recent, last))
    }
}

impl Around for Control {
    fn explain(&self, code: &str, item: &Value, kind: ItemKind) -> Option<Explained> {
        let explained = self.with_question(|question| {
            let question = Question { kind: Some(kind), code: Some(code), ..*question };
            explain::of_json(item.clone(), &question)
        });
        explained.ok()
    }

    fn calls(&self, upstream: &str, wanted: &dyn Fn(&str) -> bool) -> Vec<String> {
        match upstream {
            "segment" => self.standins.segment.find(wanted),
            _ => self.standins.pushwoosh.find(wanted),
        }
    }
}
