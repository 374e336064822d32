//! From a message to its outcome, through the same deliveries as the other functions use.
//!
//! Invariant: nothing is put on a queue here. What a message leaves behind is returned, and the message is
//! done once the queues have it.

use std::collections::BTreeSet;
use std::time::Duration;

use mapping::tracking_log::person_of;
use mapping::{Cause, Item, ItemKind, Method, Origin, Outcome, Parked, Plan, Reason, Work};
use platform::application::{Section, SegmentAccount};
use platform::clock::{after, between};
use platform::gate::{Account, Undelivered};
use platform::ledger::Claim;
use platform::message::{Message, Reject};
use platform::secrets::SecretError;
use platform::{Application, Invocation};
use pushwoosh::delivery::{PlanOutcome, Refused};
use pushwoosh::order::Waited;
use segment::Calls;
use segment::delivery::TrackOutcome;
use serde_json::value::RawValue;

use crate::Retry;
use crate::backoff::delay;
use crate::event::Received;

/// An application whose secret, or the section `segment` of it, has been missing for so long is gone, and its Track
/// calls with it: they have no Segment source any more. Long enough for what was deleted by mistake.
const GONE_AFTER: Duration = Duration::from_hours(1);

/// A claim outlasts the end of its invocation by this.
const CLAIM_SLACK: Duration = Duration::from_secs(10);

/// How a message ended.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    /// What of it goes on a queue. Only then is the message done.
    pub(crate) kept: Vec<Kept>,
    /// What of it ended otherwise, and how.
    pub(crate) ended: Vec<(Outcome, Parked)>,
    /// What of a delivered profile Pushwoosh did not save; empty where it saved all.
    pub(crate) not_saved: String,
    /// It is another invocation's: it stays on the queue.
    pub(crate) stays: bool,
    /// The item that was claimed, and whether it has ended: then it must not be worked on again.
    pub(crate) claim: Option<(String, bool)>,
}

/// Something for a queue.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) message: Message,
    /// How its items ended; none where another message of the same item says it.
    pub(crate) outcome: Option<Outcome>,
}

impl Tried {
    fn ended(outcome: impl Into<Outcome>, parked: Parked) -> Self {
        Self { ended: vec![(outcome.into(), parked)], ..Self::default() }
    }

    fn kept(outcome: impl Into<Outcome>, message: Message) -> Self {
        let outcome = Some(outcome.into());
        Self { kept: vec![Kept { message, outcome }], ..Self::default() }
    }
}

/// A message that cannot be read is rejected with its bytes.
pub(crate) fn reject_unreadable(message: &Received<'_>, invocation: &Invocation) -> Tried {
    let reason = Reason::NotJson;
    let what = match serde_json::from_str::<&RawValue>(message.body) {
        Ok(_) => "The message is JSON text, but not that of a parked item.",
        Err(_) => "The message is not JSON text.",
    };
    let (kind, origin, bytes) =
        (ItemKind::Parked, Origin::Message(message.id), message.body.as_bytes());
    let item = Item { kind, application: None, origin, bytes };
    let reject = Reject::new(item, reason, what, invocation.received);
    Tried::kept(reason, Message::Reject(reject))
}

impl Retry {
    /// Tries to deliver an item.
    pub(crate) async fn attempt(
        &self,
        message: &Received<'_>,
        mut parked: Parked,
        invocation: &Invocation,
    ) -> Tried {
        let now = invocation.received;
        if parked.id.is_empty() {
            // From an older version: from now on it is known by this message.
            message.id.clone_into(&mut parked.id);
        }
        if parked.dead_since.take().is_some() {
            // An operator moved it out of the dead-letter queue: it has as long as a new item.
            parked.redriven = Some(message.sent.unwrap_or(now));
            parked.attempts = 0;
        }
        let expires = match &parked.work {
            // A deletion is never given up: what comes after it waits behind it.
            Work::Pushwoosh(plan) => plan.deletes().is_none(),
            Work::Segment(_) => true,
        };
        if expires && between(parked.since(), now) > self.settings.retry_max_age {
            return bury(parked, invocation);
        }
        let code = parked.application.clone();
        let paused = match &parked.work {
            Work::Pushwoosh(_) => self.pushwoosh.is_paused(&code),
            Work::Segment(_) => self.segment.is_paused(&code),
        };
        if paused {
            // A backlog must not cost calls of the ledger while the upstream is known to be down.
            return self.again(parked, Cause::CircuitOpen.into(), invocation);
        }
        let deadline = invocation.deadlines.start;
        let application = match self.secrets.application(&code, deadline).await {
            // Its Track calls wait until the section is corrected.
            Ok(application)
                if matches!(parked.work, Work::Segment(_))
                    && application.is_disabled(Section::Segment) =>
            {
                return self.again(parked, Cause::SettingsUnavailable.into(), invocation);
            }
            Ok(application)
                if matches!(parked.work, Work::Segment(_)) && application.segment.is_none() =>
            {
                return self.without_settings(parked, invocation);
            }
            Ok(application) => application,
            Err(SecretError::Unknown) => return self.without_settings(parked, invocation),
            // What is wrong with them is logged where they are read.
            Err(SecretError::Malformed(_) | SecretError::Unavailable(_)) => {
                return self.again(parked, Cause::SettingsUnavailable.into(), invocation);
            }
        };
        parked.unknown_since = None;
        let rules = application.rules(&self.settings.track_properties, now);
        let (parked, others) = parked.exported(&rules);
        let mut tried = match &parked.work {
            Work::Pushwoosh(plan) => {
                let plan = plan.clone();
                self.send_plan(parked, plan, invocation).await
            }
            Work::Segment(_) => self.send_tracks(parked, &application, invocation).await,
        };
        tried.ended.push((Reason::EventNotExported.into(), others));
        tried
    }

