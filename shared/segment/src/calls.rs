//! Track calls, written straight into the bodies of the requests that carry them.
//!
//! Invariants: every call is in exactly one batch, in its order, unless it is beyond [`MAX_EVENT_BYTES`]; no batch is
//! beyond a limit. Sizes are those of the bytes that are sent, before compression: which of the two Segment counts is not
//! documented. A batch is sent as it was written, without a copy. Only what is sent once more, or in parts, is copied.

use std::fmt;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::value::RawValue;

/// Largest request body. Segment documents 500 KB; its Python library stays at this number, and a
/// body of 536 KB was seen to be refused.
/// <https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/#batch>
pub const MAX_BATCH_BYTES: usize = 475_000;

/// Largest single call: 32 KB, read as Segment's Go library does.
pub const MAX_EVENT_BYTES: usize = 32_000;

/// Calls in a batch. Segment answers 200 for more than 2,500 and drops them all.
pub const MAX_EVENTS: usize = 1_000;

/// Room for what follows the calls: write key, `sentAt`, brackets.
const END_BYTES: usize = 512;

/// How a body begins.
const BEGIN: &[u8] = b"{\"batch\":[";

/// The Track calls of one application.
#[derive(Debug, Default)]
pub struct Calls {
    batches: Vec<Batch>,
    places: Vec<Place>,
    too_large: Vec<Vec<u8>>,
}

/// Where a call is.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// In this batch, as this one of its calls.
    Batch(usize, usize),
    /// With those that are never sent.
    TooLarge(usize),
}

impl Calls {
    /// Adds a call: `write` appends its JSON text.
    pub fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut batch = self.batches.pop_if(Batch::is_open).unwrap_or_default();
        let size = batch.push(write);
        if size > MAX_EVENT_BYTES {
            self.places.push(Place::TooLarge(self.too_large.len()));
            self.too_large.extend(batch.pop());
        } else {
            if batch.is_beyond_a_limit()
                && let Some(call) = batch.pop()
            {
                self.batches.push(std::mem::take(&mut batch));
                batch.push(|body| body.extend_from_slice(&call));
            }
            self.places.push(Place::Batch(self.batches.len(), batch.calls.len() - 1));
        }
        self.batches.push(batch);
    }

    /// How many there are.
    pub fn number(&self) -> usize {
        self.places.len()
    }

    /// The call at an index, to be kept. What was added is JSON text; if it were not, `null` would be kept in its
    /// place, so that its record ends in an outcome all the same.
    pub fn call(&self, index: usize) -> Box<RawValue> {
        let read = |text: &[u8]| serde_json::from_slice(text).ok();
        let call = self.places.get(index).and_then(|place| match *place {
            Place::Batch(batch, call) => {
                let batch = self.batches.get(batch)?;
                read(batch.body().bytes().get(batch.calls.get(call)?.clone())?)
            }
            Place::TooLarge(call) => read(self.too_large.get(call)?),
        });
        call.unwrap_or_default()
    }

    /// How many batches there are.
    pub(crate) fn batches(&self) -> usize {
        self.batches.len()
    }

    /// The batch with this number, whole. One that is open may have no calls yet.
    pub(crate) fn batch(&self, number: usize) -> Option<Part<'_>> {
        let batch = self.batches.get(number).filter(|batch| !batch.calls.is_empty())?;
        Some(Part { batch: Some(batch), calls: &batch.calls })
    }

    /// Of each call, whether it is in a batch: the others are too large.
    pub(crate) fn are_sent(&self) -> impl Iterator<Item = bool> {
        self.places.iter().map(|place| matches!(place, Place::Batch(..)))
    }
}

/// Calls that fit into one request.
#[derive(Default)]
struct Batch {
    body: Mutex<Body>,
    /// Where in the body its calls are.
    calls: Vec<Range<usize>>,
}

/// The bytes of a body.
enum Body {
    /// Its beginning and its calls.
    Open(Vec<u8>),
    /// The same and its end, as it was sent first.
    Sent(Bytes),
}

impl Default for Body {
    fn default() -> Self {
        // A single small call and the end fit without a move.
        let mut body = Vec::with_capacity(2 * END_BYTES);
        body.extend_from_slice(BEGIN);
        Self::Open(body)
    }
}

impl Body {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Open(bytes) => bytes,
            Self::Sent(bytes) => bytes,
        }
    }
}

