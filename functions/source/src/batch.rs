//! One batch, from records to outcomes.
//!
//! Invariants: the applications of a batch are served at the same time, so that a slow one delays
//! no other; a record counts as parked or rejected only once SQS has it.

use std::time::Duration;

use futures::future::join_all;
use mapping::{Outcome, Reason};
use platform::message::{MAX_BYTES, Parked, Reject, Work};
use platform::telemetry::Tally;
use segment::delivery::Fate;
use tokio::time::Instant;

use crate::Source;
use crate::msk::{Event, ItemIdentifier};
use crate::sort::{Group, Item, Sorted};

/// Track calls of one parked message stay below this, so that it needs no compression.
const PARKED_BYTES: usize = MAX_BYTES - 16 * 1024;

/// Something for a queue, and the records it stands for.
pub(crate) struct Kept<T> {
    pub(crate) message: T,
    pub(crate) outcome: Outcome,
    pub(crate) places: Vec<ItemIdentifier>,
}

/// What the records of one application left over.
#[derive(Default)]
struct Leftover {
    park: Vec<Kept<(Parked, Duration)>>,
    reject: Vec<Kept<Reject>>,
}

/// Works on an event and returns the places of the records that have to come again.
pub(crate) async fn process(
    source: &Source,
    event: Event,
    upstream_end: Instant,
    end: Instant,
    tally: &Tally,
) -> Vec<ItemIdentifier> {
    let Sorted { groups, mut rejects } = Sorted::sort(source, event, tally).await;
    let leftovers =
        groups.into_iter().map(|(code, group)| send(source, code, group, upstream_end, tally));
    let mut park = Vec::new();
    for leftover in join_all(leftovers).await {
        park.extend(leftover.park);
        rejects.extend(leftover.reject);
    }
    let (parked, parked_for) = split(park);
    let (rejected, rejected_for) = split(rejects);
    let (parked, rejected) =
        futures::join!(source.queues.park(&parked, end), source.queues.reject(&rejected, end));
    let mut failed = Vec::new();
    let results = parked_for.into_iter().zip(parked).chain(rejected_for.into_iter().zip(rejected));
    for ((outcome, places), result) in results {
        let outcome = match result {
            Ok(()) => outcome,
            Err(error) => {
                tracing::error!(error = %error, records = places.len(), "records could be neither delivered nor kept");
                Outcome::Failed
            }
        };
        tally.items(outcome, u64::try_from(places.len()).unwrap_or(u64::MAX));
        if outcome == Outcome::Failed {
            failed.extend(places);
        }
    }
    failed.sort();
    failed
}

fn split<T>(kept: Vec<Kept<T>>) -> (Vec<T>, Vec<(Outcome, Vec<ItemIdentifier>)>) {
    kept.into_iter().map(|Kept { message, outcome, places }| (message, (outcome, places))).unzip()
}

/// Sends the records of one application.
async fn send(
    source: &Source,
    code: String,
    group: Group,
    until: Instant,
    tally: &Tally,
) -> Leftover {
    let Group { account, items } = group;
    let (places, calls): (Vec<_>, Vec<_>) =
        items.into_iter().map(|Item { place, call }| (place, call)).unzip();
    let fates = if let Some(account) = &account {
        source.delivery.deliver(&code, account, calls.clone(), 0, until, tally).await
    } else {
        let fate = Fate::Undelivered { cause: "settings_unavailable".to_owned(), after: None };
        vec![fate; calls.len()]
    };
    let mut leftover = Leftover::default();
    let mut bundle: Option<Bundle> = None;
    for ((place, call), fate) in places.into_iter().zip(calls).zip(fates) {
        match fate {
            Fate::Delivered => tally.item(Outcome::Delivered),
            Fate::Refused { message, too_large } => {
                let reason = if too_large { Reason::TooLarge } else { Reason::RefusedBySegment };
                tracing::warn!(
                    app.code = code,
                    reason = reason.code(),
                    error = message,
                    "Segment does not take a call"
                );
                let work = Work::Segment(vec![call]);
                let message = Reject::of_work(&code, work, place.to_string(), reason, message);
                leftover.reject.push(Kept {
                    message,
                    outcome: Outcome::Rejected(reason),
                    places: vec![place],
                });
            }
            Fate::Undelivered { cause, after } => {
                let full = bundle.take_if(|bundle| bundle.bytes + call.get().len() > PARKED_BYTES);
                leftover.park.extend(full.map(|bundle| bundle.kept(&code)));
                let delay = after.unwrap_or_default().max(source.settings.retry_first_delay);
                let bundle = bundle.get_or_insert_with(|| Bundle { cause, ..Bundle::default() });
                bundle.delay = bundle.delay.max(delay);
                bundle.bytes += call.get().len() + 1;
                bundle.calls.push(call);
                bundle.places.push(place);
            }
        }
    }
    leftover.park.extend(bundle.map(|bundle| bundle.kept(&code)));
    leftover
}

/// Calls that are parked together.
#[derive(Default)]
struct Bundle {
    cause: String,
    delay: Duration,
    bytes: usize,
    calls: Vec<Box<serde_json::value::RawValue>>,
    places: Vec<ItemIdentifier>,
}

impl Bundle {
    fn kept(self, code: &str) -> Kept<(Parked, Duration)> {
        let parked = Parked::new(code, Work::Segment(self.calls), self.cause);
        Kept { message: (parked, self.delay), outcome: Outcome::Parked, places: self.places }
    }
}
