//! Delivers Track calls: the one way in which they reach Segment, for the source and for retries.
//!
//! Invariants: every call ends in exactly one [`TrackOutcome`]; nothing runs past the invocation's
//! deadline for answers. A batch that is refused as such (400, 413) is halved until the offender is
//! alone. What may succeed later is tried again for a moment here, and for days by way of the retry
//! queue; an application that Segment limits (429) and one that gets no answer are left to the queue
//! at once, so that they do not delay other applications.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use mapping::Cause;
use platform::Platform;
use platform::application::SegmentAccount;
use platform::clock::Clock;
use platform::gate::{CallOutcome, Gate, TimeoutPolicy, Undelivered};
use platform::invocation::Invocation;
use platform::upstream::{Answer, CallError};
use reqwest::StatusCode;

use crate::calls::{Calls, MAX_EVENT_BYTES, Part};
use crate::client::{Batch, Client};

/// Attempts within one invocation.
const MAX_ATTEMPTS: u32 = 3;

/// First delay between two of them, doubling: what Segment's Node library starts with.
const BASE_DELAY: Duration = Duration::from_millis(500);

/// Segment's libraries wait 10 s for an answer; a poller has others to serve. A wait costs so much that
/// one is enough to open the circuit.
const TIMEOUT_POLICY: TimeoutPolicy =
    TimeoutPolicy { answer: Some(Duration::from_secs(5)), opens_on_timeout: true };

/// How a Track call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrackOutcome {
    /// Segment has it.
    Delivered,
    /// Segment will never take it.
    Refused {
        /// What to show the operator.
        message: String,
        /// What Segment answered, where it was asked.
        answer: Answer,
        /// Whether it is larger than Segment takes.
        too_large: bool,
    },
    /// It has to be sent again.
    Undelivered(Undelivered),
}

/// Sends calls on behalf of all applications.
#[derive(Debug)]
pub struct Delivery {
    client: Client,
    concurrency: usize,
    gate: Gate,
    clock: Clock,
}

impl Delivery {
    /// Delivers on this platform, as its settings say.
    pub fn new(platform: &Platform) -> Self {
        let (settings, clock) = (&platform.settings, platform.clock.clone());
        let transport = Arc::clone(&platform.transport);
        Self {
            client: Client::new(transport, clock.clone(), settings.segment_gzip),
            concurrency: settings.segment_concurrency,
            gate: Gate::new(clock.clone(), Arc::clone(&platform.secrets), TIMEOUT_POLICY),
            clock,
        }
    }

    /// Whether the application's calls are paused.
    pub fn is_paused(&self, code: &str) -> bool {
        self.gate.is_paused(code)
    }

    /// Sends an application's calls; `attempts` says how often they were tried before. The result has one outcome per
    /// call, in their order.
    pub async fn deliver(
        &self,
        code: &str,
        account: &SegmentAccount,
        calls: &Calls,
        attempts: u32,
        invocation: &Invocation,
    ) -> Vec<TrackOutcome> {
        let job = &Job { delivery: self, code, account, attempts, invocation };
        let batches = futures::stream::iter(0..calls.batches())
            .map(|number| async move { (number, job.batch(calls.batch(number)).await) });
        let mut outcomes: Vec<(usize, Vec<TrackOutcome>)> =
            batches.buffer_unordered(self.concurrency).collect().await;
        outcomes.sort_by_key(|(number, _)| *number);
        let mut outcomes = outcomes.into_iter().flat_map(|(_, outcomes)| outcomes);
        let outcome = |is_sent: bool| {
            let outcome = if is_sent { outcomes.next() } else { None };
            outcome.unwrap_or_else(|| TrackOutcome::Refused {
                message: format!("Segment takes calls of up to {MAX_EVENT_BYTES} bytes"),
                answer: Answer::default(),
                too_large: true,
            })
        };
        calls.are_sent().map(outcome).collect()
    }
}

/// What the batches of one delivery have in common.
struct Job<'a> {
    delivery: &'a Delivery,
    code: &'a str,
    account: &'a SegmentAccount,
    attempts: u32,
    invocation: &'a Invocation,
}

