//! From the records of an event to their outcomes: classified, sent, and where that fails parked or
//! rejected.
//!
//! Invariants: the applications of an event are served at the same time, [`APPLICATIONS`] of them, so that a slow
//! one delays no other; a record counts as parked or rejected only once SQS has it.

use std::borrow::Cow;
use std::time::Duration;

use futures::StreamExt as _;
use mapping::{About, Cause, Item, ItemKind, Origin, Outcome, Parked, Reason, Work};
use platform::Invocation;
use platform::gate::Undelivered;
use platform::message::{MAX_BYTES, Message, Reject};
use platform::telemetry::ItemLine;
use segment::delivery::TrackOutcome;
use serde_json::value::RawValue;

use crate::Source;
use crate::classify::{Classified, classify, item};
use crate::event::{Batch, ItemIdentifier};
use crate::group::Group;
use crate::kept::Kept;

/// Room in a message for what surrounds the calls: application, cause, times.
const ENVELOPE_BYTES: usize = 16_384;

/// Track calls of one parked message have no more bytes, so that it needs no compression.
const PARKED_BYTES: usize = MAX_BYTES - ENVELOPE_BYTES;

/// Applications that are served at the same time. Each has as many connections as `PWSEG_SEGMENT_CONCURRENCY` says, and
/// an environment has 1,024 file descriptors.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const APPLICATIONS: usize = 128;

/// Works on an event and returns the places of the records that Lambda must resend.
pub(crate) async fn process(
    source: &Source,
    batch: &Batch,
    invocation: &Invocation,
) -> Vec<ItemIdentifier> {
    let Classified { groups, rejects } = classify(source, batch, invocation).await;
    let sent = groups.into_iter().map(|(code, group)| send(source, batch, code, group, invocation));
    let sent = futures::stream::iter(sent).buffer_unordered(APPLICATIONS);
    let left = sent.collect::<Vec<_>>().await.into_iter().flatten();
    let (messages, ends): (Vec<_>, Vec<_>) = rejects
        .into_iter()
        .chain(left)
        .map(|Kept { message, outcome, places }| (message, (outcome, places)))
        .unzip();
    let kept = source.queues.keep(&messages, invocation.deadlines.end).await;
    let mut failed = Vec::new();
    for (((outcome, places), message), result) in ends.into_iter().zip(&messages).zip(kept) {
        let outcome = result.map_or_else(|error| Outcome::Failed(error.into()), |()| outcome);
        invocation.ended_message(outcome, message);
        if outcome.is_failed() {
            failed.extend(places);
        }
    }
    failed.sort();
    failed
}

/// Sends the records of one application. Those that Segment did not take are returned.
async fn send(
    source: &Source,
    batch: &Batch,
    code: String,
    group: Group,
    invocation: &Invocation,
) -> Vec<Kept> {
    let outcomes = if let Some(account) = &group.account {
        source.delivery.deliver(&code, account, &group.calls, 0, invocation).await
    } else {
        vec![TrackOutcome::Undelivered(Cause::SettingsUnavailable.into()); group.calls.number()]
    };
    let place = |index| {
        group.record(index).and_then(|record| batch.get(record)).unwrap_or_default().place()
    };
    let mut delivered = Vec::new();
    let (mut kept, mut bundle) = (Vec::new(), Bundle::default());
    for (index, outcome) in outcomes.into_iter().enumerate() {
        if outcome == TrackOutcome::Delivered {
            delivered.push(index);
            continue;
        }
        let (place, call) = (place(index), group.calls.call(index));
        match outcome {
            TrackOutcome::Delivered => {}
            TrackOutcome::Refused { message, answer, too_large } => {
                let now = invocation.received;
                let (reason, reject) = if too_large {
                    // The record itself: it is what somebody shortens, and finds again by its hash.
                    let record = group.record(index).and_then(|record| batch.get(record));
                    let item =
                        Item { application: Some(&code), ..item(record.unwrap_or_default()) };
                    (Reason::TooLarge, Reject::new(item, Reason::TooLarge, message, now))
                } else {
                    let parked = Parked::new(&code, Work::Segment(vec![call]), Cause::Refused, now);
                    let parked = Parked { origins: vec![origin(&place)], ..parked };
                    let reason = Reason::RefusedBySegment;
                    (reason, Reject::of_work(parked, reason, message))
                };
                let message = Message::Reject(reject.answered(&answer));
                let outcome = reason.into();
                kept.push(Kept { message, outcome, places: vec![place] });
            }
            TrackOutcome::Undelivered(why) => {
                if !bundle.has_room_for(&place, &call) {
                    kept.extend(std::mem::take(&mut bundle).kept(&code, source, invocation));
                }
                bundle.add(place, call, why);
            }
        }
    }
    kept.extend(bundle.kept(&code, source, invocation));
    invocation.all_ended(Outcome::Delivered, delivered.len(), |number| {
        let index = delivered.get(number).copied().unwrap_or_default();
        ItemLine {
            kind: Some(ItemKind::Record),
            application: Some(Cow::Borrowed(&code)),
            origin: origin(&place(index)),
            about: About::track(&group.calls.call(index)),
            ..ItemLine::default()
        }
    });
    kept
}

