//! From the items of a request to their outcomes: planned, sent, and where that fails parked or
//! rejected.
//!
//! Invariants: one [`ItemResult`] per item, in the order of the request; an item counts as parked or
//! rejected only once SQS has it. The items of one person are sent in their order; events, which carry their
//! own time, together.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use mapping::{
    About, Cause, Disposition, Item, ItemKind, Origin, Outcome, Parked, Plan, Planned, Reason,
    Refusal, Rules, Work,
};
use platform::clock;
use platform::gate::Undelivered;
use platform::ledger::LIVE_WAIT;
use platform::message::{Message, Reject};
use platform::telemetry::ItemLine;
use platform::{Deadlines, Invocation};
use pushwoosh::delivery::{PlanOutcome, Refused, Unsent};
use pushwoosh::order;
use tokio::sync::Semaphore;

use crate::Destination;
use crate::caller::{Caller, Known};
use crate::result::ItemResult;

/// How an item ended, with what is put on a queue for it.
struct Pending {
    result: ItemResult,
    messages: Vec<Message>,
    /// What is wrong with it, for the log.
    detail: Cow<'static, str>,
    /// Why a part of it was not delivered.
    missing: Option<Reason>,
}

impl From<Outcome> for Pending {
    fn from(outcome: Outcome) -> Self {
        Self {
            result: ItemResult { outcome, undecodable: None },
            messages: Vec::new(),
            detail: Cow::Borrowed(""),
            missing: None,
        }
    }
}

impl Pending {
    /// Counts and logs how the item ended.
    fn report(&self, item: &Item<'_>, invocation: &Invocation) {
        let Self { result: ItemResult { outcome, .. }, messages, detail, missing } = self;
        let line = || ItemLine { detail, missing: *missing, ..ItemLine::item(item) };
        match (messages.last(), outcome) {
            // The message says more: what was tried, and what Pushwoosh answered.
            (Some(message), _) => invocation.ended_message(*outcome, message),
            (None, Outcome::Delivered) if !detail.is_empty() => invocation.delivered_in_part(line),
            (None, _) => invocation.ended(*outcome, line),
        }
    }
}

/// What the items of a request have in common.
struct Request<'a> {
    rules: Rules<'a>,
    known: Known,
    invocation: &'a Invocation,
    /// Something of the application may be waiting.
    unsettled: bool,
    /// How many are sent at the same time.
    slots: Semaphore,
}

impl Request<'_> {
    /// What is to be sent for an item. A deletion that may be anybody's is not taken.
    fn plan(&self, index: usize, item: &Item<'_>) -> Result<Planned, Refusal> {
        let planned = item.plan(&self.rules)?;
        let is_known = self.known == Known::All || index == 0;
        if is_known || !deletes(&planned) {
            return Ok(planned);
        }
        Err(Reason::UnsignedDeletion.into())
    }
}

fn deletes(planned: &Planned) -> bool {
    matches!(&planned.work, Work::Pushwoosh(plan) if plan.deletes().is_some())
}

/// What keeps the later items of a person from being sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    Nothing,
    /// Something other than an event was parked: events, which have their own time, go on.
    Ordered,
    /// A deletion was parked: everything waits behind it.
    All,
}

impl Destination {
    /// Works on the items of a request, of which `body` is the whole body.
    pub(crate) async fn process(
        &self,
        caller: &Caller,
        kind: ItemKind,
        (body, items): (&[u8], &[&[u8]]),
        invocation: &Invocation,
    ) -> Vec<ItemResult> {
        let Caller { application, known } = caller;
        let code = application.code.as_str();
        let items: Vec<Item<'_>> = items
            .iter()
            .enumerate()
            .map(|(index, bytes)| {
                let origin = Origin::Request(&invocation.id, index);
                Item { kind, application: Some(code), origin, bytes }
            })
            .collect();
        let end = invocation.deadlines.end;
        let unsettled = !items.is_empty() && self.ledger.is_unsettled(code, end).await;
        let settled = if unsettled && items.len() > 1 {
            let deadline = end.min(self.clock.now() + LIVE_WAIT);
            // Where it is not told in time, all of the request is sent.
            self.ledger.take_settled(code, body, deadline).await.unwrap_or_default()
        } else {
            BTreeSet::new()
        };
        // All are claimed before the first is sent: of two equal ones the first is sent.
        let claims: Vec<bool> = items.iter().map(|item| self.seen.claim(code, item)).collect();
        let mut pending: Vec<Option<Pending>> = claims
            .iter()
            .enumerate()
            .map(|(index, claimed)| {
                let is_repeated = settled.contains(&index) || !claimed;
                is_repeated.then(|| Outcome::from(Reason::Duplicate).into())
            })
            .collect();
        let left: Vec<usize> = (0..items.len())
            .filter(|index| pending.get(*index).is_some_and(Option::is_none))
            .collect();
        let request = Request {
            rules: application.rules(&[], invocation.received),
            known: *known,
            invocation,
            unsettled,
            slots: Semaphore::new(self.settings.concurrency),
        };
        let lines = lines(kind, &items, &left);
        let lines = lines.into_iter().map(|line| self.line(line, &items, &request));
        for (index, ended) in join_all(lines).await.into_iter().flatten() {
            if let Some(slot) = pending.get_mut(index) {
                *slot = Some(ended);
            }
        }
        let mut pending: Vec<Pending> = pending.into_iter().flatten().collect();
        self.keep(&mut pending, invocation).await;
        for (index, ((item, claimed), one)) in items.iter().zip(&claims).zip(&pending).enumerate() {
            one.report(item, invocation);
            // An item that was not sent may be sent again once it is corrected.
            let sent = matches!(one.result.outcome, Outcome::Delivered | Outcome::Parked(_));
            if *claimed && !sent && !settled.contains(&index) {
                self.seen.release(code, item);
            }
        }
        let results: Vec<ItemResult> = pending.into_iter().map(|pending| pending.result).collect();
        if items.len() > 1 && results.iter().any(|result| result.outcome.is_failed()) {
            let done = results.iter().enumerate();
            let done = done.filter(|(_, result)| !result.outcome.is_failed());
            let done: BTreeSet<usize> = done.map(|(index, _)| index).collect();
            // Best effort: without the ledger, what need not be sent again is sent again with the request.
            self.ledger.unsettle(code, end).await.ok();
            self.ledger.request_failed(code, body, &done, end).await.ok();
        }
        results
    }

