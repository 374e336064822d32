//! Items that were delivered in a request that then failed as a whole.
//!
//! Segment resends such a request with everything in it, and Pushwoosh would record the delivered
//! events twice. Best effort: the memory is per process.

use std::collections::HashMap;
use std::sync::Mutex;

use mapping::Outcome;
use sha2::{Digest, Sha256};

/// Beyond this everything is dropped: the requests of an hour in which SQS is down.
const MAX_ITEMS: usize = 100_000;

/// How often each item was delivered in a request that then failed.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<HashMap<[u8; 32], u32>>);

impl Recent {
    /// Whether an item was delivered before; each delivery answers once.
    pub(crate) fn take(&self, application: &str, item: &[u8]) -> bool {
        let mut recent = self.lock();
        if recent.is_empty() {
            return false;
        }
        let key = key(application, item);
        let Some(times) = recent.get_mut(&key) else {
            return false;
        };
        *times -= 1;
        if *times == 0 {
            recent.remove(&key);
        }
        true
    }

    /// Remembers the items of a request that is answered with 503, but for those that failed.
    pub(crate) fn remember<'a>(
        &self,
        application: &str,
        items: impl Iterator<Item = (&'a [u8], Outcome)>,
    ) {
        let mut recent = self.lock();
        if recent.len() > MAX_ITEMS {
            recent.clear();
        }
        for (item, outcome) in items {
            if !outcome.is_failed() {
                *recent.entry(key(application, item)).or_default() += 1;
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], u32>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What an item of an application is known by.
pub(crate) fn key(application: &str, item: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(application.as_bytes());
    hash.update([0]);
    hash.update(item);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use mapping::Cause;

    use super::*;

    #[test]
    fn memory_is_bounded() {
        let recent = Recent::default();
        let remember = |number: usize| {
            let item = number.to_be_bytes();
            recent.remember("A", std::iter::once((item.as_slice(), Outcome::Delivered)));
        };
        (0..MAX_ITEMS).for_each(remember);
        remember(MAX_ITEMS);
        assert!(recent.take("A", &0_usize.to_be_bytes()), "the limit itself is kept");
        remember(MAX_ITEMS + 1);
        remember(MAX_ITEMS + 2);
        assert_eq!(recent.lock().len(), 1);
    }

    #[test]
    fn an_item_is_known_as_often_as_it_was_delivered() {
        let recent = Recent::default();
        assert!(!recent.take("A", b"1"));
        let items: [(&[u8], _); 3] = [
            (b"1", Outcome::Delivered),
            (b"1", Outcome::Parked(Cause::Timeout)),
            (b"2", Outcome::Failed(Cause::QueueUnavailable)),
        ];
        recent.remember("A", items.into_iter());
        assert!(!recent.take("B", b"1"));
        assert!(recent.take("A", b"1") && recent.take("A", b"1"));
        assert!(!recent.take("A", b"1") && !recent.take("A", b"2"));
    }
}
