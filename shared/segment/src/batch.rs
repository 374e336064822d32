//! Cuts Track calls into batches that Segment takes.
//!
//! Invariants: every call is in exactly one batch, in its order; no batch is beyond a limit. Sizes
//! are those of the bytes that are sent, before compression: which of the two Segment counts is
//! not documented.

use std::ops::Range;

/// Largest request body. Segment documents 500 KB; its Python library stays at this number, and a
/// body of 536 KB was seen to be refused.
/// <https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/#batch>
pub const MAX_BATCH_BYTES: usize = 475_000;

/// Largest single call: 32 KB, read as Segment's Go library does.
pub const MAX_EVENT_BYTES: usize = 32_000;

/// Calls in a batch. Segment answers 200 for more than 2,500 and drops them all.
pub const MAX_EVENTS: usize = 1_000;

/// Room for what surrounds the calls: write key, `sentAt`, brackets.
const ENVELOPE_BYTES: usize = 512;

/// The batches for calls of these sizes, as ranges of their indexes.
pub fn cut(sizes: &[usize]) -> Vec<Range<usize>> {
    let mut batches = Vec::new();
    let mut start = 0;
    let mut bytes = ENVELOPE_BYTES;
    for (index, size) in sizes.iter().enumerate() {
        // One more for the comma.
        let size = size + 1;
        if index > start && (index - start == MAX_EVENTS || bytes + size > MAX_BATCH_BYTES) {
            batches.push(start..index);
            start = index;
            bytes = ENVELOPE_BYTES;
        }
        bytes += size;
    }
    if start < sizes.len() {
        batches.push(start..sizes.len());
    }
    batches
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_is_lost_repeated_or_too_large(sizes in proptest::collection::vec(2..=MAX_EVENT_BYTES, 0..3_000)) {
            let batches = cut(&sizes);
            let indexes: Vec<usize> = batches.iter().cloned().flatten().collect();
            prop_assert_eq!(indexes, (0..sizes.len()).collect::<Vec<_>>());
            for batch in batches {
                prop_assert!((1..=MAX_EVENTS).contains(&batch.len()));
                let bytes: usize = sizes[batch].iter().map(|size| size + 1).sum();
                prop_assert!(bytes + ENVELOPE_BYTES <= MAX_BATCH_BYTES);
            }
        }

        #[test]
        fn small_calls_fill_batches(number in 0_usize..10_000) {
            prop_assert_eq!(cut(&vec![300; number]).len(), number.div_ceil(MAX_EVENTS));
        }
    }

    #[test]
    fn a_batch_is_full_at_its_limits_and_not_before() {
        let largest = MAX_BATCH_BYTES - ENVELOPE_BYTES - 1;
        // Two calls and their commas.
        assert_eq!(cut(&[largest - 10, 9]).len(), 1);
        assert_eq!(cut(&[largest - 10, 10]).len(), 2);
        assert_eq!(cut(&[1; MAX_EVENTS]).len(), 1);
        assert_eq!(cut(&[1; MAX_EVENTS + 1]), [0..MAX_EVENTS, MAX_EVENTS..MAX_EVENTS + 1]);
        // No call is left out, and no batch is empty.
        assert_eq!(cut(&[2 * largest, 1]), [0..1, 1..2]);
        assert!(cut(&[]).is_empty());
    }
}
