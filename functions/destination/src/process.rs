//! From the items of a request to their outcomes: planned, sent, and where that fails parked or
//! rejected.
//!
//! Invariants: one [`ItemResult`] per item, in the order of the request; an item counts as parked or
//! rejected only once SQS has it.

use futures::StreamExt;
use mapping::{
    Cause, Disposition, Item, ItemKind, Origin, Outcome, Parked, Plan, Planned, Reason, Refusal,
    Rules, Work,
};
use platform::message::{Message, Reject};
use platform::telemetry::hashed;
use platform::{Application, Invocation};
use pushwoosh::delivery::PlanOutcome;

use crate::Destination;

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

impl Destination {
    /// Works on the items of a request. Plans are made one by one as they are sent, so that a large
    /// batch does not lie in memory twice.
    pub(crate) async fn process(
        &self,
        application: &Application,
        kind: ItemKind,
        items: &[&[u8]],
        invocation: &Invocation,
    ) -> Vec<ItemResult> {
        let code = application.code.as_str();
        let rules = &application.rules(&[], invocation.received);
        let items: Vec<Item<'_>> = items
            .iter()
            .enumerate()
            .map(|(index, bytes)| {
                let origin = Origin::Request(&invocation.id, index);
                Item { kind, application: Some(code), origin, bytes }
            })
            .collect();
        // All are claimed before the first is sent: of two equal ones the first is sent.
        let claims: Vec<bool> = items.iter().map(|item| self.seen.claim(code, item)).collect();
        let (items, claims) = (&items, &claims);
        // By index: a closure over references would not be general enough for the compiler.
        let mut pending: Vec<Pending> = futures::stream::iter(0..items.len())
            .map(|index| async move {
                match (items.get(index), claims.get(index)) {
                    (Some(item), Some(true)) => self.one(item, rules, invocation).await,
                    _ => Outcome::from(Reason::Duplicate).into(),
                }
            })
            .buffered(self.settings.concurrency)
            .collect()
            .await;
        self.keep(&mut pending, invocation).await;
        let results: Vec<ItemResult> = pending.into_iter().map(|pending| pending.result).collect();
        for ((item, claimed), result) in items.iter().zip(claims).zip(&results) {
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
        if results.iter().any(|result| result.outcome.is_failed()) {
            let outcomes = results.iter().map(|result| result.outcome);
            self.recent.remember(code, items.iter().map(|item| item.bytes).zip(outcomes));
        }
        results
    }

    /// Plans and sends one item.
    async fn one(&self, item: &Item<'_>, rules: &Rules<'_>, invocation: &Invocation) -> Pending {
        if self.recent.take(rules.application, item.bytes) {
            return Outcome::Delivered.into();
        }
        match item.plan(rules) {
            Ok(Planned { work, refusals }) => {
                for refusal in refusals {
                    let (code, reason) = (rules.application, refusal.reason.code());
                    tracing::warn!(app.code = code, reason, detail = %refusal.message, "one of an event's mappings gave nothing");
                }
                match work {
                    Work::Pushwoosh(plan) => self.send(item, rules, plan, invocation).await,
                    // No request holds records. Were one to, `retry` would deliver them.
                    work @ Work::Segment(_) => self.parked(rules, work, Cause::TimeBudget),
                }
            }
            Err(refusal) => refused(item, rules, &refusal),
        }
    }

    async fn send(
        &self,
        item: &Item<'_>,
        rules: &Rules<'_>,
        plan: Plan,
        invocation: &Invocation,
    ) -> Pending {
        let code = rules.application;
        // The settings were there a moment ago: the caller was checked against them.
        let PlanOutcome { unsent, refused } =
            match self.delivery.deliver(code, plan, invocation).await {
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
            let reject = Reject::new(*item, reason, answer, rules.now);
            pending.messages.push(Message::Reject(reject));
        }
        if let Some(unsent) = unsent {
            let delay = unsent.why.after.unwrap_or_default().max(self.settings.retry_first_delay);
            let (work, cause) = (Work::Pushwoosh(unsent.plan), unsent.why.cause);
            pending.result.outcome = Outcome::Parked(cause);
            let parked = Parked::new(code, work, cause, rules.now);
            pending.messages.push(Message::Park(parked, delay));
        }
        pending
    }

    fn parked(&self, rules: &Rules<'_>, work: Work, cause: Cause) -> Pending {
        let parked = Parked::new(rules.application, work, cause, rules.now);
        let message = Message::Park(parked, self.settings.retry_first_delay);
        Pending { messages: vec![message], ..Outcome::Parked(cause).into() }
    }

    /// Puts on the queues what belongs there; what they do not take has failed.
    async fn keep(&self, pending: &mut [Pending], invocation: &Invocation) {
        let (mut places, mut messages) = (Vec::new(), Vec::new());
        for (index, one) in pending.iter_mut().enumerate() {
            places.extend(std::iter::repeat_n(index, one.messages.len()));
            messages.append(&mut one.messages);
        }
        let kept = self.queues.keep(&messages, invocation.deadlines.end).await;
        for (index, result) in places.into_iter().zip(kept) {
            if let (Err(error), Some(one)) = (result, pending.get_mut(index)) {
                tracing::error!(error = %error, "an item could be neither delivered nor kept");
                one.result.outcome = Outcome::Failed(error.into());
            }
        }
    }
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
