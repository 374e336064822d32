//! Whether a message of a queue is about a person.
//!
//! Invariants: no I/O. A message is removed only if it names the person; one that may name them in a part
//! that was not kept is counted as unclear, and stays.

use std::fmt::Write as _;

use mapping::tracking_log::{Record, person_of};
use mapping::{ItemKind, Parked, Plan, Work};
use platform::message::{self, Reject};
use serde::Deserialize;

/// Whose messages are erased.
#[derive(Debug, Clone, Copy)]
pub(super) struct Erased<'a> {
    pub(super) application: &'a str,
    pub(super) user: &'a str,
    /// Their device, for what names no user.
    pub(super) device: Option<&'a str>,
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is not about the person.
    Keep,
    /// It is the person's deletion, which has to reach Pushwoosh.
    KeepDeletion,
    /// It cannot be read, or was cut: it may be about the person.
    Unclear,
    /// It is about the person.
    Remove,
    /// Parts of it are: this body is left.
    Shorten(String),
}

impl Erased<'_> {
    /// Decides about a message by its body.
    pub(super) fn decide(&self, body: &str) -> Decision {
        if let Some(parked) = message::decode::<Parked>(body) {
            return match self.of_parked(parked) {
                Part::Decided(decision) => decision,
                Part::Left(parked) => shortened(&parked),
            };
        }
        match message::decode::<Reject>(body) {
            Some(reject) => self.of_reject(reject),
            None if self.is_named_in(body) => Decision::Remove,
            None => Decision::Unclear,
        }
    }

    fn of_parked(&self, parked: Parked) -> Part {
        if parked.application != self.application {
            return Part::Decided(Decision::Keep);
        }
        let number = parked.number();
        match &parked.work {
            Work::Pushwoosh(plan) if !self.owns(plan) => Part::Decided(Decision::Keep),
            Work::Pushwoosh(plan) if plan.deletes().is_some() => {
                Part::Decided(Decision::KeepDeletion)
            }
            Work::Pushwoosh(_) => Part::Decided(Decision::Remove),
            Work::Segment(_) => {
                let (others, _) = parked.divided(|call| !self.is(person_of(call).as_deref()));
                match others.number() {
                    0 => Part::Decided(Decision::Remove),
                    left if left == number => Part::Decided(Decision::Keep),
                    _ => Part::Left(Box::new(others)),
                }
            }
        }
    }

    fn of_reject(&self, mut reject: Reject) -> Decision {
        let raw = reject.raw();
        if reject.cut.is_some() {
            return self.of_text(&reject, &raw);
        }
        let record = match reject.kind {
            ItemKind::Record => Record::read(&raw).ok(),
            _ => None,
        };
        let of_record = record.as_ref().and_then(|record| record.application().ok());
        if reject.application.as_deref().or(of_record).is_some_and(|code| code != self.application)
        {
            return Decision::Keep;
        }
        if reject.kind == ItemKind::Parked {
            return match Parked::read(&raw).map(|parked| self.of_parked(parked)) {
                Ok(Part::Decided(decision)) => decision,
                Ok(Part::Left(parked)) => match serde_json::to_string(&parked) {
                    Ok(text) => {
                        (reject.raw, reject.raw_base64) = (Some(text), None);
                        shortened(&reject)
                    }
                    Err(_) => Decision::Unclear,
                },
                Err(_) => self.of_text(&reject, &raw),
            };
        }
        let person = match &record {
            Some(record) => record.person().map(str::to_owned),
            None => mapping::identity_of(&raw),
        };
        if self.is(person.as_deref()) {
            return if deletes(reject.kind, &raw) {
                Decision::KeepDeletion
            } else {
                Decision::Remove
            };
        }
        match person {
            Some(_) => Decision::Keep,
            // A raw event may name them where the application's mappings look, and what is not JSON anywhere.
            None => self.of_text(&reject, &raw),
        }
    }

    /// Decides about bytes of which only the text is known.
    fn of_text(&self, reject: &Reject, raw: &[u8]) -> Decision {
        if reject.application.as_deref().is_some_and(|code| code != self.application) {
            return Decision::Keep;
        }
        if self.is_named_in(&String::from_utf8_lossy(raw)) {
            return Decision::Remove;
        }
        // What is read whole and names nobody is nobody's.
        let whole = reject.cut.is_none() && mapping::json::read::<serde_json::Value>(raw).is_ok();
        if whole { Decision::Keep } else { Decision::Unclear }
    }

    /// Whether a plan is about the person: one of its calls names the user or, where none names a user,
    /// the device.
    fn owns(&self, plan: &Plan) -> bool {
        let named = |fields: &'static [&'static str]| {
            plan.calls()
                .flat_map(move |call| fields.iter().filter_map(|name| call.request.get(*name)))
                .filter_map(|id| id.as_str())
                .filter(|id| !id.is_empty())
                .collect::<Vec<_>>()
        };
        let users = named(&["userId", "user_id"]);
        if users.is_empty() {
            return self.device.is_some_and(|device| named(&["hwid"]).contains(&device));
        }
        users.contains(&self.user)
    }

    /// Whether this is the user's id, or the device's.
    fn is(&self, id: Option<&str>) -> bool {
        id.is_some_and(|id| id == self.user || Some(id) == self.device)
    }

    /// Whether a text holds the user's id, or the device's, as a word of its own.
    fn is_named_in(&self, text: &str) -> bool {
        let mut ids = [Some(self.user), self.device].into_iter().flatten();
        ids.any(|id| holds(text, id) || holds(text, &ascii_json(id)))
    }
}

/// What is decided about a parked item, or what is left of it.
enum Part {
    Decided(Decision),
    Left(Box<Parked>),
}

/// Whether an item is a deletion.
fn deletes(kind: ItemKind, raw: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Typed {
        #[serde(rename = "type")]
        kind: String,
    }
    match kind {
        ItemKind::Deletion => true,
        ItemKind::RawEvent => {
            mapping::json::read::<Typed>(raw).is_ok_and(|event| event.kind == "delete")
        }
        _ => false,
    }
}

fn shortened(message: &impl serde::Serialize) -> Decision {
    // It is shorter than what was on the queue.
    message::encode(message).map_or(Decision::Unclear, Decision::Shorten)
}

/// Whether a text holds an id that is not a part of a longer one.
fn holds(text: &str, id: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || "-_.@+".contains(c);
    text.match_indices(id).any(|(at, found)| {
        let before = text.get(..at).and_then(|text| text.chars().next_back());
        let after = text.get(at + found.len()..).and_then(|text| text.chars().next());
        !id.is_empty() && !before.is_some_and(goes_on) && !after.is_some_and(goes_on)
    })
}

/// An id as JSON that is ASCII only has it.
fn ascii_json(id: &str) -> String {
    let mut json = String::with_capacity(id.len());
    for c in id.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            ' '..='~' => json.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a String cannot fail.
                    write!(json, "\\u{unit:04x}").ok();
                }
            }
        }
    }
    json
}

#[cfg(test)]
mod tests;
