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
use platform::application::{Application, Problems, PushwooshAccount, Section};
use platform::clock::Clock;
use platform::gate::{Account, CallOutcome, Gate, TimeoutPolicy, Undelivered};
use platform::invocation::Invocation;
use platform::ledger::Ledger;
use platform::secrets::{SecretError, Secrets};
use platform::telemetry::{Count, Tally, hashed};
use platform::upstream::Answer;
use serde_json::Value;

use crate::client::Client;
use crate::reply::{Accepted, SkippedTag};

/// Only the invocation's deadline limits a call. A single one without an answer counts as one failure.
const TIMEOUT_POLICY: TimeoutPolicy = TimeoutPolicy { answer: None, opens_on_timeout: false };

/// Sends plans on behalf of all applications.
#[derive(Debug)]
pub struct Delivery {
    pub(crate) client: Client,
    secrets: Arc<Secrets>,
    pub(crate) gate: Gate,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) clock: Clock,
}

/// How a plan ended. Nothing unsent and nothing refused means that Pushwoosh has it, but for the tags that it skipped.
#[derive(Debug, Default)]
pub struct PlanOutcome {
    /// What is still to be sent.
    pub unsent: Option<Unsent>,
    /// The calls that Pushwoosh will never take.
    pub refused: Vec<Refused>,
    /// Tags that it did not save, of calls that it took.
    pub skipped: Vec<SkippedTag>,
}

impl PlanOutcome {
    /// Whether Pushwoosh took every call.
    pub fn is_delivered(&self) -> bool {
        self.unsent.is_none() && self.refused.is_empty()
    }

    /// The tags that Pushwoosh did not save, in words for the item's line; empty where it saved all.
    pub fn not_saved(&self) -> String {
        if self.skipped.is_empty() {
            return String::new();
        }
        let tags: Vec<String> = self.skipped.iter().map(SkippedTag::to_string).collect();
        format!("Pushwoosh did not save: {}", tags.join(", "))
    }
}

/// A call that Pushwoosh will never take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What to show the operator.
    pub message: String,
    /// What Pushwoosh answered, where it was asked.
    pub answer: Answer,
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
    Done(Vec<SkippedTag>),
    Refused(Refused),
    Undelivered(Undelivered),
}

impl Delivery {
    /// Delivers on this platform.
    pub fn new(platform: &Platform) -> Self {
        let (clock, secrets) = (platform.clock.clone(), Arc::clone(&platform.secrets));
        Self {
            client: Client::new(Arc::clone(&platform.transport), clock.clone()),
            gate: Gate::new(clock.clone(), Arc::clone(&secrets), TIMEOUT_POLICY),
            secrets,
            ledger: Arc::clone(&platform.ledger),
            clock,
        }
    }

    /// Whether the application's calls are paused.
    pub fn is_paused(&self, code: &str) -> bool {
        self.gate.is_paused(code)
    }

