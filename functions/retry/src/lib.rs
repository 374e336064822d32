//! Delivers what could not be delivered the first time, from the retry queue.
//!
//! Invariants: a message leaves the queue only when all it holds was delivered, rejected, or put on a queue
//! again. What fails again is sent anew with a growing delay and its first time; after
//! `PWSEG_RETRY_MAX_AGE_S` it goes to the dead-letter queue, fresh, so that the queue's retention begins
//! there; only a deletion is tried for ever. What came since decides what is still delivered: see [`pushwoosh::order`]. A process that
//! dies in between costs at most a repetition.
//!
//! # Layout
//! * `event`: what invokes the function.
//! * `process`: from a message to its outcome.
//! * `backoff`: when an item is tried again.

mod backoff;
mod event;
mod process;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use bytes::Bytes;
use futures::future::join_all;
use jiff::Timestamp;
use mapping::{Cause, Outcome, Parked, Work};
use platform::clock::{Clock, Instant};
use platform::ledger::Ledger;
use platform::message;
use platform::queues::Queues;
use platform::secrets::Secrets;
use platform::settings::Settings;
use platform::telemetry::ItemLine;
use platform::{Deadlines, Function, Invocation, Platform};

use crate::event::Received;
use crate::process::{Kept, Tried};

/// Kept before the invocation's deadline, for the answer.
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// The queues may still be used for this long after the upstreams' time is up.
const QUEUE_TIME: Duration = Duration::from_secs(3);

/// Calls that are under way may be answered for this long after the last was started: as long as Segment may
/// take for an answer.
const UPSTREAM_ANSWER_TIME: Duration = Duration::from_secs(5);

/// Longest time for the upstreams: other messages wait.
const MAX_UPSTREAM_TIME: Duration = Duration::from_secs(20);

/// The function's state, shared by all invocations of a process.
#[derive(Debug)]
pub struct Retry {
    settings: Arc<Settings>,
    secrets: Arc<Secrets>,
    pushwoosh: pushwoosh::delivery::Delivery,
    segment: segment::delivery::Delivery,
    queues: Arc<Queues>,
    ledger: Arc<Ledger>,
    clock: Clock,
}

impl Function for Retry {
    const NAME: &'static str = "retry";
    type Event = SqsEvent;
    type Response = SqsBatchResponse;
    type Error = Infallible;

    fn new(platform: Platform) -> Self {
        Self {
            pushwoosh: pushwoosh::delivery::Delivery::new(&platform),
            segment: segment::delivery::Delivery::new(&platform),
            settings: platform.settings,
            secrets: platform.secrets,
            queues: platform.queues,
            ledger: platform.ledger,
            clock: platform.clock,
        }
    }

    fn read(event: Bytes) -> serde_json::Result<SqsEvent> {
        serde_json::from_slice(&event)
    }

    fn deadlines(&self, now: Instant, left: Duration) -> Deadlines {
        let budget = left.saturating_sub(ANSWER_TIME).min(MAX_UPSTREAM_TIME + QUEUE_TIME);
        Deadlines::within(now, budget, QUEUE_TIME, UPSTREAM_ANSWER_TIME)
    }

    /// Works on the messages of one event at the same time, but on those of one person in the order in
    /// which they were accepted.
    async fn handle(
        &self,
        event: SqsEvent,
        invocation: &Invocation,
    ) -> Result<SqsBatchResponse, Infallible> {
        let messages: Vec<Received<'_>> = event.records.iter().map(Received::read).collect();
        let lines = lines(&messages).into_iter().map(|line| self.line(line, &messages, invocation));
        let tried = join_all(lines).await.into_iter().flatten();
        let ends = self.keep(tried.collect(), invocation).await;
        let mut response = SqsBatchResponse::default();
        let mut claims = Vec::new();
        for End { index, done, claim } in ends {
            let Some(message) = messages.get(index) else { continue };
            if done {
                claims.extend(claim);
            } else {
                let mut failure = BatchItemFailure::default();
                message.id.clone_into(&mut failure.item_identifier);
                response.batch_item_failures.push(failure);
            }
        }
        // Not before the queues have the rest. Should it fail, an item whose message SQS hands out once more
        // is worked on once more.
        let deadline = invocation.deadlines.end + ANSWER_TIME / 2;
        let told = claims.iter().map(async |(item, ended)| match ended {
            true => self.ledger.finish(item, deadline).await,
            false => self.ledger.release(item, deadline).await,
        });
        join_all(told).await;
        Ok(response)
    }
}

