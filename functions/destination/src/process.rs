//! From the items of a request to their outcomes: planned, sent, and where that fails parked or
//! rejected.
//!
//! Invariants: one [`ItemResult`] per item, in the order of the request; an item counts as parked or
//! rejected only once SQS has it. The items of one person are sent in their order; events, which carry their
//! own time, together.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use mapping::{
    Cause, Disposition, Item, ItemKind, Origin, Outcome, Parked, Plan, Planned, Reason, Refusal,
    Rules, Work,
};
use platform::Invocation;
use platform::clock;
use platform::ledger::LIVE_WAIT;
use platform::message::{Message, Reject};
use platform::telemetry::hashed;
use pushwoosh::delivery::PlanOutcome;
use pushwoosh::order;
use tokio::sync::Semaphore;

use crate::Destination;
use crate::caller::{Caller, Known};

/// How an item ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ItemResult {
    /// Its outcome.
    pub(crate) outcome: Outcome,
    /// What was wrong with it, where it could not be decoded.
    pub(crate) undecodable: Option<String>,
}

/// How an item ended, with what is still to be put on a queue for it.
struct Pending {
    result: ItemResult,
    messages: Vec<Message>,
}

impl From<Outcome> for Pending {
    fn from(outcome: Outcome) -> Self {
        Self { result: ItemResult { outcome, undecodable: None }, messages: Vec::new() }
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
        let delivered = if unsettled && items.len() > 1 {
            let deadline = end.min(self.clock.now() + LIVE_WAIT);
            self.ledger.delivered_before(code, body, deadline).await.unwrap_or_default()
        } else {
            BTreeSet::new()
        };
        // All are claimed before the first is sent: of two equal ones the first is sent.
        let claims: Vec<bool> = items.iter().map(|item| self.seen.claim(code, item)).collect();
        let mut pending: Vec<Option<Pending>> = claims
            .iter()
            .enumerate()
            .map(|(index, claimed)| match (delivered.contains(&index), claimed) {
                (true, _) => Some(Outcome::Delivered.into()),
                (_, false) => Some(Outcome::from(Reason::Duplicate).into()),
                _ => None,
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
        self.keep(code, &mut pending, invocation).await;
        let results: Vec<ItemResult> = pending.into_iter().map(|pending| pending.result).collect();
        for ((item, claimed), result) in items.iter().zip(&claims).zip(&results) {
            invocation.tally.item(result.outcome);
            // An item that was not sent may be sent again once it is corrected.
            let sent = matches!(result.outcome, Outcome::Delivered | Outcome::Parked(_));
            if *claimed && !sent {
                self.seen.release(code, item);
            }
            if let (ItemKind::Deletion, Outcome::Parked(cause)) = (kind, result.outcome) {
                report_parked_deletion(code, item, cause);
            }
        }
        if items.len() > 1 && results.iter().any(|result| result.outcome.is_failed()) {
            let done = results.iter().enumerate();
            let done = done.filter(|(_, result)| !result.outcome.is_failed());
            let done: BTreeSet<usize> = done.map(|(index, _)| index).collect();
            // Best effort: without the ledger, what was delivered is sent again with the request.
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
            Err(refusal) => return (index, refused(item, rules, &refusal)),
        };
        for refusal in refusals {
            let (code, reason) = (rules.application, refusal.reason.code());
            tracing::warn!(app.code = code, reason, detail = %refusal.message, "one of an event's mappings gave nothing");
        }
        let accepted = accepted(request.invocation, index);
        let pending = match work {
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
        let PlanOutcome { unsent, refused } = match delivered.await {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::error!(app.code = code, error = %error, "an item could not be sent");
                return Outcome::Failed(Cause::SettingsUnavailable).into();
            }
        };
        let mut pending = Pending::from(Outcome::Delivered);
        if let Some(answer) = refused.first() {
            let reason = Reason::RefusedByPushwoosh;
            tracing::warn!(
                app.code = code,
                reason = reason.code(),
                error = answer,
                "Pushwoosh refused a call"
            );
            pending.result.outcome = Outcome::Rejected(reason);
            let reject = Reject::new(*item, reason, answer, accepted);
            pending.messages.push(Message::Reject(reject));
        }
        if let Some(unsent) = unsent {
            let delay = unsent.why.after.unwrap_or_default().max(self.settings.retry_first_delay);
            let (work, cause) = (Work::Pushwoosh(unsent.plan), unsent.why.cause);
            pending.result.outcome = Outcome::Parked(cause);
            let parked = Parked::new(code, work, cause, accepted);
            let parked = parked.known_as(item.origin.to_string());
            pending.messages.push(Message::Park(parked, delay));
        }
        pending
    }

    fn parked(
        &self,
        item: &Item<'_>,
        rules: &Rules<'_>,
        work: Work,
        (cause, accepted): (Cause, Timestamp),
    ) -> Pending {
        let parked = Parked::new(rules.application, work, cause, accepted);
        let parked = parked.known_as(item.origin.to_string());
        let message = Message::Park(parked, self.settings.retry_first_delay);
        Pending { messages: vec![message], ..Outcome::Parked(cause).into() }
    }

    /// Puts on the queues what belongs there; what they do not take has failed.
    async fn keep(&self, code: &str, pending: &mut [Pending], invocation: &Invocation) {
        let (mut places, mut messages) = (Vec::new(), Vec::new());
        for (index, one) in pending.iter_mut().enumerate() {
            places.extend(std::iter::repeat_n(index, one.messages.len()));
            messages.append(&mut one.messages);
        }
        let end = invocation.deadlines.end;
        let soon = end.min(self.clock.now() + LIVE_WAIT);
        self.delivery.before_keeping(&messages, soon).await;
        // The rest is for the ledger, should the request fail.
        let kept = self.queues.keep(&messages, end.before(LIVE_WAIT)).await;
        for ((index, message), result) in places.into_iter().zip(&messages).zip(kept) {
            if let (Err(error), Some(one)) = (result, pending.get_mut(index)) {
                self.delivery.was_not_kept(message, end).await;
                tracing::error!(app.code = code, error = %error, "an item could be neither delivered nor kept");
                one.result.outcome = Outcome::Failed(error.into());
            }
        }
    }
}

/// An item with its place in the request, and what is to be sent for it where that is known.
type Prepared<'i> = (usize, &'i Item<'i>, Option<Result<Planned, Refusal>>);

/// The items by the person that they are about, each in the order of the request. Only raw events have an
/// order among each other: the other bodies hold events, or a single item.
fn lines(kind: ItemKind, items: &[Item<'_>], left: &[usize]) -> Vec<Vec<usize>> {
    if kind != ItemKind::RawEvent || items.len() == 1 {
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
fn refused(item: &Item<'_>, rules: &Rules<'_>, refusal: &Refusal) -> Pending {
    let user = mapping::identity_of(item.bytes).map(|id| hashed(&id));
    tracing::info!(
        app.code = rules.application,
        user.hash = user,
        reason = refusal.reason.code(),
        detail = %refusal.message,
        "an item was not delivered"
    );
    let mut pending = Pending::from(Outcome::from(refusal.reason));
    if refusal.reason.disposition() == Disposition::Reject {
        let reject = Reject::new(*item, refusal.reason, refusal.message.as_ref(), rules.now);
        pending.messages.push(Message::Reject(reject));
        pending.result.undecodable = Some(refusal.message.to_string());
    }
    pending
}

/// Logs a parked deletion, so that its state can be looked up while Pushwoosh is down.
fn report_parked_deletion(code: &str, item: &Item<'_>, cause: Cause) {
    tracing::info!(
        app.code = code,
        user.hash = mapping::identity_of(item.bytes).map(|id| hashed(&id)),
        cause = %cause,
        "deletion parked until Pushwoosh takes it"
    );
}
