//! An item as it is shown.

use jiff::Timestamp;
use serde::Serialize;

/// Outcome of an item of which nothing is known yet.
pub(super) const PENDING: &str = "pending";

/// Outcome of a request that was not worked on.
pub(super) const REFUSED: &str = "refused";

/// Outcome of an item that was discarded from a queue.
pub(super) const DISCARDED: &str = "discarded";

/// Every outcome that a row may have.
pub(super) const OUTCOMES: [&str; 8] =
    [PENDING, "delivered", "disregarded", "parked", "rejected", "failed", REFUSED, DISCARDED];

/// Reason of a delivered item of which Pushwoosh did not save a tag.
pub(super) const SKIPPED_TAG: &str = "skipped_tag";

/// `kind` of a request that was not worked on: it may have held any number of items.
pub(super) const REQUEST: &str = "request";

/// Text of a field that is shown. The whole item is kept beside it.
const MAX_TEXT: usize = 400;

/// An item. Ids are those of the input: nothing leaves this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    /// Number, in the order of arrival.
    pub(super) id: u64,
    /// When it came in.
    pub(super) at: String,
    pub(super) kind: String,
    pub(super) app: Option<String>,
    pub(super) user: Option<String>,
    /// Of a refused request: the other users that it names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) other_users: Vec<String>,
    pub(super) device: Option<String>,
    pub(super) name: Option<String>,
    /// Of raw events and records.
    pub(super) message_id: Option<String>,
    pub(super) outcome: String,
    pub(super) reason: Option<String>,
    pub(super) cause: Option<String>,
    /// What was wrong, in words: of the functions, or of the upstream.
    pub(super) detail: Option<String>,
    pub(super) attempts: u32,
    pub(super) origin: String,
}

impl Row {
    /// Why it is not delivered, in one word.
    pub(super) fn why(&self) -> Option<&str> {
        self.reason.as_deref().or(self.cause.as_deref())
    }

    /// Whether somebody still has to do something for it to be delivered.
    pub(super) fn is_undelivered(&self) -> bool {
        self.outcome == PENDING || self.outcome == "parked"
    }
}

/// A request that was not worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) at: Timestamp,
    pub(super) path: String,
    pub(super) app: String,
    pub(super) reason: String,
    pub(super) detail: String,
    /// The invocation.
    pub(super) origin: String,
    /// The users that the body names.
    pub(super) users: Vec<String>,
    pub(super) body: Vec<u8>,
}

impl Refused {
    /// One that no function saw.
    pub(super) fn by_gateway(path: &str, app: &str, status: u16, at: Timestamp) -> Self {
        let (reason, detail) = match status {
            431 => ("headers_too_large", "the gateway takes 10,240 bytes of path and headers"),
            _ => ("request_too_large", "an invocation takes 6 MB, the request included"),
        };
        Self {
            at,
            path: path.to_owned(),
            app: app.to_owned(),
            reason: reason.to_owned(),
            detail: format!("{status}: {detail}"),
            origin: String::new(),
            users: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Its row.
    pub(super) fn row(&self) -> Row {
        Row {
            at: shown(self.at),
            kind: REQUEST.to_owned(),
            app: short(&self.app),
            user: self.users.first().cloned(),
            other_users: self.users.get(1..).unwrap_or_default().to_vec(),
            name: short(&self.path),
            outcome: REFUSED.to_owned(),
            reason: Some(self.reason.clone()),
            detail: short(&self.detail),
            attempts: 1,
            origin: self.origin.clone(),
            ..Row::default()
        }
    }
}

/// A time in milliseconds.
pub(super) fn shown(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// Text, cut where it is long; none where it is empty.
pub(super) fn short(text: &str) -> Option<String> {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => text.get(..end).map(|text| format!("{text}…")),
        None => (!text.is_empty()).then(|| text.to_owned()),
    }
}