    /// Works on the items of one person, in their order.
    async fn line<'i>(
        &self,
        indexes: Vec<usize>,
        items: &'i [Item<'i>],
        request: &Request<'_>,
    ) -> Vec<(usize, Pending)> {
        if let [index] = indexes.as_slice()
            && let Some(item) = items.get(*index)
        {
            // Planned when its turn comes, so that a large request does not lie in memory twice.
            return vec![self.one((*index, item, None), Block::Nothing, request).await];
        }
        let (mut ended, mut block) = (Vec::with_capacity(indexes.len()), Block::Nothing);
        // Events that are sent together, until something comes that has an order.
        let mut together = Vec::new();
        for index in indexes {
            let Some(item) = items.get(index) else { continue };
            // Several plans of one person are held until it is known what has an order.
            let planned = request.plan(index, item);
            let is_ordered = |planned: &Planned| match &planned.work {
                Work::Pushwoosh(plan) => order::is_ordered(plan),
                Work::Segment(_) => false,
            };
            if !planned.as_ref().is_ok_and(is_ordered) {
                together.push((index, item, Some(planned)));
                continue;
            }
            ended.extend(self.together(std::mem::take(&mut together), block, request).await);
            let deletes = planned.as_ref().is_ok_and(deletes);
            let result = self.one((index, item, Some(planned)), block, request).await;
            if matches!(result.1.result.outcome, Outcome::Parked(_)) && block != Block::All {
                block = if deletes { Block::All } else { Block::Ordered };
            }
            ended.push(result);
        }
        ended.extend(self.together(together, block, request).await);
        ended
    }

    async fn together(
        &self,
        items: Vec<Prepared<'_>>,
        block: Block,
        request: &Request<'_>,
    ) -> Vec<(usize, Pending)> {
        join_all(items.into_iter().map(|item| self.one(item, block, request))).await
    }

    /// Sends one item.
    async fn one(
        &self,
        (index, item, planned): Prepared<'_>,
        block: Block,
        request: &Request<'_>,
    ) -> (usize, Pending) {
        // The semaphore is never closed.
        let _slot = request.slots.acquire().await.ok();
        let rules = &request.rules;
        let Planned { work, refusals } = match planned.unwrap_or_else(|| request.plan(index, item))
        {
            Ok(planned) => planned,
            Err(refusal) => return (index, refused(item, rules, refusal)),
        };
        let accepted = accepted(request.invocation, index);
        let mut pending = match work {
            Work::Pushwoosh(plan) => {
                let blocked = match block {
                    Block::Nothing => false,
                    Block::Ordered => order::is_ordered(&plan),
                    Block::All => true,
                };
                if blocked {
                    let work = Work::Pushwoosh(plan);
                    self.parked(item, rules, work, (Cause::BehindAnother, accepted))
                } else {
                    self.send(item, plan, accepted, request).await
                }
            }
            // No request holds records. Were one to, `retry` would deliver them.
            work @ Work::Segment(_) => {
                self.parked(item, rules, work, (Cause::TimeBudget, accepted))
            }
        };
        if let Some(refusal) = refusals.into_iter().next() {
            // One of the event's mappings gave nothing.
            (pending.missing, pending.detail) = (Some(refusal.reason), refusal.message);
        }
        (index, pending)
    }

    async fn send(
        &self,
        item: &Item<'_>,
        plan: Plan,
        accepted: Timestamp,
        request: &Request<'_>,
    ) -> Pending {
        let Request { rules, invocation, unsettled, .. } = request;
        let code = rules.application;
        // The settings were there a moment ago: the caller was checked against them.
        let delivered = self.delivery.deliver_fresh(code, plan, accepted, *unsettled, invocation);
        let outcome = match delivered.await {
            Ok(outcome) => outcome,
            Err(error) => {
                let detail = Cow::Owned(error.to_string());
                let failed = Outcome::Failed(Cause::SettingsUnavailable);
                return Pending { detail, ..failed.into() };
            }
        };
        let mut pending = Pending::from(Outcome::Delivered);
        pending.detail = Cow::Owned(outcome.not_saved());
        let PlanOutcome { unsent, refused, .. } = outcome;
        if let Some(Refused { message, answer }) = refused.first() {
            let reason = Reason::RefusedByPushwoosh;
            pending.result.outcome = Outcome::Rejected(reason);
            let reject = Reject::new(*item, reason, message, accepted).answered(answer).tried(1);
            pending.messages.push(Message::Reject(reject));
        }
        if let Some(Unsent { plan, why }) = unsent {
            pending.result.outcome = Outcome::Parked(why.cause);
            let message = self.park(item, rules, Work::Pushwoosh(plan), (why, accepted));
            pending.messages.push(message);
        }
        pending
    }

    /// The message of an item that waits.
    fn park(
        &self,
        item: &Item<'_>,
        rules: &Rules<'_>,
        work: Work,
        (why, accepted): (Undelivered, Timestamp),
    ) -> Message {
        let parked = Parked::new(rules.application, work, why.cause, accepted);
        let message_id = match item.kind {
            ItemKind::RawEvent => About::item(item.kind, item.bytes).message_id,
            _ => None,
        };
        let (status, words) = (why.status(), why.words().to_owned());
        let parked = Parked { kind: Some(item.kind), message_id, status, words, ..parked };
        let delay = why.after.unwrap_or_default().max(self.settings.retry_first_delay);
        Message::Park(parked.known_as(item.origin.to_string()), delay)
    }

    fn parked(
        &self,
        item: &Item<'_>,
        rules: &Rules<'_>,
        work: Work,
        (cause, accepted): (Cause, Timestamp),
    ) -> Pending {
        let message = self.park(item, rules, work, (cause.into(), accepted));
        Pending { messages: vec![message], ..Outcome::Parked(cause).into() }
    }

    /// Puts on the queues what belongs there; what they do not take has failed.
    async fn keep(&self, pending: &mut [Pending], invocation: &Invocation) {
        let (mut places, mut messages) = (Vec::new(), Vec::new());
        for (index, one) in pending.iter_mut().enumerate() {
            places.extend(std::iter::repeat_n(index, one.messages.len()));
            messages.append(&mut one.messages);
        }
        let Deadlines { answer, end, .. } = invocation.deadlines;
        // The time for parking is the ledger's, the queues', and the ledger's again, should the request fail. Where
        // it is short, each has a third of it.
        let share = LIVE_WAIT.min(end.since(answer) / 3);
        let soon = (self.clock.now() + LIVE_WAIT).min(end.before(2 * share));
        self.delivery.before_keeping(&messages, soon).await;
        let kept = self.queues.keep(&messages, end.before(share)).await;
        for ((index, message), result) in places.into_iter().zip(messages).zip(kept) {
            let Some(one) = pending.get_mut(index) else { continue };
            if let Err(error) = result {
                self.delivery.was_not_kept(&message, end).await;
                one.result.outcome = Outcome::Failed(error.into());
            }
            one.messages.push(message);
        }
    }
}