impl Batch {
    fn body(&self) -> MutexGuard<'_, Body> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The body, as long as it has not been sent.
    fn open(&mut self) -> Option<&mut Vec<u8>> {
        match self.body.get_mut().unwrap_or_else(PoisonError::into_inner) {
            Body::Open(body) => Some(body),
            Body::Sent(_) => None,
        }
    }

    fn is_open(&mut self) -> bool {
        self.open().is_some()
    }

    /// Appends a call, and says how large it is.
    fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        let is_first = self.calls.is_empty();
        let Some(body) = self.open() else { return 0 };
        if !is_first {
            body.push(b',');
        }
        let start = body.len();
        write(body);
        let call = start..body.len();
        self.calls.push(call.clone());
        call.len()
    }

    /// Takes the last call out.
    fn pop(&mut self) -> Option<Vec<u8>> {
        let call = self.calls.pop()?;
        let end = self.calls.last().map_or(BEGIN.len(), |call| call.end);
        let body = self.open()?;
        let text = body.get(call).map(<[u8]>::to_vec);
        body.truncate(end);
        text
    }

    /// Whether the last call is one too many.
    fn is_beyond_a_limit(&self) -> bool {
        let bytes = self.calls.last().map_or(0, |call| call.end) + END_BYTES;
        self.calls.len() > MAX_EVENTS || bytes > MAX_BATCH_BYTES
    }
}

// Calls are people's, and the end has the write key.
impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("calls", &self.calls.len()).finish_non_exhaustive()
    }
}

/// Calls of a batch that are sent in one request: all of them, at first. The default has none, which tries a write key.
#[derive(Debug, Default, Clone, Copy)]
pub struct Part<'c> {
    batch: Option<&'c Batch>,
    calls: &'c [Range<usize>],
}

impl Part<'_> {
    /// How many calls there are.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Its two halves.
    pub(crate) fn halves(self) -> [Self; 2] {
        let (left, right) = self.calls.split_at(self.calls.len() / 2);
        [Self { calls: left, ..self }, Self { calls: right, ..self }]
    }

    /// The body of a request that is sent now.
    pub(crate) fn body(&self, key: &str, now: Timestamp) -> Bytes {
        let mut copy = BEGIN.to_vec();
        let Some(batch) = self.batch else { return end(copy, key, now).into() };
        let mut body = batch.body();
        if let Body::Open(open) = &mut *body
            && self.calls.len() == batch.calls.len()
        {
            let whole = Bytes::from(end(std::mem::take(open), key, now));
            *body = Body::Sent(whole.clone());
            return whole;
        }
        let calls = match self.calls {
            [first, .., last] => first.start..last.end,
            [only] => only.clone(),
            [] => 0..0,
        };
        let calls = body.bytes().get(calls).unwrap_or_default();
        copy.reserve(calls.len() + END_BYTES);
        copy.extend_from_slice(calls);
        end(copy, key, now).into()
    }
}

