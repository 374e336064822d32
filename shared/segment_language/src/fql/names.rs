//! The fields and functions of the language.

use super::condition::EventField;
use crate::path::Path;

/// The functions of the language.
pub(super) const FUNCTIONS: [&str; 2] = ["contains", "match"];

/// The parts of an event whose fields can be compared.
const PARTS: [&str; 3] = ["properties", "traits", "context"];

/// The field of a comparison: only the first part of its name decides.
pub(super) fn field(name: &str) -> Option<EventField> {
    let first = name.split('.').next().unwrap_or_default();
    let named = ["type", "event", "name", "userId"].into_iter().find(|field| *field == first);
    named
        .map(EventField::Named)
        .or_else(|| Some(below(PARTS.into_iter().find(|part| *part == first)?, name)))
}

/// The field of a function: `type` is not allowed, and the prefix of the name decides.
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
