//! What a function logs of an item at the end of each attempt.

use serde::Serialize;
use serde_json::{Map, Value};

use super::row::{SKIPPED_TAG, short, shown};

/// `message` of such a line.
const MESSAGE: &str = "item";

/// `message` of the line of a request that was not worked on. It says why, where the answer must not.
const REFUSED: &str = "refused";

/// How the detail of a delivered profile begins of which Pushwoosh did not save a tag; the tags follow.
pub(super) const NOT_SAVED: &str = "Pushwoosh did not save: ";

/// A line, read. Ids in it are hashed: they are not used here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ItemLine {
    pub(super) origin: String,
    pub(super) kind: Option<String>,
    pub(super) app: Option<String>,
    pub(super) name: Option<String>,
    pub(super) message_id: Option<String>,
    pub(super) step: Step,
}

/// How an attempt ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Step {
    pub(super) at: String,
    pub(super) function: String,
    pub(super) outcome: String,
    pub(super) reason: Option<String>,
    pub(super) cause: Option<String>,
    /// Status that the upstream answered.
    pub(super) status: Option<u64>,
    /// What was wrong, in the words of the function or of the upstream.
    pub(super) words: Option<String>,
    pub(super) attempts: Option<u32>,
}

impl ItemLine {
    /// Reads a log line; nothing where it is about something else.
    pub(super) fn read(function: &str, line: &Map<String, Value>) -> Option<Self> {
        let message = line.get("message").and_then(Value::as_str)?;
        if ![MESSAGE, REFUSED].contains(&message) {
            return None;
        }
        let text = |name: &str| match line.get(name)? {
            Value::String(text) => short(text),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let number = |name: &str| match line.get(name)? {
            Value::String(text) => text.parse().ok(),
            number => number.as_u64(),
        };
        let words = text("words").or_else(|| text("detail"));
        let skipped = words.as_ref().is_some_and(|words| words.starts_with(NOT_SAVED));
        let skipped = skipped.then(|| SKIPPED_TAG.to_owned());
        Some(Self {
            origin: text("origin")?,
            kind: text("kind"),
            app: text("app.code"),
            name: text("name"),
            message_id: text("message_id"),
            step: Step {
                at: text("timestamp")?.parse().map(shown).ok()?,
                function: function.to_owned(),
                outcome: text("outcome")?,
                reason: text("reason").or(skipped),
                cause: text("cause"),
                status: number("status").filter(|status| *status > 0),
                words,
                attempts: number("attempts").and_then(|number| u32::try_from(number).ok()),
            },
        })
    }
}