    /// An item whose application is missing, or the part of its secret that the item needs.
    fn without_settings(&self, mut parked: Parked, invocation: &Invocation) -> Tried {
        let now = invocation.received;
        let since = *parked.unknown_since.get_or_insert(now);
        if matches!(parked.work, Work::Segment(_)) && between(since, now) >= GONE_AFTER {
            return Tried::ended(Reason::NotConfigured, parked);
        }
        self.again(parked, Cause::SettingsUnavailable.into(), invocation)
    }

    async fn send_plan(&self, parked: Parked, plan: Plan, invocation: &Invocation) -> Tried {
        // Only an event's repetition is visible.
        let mut claim = None;
        if plan.calls().any(|call| call.method == Method::PostEvent) {
            let item = parked.id.clone();
            let end = invocation.deadlines.end;
            let until = end.since(self.clock.now()) + CLAIM_SLACK;
            let until = after(self.clock.wall(), until);
            match self.ledger.claim(&item, until, end).await {
                Ok(Claim::Taken) => claim = Some((item, true)),
                Ok(Claim::Done) => return Tried::ended(Reason::Duplicate, parked),
                Ok(Claim::Busy) => {
                    let waits = Tried::ended(Outcome::Parked(parked.cause), parked);
                    return Tried { stays: true, ..waits };
                }
                Err(_) => return self.again(parked, Cause::LedgerUnavailable.into(), invocation),
            }
        }
        let released = claim.clone().map(|(item, _)| (item, false));
        let (code, accepted) = (parked.application.clone(), parked.first_seen);
        if let (Some(user), Some(_)) = (plan.deletes(), parked.redriven) {
            // It was rejected, so that nobody waited behind it.
            let end = invocation.deadlines.end;
            match self.pushwoosh.has_returned(&code, user, accepted, end).await {
                Ok(false) => {}
                Ok(true) => return Tried::ended(Reason::UserReturned, settled(parked)),
                Err(_) => return self.again(parked, Cause::LedgerUnavailable.into(), invocation),
            }
        }
        let waited = self.pushwoosh.deliver_waited(&code, plan, accepted, invocation).await;
        let outcome = match waited {
            Ok(Waited::Tried(outcome)) => outcome,
            Ok(Waited::Dropped(reason)) => {
                return Tried { claim, ..Tried::ended(reason, settled(parked)) };
            }
            Err(_) => {
                let why = Cause::SettingsUnavailable.into();
                return Tried { claim: released, ..self.again(parked, why, invocation) };
            }
        };
        let not_saved = outcome.not_saved();
        let PlanOutcome { unsent, refused, .. } = outcome;
        let mut tried = Tried { not_saved, claim, ..Tried::default() };
        if let Some(Refused { message, answer }) = refused.first() {
            let reason = Reason::RefusedByPushwoosh;
            let reject = Reject::of_work(settled(parked.clone()), reason, message).answered(answer);
            // Where the rest of it waits on, that is how it ended.
            let outcome = unsent.is_none().then(|| reason.into());
            tried.kept.push(Kept { message: Message::Reject(reject), outcome });
        }
        if let Some(unsent) = unsent {
            // Calls that were delivered must not be repeated: the rest of them goes on.
            let parked = Parked { work: Work::Pushwoosh(unsent.plan), ..parked };
            tried.kept.extend(self.again(parked, unsent.why, invocation).kept);
            tried.claim = released;
        } else if tried.kept.is_empty() {
            tried.ended.push((Outcome::Delivered, settled(parked)));
        }
        tried
    }

