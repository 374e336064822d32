//! Events that came before, by their `messageId`.
//!
//! Webhooks carry no time that is signed, so that a repeated request cannot be told from a new one
//! but by its events. It is a courtesy, not a guarantee: another process does not know.

use std::collections::HashSet;
use std::sync::Mutex;

use crate::recent::key;

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
    /// Claims an event; false where it was claimed before.
    pub(crate) fn claim(&self, application: &str, message_id: &str) -> bool {
        let mut generations = self.lock();
        let key = key(application, message_id.as_bytes());
        if generations.before.contains(&key) || !generations.now.insert(key) {
            return false;
        }
        if generations.now.len() >= GENERATION {
            generations.before = std::mem::take(&mut generations.now);
        }
        true
    }

    /// Gives an event free: it was not sent.
    pub(crate) fn release(&self, application: &str, message_id: &str) {
        let mut generations = self.lock();
        let key = key(application, message_id.as_bytes());
        generations.now.remove(&key);
        generations.before.remove(&key);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_claimed_once_until_it_is_released() {
        let seen = Seen::default();
        assert!(seen.claim("A", "m1"));
        assert!(!seen.claim("A", "m1") && seen.claim("B", "m1"));
        seen.release("A", "m1");
        assert!(seen.claim("A", "m1"));
    }

    #[test]
    fn memory_is_bounded_and_the_newest_events_are_known() {
        let seen = Seen::default();
        for number in 0..3 * GENERATION {
            assert!(seen.claim("A", &number.to_string()));
        }
        assert!(!seen.claim("A", &(3 * GENERATION - 1).to_string()));
        assert!(!seen.claim("A", &(2 * GENERATION).to_string()));
        let generations = seen.lock();
        assert!(generations.now.len() + generations.before.len() <= 2 * GENERATION);
    }
}
