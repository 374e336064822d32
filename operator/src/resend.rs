//! What is put on the retry queue in place of a reject, or of a record that Lambda gave up. Nothing is sent here.
//!
//! Invariants: an item keeps its origin, and the time when it came in, so that the retries drop what a deletion or a
//! newer value has overtaken since. It has as long to live as a new item, and gets a new id: an item that was
//! corrected and is redriven once more is not taken for one that is done.

use anyhow::{Result, ensure};
use jiff::Timestamp;
use mapping::{About, Cause, Item, ItemKind, Parked, Rules, Work};
use platform::message::Reject;

/// The bytes of a reject, where all of them were kept.
pub fn whole(reject: &Reject) -> Result<Vec<u8>> {
    let bytes = reject.raw();
    if let Some(cut) = &reject.cut {
        anyhow::bail!(
            "it was too large for the queue: only the first {} of its {} bytes were kept (SHA-256 of the whole: {}). Send it again from where it came from",
            bytes.len(),
            cut.bytes,
            cut.sha256
        );
    }
    Ok(bytes)
}

/// Work that the upstream refused: the same work again.
pub fn of_work(reject: &Reject, bytes: &[u8], now: Timestamp) -> Result<Parked> {
    ensure!(reject.kind == ItemKind::Parked, "it is no work that was parked");
    let Parked { application, work, kind, message_id, .. } = Parked::read(bytes)?;
    let parked = redriven(&application, work, &reject.origin, reject.at, now);
    Ok(Parked { kind, message_id, ..parked })
}

/// What an item would send under these rules. It counts as received at `accepted`.
pub fn of_item(
    item: &Item<'_>,
    rules: &Rules<'_>,
    accepted: Timestamp,
    now: Timestamp,
) -> Result<Parked> {
    let planned = item.plan(rules)?;
    let origin = item.origin.to_string();
    let parked = redriven(rules.application, planned.work, &origin, accepted, now);
    let message_id = match item.kind {
        ItemKind::RawEvent => About::item(item.kind, item.bytes).message_id,
        _ => None,
    };
    Ok(Parked { kind: Some(item.kind), message_id, ..parked })
}

/// A redriven item, that came in at `accepted`.
fn redriven(
    application: &str,
    work: Work,
    origin: &str,
    accepted: Timestamp,
    now: Timestamp,
) -> Parked {
    let parked = Parked::new(application, work, Cause::Redriven, accepted);
    let origins = vec![origin.to_owned()];
    let parked = Parked { attempts: 0, redriven: Some(now), origins, ..parked };
    parked.known_as(format!("redrive {now} {origin}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise the ledger would not know what came since, the age limit would end it at once, and an
    /// item that is redriven twice would count as done.
    #[test]
    fn an_item_comes_back_with_its_time_a_new_life_and_a_new_id() {
        let [accepted, first, second] =
            [1, 1_000_000, 1_000_001].map(|at| Timestamp::from_second(at).unwrap());
        let once = redriven("A", Work::Segment(Vec::new()), "r-1 3", accepted, first);
        let twice = redriven("A", Work::Segment(Vec::new()), "r-1 3", accepted, second);
        assert_eq!((once.first_seen, once.since(), once.attempts), (accepted, first, 0));
        assert_eq!((once.cause, twice.first_seen), (Cause::Redriven, accepted));
        assert_eq!(once.id, "redrive 1970-01-12T13:46:40Z r-1 3");
        assert_eq!(once.origin(0), "r-1 3", "the log knows it by where it came in");
        assert_ne!(once.id, twice.id);
    }
}