    async fn send_tracks(
        &self,
        parked: Parked,
        application: &Application,
        invocation: &Invocation,
    ) -> Tried {
        let (code, accepted) = (parked.application.clone(), parked.first_seen);
        let Some(account) = SegmentAccount::from_application(application) else {
            return Tried::ended(Reason::NotConfigured, parked);
        };
        let people_of_calls: Vec<Option<String>> =
            calls_of(&parked).iter().map(|call| person_of(call)).collect();
        let ids: BTreeSet<&str> = people_of_calls.iter().flatten().map(String::as_str).collect();
        let end = invocation.deadlines.end;
        let Ok(people) = self.ledger.deletions(&code, &ids, end).await else {
            return self.again(parked, Cause::LedgerUnavailable.into(), invocation);
        };
        let mut person = people_of_calls.iter().map(|id| people.get(id.as_ref()?));
        let (deleted, left) = parked.divided(|_| {
            person.next().flatten().is_some_and(|person| person.was_deleted_after(accepted))
        });
        let mut calls = Calls::default();
        for call in calls_of(&left) {
            calls.add(|body| body.extend_from_slice(call.get().as_bytes()));
        }
        let outcomes =
            self.segment.deliver(&code, &account, &calls, left.attempts, invocation).await;
        let mut outcome = outcomes.iter();
        let (waiting, settled_now) =
            left.divided(|_| matches!(outcome.next(), Some(TrackOutcome::Undelivered(_))));
        let (mut why, mut refusals, mut taken): (Option<Undelivered>, _, _) =
            (None, Vec::new(), Vec::new());
        for outcome in outcomes {
            match outcome {
                TrackOutcome::Undelivered(undelivered) => {
                    let after = why.as_ref().and_then(|why| why.after).max(undelivered.after);
                    why = Some(Undelivered { after, ..why.unwrap_or(undelivered) });
                }
                TrackOutcome::Delivered => taken.push(true),
                TrackOutcome::Refused { message, answer, .. } => {
                    taken.push(false);
                    refusals.push((message, answer));
                }
            }
        }
        let mut taken = taken.into_iter();
        let (delivered, refused) =
            settled(settled_now).divided(|_| taken.next().unwrap_or_default());
        let reason = Reason::RefusedBySegment;
        let rejects = refused.each().into_iter().zip(refusals).map(|(one, (message, answer))| {
            let reject = Reject::of_work(one, reason, message).answered(&answer);
            Kept { message: Message::Reject(reject), outcome: Some(reason.into()) }
        });
        let mut tried = Tried { kept: rejects.collect(), ..Tried::default() };
        tried.ended.push((Reason::UserDeleted.into(), settled(deleted)));
        tried.ended.push((Outcome::Delivered, delivered));
        if let Some(why) = why {
            tried.kept.extend(self.again(waiting, why, invocation).kept);
        }
        tried
    }

    /// An item that waits on: it is sent anew, with its first time and its newest cause. A message that was
    /// only made invisible would count as in flight, of which a queue has few.
    fn again(&self, parked: Parked, why: Undelivered, invocation: &Invocation) -> Tried {
        let code = parked.application.clone();
        let age = between(parked.first_seen, invocation.received);
        invocation.tally.waits(&code, parked.number() as u64, age);
        let delay = delay(&self.settings, parked.attempts, &why);
        let attempts = parked.attempts.saturating_add(1);
        // While no call is made, what the last one brought is what the item waits for.
        let is_known = why.cause == Cause::CircuitOpen && parked.cause.is_of_call();
        let cause = if is_known { parked.cause } else { why.cause };
        let mut parked = Parked { cause, attempts, ..parked };
        if let Some(answer) = why.answer {
            // Without a new answer, the last one is still the newest.
            (parked.status, parked.words) = (answer.status, answer.words.clone());
        }
        Tried::kept(Outcome::Parked(cause), Message::Park(parked, delay))
    }
}

/// An item that reached its age limit. It keeps its last cause and the upstream's last words.
fn bury(parked: Parked, invocation: &Invocation) -> Tried {
    let parked = Parked { dead_since: Some(invocation.received), ..parked };
    Tried::kept(Outcome::Failed(Cause::Expired), Message::Bury(parked))
}

/// An item after an attempt that ends it: what was answered before is of no interest any more.
fn settled(parked: Parked) -> Parked {
    let attempts = parked.attempts.saturating_add(1);
    Parked { attempts, status: None, words: String::new(), ..parked }
}

/// The Track calls of an item.
fn calls_of(parked: &Parked) -> &[Box<RawValue>] {
    match &parked.work {
        Work::Pushwoosh(_) => &[],
        Work::Segment(calls) => calls,
    }
}
