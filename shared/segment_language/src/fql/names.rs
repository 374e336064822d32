//! The names that triggers know.

use super::condition::EventField;
use crate::path::Path;

/// The functions of the language.
pub(super) const FUNCTIONS: [&str; 2] = ["contains", "match"];

/// The parts of an event that have parts themselves.
const PARTS: [&str; 3] = ["properties", "traits", "context"];

/// The field of a comparison: by the first part of its name.
pub(super) fn field(name: &str) -> Option<EventField> {
    let first = name.split('.').next().unwrap_or_default();
    let named = ["type", "event", "name", "userId"].into_iter().find(|field| *field == first);
    named
        .map(EventField::Named)
        .or_else(|| Some(below(PARTS.into_iter().find(|part| *part == first)?, name)))
}

/// The field of a function: `type` is none, and a part's name need only be how it begins.
pub(super) fn argument(name: &str) -> Option<EventField> {
    let named = ["event", "name", "userId"].into_iter().find(|field| *field == name);
    named
        .map(EventField::Named)
        .or_else(|| Some(below(PARTS.into_iter().find(|part| name.starts_with(part))?, name)))
}

fn below(part: &'static str, name: &str) -> EventField {
    let path = name.strip_prefix(part).and_then(|rest| rest.strip_prefix('.')).unwrap_or(name);
    EventField::Below(part, Path::parse(path))
}