    /// Sends a plan. Only the settings can fail as a whole: then nothing was sent.
    pub(crate) async fn deliver(
        &self,
        code: &str,
        plan: Plan,
        invocation: &Invocation,
    ) -> Result<PlanOutcome, SecretError> {
        let application = self.secrets.application(code, invocation.deadlines.answer).await?;
        if application.is_disabled(Section::Pushwoosh) {
            let problem = "the section pushwoosh cannot be used".to_owned();
            return Err(SecretError::Malformed(Problems(vec![problem])));
        }
        let mut outcome = PlanOutcome::default();
        let mut stages = plan.stages.into_iter();
        while let Some(stage) = stages.next() {
            let calls = stage.iter().map(|call| self.send(&application, call, invocation));
            let sent = join_all(calls).await;
            let mut missing = Vec::new();
            let mut why: Option<Undelivered> = None;
            for (call, sent) in stage.into_iter().zip(sent) {
                match sent {
                    Sent::Done(skipped) => outcome.skipped.extend(skipped),
                    Sent::Refused(refused) => outcome.refused.push(refused),
                    Sent::Undelivered(undelivered) => {
                        missing.push(call);
                        let after = why.as_ref().and_then(|why| why.after).max(undelivered.after);
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
        let Some(account) = PushwooshAccount::from_application(application) else {
            let message = "the application's secret has no pushwoosh.api_token".to_owned();
            return Sent::Refused(Refused { message, answer: Answer::default() });
        };
        let (deadlines, tally) = (invocation.deadlines, &invocation.tally);
        let outcome = self.gate.call(&self.client, code, &account, call, deadlines, tally).await;
        match outcome {
            CallOutcome::Accepted(accepted) => {
                report_skipped_tags(code, &accepted, tally);
                if call.method == Method::DeleteUser {
                    write_receipt(code, call);
                }
                Sent::Done(accepted.skipped_tags)
            }
            CallOutcome::Refused(error) => {
                let (message, answer) = (error.to_string(), error.answer());
                Sent::Refused(Refused { message, answer })
            }
            CallOutcome::Undelivered(undelivered) => Sent::Undelivered(undelivered),
        }
    }
}

/// The receipt of a deletion (spec D3): the log shows later that Pushwoosh accepted it.
fn write_receipt(code: &str, call: &Call) {
    let user = call.request.get("user_id").and_then(Value::as_str).unwrap_or_default();
    tracing::info!(
        app.code = code,
        user = hashed(user),
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
            "Pushwoosh did not save a tag: {}",
            remedy_of_skipped(&tag.reason)
        );
    }
}

/// What to do about a tag that was skipped with these words.
fn remedy_of_skipped(words: &str) -> &'static str {
    match words {
        "Not found" => "create it there, with the type of its values",
        "Wrong type" => "send values of the type that the tag has there",
        _ => "the detail has Pushwoosh's words",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mapping::{Cause, deletion, profile};
    use platform::testing::{Logs, Reply, World, application};
    use serde_json::json;

    use super::*;

    const BUDGET: Duration = Duration::from_secs(3);

    /// Device and address together, then the tags.
    fn profile_plan() -> Plan {
        let body = json!({"user_id": "u1", "device_id": "d", "device_platform": "ios",
            "email": "a@b.c", "attributes": {"plan": "pro"}});
        profile::plan("A", body.to_string().as_bytes(), jiff::Timestamp::UNIX_EPOCH).unwrap()
    }

    fn methods(plan: &Plan) -> Vec<Vec<Method>> {
        let stages = plan.stages.iter();
        stages.map(|stage| stage.iter().map(|call| call.method).collect()).collect()
    }

    async fn deliver(world: &World, plan: Plan) -> (PlanOutcome, Invocation) {
        let invocation = world.invocation(BUDGET);
        let delivery = Delivery::new(&world.platform);
        let outcome = delivery.deliver("A", plan, &invocation).await.unwrap();
        (outcome, invocation)
    }

    fn paths(world: &World) -> Vec<String> {
        world.requests().iter().map(|request| request.uri().path().to_owned()).collect()
    }

    fn ok() -> Reply {
        Reply::Status(200, json!({"status_code": 200}))
    }

    /// Late enough for both calls of a stage to be under way.
    fn late(reply: Reply) -> Reply {
        Reply::Late(Duration::from_secs(1), Box::new(reply))
    }

    /// Answers calls of one path in its own way, and takes the others.
    fn upstream(world: &World, path: &'static str, reply: Reply) {
        world.upstream(
            move |request| {
                if request.uri().path().ends_with(path) { reply.clone() } else { ok() }
            },
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_stage_waits_for_the_one_before_it() {
        let world = World::new(&[]);
        upstream(&world, "/registerUser", late(ok()));
        let (outcome, invocation) = deliver(&world, profile_plan()).await;
        assert!(outcome.unsent.is_none() && outcome.refused.is_empty());
        let mut paths = paths(&world);
        assert_eq!(paths.pop().unwrap(), "/json/1.3/setTags");
        paths.sort();
        assert_eq!(paths, ["/json/1.3/registerEmail", "/json/1.3/registerUser"]);
        assert_eq!(invocation.tally.counts()[&Count::UpstreamMs], 1_000);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_delivered_is_not_in_what_is_still_to_be_sent() {
        let world = World::new(&[]);
        upstream(&world, "/registerEmail", Reply::Limited(429, "7"));
        let (outcome, _) = deliver(&world, profile_plan()).await;
        let unsent = outcome.unsent.unwrap();
        assert_eq!(methods(&unsent.plan), [[Method::RegisterEmail], [Method::SetTags]]);
        assert_eq!(unsent.why.cause, Cause::Http(429));
        assert_eq!(unsent.why.after, Some(Duration::from_secs(7)));
        assert_eq!(paths(&world).len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_retry_after_of_a_stage_is_kept() {
        for (one, other) in [("7", "30"), ("30", "7")] {
            let world = World::new(&[]);
            world.upstream(move |request| {
                let email = request.uri().path().ends_with("/registerEmail");
                late(Reply::Limited(503, if email { one } else { other }))
            });
            let unsent = deliver(&world, profile_plan()).await.0.unsent.unwrap();
            assert_eq!(unsent.why.after, Some(Duration::from_secs(30)));
            assert_eq!(methods(&unsent.plan)[0].len(), 2);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_refused_for_good_stops_no_other() {
        let world = World::new(&[]);
        upstream(&world, "/registerEmail", Reply::Status(400, json!({"status_code": 210})));
        let (outcome, _) = deliver(&world, profile_plan()).await;
        assert!(outcome.unsent.is_none());
        let messages: Vec<&str> = outcome.refused.iter().map(|one| one.message.as_str()).collect();
        assert_eq!(messages, ["Pushwoosh answered HTTP 400, status code 210"]);
        assert_eq!(paths(&world).len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_answer_the_call_is_left_at_the_deadline() {
        let world = World::new(&[]);
        world.upstream(|_| Reply::Hang);
        let before = world.now();
        let plan = deletion::plan("A", br#"{"external_id":"u1"}"#).unwrap();
        let (outcome, _) = deliver(&world, plan.clone()).await;
        assert_eq!(outcome.unsent, Some(Unsent { plan, why: Cause::Timeout.into() }));
        assert_eq!(world.now().since(before), BUDGET);
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_deletion_that_was_accepted_leaves_a_receipt() {
        let world = World::new(&[]);
        let (logs, _guard) = Logs::capture();
        let receipts = || logs.with_message("deletion accepted by Pushwoosh").len();
        deliver(&world, profile_plan()).await;
        assert_eq!(receipts(), 0);
        let deletion = deletion::plan("A", br#"{"external_id":"u1"}"#).unwrap();
        deliver(&world, deletion.clone()).await;
        assert_eq!(receipts(), 1);
        world.upstream(|_| Reply::Status(503, json!({})));
        deliver(&world, deletion).await;
        assert_eq!(receipts(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn skipped_tags_are_counted_and_named() {
        let world = World::new(&[]);
        assert_eq!(deliver(&world, profile_plan()).await.0.not_saved(), "");
        let skipped = json!([{"tag": "plan", "reason": "Not found"}, {"tag": "age"}]);
        let answer = json!({"status_code": 200, "response": {"skipped": skipped}});
        upstream(&world, "/setTags", Reply::Status(200, answer));
        let (outcome, invocation) = deliver(&world, profile_plan()).await;
        assert_eq!(invocation.tally.counts()[&Count::SkippedTags], 2);
        assert!(outcome.is_delivered());
        assert_eq!(outcome.not_saved(), "Pushwoosh did not save: plan (Not found), age");
    }

    #[tokio::test(start_paused = true)]
    async fn a_plan_of_which_a_call_waits_or_is_refused_is_not_delivered() {
        for status in [400, 503] {
            let world = World::new(&[]);
            upstream(&world, "/registerEmail", Reply::Status(status, json!({})));
            assert!(!deliver(&world, profile_plan()).await.0.is_delivered(), "{status}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_application_is_paused_once_its_calls_keep_failing() {
        let world = World::new(&[]);
        world.upstream(|_| Reply::Status(503, json!({})));
        let delivery = Delivery::new(&world.platform);
        assert!(!delivery.is_paused("A"));
        for _ in 0..10 {
            let invocation = world.invocation(BUDGET);
            delivery.deliver("A", profile_plan(), &invocation).await.unwrap();
        }
        assert!(delivery.is_paused("A") && !delivery.is_paused("B"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_line_of_a_skipped_tag_says_what_to_do_about_its_detail() {
        for (detail, remedy) in [
            ("Not found", "create it there, with the type of its values"),
            ("Wrong type", "send values of the type that the tag has there"),
            ("Busy", "the detail has Pushwoosh's words"),
        ] {
            let world = World::new(&[]);
            let (logs, _guard) = Logs::capture();
            let skipped = json!({"status_code": 200, "response": {"skipped": [{"tag": "plan", "reason": detail}]}});
            upstream(&world, "/setTags", Reply::Status(200, skipped));
            deliver(&world, profile_plan()).await;
            let [line] = logs.with("reason", "skipped_tag").try_into().unwrap();
            assert_eq!((&line["detail"], &line["tag.name"]), (&json!(detail), &json!("plan")));
            let message = line["message"].as_str().unwrap();
            assert_eq!(message, format!("Pushwoosh did not save a tag: {remedy}"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_settings_nothing_is_sent() {
        let world = World::new(&[]);
        world.secrets_manager("A", Reply::Status(503, json!({})));
        let invocation = world.invocation(BUDGET);
        let delivery = Delivery::new(&world.platform);
        assert!(delivery.deliver("A", profile_plan(), &invocation).await.is_err());
        tokio::time::advance(Duration::from_mins(1)).await;
        let invocation = world.invocation(BUDGET);
        world.secret("C", &json!({"pushwoosh": 5, "segment": {"write_key": "k"}}));
        assert!(delivery.deliver("C", profile_plan(), &invocation).await.is_err());
        let mut secret = application("token", "key");
        secret.as_object_mut().unwrap().remove("pushwoosh");
        world.secret("B", &secret);
        let outcome = delivery.deliver("B", profile_plan(), &invocation).await.unwrap();
        assert!(outcome.refused.iter().all(|one| one.message.contains("pushwoosh.api_token")));
        assert_eq!((outcome.refused.len(), world.requests().len()), (3, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_token_is_read_again_once() {
        let world = World::new(&[]);
        world.platform.secrets.application("A", world.now() + BUDGET).await.unwrap();
        tokio::time::advance(Duration::from_secs(2)).await;
        world.secret("A", &application("rotated", "key"));
        world.upstream(|request| {
            let right = request.headers()["authorization"] == "Token rotated";
            if right { ok() } else { Reply::Status(401, json!({})) }
        });
        let plan = deletion::plan("A", br#"{"external_id":"u1"}"#).unwrap();
        let (outcome, _) = deliver(&world, plan).await;
        assert!(outcome.unsent.is_none() && outcome.refused.is_empty());
        assert_eq!(world.requests().len(), 2);
    }
}
