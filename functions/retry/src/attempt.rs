//! One message, through the same deliveries as the other functions use.

use std::time::Duration;

use jiff::Timestamp;
use mapping::tracking_log::Event;
use mapping::{Outcome, Plan, Reason};
use platform::application::Segment;
use platform::message::{self, Kind, Parked, Reject, Work};
use platform::secrets::SecretError;
use platform::telemetry::Tally;
use segment::delivery::Fate;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::Retry;
use crate::backoff::Later;

/// The queues may still be used for this long after the upstreams' time is up.
const QUEUE_TIME: Duration = Duration::from_secs(3);

/// A message as it came from the queue.
pub(crate) struct Received<'a> {
    pub(crate) body: &'a str,
    pub(crate) origin: &'a str,
    pub(crate) receives: u32,
    /// Older than `PWSEG_RETRY_MAX_AGE_S`.
    pub(crate) expired: bool,
}

/// A message's origin and limits.
struct Attempt<'a> {
    origin: &'a str,
    application: String,
    first_seen: Timestamp,
    /// How often it was tried before, by whom ever.
    attempts: u32,
    until: Instant,
    tally: &'a Tally,
}

impl Retry {
    /// Tries to deliver a message. `Ok` means that nothing of it has to stay on the queue.
    pub(crate) async fn attempt(
        &self,
        received: Received<'_>,
        until: Instant,
        tally: &Tally,
    ) -> Result<(), Later> {
        let Received { body, origin, receives, expired } = received;
        let Some(parked) = message::decode::<Parked>(body) else {
            tracing::error!(
                reason = Reason::NotJson.code(),
                origin,
                "a message of the retry queue cannot be read"
            );
            let (kind, reason) = (Kind::Parked, Reason::NotJson);
            let reject =
                Reject::new(None, kind, origin, reason, reason.cure()).with_raw(body.as_bytes());
            let kept = self.set_aside(&[reject], until).await;
            tally.item(if kept.is_ok() { Outcome::Rejected(reason) } else { Outcome::Parked });
            return kept;
        };
        if expired {
            tracing::error!(
                app.code = parked.application,
                cause = parked.cause,
                "an item goes to the dead-letter queue: it could not be delivered in time"
            );
            tally.item(Outcome::Failed);
            return Err(Later { after: None, expired: true });
        }
        let Parked { application, work, first_seen, attempts, .. } = parked;
        let attempts = attempts.saturating_add(receives.saturating_sub(1));
        let attempt = Attempt { origin, application, first_seen, attempts, until, tally };
        match work {
            Work::Pushwoosh(plan) => self.pushwoosh(attempt, plan).await,
            Work::Segment(calls) => self.segment(attempt, calls).await,
        }
    }

    async fn pushwoosh(&self, attempt: Attempt<'_>, plan: Plan) -> Result<(), Later> {
        let Attempt { origin, application, tally, until, .. } = &attempt;
        let report = match self.pushwoosh.deliver(application, plan.clone(), *until, tally).await {
            Ok(report) => report,
            Err(error) => return later(application, &error, 1, tally),
        };
        let reason = Reason::RefusedByPushwoosh;
        let refused = report.refused.first().map(|answer| {
            Reject::of_work(application, Work::Pushwoosh(plan.clone()), *origin, reason, answer)
        });
        if let Some(reject) = &refused {
            let kept = self.set_aside(std::slice::from_ref(reject), *until).await;
            if kept.is_err() {
                tally.item(Outcome::Parked);
                return kept;
            }
        }
        let Some(rest) = report.rest else {
            tally.item(if refused.is_some() {
                Outcome::Rejected(reason)
            } else {
                Outcome::Delivered
            });
            return Ok(());
        };
        if rest.plan != plan {
            // What was delivered must not be repeated: a new message takes the rest.
            let parked = Parked {
                application: attempt.application.clone(),
                work: Work::Pushwoosh(rest.plan),
                first_seen: attempt.first_seen,
                attempts: attempt.attempts.saturating_add(1),
                cause: rest.cause.clone(),
            };
            let delay = rest.after.unwrap_or_default().max(self.settings.retry_first_delay);
            let results = self.queues.park(&[(parked, delay)], *until + QUEUE_TIME).await;
            if results.iter().all(Result::is_ok) {
                tally.item(Outcome::Parked);
                return Ok(());
            }
        }
        tracing::info!(
            app.code = attempt.application,
            cause = rest.cause,
            attempts = attempt.attempts,
            "an item is tried again later"
        );
        tally.item(Outcome::Parked);
        Err(Later { after: rest.after, expired: false })
    }