impl Job<'_> {
    /// Sends a batch, halving it while it is refused as such.
    async fn batch(&self, batch: Option<Part<'_>>) -> Vec<TrackOutcome> {
        let mut outcomes = Vec::with_capacity(batch.map_or(0, |batch| batch.len()));
        let mut parts = Vec::from_iter(batch);
        while let Some(part) = parts.pop() {
            let outcome = match self.send(part).await {
                CallOutcome::Accepted(()) => TrackOutcome::Delivered,
                CallOutcome::Undelivered(undelivered) => TrackOutcome::Undelivered(undelivered),
                CallOutcome::Refused(error) if part.len() > 1 && is_of_the_batch(&error) => {
                    let [left, right] = part.halves();
                    parts.extend([right, left]);
                    continue;
                }
                CallOutcome::Refused(error) => {
                    let (message, answer) = (error.to_string(), error.answer());
                    TrackOutcome::Refused { message, answer, too_large: false }
                }
            };
            outcomes.extend(std::iter::repeat_n(outcome, part.len()));
        }
        outcomes
    }

    /// Sends calls as one request, several times where another attempt may succeed soon.
    async fn send(&self, calls: Part<'_>) -> CallOutcome<()> {
        let Delivery { client, gate, clock, .. } = self.delivery;
        let (deadlines, tally) = (self.invocation.deadlines, &self.invocation.tally);
        let mut attempts = 0;
        loop {
            let batch = Batch { calls, attempts: self.attempts + attempts };
            let outcome = gate.call(client, self.code, self.account, batch, deadlines, tally).await;
            let CallOutcome::Undelivered(undelivered) = &outcome else {
                return outcome;
            };
            attempts += 1;
            let delay = longest_delay(attempts).mul_f64(fastrand::f64());
            let too_late = clock.now() + delay >= deadlines.start;
            if !may_pass_soon(undelivered) || attempts >= MAX_ATTEMPTS || too_late {
                return outcome;
            }
            clock.sleep(delay).await;
        }
    }
}

/// The longest delay after this many attempts of one invocation.
fn longest_delay(attempts: u32) -> Duration {
    BASE_DELAY.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1)))
}

/// Whether another attempt in this invocation may succeed. A limit, a time that Segment named and a
/// missing answer are longer than that.
fn may_pass_soon(undelivered: &Undelivered) -> bool {
    match undelivered {
        Undelivered { after: Some(_), .. } | Undelivered { cause: Cause::Http(429), .. } => false,
        Undelivered { cause, .. } => matches!(cause, Cause::Connection | Cause::Http(_)),
    }
}

