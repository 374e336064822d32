//! What happens to the items of a request: mapped, sent, and where that fails parked or set aside.
//!
//! Invariants: one [`Processed`] per item, in the order of the request; an item is reported as
//! parked or rejected only once SQS has it.

use std::time::Duration;

use futures::StreamExt;
use mapping::{Disposition, Outcome, Plan, Reason, Refusal};
use platform::Application;
use platform::message::{Kind, Parked, Reject, Work};
use platform::telemetry::hashed;
use pushwoosh::delivery::Report;

use crate::{Destination, Invocation};

/// How an item ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Processed {
    /// Its outcome.
    pub outcome: Outcome,
    /// What was wrong with it, where it could not be decoded.
    pub undecodable: Option<String>,
}

/// How an item ended, with what is still to be put on a queue for it.
struct Pending {
    processed: Processed,
    park: Option<(Parked, Duration)>,
    reject: Option<Reject>,
}

impl Destination {
    /// Works on a request of one item.
    pub(crate) async fn process_one(
        &self,
        application: &Application,
        kind: Kind,
        item: &[u8],
        map: impl Fn(&[u8]) -> Result<Plan, Refusal>,
        invocation: &Invocation,
    ) -> Processed {
        let processed = self.process(application, kind, &[item], map, invocation).await;
        processed
            .into_iter()
            .next()
            .unwrap_or(Processed { outcome: Outcome::Failed, undecodable: None })
    }

    /// Works on the items of a request. Plans are made one by one as they are sent, so that a large
    /// batch does not lie in memory twice.
    pub(crate) async fn process(
        &self,
        application: &Application,
        kind: Kind,
        items: &[&[u8]],
        map: impl Fn(&[u8]) -> Result<Plan, Refusal>,
        invocation: &Invocation,
    ) -> Vec<Processed> {
        let map = &map;
        let mut pending: Vec<Pending> = futures::stream::iter(0..items.len())
            .map(|index| async move {
                let item = items.get(index).copied().unwrap_or_default();
                if self.recent.take(&application.code, item) {
                    return Pending {
                        processed: processed(Outcome::Delivered),
                        park: None,
                        reject: None,
                    };
                }
                let reject = |reason: Reason, message: String| {
                    let origin = format!("{} {index}", invocation.request_id);
                    Reject::new(Some(&application.code), kind, origin, reason, message)
                        .with_raw(item)
                };
                match map(item) {
                    Ok(plan) => self.send(application, plan, reject, invocation).await,
                    Err(refusal) => refused(application, item, &refusal, reject),
                }
            })
            .buffered(self.settings.concurrency)
            .collect()
            .await;
        self.keep(&mut pending, invocation).await;
        let processed: Vec<Processed> =
            pending.into_iter().map(|pending| pending.processed).collect();
        for item in &processed {
            invocation.tally.item(item.outcome);
        }
        if processed.iter().any(|item| item.outcome == Outcome::Failed) {
            let outcomes = items.iter().copied().zip(processed.iter().map(|item| item.outcome));
            self.recent.remember(&application.code, outcomes);
        }
        processed
    }

    async fn send(
        &self,
        application: &Application,
        plan: Plan,
        reject: impl Fn(Reason, String) -> Reject,
        invocation: &Invocation,
    ) -> Pending {
        let code = application.code.as_str();
        let report = self
            .delivery
            .deliver(code, plan, invocation.upstream_deadline, &invocation.tally)
            .await;
        // The settings were there a moment ago, or nobody would have got this far.
        let Report { rest, refused } = match report {
            Ok(report) => report,
            Err(error) => {
                tracing::error!(app.code = code, error = %error, "an item could not be sent");
                return Pending { processed: processed(Outcome::Failed), park: None, reject: None };
            }
        };
        let reason = Reason::RefusedByPushwoosh;
        let reject = refused.first().map(|answer| {
            tracing::warn!(
                app.code = code,
                reason = reason.code(),
                error = answer,
                "Pushwoosh refused a call"
            );
            reject(reason, answer.clone())
        });
        let outcome = match (&rest, &reject) {
            (Some(_), _) => Outcome::Parked,
            (None, Some(_)) => Outcome::Rejected(reason),
            (None, None) => Outcome::Delivered,
        };
        let park = rest.map(|rest| {
            let delay = rest.after.unwrap_or_default().max(self.settings.retry_first_delay);
            let parked = Parked::new(code, Work::Pushwoosh(rest.plan), rest.cause);
            (parked, delay)
        });
        Pending { processed: processed(outcome), park, reject }
    }

    /// Puts on the queues what belongs there; what they do not take has failed.
    async fn keep(&self, pending: &mut [Pending], invocation: &Invocation) {
        let (mut parked, mut parked_at, mut rejects, mut rejected_at) =
            (vec![], vec![], vec![], vec![]);
        for (index, item) in pending.iter_mut().enumerate() {
            parked_at.extend(item.park.is_some().then_some(index));
            parked.extend(item.park.take());
            rejected_at.extend(item.reject.is_some().then_some(index));
            rejects.extend(item.reject.take());
        }
        let (parked, rejected) = futures::join!(
            self.queues.park(&parked, invocation.deadline),
            self.queues.reject(&rejects, invocation.deadline),
        );
        let kept = parked_at.into_iter().zip(parked).chain(rejected_at.into_iter().zip(rejected));
        for (index, result) in kept {
            if let (Err(error), Some(item)) = (result, pending.get_mut(index)) {
                tracing::error!(error = %error, "an item could be neither delivered nor kept");
                item.processed.outcome = Outcome::Failed;
            }
        }
    }
}

fn processed(outcome: Outcome) -> Processed {
    Processed { outcome, undecodable: None }
}

fn refused(
    application: &Application,
    item: &[u8],
    refusal: &Refusal,
    reject: impl Fn(Reason, String) -> Reject,
) -> Pending {
    let user = mapping::identity_of(item).map(|id| hashed(&id));
    let (code, reason) = (application.code.as_str(), refusal.reason.code());
    tracing::info!(
        app.code = code,
        user.hash = user,
        reason,
        detail = %refusal.message,
        "an item was not delivered"
    );
    let undecodable = refusal.reason.disposition() == Disposition::Reject;
    Pending {
        processed: Processed {
            outcome: refusal.reason.into(),
            undecodable: undecodable.then(|| refusal.message.to_string()),
        },
        park: None,
        reject: undecodable.then(|| reject(refusal.reason, refusal.message.to_string())),
    }
}
