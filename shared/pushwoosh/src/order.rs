//! Keeps deliveries in the order in which their items were accepted: what the ledger is asked and told around
//! a delivery. Its own documentation says what it holds.
//!
//! Invariants: nothing that was accepted before a deletion is delivered after it, and what was accepted after
//! it waits behind it; an older value never overwrites a newer one that was accepted. What requests do to
//! the same person within 30 seconds of each other is open.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use mapping::{Cause, ItemKind, Method, Parked, Plan, Reason, Work};
use platform::clock::Instant;
use platform::invocation::Invocation;
use platform::ledger::{LIVE_WAIT, Unavailable};
use platform::message::{Message, Reject};
use platform::secrets::SecretError;

use crate::delivery::{Delivery, PlanOutcome, Unsent};

/// A deletion waits so long for the ledger before it is parked instead of delivered: without it, what was
/// parked before would come after it.
const DELETION_WAIT: Duration = Duration::from_secs(1);

/// How an item that waited ended.
#[derive(Debug)]
pub enum Waited {
    /// It was tried.
    Tried(PlanOutcome),
    /// What came since leaves nothing of it to deliver.
    Dropped(Reason),
}

impl Delivery {
    /// Delivers an item that came in at this time, just now. `unsettled`: something of the application may
    /// be waiting.
    pub async fn deliver_fresh(
        &self,
        code: &str,
        plan: Plan,
        accepted: Timestamp,
        unsettled: bool,
        invocation: &Invocation,
    ) -> Result<PlanOutcome, SecretError> {
        let deletes = plan.deletes().map(str::to_owned);
        if let Some(user) = &deletes {
            let deadline = self.soon(DELETION_WAIT, invocation);
            if self.ledger.deleted(code, user, accepted, deadline).await.is_err() {
                return Ok(unsent(plan, Cause::LedgerUnavailable));
            }
        } else if unsettled
            && let Some(cause) = self.must_wait(code, &plan, accepted, invocation).await
        {
            return Ok(unsent(plan, cause));
        }
        let outcome = self.deliver(code, plan, invocation).await?;
        if let (Some(user), true) = (&deletes, outcome.is_delivered()) {
            let deadline = self.soon(LIVE_WAIT, invocation);
            // Should this fail, the older deletion that it covers says so when it is retried.
            self.ledger.deletion_is_delivered(code, user, accepted, deadline).await.ok();
        }
        Ok(outcome)
    }

    /// Why an item of an unsettled application cannot be sent now: a deletion that came before has to be
    /// delivered first, or the ledger does not say. Where it can, its values are noted: they are newer than
    /// all that waits.
    async fn must_wait(
        &self,
        code: &str,
        plan: &Plan,
        accepted: Timestamp,
        invocation: &Invocation,
    ) -> Option<Cause> {
        for person in plan.people() {
            let deadline = self.soon(LIVE_WAIT, invocation);
            match self.ledger.person(code, person, deadline).await {
                Ok(known) if known.has_pending_before(accepted) => {
                    return Some(Cause::DeletionPending);
                }
                Ok(_) => {}
                Err(Unavailable) => return Some(Cause::LedgerUnavailable),
            }
        }
        for (person, values) in plan.values() {
            let deadline = self.soon(LIVE_WAIT, invocation);
            let noted = self.ledger.values_were_accepted(code, person, &values, accepted, deadline);
            if noted.await.is_err() {
                return Some(Cause::LedgerUnavailable);
            }
        }
        None
    }

    /// Notes what has to be known of messages before they wait on a queue. Without the ledger they wait all
    /// the same.
    pub async fn before_keeping(&self, messages: &[Message], deadline: Instant) {
        for message in messages {
            match message {
                Message::Park(parked, _) => {
                    let Work::Pushwoosh(plan) = &parked.work else { continue };
                    let code = parked.application.as_str();
                    self.ledger.unsettle(code, deadline).await.ok();
                    if let Some(user) = plan.deletes() {
                        let accepted = parked.first_seen;
                        self.ledger.deleted(code, user, accepted, deadline).await.ok();
                        self.ledger.deletion_is_pending(code, user, accepted, deadline).await.ok();
                    }
                }
                Message::Bury(Parked { application, work: Work::Pushwoosh(_), .. }) => {
                    self.ledger.unsettle_for_long(application, deadline).await.ok();
                }
                Message::Reject(reject) if may_come_again(reject) => {
                    let Some(code) = &reject.application else { continue };
                    self.ledger.unsettle_for_long(code, deadline).await.ok();
                }
                Message::Bury(_) | Message::Reject(_) => {}
            }
        }
    }

    /// Notes that no queue took a message: its caller sends it again, or gives it up. Nothing must wait behind
    /// it.
    pub async fn was_not_kept(&self, message: &Message, deadline: Instant) {
        let Message::Park(parked, _) = message else { return };
        let Work::Pushwoosh(plan) = &parked.work else { return };
        if let Some(user) = plan.deletes() {
            let (code, accepted) = (parked.application.as_str(), parked.first_seen);
            self.ledger.deletion_is_covered(code, user, accepted, deadline).await.ok();
        }
    }

