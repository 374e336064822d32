//! What to do about an item, in words.

use mapping::{Reason, remedy};

use super::line::NOT_SAVED;
use super::row::{DISCARDED, PENDING, REFUSED, Row, SKIPPED_TAG};

/// Cause of an item that was given up.
const EXPIRED: &str = "expired";

/// What Pushwoosh says of a tag that does not exist.
const NO_TAG: &str = "(Not found)";

/// What happened, and what to do about it.
pub(super) fn of(row: &Row) -> (String, String) {
    let cause = row.cause.as_deref().unwrap_or_default();
    let reason = row.reason.as_deref().unwrap_or_default();
    if row.outcome == DISCARDED {
        return (
            "It was discarded from a queue: it is not sent any more.".to_owned(),
            String::new(),
        );
    }
    if let Some(known) = Reason::ALL.iter().find(|known| known.code() == reason) {
        return (known.cause().to_owned(), known.remedy().to_owned());
    }
    match row.outcome.as_str() {
        "delivered" if reason == SKIPPED_TAG => without_tags(row.detail.as_deref()),
        "delivered" => ("The upstream has it.".to_owned(), String::new()),
        PENDING => {
            ("A function works on it, or has not said yet how it ended.".to_owned(), String::new())
        }
        REFUSED => {
            let remedy = remedy::of_denial(reason).unwrap_or_default();
            ("The request was not worked on.".to_owned(), remedy.to_owned())
        }
        "parked" => {
            let remedy = remedy::of_cause(cause).to_owned();
            ("It could not be delivered yet. It is sent again by itself.".to_owned(), remedy)
        }
        _ if cause == EXPIRED => (
            "It was given up: it is on the dead-letter queue.".to_owned(),
            remedy::of_cause(cause).to_owned(),
        ),
        _ => {
            let remedy = remedy::of_cause(cause).to_owned();
            ("It was neither delivered nor kept for later.".to_owned(), remedy)
        }
    }
}

/// For a delivered profile: the tags that Pushwoosh did not save.
fn without_tags(detail: Option<&str>) -> (String, String) {
    let tags = detail.and_then(|detail| detail.strip_prefix(NOT_SAVED)).unwrap_or_default();
    let mut remedies = Vec::new();
    if tags.contains(NO_TAG) {
        remedies.push("Not found: create the tag in Pushwoosh, with the type of its values.");
    }
    if tags.split(", ").any(|tag| !tag.ends_with(NO_TAG)) {
        remedies.push("Otherwise the tag has another type in Pushwoosh: send a value of that type, or map it to another tag.");
    }
    remedies.push(
        "Then send the profile again: the tags that were skipped are not sent by themselves.",
    );
    (format!("Delivered, but without these tags: {tags}."), remedies.join(" "))
}
