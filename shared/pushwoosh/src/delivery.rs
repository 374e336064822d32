//! Delivers plans: the one way in which calls reach Pushwoosh, for the destination and for retries.
//!
//! Invariants: calls of a stage run together, a stage waits for the one before it; no call starts or
//! runs after the invocation's deadline for upstreams. What could not be sent is handed back as the
//! plan that is still missing, so that a call that succeeded is not repeated. A call that is refused
//! for good does not stop the calls after it.

use std::sync::Arc;

use futures::future::join_all;
use mapping::{Call, Method, Plan};
use platform::Platform;
use platform::application::{Application, PushwooshAccount};
use platform::gate::{Account, CallOutcome, Gate, Patience, Undelivered};
use platform::invocation::Invocation;
use platform::secrets::{SecretError, Secrets};
use platform::telemetry::{Count, Tally, hashed};
use serde_json::Value;

use crate::client::Client;
use crate::reply::Accepted;

/// Only the invocation's deadline limits a call. A single one without an answer counts as one failure.
const PATIENCE: Patience = Patience { answer: None, opens_on_timeout: false };

/// Sends plans on behalf of all applications.
#[derive(Debug)]
pub struct Delivery {
    client: Client,
    secrets: Arc<Secrets>,
    gate: Gate,
}

/// How a plan ended. Neither part set means that Pushwoosh has everything.
#[derive(Debug, Default)]
pub struct PlanOutcome {
    /// What is still to be sent.
    pub unsent: Option<Unsent>,
    /// Pushwoosh's answers to the calls that it will never take.
    pub refused: Vec<String>,
}

/// What is still to be sent, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Unsent {
    /// The calls that are missing.
    pub plan: Plan,
    /// Why.
    pub why: Undelivered,
}

/// How a call of a plan ended.
enum Sent {
    Done,
    Refused(String),
    Undelivered(Undelivered),
}

impl Delivery {
    /// Delivers on this platform.
    pub fn new(platform: &Platform) -> Self {
        let (clock, secrets) = (platform.clock.clone(), Arc::clone(&platform.secrets));
        Self {
            client: Client::new(Arc::clone(&platform.transport), clock.clone()),
            gate: Gate::new(clock, Arc::clone(&secrets), PATIENCE),
            secrets,
        }
    }

    /// Sends a plan. Only the settings can fail as a whole: then nothing was sent.
    pub async fn deliver(
        &self,
        code: &str,
        plan: Plan,
        invocation: &Invocation,
    ) -> Result<PlanOutcome, SecretError> {
        let application = self.secrets.application(code).await?;
        let mut outcome = PlanOutcome::default();
        let mut stages = plan.stages.into_iter();
        while let Some(stage) = stages.next() {
            let calls = stage.iter().map(|call| self.send(&application, call, invocation));
            let sent = join_all(calls).await;
            let mut missing = Vec::new();
            let mut why: Option<Undelivered> = None;
            for (call, sent) in stage.into_iter().zip(sent) {
                match sent {
                    Sent::Done => {}
                    Sent::Refused(answer) => outcome.refused.push(answer),
                    Sent::Undelivered(undelivered) => {
                        missing.push(call);
                        let after = why.and_then(|why| why.after).max(undelivered.after);
                        why = Some(Undelivered { after, ..undelivered });
                    }
                }
            }
            if let Some(why) = why {
                let stages = std::iter::once(missing).chain(stages).collect();
                outcome.unsent = Some(Unsent { plan: Plan { stages }, why });
                break;
            }
        }
        Ok(outcome)
    }

    async fn send(&self, application: &Application, call: &Call, invocation: &Invocation) -> Sent {
        let code = application.code.as_str();
        let Some(account) = PushwooshAccount::of(application) else {
            return Sent::Refused("the application's secret has no pushwoosh.api_token".to_owned());
        };
        let (deadline, tally) = (invocation.deadlines.upstream, &invocation.tally);
        let outcome = self.gate.call(&self.client, code, &account, call, deadline, tally).await;
        match outcome {
            CallOutcome::Accepted(accepted) => {
                report_skipped_tags(code, &accepted, tally);
                if call.method == Method::DeleteUser {
                    write_receipt(code, call);
                }
                Sent::Done
            }
            CallOutcome::Refused(error) => Sent::Refused(error.to_string()),
            CallOutcome::Undelivered(undelivered) => Sent::Undelivered(undelivered),
        }
    }
}

/// The receipt of a deletion (spec D3), for whoever asks later.
fn write_receipt(code: &str, call: &Call) {
    let user = call.request.get("user_id").and_then(Value::as_str).unwrap_or_default();
    tracing::info!(
        app.code = code,
        user.hash = hashed(user),
        answer = "accepted",
        "deletion accepted by Pushwoosh"
    );
}

fn report_skipped_tags(code: &str, accepted: &Accepted, tally: &Tally) {
    for tag in &accepted.skipped_tags {
        tally.add(Count::SkippedTags, 1);
        tracing::warn!(
            app.code = code,
            tag.name = tag.tag,
            reason = "skipped_tag",
            detail = tag.reason,
            "Pushwoosh did not save a tag: create it there, with the type of its values"
        );
    }
}
