//! Delivers plans: the one way in which calls reach Pushwoosh, for the destination and for retries.
//!
//! Invariants: calls of a stage run together, a stage waits for the one before it; a refused key
//! is read again once and tried once more; nothing runs past the deadline. What could not be sent
//! is handed back as the plan that is still missing, so that a call that succeeded is not
//! repeated. A call that is refused for good does not stop the calls after it.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use mapping::{Call, Method, Plan};
use platform::application::{Application, Pushwoosh};
use platform::circuit::Circuits;
use platform::secrets::{SecretError, Secrets};
use platform::telemetry::{Count, Tally, hashed};
use platform::upstream::Verdict;
use serde_json::Value;
use tokio::time::Instant;

use crate::{Accepted, Client, Error};

/// Sends plans on behalf of all applications.
#[derive(Debug)]
pub struct Delivery {
    client: Client,
    secrets: Arc<Secrets>,
    circuits: Circuits,
}

/// How a plan ended. Neither part set means that Pushwoosh has everything.
#[derive(Debug, Default)]
pub struct Report {
    /// What is still to be sent.
    pub rest: Option<Rest>,
    /// Pushwoosh's answers to the calls that it will never take.
    pub refused: Vec<String>,
}

/// What is still to be sent, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Rest {
    /// The calls that are missing.
    pub plan: Plan,
    /// Short, stable name of the cause.
    pub cause: String,
    /// Not before this has passed.
    pub after: Option<Duration>,
}

/// Why a call has to be sent again.
struct Undelivered {
    cause: String,
    after: Option<Duration>,
}

enum Sent {
    Done,
    Refused(String),
    Undelivered(Undelivered),
}

impl Delivery {
    /// Delivers with this client; keys come from the secrets.
    pub fn new(client: Client, secrets: Arc<Secrets>) -> Self {
        Self { client, secrets, circuits: Circuits::default() }
    }

    /// Sends a plan until the deadline. Only the settings can fail as a whole: then nothing was sent.
    pub async fn deliver(
        &self,
        application: &str,
        plan: Plan,
        deadline: Instant,
        tally: &Tally,
    ) -> Result<Report, SecretError> {
        let settings = self.secrets.application(application).await?;
        let mut report = Report::default();
        let mut stages = plan.stages.into_iter();
        while let Some(stage) = stages.next() {
            let sent =
                join_all(stage.iter().map(|call| self.send(&settings, call, deadline, tally)))
                    .await;
            let mut missing = Vec::new();
            let mut why: Option<Undelivered> = None;
            for (call, sent) in stage.into_iter().zip(sent) {
                match sent {
                    Sent::Done => {}
                    Sent::Refused(answer) => report.refused.push(answer),
                    Sent::Undelivered(undelivered) => {
                        missing.push(call);
                        let after = why.as_ref().and_then(|why| why.after).max(undelivered.after);
                        why = Some(Undelivered { after, ..undelivered });
                    }
                }
            }
            if let Some(Undelivered { cause, after }) = why {
                let stages = std::iter::once(missing).chain(stages).collect();
                report.rest = Some(Rest { plan: Plan { stages }, cause, after });
                break;
            }
        }
        Ok(report)
    }

    async fn send(
        &self,
        settings: &Application,
        call: &Call,
        deadline: Instant,
        tally: &Tally,
    ) -> Sent {
        let code = settings.code.as_str();
        let Some(account) = &settings.pushwoosh else {
            return Sent::Refused("the application's secret has no pushwoosh.api_token".to_owned());
        };
        if Instant::now() >= deadline {
            return Sent::Undelivered(Undelivered { cause: "time_budget".to_owned(), after: None });
        }
        if !self.circuits.allows(code, Instant::now()) {
            return Sent::Undelivered(Undelivered {
                cause: "circuit_open".to_owned(),
                after: None,
            });
        }
        let mut result = self.attempt(account, call, deadline, tally).await;
        if matches!(&result, Ok(Err(error)) if error.verdict() == Verdict::Unauthorized)
            && let Some(account) = self.rotated(code, account).await
        {
            result = self.attempt(&account, call, deadline, tally).await;
        }
        let error = match result {
            Ok(Ok(accepted)) => {
                self.circuits.succeeded(code);
                skipped(code, &accepted, tally);
                if call.method == Method::DeleteUser {
                    receipt(code, call);
                }
                return Sent::Done;
            }
            Ok(Err(error)) => error,
            Err(Timeout) => {
                self.circuits.failed(code, None, Instant::now());
                return Sent::Undelivered(Undelivered { cause: "timeout".to_owned(), after: None });
            }
        };
        match error.verdict() {
            Verdict::Permanent => {
                self.circuits.succeeded(code);
                Sent::Refused(error.to_string())
            }
            Verdict::Retry { after } => {
                if error.is_throttled() {
                    tally.refused(Count::UpstreamThrottled, code);
                }
                self.circuits.failed(code, after, Instant::now());
                Sent::Undelivered(Undelivered { cause: error.cause(), after })
            }
            // A key can be corrected: what it was refused for is kept until then.
            Verdict::Unauthorized => {
                tally.refused(Count::UpstreamUnauthorized, code);
                self.circuits.failed(code, None, Instant::now());
                Sent::Undelivered(Undelivered { cause: "unauthorized".to_owned(), after: None })
            }
        }
    }

    async fn attempt(
        &self,
        account: &Pushwoosh,
        call: &Call,
        deadline: Instant,
        tally: &Tally,
    ) -> Result<Result<Accepted, Error>, Timeout> {
        let started = Instant::now();
        let result = tokio::time::timeout_at(deadline, self.client.send(account, call)).await;
        tally.time(Count::UpstreamMs, started.elapsed());
        result.map_err(|_| Timeout)
    }

    /// The account with a newer key than the one that was refused, if there is one.
    async fn rotated(&self, code: &str, refused: &Pushwoosh) -> Option<Pushwoosh> {
        use secrecy::ExposeSecret;
        let settings = self.secrets.refreshed(code).await.ok()?;
        let account = settings.pushwoosh.clone()?;
        (account.api_token.expose_secret() != refused.api_token.expose_secret()).then_some(account)
    }
}

/// The receipt of a deletion (spec D3): who asks later finds it in the log.
fn receipt(code: &str, call: &Call) {
    let user = call.request.get("user_id").and_then(Value::as_str).unwrap_or_default();
    tracing::info!(
        app.code = code,
        user.hash = hashed(user),
        answer = "accepted",
        "deletion accepted by Pushwoosh"
    );
}

/// The deadline passed.
struct Timeout;

fn skipped(code: &str, accepted: &Accepted, tally: &Tally) {
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