/// Where a record came from, for people.
fn origin(place: &ItemIdentifier) -> String {
    Origin::Record(&place.partition, place.offset).to_string()
}

/// What a call and its origin take in a message, with quotes and commas.
fn size(place: &ItemIdentifier, call: &RawValue) -> usize {
    // Partition, dash, and as many digits as an offset may have.
    call.get().len() + place.partition.len() + 25
}

/// Calls that are parked together, with the first cause and the longest time that Segment named.
#[derive(Default)]
struct Bundle {
    why: Option<Undelivered>,
    bytes: usize,
    calls: Vec<Box<RawValue>>,
    places: Vec<ItemIdentifier>,
}

impl Bundle {
    /// Whether the message stays within the limit with another call and its comma.
    fn has_room_for(&self, place: &ItemIdentifier, call: &RawValue) -> bool {
        self.calls.is_empty() || self.bytes + size(place, call) <= PARKED_BYTES
    }

    fn add(&mut self, place: ItemIdentifier, call: Box<RawValue>, why: Undelivered) {
        let after = why.after;
        let first = self.why.get_or_insert(why);
        first.after = first.after.max(after);
        self.bytes += size(&place, &call);
        self.calls.push(call);
        self.places.push(place);
    }

    fn kept(self, code: &str, source: &Source, invocation: &Invocation) -> Option<Kept> {
        let why = self.why?;
        let delay: Duration = why.after.unwrap_or_default().max(source.settings.retry_first_delay);
        let parked = Parked::new(code, Work::Segment(self.calls), why.cause, invocation.received);
        let origins = self.places.iter().map(origin).collect();
        let (status, words) = (why.status(), why.words().to_owned());
        Some(Kept {
            message: Message::Park(Parked { origins, status, words, ..parked }, delay),
            outcome: Outcome::Parked(why.cause),
            places: self.places,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call of this many bytes.
    fn call(bytes: usize) -> Box<RawValue> {
        RawValue::from_string(format!("\"{}\"", "x".repeat(bytes - 2))).unwrap()
    }

    fn place() -> ItemIdentifier {
        ItemIdentifier { partition: "t-0".into(), offset: i64::MAX }
    }

    fn bundle(sizes: &[usize]) -> Bundle {
        let mut bundle = Bundle::default();
        for size in sizes {
            bundle.add(place(), call(*size), Cause::Timeout.into());
        }
        bundle
    }

    #[test]
    fn a_bundle_is_full_at_the_limit_with_the_origin_of_each_call() {
        let has_room = |sizes: &[usize], next| bundle(sizes).has_room_for(&place(), &call(next));
        // In a message: the call and its comma, the origin with its quotes and its comma.
        let around = 1 + origin(&place()).len() + 3;
        assert!((10 + around..2 * (10 + around)).contains(&size(&place(), &call(10))));
        let (one, two) = (10_000, 20_000);
        let left = PARKED_BYTES - (one + two) - 3 * (size(&place(), &call(10)) - 10);
        assert!(has_room(&[one, two], left));
        assert!(!has_room(&[one, two], left + 1));
        assert!(has_room(&[], 2 * PARKED_BYTES), "a call is never left out");
    }

    #[test]
    fn the_first_cause_and_the_longest_named_time_are_kept() {
        let mut bundle = bundle(&[2]);
        let minute = Some(Duration::from_mins(1));
        for after in [minute, Some(Duration::from_secs(1)), None] {
            let why = Undelivered { cause: Cause::Http(429), after, answer: None };
            bundle.add(place(), call(2), why);
        }
        let expected = Undelivered { cause: Cause::Timeout, after: minute, answer: None };
        assert_eq!(bundle.why, Some(expected));
    }
}
