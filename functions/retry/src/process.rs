//! From a message to its outcome, through the same deliveries as the other functions use.
//!
//! Invariant: nothing is put on a queue here. What a message leaves behind is returned, and the message is
//! done once the queues have it.

use std::collections::BTreeSet;
use std::time::Duration;

use mapping::tracking_log::person_of;
use mapping::{
    Cause, Item, ItemKind, Method, Origin, Outcome, Parked, Plan, Planned, Reason, Work,
};
use platform::application::{Section, SegmentAccount};
use platform::clock::{after, between};
use platform::gate::{Account, Undelivered};
use platform::ledger::Claim;
use platform::message::{Message, Reject};
use platform::secrets::SecretError;
use platform::{Application, Invocation};
use pushwoosh::delivery::PlanOutcome;
use pushwoosh::order::Waited;
use segment::delivery::TrackOutcome;
use serde_json::value::RawValue;

use crate::Retry;
use crate::backoff::delay;
use crate::event::Received;

/// An application whose secret has been missing for so long is gone, and its Track calls with it: they have no
/// Segment source any more. Long enough for a secret that was deleted by mistake.
const GONE_AFTER: Duration = Duration::from_hours(1);

/// A claim outlasts the end of its invocation by this.
const CLAIM_SLACK: Duration = Duration::from_secs(10);

/// An outcome, and how many items ended in it.
type Ended = (Outcome, u64);

/// How a message ended.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    /// What of it goes on a queue. Only then is the message done.
    pub(crate) messages: Vec<Message>,
    /// How its items ended.
    pub(crate) outcomes: Vec<Ended>,
    /// It is another invocation's: it stays on the queue.
    pub(crate) stays: bool,
    /// The item that was claimed, and whether it has ended: then it must not be worked on again.
    pub(crate) claim: Option<(String, bool)>,
}

impl Tried {
    fn ended(outcome: impl Into<Outcome>, number: u64) -> Self {
        Self { outcomes: vec![(outcome.into(), number)], ..Self::default() }
    }
}

