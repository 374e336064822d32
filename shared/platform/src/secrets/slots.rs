//! The remembered secrets, of which there may be any number, as ids come from callers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::slot::Slot;

/// A version of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) previous: bool,
}

/// What is remembered, by secret and version.
#[derive(Debug, Default)]
pub(super) struct Slots {
    by_key: HashMap<Key, Arc<Slot>>,
    /// How many were of use when they were counted last. They are counted again when there are twice as many,
    /// so that a new one costs little however many applications there are.
    of_use: usize,
}

impl Slots {
    /// What is remembered of a secret. Where more than `most` are remembered, those of no use are forgotten:
    /// made-up application codes fill the cache, and applications that exist are kept.
    pub(super) fn get(
        &mut self,
        key: &Key,
        most: usize,
        ttl: Duration,
        now: Timestamp,
    ) -> Arc<Slot> {
        if self.by_key.len() >= most.max(2 * self.of_use) && !self.by_key.contains_key(key) {
            self.by_key.retain(|_, slot| slot.is_of_use(ttl, now));
            if self.by_key.len() >= most {
                self.by_key.retain(|_, slot| slot.is_in_use());
            }
            self.of_use = self.by_key.len();
        }
        Arc::clone(self.by_key.entry(key.clone()).or_default())
    }

    /// What is remembered of a secret, if anything is.
    pub(super) fn known(&self, key: &Key) -> Option<Arc<Slot>> {
        self.by_key.get(key).cloned()
    }

    /// How many are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 10;
    const TTL: Duration = Duration::from_mins(5);

    fn get(slots: &mut Slots, name: &str, number: usize) -> Arc<Slot> {
        let key = Key { id: format!("{name}{number}"), previous: false };
        slots.get(&key, MOST, TTL, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn applications_are_kept_however_many_they_are_and_made_up_codes_are_not() {
        let mut slots = Slots::default();
        for number in 0..5 * MOST {
            let slot = get(&mut slots, "real", number);
            slot.state().learn(Ok(Vec::new()), None, TTL, Timestamp::UNIX_EPOCH);
            drop(slot);
            for made_up in 0..5 {
                get(&mut slots, "made-up", 5 * number + made_up);
            }
        }
        assert!(slots.len() <= 2 * 5 * MOST, "{} are remembered", slots.len());
        let kept = (0..5 * MOST).filter(|number| get(&mut slots, "real", *number).state().serves());
        assert_eq!(kept.count(), 5 * MOST);
    }

    /// What is remembered as absent spares calls: it is forgotten only where there is no room.
    #[test]
    fn absent_codes_are_forgotten_where_they_take_all_the_room() {
        let mut slots = Slots::default();
        let absent = |slots: &mut Slots, number: usize| {
            get(slots, "absent", number).state().learn_gone(Timestamp::UNIX_EPOCH);
        };
        for number in 0..MOST / 2 {
            absent(&mut slots, number);
            get(&mut slots, "nothing", number);
        }
        get(&mut slots, "next", 0);
        assert_eq!(slots.len(), MOST / 2 + 1, "those of which nothing is known are forgotten");
        for number in MOST / 2..2 * MOST {
            absent(&mut slots, number);
        }
        assert!(slots.len() <= MOST, "{} are remembered", slots.len());
    }
}