    /// Whether a user has returned since a deletion was accepted that was rejected and is sent again: newer values
    /// of theirs were accepted. Then nothing waits behind the deletion any more.
    pub async fn has_returned(
        &self,
        code: &str,
        user: &str,
        accepted: Timestamp,
        deadline: Instant,
    ) -> Result<bool, Unavailable> {
        let people = self.ledger.people(code, &BTreeSet::from([user]), deadline).await?;
        let returned = people.get(user).is_some_and(|person| person.has_values_after(accepted));
        if returned {
            self.ledger.deletion_is_covered(code, user, accepted, deadline).await?;
        }
        Ok(returned)
    }

    /// Delivers an item that waited, as far as what came since leaves something of it. Without the ledger it
    /// goes on waiting.
    pub async fn deliver_waited(
        &self,
        code: &str,
        plan: Plan,
        accepted: Timestamp,
        invocation: &Invocation,
    ) -> Result<Waited, SecretError> {
        let plan = match self.left_of(code, plan, accepted, invocation).await {
            Left::All(plan) => plan,
            Left::Wait(plan, cause) => return Ok(Waited::Tried(unsent(plan, cause))),
            Left::Nothing(reason) => return Ok(Waited::Dropped(reason)),
        };
        let mut outcome = self.deliver(code, plan.clone(), invocation).await?;
        let deadline = invocation.deadlines.end;
        let unsent_plan = outcome.unsent.as_ref().map(|unsent| &unsent.plan);
        for (person, mut values) in plan.values() {
            let missing = unsent_plan.and_then(|plan| plan.values().remove(person));
            values.retain(|value| missing.as_ref().is_none_or(|missing| !missing.contains(value)));
            self.ledger.values_were_accepted(code, person, &values, accepted, deadline).await.ok();
        }
        if let (Some(user), true) = (plan.deletes(), outcome.is_delivered()) {
            let told = self.ledger.deletion_is_delivered(code, user, accepted, deadline).await;
            if told.is_err() {
                // What came after it waits until the ledger knows: it can be repeated safely.
                outcome = unsent(plan, Cause::LedgerUnavailable);
            }
        } else if let (Some(user), true) = (plan.deletes(), outcome.unsent.is_none()) {
            // It was refused for good: what came after it would wait for ever.
            let told = self.ledger.deletion_is_covered(code, user, accepted, deadline).await;
            if told.is_err() {
                outcome = unsent(plan, Cause::LedgerUnavailable);
            }
        }
        Ok(Waited::Tried(outcome))
    }

    /// What is left of an item that waited.
    async fn left_of(
        &self,
        code: &str,
        plan: Plan,
        accepted: Timestamp,
        invocation: &Invocation,
    ) -> Left {
        let (deadline, ledger) = (invocation.deadlines.end, &self.ledger);
        let Ok(people) = ledger.people(code, &plan.people(), deadline).await else {
            return Left::Wait(plan, Cause::LedgerUnavailable);
        };
        if let Some(user) = plan.deletes() {
            if people.get(user).is_some_and(|user| user.is_deletion_done(accepted)) {
                // It was this one, from another message of it: a second time it would take what came since.
                return Left::Nothing(Reason::Duplicate);
            }
            let covered = people.get(user).is_some_and(|user| user.is_deletion_covered(accepted));
            let told = if covered {
                ledger.deletion_is_covered(code, user, accepted, deadline).await
            } else {
                ledger.deleted(code, user, accepted, deadline).await
            };
            return match told {
                Err(Unavailable) => Left::Wait(plan, Cause::LedgerUnavailable),
                Ok(()) if covered => Left::Nothing(Reason::UserDeleted),
                Ok(()) => Left::All(plan),
            };
        }
        let deleted = people.values().any(|person| person.was_deleted_after(accepted));
        let waits = people.values().any(|person| person.has_pending_before(accepted));
        let left = plan.clone().filter_map(|call| {
            let Some(person) = call.person().and_then(|id| people.get(id)) else {
                return Some(call);
            };
            if person.was_deleted_after(accepted) {
                return None;
            }
            call.without_values(|value| person.is_overtaken(value, accepted))
        });
        if left.stages.is_empty() {
            Left::Nothing(if deleted { Reason::UserDeleted } else { Reason::Overtaken })
        } else if waits {
            Left::Wait(plan, Cause::DeletionPending)
        } else {
            Left::All(left)
        }
    }

    /// This long from now, but no later than the invocation's end.
    fn soon(&self, wait: Duration, invocation: &Invocation) -> Instant {
        invocation.deadlines.end.min(self.clock.now() + wait)
    }
}

/// What is left of an item that waited.
enum Left {
    All(Plan),
    Wait(Plan, Cause),
    Nothing(Reason),
}

fn unsent(plan: Plan, cause: Cause) -> PlanOutcome {
    PlanOutcome { unsent: Some(Unsent { plan, why: cause.into() }), ..PlanOutcome::default() }
}

/// Whether an operator can send it again to Pushwoosh, corrected or not, so that it must not undo what came since.
/// Events carry their own time, and Track calls set nothing.
fn may_come_again(reject: &Reject) -> bool {
    match reject.kind {
        ItemKind::Profile | ItemKind::Deletion | ItemKind::RawEvent => true,
        ItemKind::Parked => reject.reason == Reason::RefusedByPushwoosh.code(),
        ItemKind::Event | ItemKind::Record => false,
    }
}

/// Whether the plan's calls must keep their place among those of the same person. Events carry their own time.
pub fn is_ordered(plan: &Plan) -> bool {
    plan.calls().any(|call| call.method != Method::PostEvent)
}