/// A message that cannot be read is rejected with its bytes.
pub(crate) fn reject_unreadable(message: &Received<'_>, invocation: &Invocation) -> Tried {
    let reason = Reason::NotJson;
    tracing::error!(
        reason = reason.code(),
        origin = message.id,
        "a message of the retry queue cannot be read"
    );
    let (kind, origin, bytes) =
        (ItemKind::Parked, Origin::Message(message.id), message.body.as_bytes());
    let item = Item { kind, application: None, origin, bytes };
    let reject = Reject::new(item, reason, reason.remedy(), invocation.received);
    Tried { messages: vec![Message::Reject(reject)], ..Tried::ended(reason, 1) }
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
            Ok(application) => application,
            Err(SecretError::Unknown) => {
                let since = *parked.unknown_since.get_or_insert(now);
                if matches!(parked.work, Work::Segment(_)) && between(since, now) >= GONE_AFTER {
                    let number = number_of(&parked.work);
                    return Tried::ended(Reason::NotConfigured, number);
                }
                return self.again(parked, Cause::SettingsUnavailable.into(), invocation);
            }
            Err(error) => {
                tracing::error!(app.code = code, error = %error, "an item waits for its application's settings");
                return self.again(parked, Cause::SettingsUnavailable.into(), invocation);
            }
        };
        parked.unknown_since = None;
        let rules = application.rules(&self.settings.track_properties, now);
        let Planned { work, refusals } = parked.clone().plan(&rules);
        match work {
            Work::Pushwoosh(plan) => self.send_plan(message, parked, plan, invocation).await,
            Work::Segment(calls) => {
                let skipped = refusals.iter().map(|refusal| (refusal.reason.into(), 1)).collect();
                self.send_tracks(message, parked, (&application, calls, skipped), invocation).await
            }
        }
    }

    async fn send_plan(
        &self,
        message: &Received<'_>,
        parked: Parked,
        plan: Plan,
        invocation: &Invocation,
    ) -> Tried {
        // Only an event's repetition is visible.
        let mut claim = None;
        if plan.calls().any(|call| call.method == Method::PostEvent) {
            let item = if parked.id.is_empty() { message.id } else { &parked.id }.to_owned();
            let end = invocation.deadlines.end;
            let until = end.since(self.clock.now()) + CLAIM_SLACK;
            let until = after(self.clock.wall(), until);
            match self.ledger.claim(&item, until, end).await {
                Ok(Claim::Taken) => claim = Some((item, true)),
                Ok(Claim::Done) => return Tried::ended(Reason::Duplicate, 1),
                Ok(Claim::Busy) => {
                    return Tried { stays: true, ..Tried::ended(Outcome::Parked(parked.cause), 1) };
                }
                Err(_) => return self.again(parked, Cause::LedgerUnavailable.into(), invocation),
            }
        }
        let released = claim.clone().map(|(item, _)| (item, false));
        let (code, accepted) = (parked.application.clone(), parked.first_seen);
        let waited = self.pushwoosh.deliver_waited(&code, plan.clone(), accepted, invocation).await;
        let outcome = match waited {
            Ok(Waited::Tried(outcome)) => outcome,
            Ok(Waited::Dropped(reason)) => {
                return Tried { claim, ..Tried::ended(reason, 1) };
            }
            Err(_) => {
                let why = Cause::SettingsUnavailable.into();
                return Tried { claim: released, ..self.again(parked, why, invocation) };
            }
        };
        let PlanOutcome { unsent, refused } = outcome;
        let mut tried = Tried { claim, ..Tried::default() };
        if let Some(answer) = refused.first() {
            let (reason, origin) = (Reason::RefusedByPushwoosh, Origin::Message(message.id));
            tracing::warn!(
                app.code = code,
                reason = reason.code(),
                error = answer,
                "Pushwoosh refused a call"
            );
            let work = Work::Pushwoosh(plan);
            let reject = Reject::of_work(&code, work, origin, reason, answer, accepted);
            tried.messages.push(Message::Reject(reject));
            tried.outcomes.push((reason.into(), 1));
        }
        if let Some(unsent) = unsent {
            // Calls that were delivered must not be repeated: the rest of them goes on.
            let parked = Parked { work: Work::Pushwoosh(unsent.plan), ..parked };
            let again = self.again(parked, unsent.why, invocation);
            tried.claim = released;
            tried.messages.extend(again.messages);
            tried.outcomes = again.outcomes;
        }
        if tried.outcomes.is_empty() {
            tried.outcomes.push((Outcome::Delivered, 1));
        }
        tried
    }

    async fn send_tracks(
        &self,
        message: &Received<'_>,
        parked: Parked,
        (application, calls, skipped): (&Application, Vec<Box<RawValue>>, Vec<Ended>),
        invocation: &Invocation,
    ) -> Tried {
        let (code, accepted) = (parked.application.clone(), parked.first_seen);
        let Some(account) = SegmentAccount::from_application(application) else {
            return Tried::ended(Reason::NotConfigured, number_of(&parked.work));
        };
        let people_of_calls: Vec<Option<String>> =
            calls.iter().map(|call| person_of(call)).collect();
        let ids: BTreeSet<&str> = people_of_calls.iter().flatten().map(String::as_str).collect();
        let end = invocation.deadlines.end;
        let Ok(people) = self.ledger.deletions(&code, &ids, end).await else {
            return self.again(parked, Cause::LedgerUnavailable.into(), invocation);
        };
        let mut tried = Tried { outcomes: skipped, ..Tried::default() };
        let mut left = Vec::with_capacity(calls.len());
        for (call, id) in calls.into_iter().zip(people_of_calls) {
            let person = id.as_ref().and_then(|id| people.get(id));
            if person.is_some_and(|person| person.was_deleted_after(accepted)) {
                tried.outcomes.push((Reason::UserDeleted.into(), 1));
            } else {
                left.push(call);
            }
        }
        let attempts = parked.attempts;
        let outcomes = self.segment.deliver(&code, &account, &left, attempts, invocation).await;
        let (reason, origin) = (Reason::RefusedBySegment, Origin::Message(message.id));
        let (mut unsent, mut why): (Vec<Box<RawValue>>, Option<Undelivered>) = (Vec::new(), None);
        for (call, outcome) in left.into_iter().zip(outcomes) {
            match outcome {
                TrackOutcome::Delivered => tried.outcomes.push((Outcome::Delivered, 1)),
                TrackOutcome::Refused { message, .. } => {
                    let work = Work::Segment(vec![call]);
                    let reject = Reject::of_work(&code, work, origin, reason, message, accepted);
                    tried.messages.push(Message::Reject(reject));
                    tried.outcomes.push((reason.into(), 1));
                }
                TrackOutcome::Undelivered(undelivered) => {
                    unsent.push(call);
                    let longest = why.and_then(|why| why.after).max(undelivered.after);
                    why = Some(Undelivered { after: longest, ..why.unwrap_or(undelivered) });
                }
            }
        }
        if let Some(why) = why {
            let parked = Parked { work: Work::Segment(unsent), ..parked };
            let again = self.again(parked, why, invocation);
            tried.messages.extend(again.messages);
            tried.outcomes.extend(again.outcomes);
        }
        tried
    }

    /// An item that waits on: it is sent anew, with its first time and its newest cause. A message that was
    /// only made invisible would count as in flight, of which a queue has few.
    fn again(&self, parked: Parked, why: Undelivered, invocation: &Invocation) -> Tried {
        let (code, number) = (parked.application.clone(), number_of(&parked.work));
        let age = between(parked.first_seen, invocation.received);
        invocation.tally.waits(&code, number, age);
        tracing::info!(
            app.code = code,
            cause = %why.cause,
            attempts = parked.attempts,
            age_s = age.as_secs(),
            "an item is tried again later"
        );
        let delay = delay(&self.settings, parked.attempts, why);
        let attempts = parked.attempts.saturating_add(1);
        let parked = Parked { cause: why.cause, attempts, ..parked };
        let messages = vec![Message::Park(parked, delay)];
        Tried { messages, ..Tried::ended(Outcome::Parked(why.cause), number) }
    }
}

/// An item that reached its age limit.
fn bury(parked: Parked, invocation: &Invocation) -> Tried {
    tracing::error!(
        app.code = parked.application,
        cause = %parked.cause,
        attempts = parked.attempts,
        "an item goes to the dead-letter queue: it could not be delivered in time"
    );
    let number = number_of(&parked.work);
    let parked = Parked { dead_since: Some(invocation.received), ..parked };
    let messages = vec![Message::Bury(parked)];
    Tried { messages, ..Tried::ended(Outcome::Failed(Cause::Expired), number) }
}

/// How many items work stands for.
pub(crate) fn number_of(work: &Work) -> u64 {
    match work {
        Work::Pushwoosh(_) => 1,
        Work::Segment(calls) => calls.len() as u64,
    }
}