/// An item with its place in the request, and what is to be sent for it where that is known.
type Prepared<'i> = (usize, &'i Item<'i>, Option<Result<Planned, Refusal>>);

/// The items by the person that they are about, each in the order of the request. Only raw events have an
/// order among each other: the other bodies hold events, or a single item.
fn lines(kind: ItemKind, items: &[Item<'_>], left: &[usize]) -> Vec<Vec<usize>> {
    if kind != ItemKind::RawEvent {
        return left.iter().map(|index| vec![*index]).collect();
    }
    let mut lines: Vec<Vec<usize>> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for index in left {
        let person = items.get(*index).and_then(|item| mapping::identity_of(item.bytes));
        let line = match person {
            Some(person) => *known.entry(person).or_insert(lines.len()),
            None => lines.len(),
        };
        match lines.get_mut(line) {
            Some(line) => line.push(*index),
            None => lines.push(vec![*index]),
        }
    }
    lines
}

/// When an item was accepted: in the order of the request, as precisely as the ledger keeps times.
fn accepted(invocation: &Invocation, index: usize) -> Timestamp {
    let place = Duration::from_micros(u64::try_from(index).unwrap_or(u64::MAX));
    clock::after(invocation.received, place)
}

/// An item that has no plan.
fn refused(item: &Item<'_>, rules: &Rules<'_>, refusal: Refusal) -> Pending {
    let mut pending = Pending::from(Outcome::from(refusal.reason));
    if refusal.reason.disposition() == Disposition::Reject {
        let reject = Reject::new(*item, refusal.reason, refusal.message.as_ref(), rules.now);
        pending.messages.push(Message::Reject(reject));
        pending.result.undecodable = Some(refusal.message.to_string());
    }
    pending.detail = refusal.message;
    pending
}
