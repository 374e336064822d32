//! Raw events that came before, by their `messageId` and their bytes: different events under one id are
//! different events.
//!
//! Webhooks carry no time that is signed, so that a repeated request cannot be told from a new one but
//! by its events. Best effort: the memory is per process. Items of other kinds have no `messageId`.

use std::collections::HashSet;
use std::sync::Mutex;

use mapping::{Item, ItemKind};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// Events of a generation; two are kept. 32 bytes each.
const GENERATION: usize = 50_000;

/// The events of the last two generations.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    now: HashSet<[u8; 32]>,
    before: HashSet<[u8; 32]>,
}

impl Seen {
    /// Claims an item; false where it was claimed before.
    pub(crate) fn claim(&self, application: &str, item: &Item<'_>) -> bool {
        let Some(key) = event_key(application, item) else {
            return true;
        };
        let mut generations = self.lock();
        if generations.before.contains(&key) || !generations.now.insert(key) {
            return false;
        }
        if generations.now.len() >= GENERATION {
            generations.before = std::mem::take(&mut generations.now);
        }
        true
    }

    /// Releases the claim: the item was not sent.
    pub(crate) fn release(&self, application: &str, item: &Item<'_>) {
        if let Some(key) = event_key(application, item) {
            let mut generations = self.lock();
            generations.now.remove(&key);
            generations.before.remove(&key);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What a raw event is known by; nothing for other items and for events without a `messageId`.
fn event_key(application: &str, item: &Item<'_>) -> Option<[u8; 32]> {
    #[derive(Deserialize)]
    struct Event {
        #[serde(rename = "messageId")]
        message_id: Option<String>,
    }
    if item.kind != ItemKind::RawEvent {
        return None;
    }
    let event: Event = mapping::json::read(item.bytes).ok()?;
    event.message_id.filter(|id| !id.is_empty())?;
    // The bytes hold the id.
    Some(key(application, item.bytes))
}

/// What an item of an application is known by.
fn key(application: &str, item: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(application.as_bytes());
    hash.update([0]);
    hash.update(item);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use mapping::Origin;

    use super::*;

    fn item(kind: ItemKind, bytes: &[u8]) -> Item<'_> {
        Item { kind, application: Some("A"), origin: Origin::Request("r", 0), bytes }
    }

    fn claim(seen: &Seen, application: &str, id: &str) -> bool {
        let event = format!(r#"{{"messageId":"{id}"}}"#);
        seen.claim(application, &item(ItemKind::RawEvent, event.as_bytes()))
    }

    #[test]
    fn an_event_is_claimed_once_until_it_is_released() {
        let seen = Seen::default();
        assert!(claim(&seen, "A", "m1"));
        assert!(!claim(&seen, "A", "m1") && claim(&seen, "B", "m1"));
        seen.release("A", &item(ItemKind::RawEvent, br#"{"messageId":"m1"}"#));
        assert!(claim(&seen, "A", "m1"));
    }

    /// Senders reuse ids: a library that numbers its calls starts at 1 again on every device.
    #[test]
    fn different_events_under_one_id_are_both_new() {
        let seen = Seen::default();
        let raw = |bytes| item(ItemKind::RawEvent, bytes);
        let first = raw(br#"{"messageId":"m1","event":"A"}"#);
        let second = raw(br#"{"messageId":"m1","event":"B"}"#);
        assert!(seen.claim("A", &first) && seen.claim("A", &second));
        assert!(!seen.claim("A", &first) && !seen.claim("A", &second));
        seen.release("A", &first);
        assert!(seen.claim("A", &first) && !seen.claim("A", &second));
    }

    #[test]
    fn an_event_with_half_a_surrogate_pair_is_known_again() {
        let seen = Seen::default();
        let event = item(ItemKind::RawEvent, br#"{"messageId":"m\ud83d","event":"A"}"#);
        assert!(seen.claim("A", &event) && !seen.claim("A", &event));
    }

    #[test]
    fn what_has_no_message_id_is_always_new() {
        let seen = Seen::default();
        for bytes in [r#"{"messageId":""}"#, r#"{"messageId":null}"#, "{}", "no json"] {
            for _ in 0..2 {
                assert!(seen.claim("A", &item(ItemKind::RawEvent, bytes.as_bytes())), "{bytes}");
            }
        }
        for _ in 0..2 {
            assert!(seen.claim("A", &item(ItemKind::Event, br#"{"messageId":"m1"}"#)));
        }
    }

    #[test]
    fn memory_is_bounded_and_the_newest_events_are_known() {
        let seen = Seen::default();
        for number in 0..3 * GENERATION {
            assert!(claim(&seen, "A", &number.to_string()));
        }
        assert!(!claim(&seen, "A", &(3 * GENERATION - 1).to_string()));
        assert!(!claim(&seen, "A", &(2 * GENERATION).to_string()));
        let generations = seen.lock();
        assert!(generations.now.len() + generations.before.len() <= 2 * GENERATION);
    }
}
