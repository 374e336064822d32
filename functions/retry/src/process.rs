//! From a message to its outcome, through the same deliveries as the other functions use.

use mapping::{Cause, Item, ItemKind, Origin, Outcome, Parked, Plan, Planned, Reason, Work};
use platform::application::{Section, SegmentAccount};
use platform::gate::Account;
use platform::message::{self, Message, Reject};
use platform::secrets::SecretError;
use platform::{Application, Invocation};
use segment::delivery::TrackOutcome;
use serde_json::value::RawValue;

use crate::Retry;
use crate::backoff::Postponed;
use crate::event::Received;

/// A message that is tried: what it holds besides its work.
struct Attempt<'a> {
    message: &'a Received<'a>,
    application: &'a str,
    /// The message as it was read, for what is parked anew.
    parked: Parked,
    /// How often it was tried before, wherever that was.
    attempts: u32,
    invocation: &'a Invocation,
}

impl Retry {
    /// Tries to deliver a message. `Ok` means that nothing of it has to stay on the queue.
    pub(crate) async fn process(
        &self,
        message: &Received<'_>,
        invocation: &Invocation,
    ) -> Result<(), Postponed> {
        let Some(parked) = message::decode::<Parked>(message.body) else {
            return self.reject_unreadable(message, invocation).await;
        };
        let code = parked.application.clone();
        if message.is_older_than(self.settings.retry_max_age, invocation.received) {
            tracing::error!(
                app.code = code,
                cause = %parked.cause,
                "an item goes to the dead-letter queue: it could not be delivered in time"
            );
            invocation.tally.item(Outcome::Failed(Cause::Expired));
            return Err(Postponed::Expired);
        }
        let number = match &parked.work {
            Work::Pushwoosh(_) => 1,
            Work::Segment(calls) => calls.len() as u64,
        };
        let application = match self.secrets.application(&code, invocation.deadlines.upstream).await
        {
            // Its Track calls wait until the section is corrected.
            Ok(application)
                if matches!(parked.work, Work::Segment(_))
                    && application.is_disabled(Section::Segment) =>
            {
                invocation.tally.items(Outcome::Parked(Cause::SettingsUnavailable), number);
                return Err(Postponed::Retry(None));
            }
            Ok(application) => application,
            // Without the application there is no Segment source for its Track calls. Other items wait.
            Err(SecretError::Unknown) if matches!(parked.work, Work::Segment(_)) => {
                invocation.tally.items(Reason::NotConfigured.into(), number);
                return Ok(());
            }
            Err(error) => {
                tracing::error!(app.code = code, error = %error, "an item waits for its application's settings");
                invocation.tally.items(Outcome::Parked(Cause::SettingsUnavailable), number);
                return Err(Postponed::Retry(None));
            }
        };
        let attempts = parked.attempts.saturating_add(message.receives.saturating_sub(1));
        let attempt =
            Attempt { message, application: &code, parked: parked.clone(), attempts, invocation };
        let rules = application.rules(&self.settings.track_properties, invocation.received);
        let Planned { work, refusals } = parked.plan(&rules);
        match work {
            Work::Pushwoosh(plan) => self.send_plan(attempt, plan).await,
            Work::Segment(calls) => {
                let skipped = refusals.iter().map(|refusal| refusal.reason.into()).collect();
                self.send_tracks(attempt, &application, calls, skipped).await
            }
        }
    }

    /// A message that cannot be read is rejected with its bytes.
    async fn reject_unreadable(
        &self,
        message: &Received<'_>,
        invocation: &Invocation,
    ) -> Result<(), Postponed> {
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
        let kept = self.keep(&[Message::Reject(reject)], invocation).await;
        invocation.tally.item(match kept {
            Ok(()) => reason.into(),
            Err(_) => Outcome::Parked(Cause::QueueUnavailable),
        });
        kept
    }