/// A body with what follows the calls.
fn end(mut body: Vec<u8>, key: &str, now: Timestamp) -> Vec<u8> {
    body.extend_from_slice(b"],\"writeKey\":");
    body.extend_from_slice(serde_json::Value::from(key).to_string().as_bytes());
    body.extend_from_slice(format!(",\"sentAt\":\"{now:.3}\"}}").as_bytes());
    body
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// A call of this many bytes.
    fn call(bytes: usize) -> String {
        format!("\"{}\"", "x".repeat(bytes.saturating_sub(2)))
    }

    fn calls(sizes: impl IntoIterator<Item = usize>) -> Calls {
        let mut calls = Calls::default();
        for size in sizes {
            calls.add(|body| body.extend_from_slice(call(size).as_bytes()));
        }
        calls
    }

    fn parts(calls: &Calls) -> Vec<Part<'_>> {
        (0..calls.batches()).filter_map(|number| calls.batch(number)).collect()
    }

    /// Calls in each batch.
    fn batches(sizes: impl IntoIterator<Item = usize>) -> Vec<usize> {
        parts(&calls(sizes)).iter().map(Part::len).collect()
    }

    fn sent(part: Part<'_>, key: &str) -> Value {
        let now = "2026-01-02T03:04:05.678901Z".parse().unwrap();
        serde_json::from_slice(&part.body(key, now)).unwrap()
    }

    proptest! {
        #[test]
        fn nothing_is_lost_repeated_or_too_large(
            sizes in proptest::collection::vec(prop_oneof![2..2_000_usize, 2..=MAX_EVENT_BYTES + 9], 0..60)
        ) {
            let calls = calls(sizes.clone());
            prop_assert_eq!(calls.number(), sizes.len());
            let fits = |size: &usize| *size <= MAX_EVENT_BYTES;
            prop_assert_eq!(calls.are_sent().collect::<Vec<_>>(), sizes.iter().map(fits).collect::<Vec<_>>());
            let mut found = Vec::new();
            for batch in parts(&calls) {
                prop_assert!((1..=MAX_EVENTS).contains(&batch.len()));
                let body = sent(batch, "key");
                prop_assert!(body.to_string().len() <= MAX_BATCH_BYTES);
                found.extend(body["batch"].as_array().unwrap().iter().map(|call| call.to_string().len()));
            }
            prop_assert_eq!(found, sizes.iter().copied().filter(fits).collect::<Vec<_>>());
            // All can still be read.
            for (index, size) in sizes.iter().enumerate() {
                let kept = calls.call(index);
                prop_assert_eq!(kept.get(), call(*size));
            }
        }

        #[test]
        fn small_calls_fill_batches(number in 0_usize..10_000) {
            prop_assert_eq!(batches(vec![30; number]).len(), number.div_ceil(MAX_EVENTS));
        }
    }

    #[test]
    fn a_batch_is_full_at_its_limits_and_not_before() {
        assert_eq!(batches([2; MAX_EVENTS]), [MAX_EVENTS]);
        assert_eq!(batches([2; MAX_EVENTS + 1]), [MAX_EVENTS, 1]);
        let room = MAX_BATCH_BYTES - BEGIN.len() - END_BYTES;
        let (full, rest) = (room / (MAX_EVENT_BYTES + 1), room % (MAX_EVENT_BYTES + 1));
        let with_last = |last| batches(std::iter::repeat_n(MAX_EVENT_BYTES, full).chain([last]));
        assert_eq!(with_last(rest), [full + 1]);
        assert_eq!(with_last(rest + 1), [full, 1]);
        assert!(batches([]).is_empty());
        assert!(batches([MAX_EVENT_BYTES + 1]).is_empty());
    }

    #[test]
    fn a_batch_is_copied_only_to_be_sent_once_more_or_in_parts() {
        let calls = calls([4, 5, 6]);
        let whole = calls.batch(0).unwrap();
        let before = match &*whole.batch.unwrap().body() {
            Body::Open(body) => body.as_ptr(),
            Body::Sent(_) => panic!("nothing was sent"),
        };
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(whole.body("k", now).as_ptr(), before);
        assert_ne!(whole.body("k", now).as_ptr(), before);
        let both = [sent(whole, "k\"ey"), sent(whole, "newer")];
        assert_eq!(both[0]["writeKey"], "k\"ey");
        assert_eq!(both[1]["writeKey"], "newer");
        assert_eq!(both[0]["batch"], both[1]["batch"]);
        let [left, right] = whole.halves();
        assert_eq!(sent(left, "k")["batch"], serde_json::json!(["xx"]));
        assert_eq!(sent(right, "k")["batch"], serde_json::json!(["xxx", "xxxx"]));
    }

    /// As when a batch comes in parts before it was ever sent.
    #[test]
    fn a_part_leaves_the_batch_as_it_is() {
        let mut calls = calls([4, 5]);
        let [left, _] = calls.batch(0).unwrap().halves();
        assert_eq!(sent(left, "k")["batch"].as_array().unwrap().len(), 1);
        calls.add(|body| body.extend_from_slice(b"3"));
        let whole = calls.batch(0).unwrap();
        assert_eq!((whole.len(), sent(whole, "k")["batch"].as_array().unwrap().len()), (3, 3));
        // What comes after it was sent goes into another one.
        calls.add(|body| body.extend_from_slice(b"4"));
        assert_eq!(parts(&calls).iter().map(Part::len).collect::<Vec<_>>(), [3, 1]);
        assert_eq!(calls.call(3).get(), "4");
    }

    #[test]
    fn a_request_may_have_no_calls() {
        assert_eq!(sent(Part::default(), "k")["batch"], serde_json::json!([]));
    }

    #[test]
    fn neither_calls_nor_keys_are_logged() {
        let calls = calls([4]);
        sent(calls.batch(0).unwrap(), "secret");
        let shown = format!("{calls:?}");
        assert!(!shown.contains("secret") && !shown.contains("xx"), "{shown}");
    }
}