    async fn segment(&self, attempt: Attempt<'_>, calls: Vec<Box<RawValue>>) -> Result<(), Later> {
        let Attempt { origin, application, tally, until, .. } = &attempt;
        let number = u64::try_from(calls.len()).unwrap_or(u64::MAX);
        let account = match self.secrets.application(application).await {
            Ok(settings) => settings.segment.clone(),
            Err(SecretError::Unknown) => None,
            Err(error) => return later(application, &error, number, tally),
        };
        let Some(account) = account else {
            tally.items(Reason::NotConfigured.into(), number);
            return Ok(());
        };
        let (calls, unwanted): (Vec<_>, Vec<_>) =
            calls.into_iter().partition(|call| wanted(&account, call));
        let fates = self
            .segment
            .deliver(application, &account, calls.clone(), attempt.attempts, *until, tally)
            .await;
        let mut rejects = Vec::new();
        let mut undelivered: Option<(String, Option<Duration>, u64)> = None;
        let mut delivered = 0;
        for (call, fate) in calls.into_iter().zip(fates) {
            match fate {
                Fate::Delivered => delivered += 1,
                Fate::Refused { message, .. } => {
                    let work = Work::Segment(vec![call]);
                    rejects.push(Reject::of_work(
                        application,
                        work,
                        *origin,
                        Reason::RefusedBySegment,
                        message,
                    ));
                }
                Fate::Undelivered { cause, after } => {
                    let (_, latest, number) = undelivered.get_or_insert((cause, after, 0));
                    *latest = (*latest).max(after);
                    *number += 1;
                }
            }
        }
        if let Some((cause, after, _)) = undelivered {
            // All of it comes again: Segment removes what it already has by its messageId.
            tracing::info!(
                app.code = application,
                cause,
                attempts = attempt.attempts,
                "a batch is tried again later"
            );
            tally.items(Outcome::Parked, number);
            return Err(Later { after, expired: false });
        }
        let kept = self.set_aside(&rejects, *until).await;
        if kept.is_err() {
            tally.items(Outcome::Parked, number);
            return kept;
        }
        let rejected = u64::try_from(rejects.len()).unwrap_or(u64::MAX);
        tally.items(Outcome::Rejected(Reason::RefusedBySegment), rejected);
        tally.items(Outcome::Delivered, delivered);
        tally.items(
            Reason::EventNotExported.into(),
            u64::try_from(unwanted.len()).unwrap_or(u64::MAX),
        );
        Ok(())
    }

    /// Puts rejects on their queue; where that fails the message stays.
    async fn set_aside(&self, rejects: &[Reject], until: Instant) -> Result<(), Later> {
        let results = self.queues.reject(rejects, until + QUEUE_TIME).await;
        if results.iter().all(Result::is_ok) {
            Ok(())
        } else {
            Err(Later { after: None, expired: false })
        }
    }
}

/// The settings cannot be read: the message waits until they can.
fn later(application: &str, error: &SecretError, number: u64, tally: &Tally) -> Result<(), Later> {
    if *error == SecretError::Unknown {
        tracing::error!(
            app.code = application,
            "an item waits for an application that no secret holds any more"
        );
    }
    tally.items(Outcome::Parked, number);
    Err(Later { after: None, expired: false })
}

/// Whether the application's list of events has this call: it may have been parked unseen.
fn wanted(account: &Segment, call: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Named<'a> {
        event: &'a str,
    }
    let Some(events) = &account.events else {
        return true;
    };
    let event = serde_json::from_str::<Named<'_>>(call.get())
        .ok()
        .and_then(|call| Event::parse(call.event));
    event.is_none_or(|event| events.contains(&event))
}