    async fn send_plan(&self, attempt: Attempt<'_>, plan: Plan) -> Result<(), Postponed> {
        let Attempt { message, application, invocation, .. } = attempt;
        let delivered = self.pushwoosh.deliver(application, plan.clone(), invocation).await;
        let Ok(outcome) = delivered else {
            invocation.tally.item(Outcome::Parked(Cause::SettingsUnavailable));
            return Err(Postponed::Retry(None));
        };
        let reason = Reason::RefusedByPushwoosh;
        let mut messages = Vec::new();
        if let Some(answer) = outcome.refused.first() {
            let (work, origin) = (Work::Pushwoosh(plan.clone()), Origin::Message(message.id));
            let now = invocation.received;
            let reject = Reject::of_work(application, work, origin, reason, answer, now);
            messages.push(Message::Reject(reject));
        }
        let refused = !messages.is_empty();
        if refused && let Err(postponed) = self.keep(&messages, invocation).await {
            invocation.tally.item(Outcome::Parked(Cause::QueueUnavailable));
            return Err(postponed);
        }
        let Some(unsent) = outcome.unsent else {
            invocation.tally.item(if refused { reason.into() } else { Outcome::Delivered });
            return Ok(());
        };
        let cause = unsent.why.cause;
        invocation.tally.item(Outcome::Parked(cause));
        if unsent.plan != plan {
            // Calls that were delivered must not be repeated: a new message holds the remaining ones.
            let parked = Parked {
                work: Work::Pushwoosh(unsent.plan),
                attempts: attempt.attempts.saturating_add(1),
                cause,
                ..attempt.parked
            };
            let delay = unsent.why.after.unwrap_or_default().max(self.settings.retry_first_delay);
            if self.keep(&[Message::Park(parked, delay)], invocation).await.is_ok() {
                return Ok(());
            }
        }
        tracing::info!(
            app.code = application,
            cause = %cause,
            attempts = attempt.attempts,
            "an item is tried again later"
        );
        Err(Postponed::Retry(unsent.why.after))
    }

    async fn send_tracks(
        &self,
        attempt: Attempt<'_>,
        application: &Application,
        calls: Vec<Box<RawValue>>,
        skipped: Vec<Outcome>,
    ) -> Result<(), Postponed> {
        let Attempt { message, attempts, invocation, .. } = attempt;
        let (code, tally) = (attempt.application, &invocation.tally);
        let number = (calls.len() + skipped.len()) as u64;
        let Some(account) = SegmentAccount::from_application(application) else {
            tally.items(Reason::NotConfigured.into(), number);
            return Ok(());
        };
        let outcomes = self.segment.deliver(code, &account, &calls, attempts, invocation).await;
        let undelivered = outcomes.iter().filter_map(|outcome| match outcome {
            TrackOutcome::Undelivered(why) => Some(*why),
            TrackOutcome::Delivered | TrackOutcome::Refused { .. } => None,
        });
        let after = undelivered.clone().filter_map(|why| why.after).max();
        if let Some(why) = undelivered.clone().next() {
            // All of it is sent again: Segment removes what it already has by its messageId.
            let cause = why.cause;
            tracing::info!(app.code = code, cause = %cause, attempts, "a batch is tried again later");
            tally.items(Outcome::Parked(cause), number);
            return Err(Postponed::Retry(after));
        }
        let (reason, origin) = (Reason::RefusedBySegment, Origin::Message(message.id));
        let mut rejects = Vec::new();
        for (call, outcome) in calls.into_iter().zip(outcomes) {
            if let TrackOutcome::Refused { message, .. } = outcome {
                let (work, now) = (Work::Segment(vec![call]), invocation.received);
                let reject = Reject::of_work(code, work, origin, reason, message, now);
                rejects.push(Message::Reject(reject));
            }
        }
        if let Err(postponed) = self.keep(&rejects, invocation).await {
            tally.items(Outcome::Parked(Cause::QueueUnavailable), number);
            return Err(postponed);
        }
        let delivered = number - (rejects.len() + skipped.len()) as u64;
        tally.items(reason.into(), rejects.len() as u64);
        tally.items(Outcome::Delivered, delivered);
        for outcome in skipped {
            tally.item(outcome);
        }
        Ok(())
    }

    /// Puts messages on their queues; where that fails the message that they came from stays.
    async fn keep(&self, messages: &[Message], invocation: &Invocation) -> Result<(), Postponed> {
        let kept = self.queues.keep(messages, invocation.deadlines.end).await;
        if kept.iter().all(Result::is_ok) { Ok(()) } else { Err(Postponed::Retry(None)) }
    }
}