impl Retry {
    /// Works on messages one after another.
    async fn line(
        &self,
        line: Vec<(usize, Option<Parked>)>,
        messages: &[Received<'_>],
        invocation: &Invocation,
    ) -> Vec<(usize, Tried)> {
        let mut tried = Vec::with_capacity(line.len());
        for (index, parked) in line {
            let Some(message) = messages.get(index) else { continue };
            let one = match parked {
                Some(parked) => self.attempt(message, parked, invocation).await,
                None => process::reject_unreadable(message, invocation),
            };
            tried.push((index, one));
        }
        tried
    }

    /// Puts on the queues what the messages leave behind, and says of each message whether it is done.
    async fn keep(&self, mut tried: Vec<(usize, Tried)>, invocation: &Invocation) -> Vec<End> {
        let (mut places, mut messages) = (Vec::new(), Vec::new());
        for (place, (_, one)) in tried.iter_mut().enumerate() {
            for Kept { message, outcome } in one.kept.drain(..) {
                places.push((place, outcome));
                messages.push(message);
            }
        }
        let end = invocation.deadlines.end;
        self.pushwoosh.before_keeping(&messages, end).await;
        let kept = self.queues.keep(&messages, end).await;
        let not_taken = places.iter().zip(kept).filter(|(_, kept)| kept.is_err());
        let lost: BTreeSet<usize> = not_taken.map(|((place, _), _)| *place).collect();
        // Without its rest on a queue, all of a message comes again.
        let ended = |place: usize, outcome| {
            let is_lost = lost.contains(&place);
            if is_lost { Outcome::Parked(Cause::QueueUnavailable) } else { outcome }
        };
        for ((place, outcome), message) in places.into_iter().zip(&messages) {
            if let Some(outcome) = outcome {
                invocation.ended_message(ended(place, outcome), message);
            }
        }
        let ends = tried.into_iter().enumerate().map(|(place, (index, one))| {
            for (outcome, parked) in &one.ended {
                let outcome = ended(place, *outcome);
                if outcome == Outcome::Delivered && !one.not_saved.is_empty() {
                    let detail = one.not_saved.as_str();
                    let line = || ItemLine { detail, ..ItemLine::parked(parked, 0) };
                    invocation.delivered_in_part(line);
                } else {
                    invocation.ended_parked(outcome, parked);
                }
            }
            End { index, done: !one.stays && !lost.contains(&place), claim: one.claim }
        });
        ends.collect()
    }
}

/// How a message ended.
struct End {
    /// Its place among the messages.
    index: usize,
    /// It need not come again.
    done: bool,
    /// The item that was claimed, and whether it has ended.
    claim: Option<(String, bool)>,
}

/// The messages by the person that they are about, in the order in which they were accepted.
fn lines(messages: &[Received<'_>]) -> Vec<Vec<(usize, Option<Parked>)>> {
    /// Application and person.
    type Person = (String, String);
    let mut lines: BTreeMap<Person, Vec<(Timestamp, usize, Parked)>> = BTreeMap::new();
    let mut others = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let parked = message::decode::<Parked>(message.body);
        let person = parked.as_ref().and_then(|parked| match &parked.work {
            Work::Pushwoosh(plan) => plan.people().first().map(|person| (*person).to_owned()),
            Work::Segment(_) => None,
        });
        match (parked, person) {
            (Some(parked), Some(person)) => {
                let line = lines.entry((parked.application.clone(), person)).or_default();
                line.push((parked.first_seen, index, parked));
            }
            (parked, _) => others.push(vec![(index, parked)]),
        }
    }
    for line in lines.values_mut() {
        line.sort_by_key(|(accepted, ..)| *accepted);
    }
    let ordered = lines
        .into_values()
        .map(|line| line.into_iter().map(|(_, index, parked)| (index, Some(parked))).collect());
    ordered.chain(others).collect()
}
