//! What to do about an item, in words.

use mapping::{Reason, remedy};

use super::row::{PENDING, REFUSED, Row};

/// What happened, and what to do about it.
pub(super) fn of(row: &Row) -> (String, String) {
    let cause = row.cause.as_deref().unwrap_or_default();
    let reason = row.reason.as_deref().unwrap_or_default();
    if let Some(known) = Reason::ALL.iter().find(|known| known.code() == reason) {
        return (known.cause().to_owned(), known.remedy().to_owned());
    }
    match row.outcome.as_str() {
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
        _ => {
            let remedy = remedy::of_cause(cause).to_owned();
            ("It was neither delivered nor kept for later.".to_owned(), remedy)
        }
    }
}