/// Whether Segment refused the request as a whole, of which a part may be good.
fn is_of_the_batch(error: &CallError) -> bool {
    matches!(error.status(), Some(StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use platform::gate::Account;
    use platform::testing::{Reply, World, application};
    use platform::transport::Request;
    use serde_json::{Value, json};

    use super::*;

    const BUDGET: Duration = Duration::from_secs(20);

    fn call(name: &str) -> String {
        format!("{{\"type\":\"track\",\"event\":\"{name}\"}}")
    }

    /// An answer that takes time, as every answer does: halving that does not end reaches the deadline.
    fn answer(status: u16) -> Reply {
        Reply::Late(Duration::from_millis(10), Box::new(Reply::Status(status, json!({}))))
    }

    async fn deliver(world: &World, calls: &[String]) -> Vec<TrackOutcome> {
        let delivery = Delivery::new(&world.platform);
        deliver_with(&delivery, world, calls, BUDGET).await
    }

    async fn deliver_with(
        delivery: &Delivery,
        world: &World,
        calls: &[String],
        budget: Duration,
    ) -> Vec<TrackOutcome> {
        let application = world
            .platform
            .secrets
            .application("A", world.now() + Duration::from_secs(1))
            .await
            .unwrap();
        let account = SegmentAccount::from_application(&application).unwrap();
        let invocation = world.invocation(budget);
        let mut written = Calls::default();
        for call in calls {
            written.add(|body| body.extend_from_slice(call.as_bytes()));
        }
        delivery.deliver("A", &account, &written, 0, &invocation).await
    }

    /// `X-Retry-Count` of every attempt.
    fn attempts(world: &World) -> Vec<String> {
        let count = |request: &Request| {
            let count = request.headers().get("x-retry-count");
            count.map_or("none", |count| count.to_str().unwrap()).to_owned()
        };
        world.requests().iter().map(count).collect()
    }

    /// What Segment's own libraries agreed on in 2026: which statuses are tried again, and that the
    /// first attempt carries no count.
    #[tokio::test(start_paused = true)]
    async fn every_status_is_treated_as_segments_own_libraries_do() {
        let undelivered = |status: u16, cause: Cause| {
            let answer = Some(answered(status));
            TrackOutcome::Undelivered(Undelivered { cause, after: None, answer })
        };
        let again = ["none", "1", "2"].as_slice();
        for status in [200, 201, 204, 299] {
            assert_status(status, &["none"], TrackOutcome::Delivered).await;
        }
        for status in [301, 304, 400, 404, 413, 422, 501, 505] {
            let message = format!("Segment answered HTTP {status}");
            let answer = Answer { status: Some(status), ..Answer::default() };
            let refused = TrackOutcome::Refused { message, answer, too_large: false };
            assert_status(status, &["none"], refused).await;
        }
        for status in [401, 403] {
            assert_status(status, &["none"], undelivered(status, Cause::Unauthorized)).await;
        }
        assert_status(429, &["none"], undelivered(429, Cause::Http(429))).await;
        for status in [408, 410, 460, 500, 502, 503, 504, 508, 511, 529, 599] {
            assert_status(status, again, undelivered(status, Cause::Http(status))).await;
        }
    }

    /// An answer without words.
    fn answered(status: u16) -> Arc<Answer> {
        Arc::new(Answer { status: Some(status), ..Answer::default() })
    }

    async fn assert_status(status: u16, expected_attempts: &[&str], expected: TrackOutcome) {
        let world = World::new(&[]);
        world.upstream(move |_| answer(status));
        assert_eq!(deliver(&world, &[call("E")]).await, [expected], "{status}");
        assert_eq!(attempts(&world), expected_attempts, "{status}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_transient_failure_is_overcome() {
        for failure in [Reply::Status(503, json!({})), Reply::Broken] {
            let world = World::new(&[]);
            let left = Mutex::new(2);
            world.upstream(move |_| {
                let mut left = left.lock().unwrap();
                if *left == 0 {
                    return Reply::Status(200, json!({}));
                }
                *left -= 1;
                failure.clone()
            });
            assert_eq!(deliver(&world, &[call("E")]).await, [TrackOutcome::Delivered]);
            assert_eq!(attempts(&world), ["none", "1", "2"]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_named_time_is_left_to_the_queue() {
        let past_year = "Fri, 02 Jan 2026 03:04:05 GMT";
        for (status, header, after) in
            [(429, "7", 7), (503, "7", 7), (429, "86400", 300), (529, past_year, 0)]
        {
            let world = World::new(&[]);
            world.upstream(move |_| Reply::Limited(status, header));
            let (cause, after) = (Cause::Http(status), Some(Duration::from_secs(after)));
            let why = Undelivered { cause, after, answer: Some(answered(status)) };
            assert_eq!(deliver(&world, &[call("E")]).await, [TrackOutcome::Undelivered(why)]);
            assert_eq!(attempts(&world), ["none"]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_batch_is_halved_until_the_offender_is_alone() {
        for status in [400, 413] {
            let world = World::new(&[]);
            world.upstream(move |request| {
                let poison = String::from_utf8_lossy(request.body()).contains("poison");
                answer(if poison { status } else { 200 })
            });
            let mut calls: Vec<_> = (0..100).map(|n| call(&format!("E{n}"))).collect();
            calls[37] = call("poison");
            let outcomes = deliver(&world, &calls).await;
            for (index, outcome) in outcomes.iter().enumerate() {
                let refused = matches!(outcome, TrackOutcome::Refused { .. });
                assert_eq!(refused, index == 37, "{index}");
                assert_eq!(*outcome == TrackOutcome::Delivered, index != 37, "{index}");
            }
            assert!(world.requests().len() < 20);
        }
    }

    #[test]
    fn delays_double() {
        for (attempts, milliseconds) in [(1, 500), (2, 1_000), (3, 2_000)] {
            assert_eq!(longest_delay(attempts), Duration::from_millis(milliseconds), "{attempts}");
        }
    }

    /// No part of it would fare better.
    #[tokio::test(start_paused = true)]
    async fn a_batch_that_is_refused_for_its_place_or_its_key_is_not_halved() {
        for status in [401, 404] {
            let world = World::new(&[]);
            world.upstream(move |_| answer(status));
            let outcomes = deliver(&world, &[call("a"), call("b"), call("c")]).await;
            assert!(outcomes.iter().all(|outcome| *outcome != TrackOutcome::Delivered));
            assert_eq!(world.requests().len(), 1, "{status}");
        }
    }

    /// Halving keeps the order: an outcome belongs to its own call.
    #[tokio::test(start_paused = true)]
    async fn outcomes_stand_in_the_order_of_the_calls() {
        let world = World::new(&[]);
        world.upstream(|request| {
            let body: Value = serde_json::from_slice(request.body()).unwrap();
            let batch = body["batch"].as_array().unwrap();
            let bad = batch.iter().any(|call| call["event"] == "bad");
            answer(if bad { 400 } else { 200 })
        });
        let names = ["bad", "good", "good", "bad", "good"];
        let calls = names.map(call);
        for (name, outcome) in names.iter().zip(deliver(&world, &calls).await) {
            assert_eq!(outcome == TrackOutcome::Delivered, *name == "good");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_beyond_the_limit_is_refused_alone_and_never_sent() {
        let world = World::new(&[]);
        let envelope = call("").len();
        let largest = call(&"x".repeat(MAX_EVENT_BYTES - envelope));
        let beyond = call(&"x".repeat(MAX_EVENT_BYTES - envelope + 1));
        let outcomes = deliver(&world, &[call("a"), beyond, largest]).await;
        assert_eq!(
            (&outcomes[0], &outcomes[2]),
            (&TrackOutcome::Delivered, &TrackOutcome::Delivered)
        );
        assert!(matches!(outcomes[1], TrackOutcome::Refused { too_large: true, .. }));
        assert_eq!(world.requests().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn one_call_without_an_answer_opens_the_circuit() {
        let world = World::new(&[]);
        world.upstream(|_| Reply::Hang);
        let delivery = Delivery::new(&world.platform);
        let undelivered = |cause: Cause| [TrackOutcome::Undelivered(cause.into())];
        let before = world.now();
        assert!(!delivery.is_paused("A"));
        let first = deliver_with(&delivery, &world, &[call("E")], BUDGET).await;
        assert_eq!(first, undelivered(Cause::Timeout));
        assert_eq!(world.now().since(before), Duration::from_secs(5), "not the whole budget");
        let second = deliver_with(&delivery, &world, &[call("E")], BUDGET).await;
        assert_eq!(second, undelivered(Cause::CircuitOpen));
        assert!(delivery.is_paused("A") && !delivery.is_paused("B"));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_tried_again_that_would_end_after_the_deadline() {
        let world = World::new(&[]);
        world.upstream(|_| Reply::Status(503, json!({})));
        let delivery = Delivery::new(&world.platform);
        let budget = Duration::from_millis(1);
        deliver_with(&delivery, &world, &[call("E")], budget).await;
        assert!(world.requests().len() <= 2);
        let none = deliver_with(&delivery, &world, &[call("E")], Duration::ZERO).await;
        assert_eq!(none, [TrackOutcome::Undelivered(Cause::TimeBudget.into())]);
    }

    /// A rotation at Segment must not park everything until the settings are read again.
    #[tokio::test(start_paused = true)]
    async fn a_refused_write_key_is_read_again_once() {
        let world = World::new(&[]);
        world
            .platform
            .secrets
            .application("A", world.now() + Duration::from_secs(1))
            .await
            .unwrap();
        tokio::time::advance(Duration::from_secs(2)).await;
        world.secret("A", &application("token", "rotated"));
        world.upstream(|request| {
            let body: Value = serde_json::from_slice(request.body()).unwrap();
            Reply::Status(if body["writeKey"] == "rotated" { 200 } else { 401 }, json!({}))
        });
        assert_eq!(deliver(&world, &[call("E")]).await, [TrackOutcome::Delivered]);
        assert_eq!(world.requests().len(), 2);
    }
}
