//! The gate that every call to Pushwoosh or Segment passes: deadline, circuit, call; where the key is
//! refused, the secret is read again and the call made once more; then the verdict.
//!
//! Invariants: no call starts after the deadline for starts, or runs past the one for answers; one
//! application's trouble is not another's. A call that the upstream refuses for its own fault closes the circuit, as a success
//! does: the upstream is there.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use mapping::Cause;
use secrecy::{ExposeSecret, SecretString};

use crate::application::{Application, PushwooshAccount, SegmentAccount};
use crate::circuit::Circuits;
use crate::clock::{Clock, Elapsed, Instant};
use crate::invocation::Deadlines;
use crate::secrets::{CALLERS_LOOKUP, Secrets};
use crate::telemetry::{Count, Tally};
use crate::upstream::{Answer, CallError, Verdict};

/// Where and with which key an application's calls go.
pub trait Account: Clone + Send + Sync {
    /// The application's account, where it has one.
    fn from_application(application: &Application) -> Option<Self>;

    /// The key that the upstream checks.
    fn key(&self) -> &SecretString;
}

impl Account for PushwooshAccount {
    fn from_application(application: &Application) -> Option<Self> {
        application.pushwoosh.clone()
    }

    fn key(&self) -> &SecretString {
        &self.api_token
    }
}

impl Account for SegmentAccount {
    fn from_application(application: &Application) -> Option<Self> {
        application.segment.clone()
    }

    fn key(&self) -> &SecretString {
        &self.write_key
    }
}

/// A client of an upstream, for requests of this type.
pub trait Upstream<Request>: Send + Sync {
    /// What it needs of an application.
    type Account: Account;
    /// What the upstream took.
    type Accepted: Send;

    /// Sends one request. The time limit is the caller's.
    fn send(
        &self,
        account: &Self::Account,
        request: Request,
    ) -> impl Future<Output = Result<Self::Accepted, CallError>> + Send;
}

/// What the gate does about answers that are late or missing.
#[derive(Debug, Clone, Copy)]
pub struct TimeoutPolicy {
    /// Longest wait for one answer; without it the deadline is the only limit.
    pub answer: Option<Duration>,
    /// Whether one call without an answer opens the circuit, rather than counting as one failure.
    pub opens_on_timeout: bool,
}

/// Why something has to be sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// Why.
    pub cause: Cause,
    /// Not before this has passed, where the upstream said so.
    pub after: Option<Duration>,
    /// What came back, where a call was made and something did.
    pub answer: Option<Arc<Answer>>,
}

impl Undelivered {
    /// HTTP status of what came back.
    pub fn status(&self) -> Option<u16> {
        self.answer.as_ref()?.status
    }

    /// What came back, in words.
    pub fn words(&self) -> &str {
        self.answer.as_ref().map_or("", |answer| answer.words.as_str())
    }
}

impl From<Cause> for Undelivered {
    fn from(cause: Cause) -> Self {
        Self { cause, after: None, answer: None }
    }
}

/// How a call ended.
#[derive(Debug)]
pub enum CallOutcome<T> {
    /// The upstream has it.
    Accepted(T),
    /// The upstream will never take it as it is.
    Refused(CallError),
    /// It has to be sent again.
    Undelivered(Undelivered),
}

/// The gate to one upstream.
#[derive(Debug)]
pub struct Gate {
    clock: Clock,
    secrets: Arc<Secrets>,
    circuits: Circuits,
    timeout_policy: TimeoutPolicy,
}

impl Gate {
    /// A gate whose circuits are all closed.
    pub fn new(clock: Clock, secrets: Arc<Secrets>, timeout_policy: TimeoutPolicy) -> Self {
        Self { clock, secrets, circuits: Circuits::default(), timeout_policy }
    }

    /// Whether calls of the application are paused: what has to ask others first need not begin.
    pub fn is_paused(&self, code: &str) -> bool {
        self.circuits.is_open(code, self.clock.wall())
    }

    /// Makes a call of the application with this code.
    pub async fn call<R: Copy + Send, U: Upstream<R>>(
        &self,
        upstream: &U,
        code: &str,
        account: &U::Account,
        request: R,
        deadlines: Deadlines,
        tally: &Tally,
    ) -> CallOutcome<U::Accepted> {
        if self.clock.now() >= deadlines.start {
            return CallOutcome::Undelivered(Cause::TimeBudget.into());
        }
        if !self.circuits.allows(code, self.clock.wall()) {
            return CallOutcome::Undelivered(Cause::CircuitOpen.into());
        }
        let deadline = deadlines.answer;
        let mut result = self.attempt(upstream, account, request, deadline, tally).await;
        if matches!(&result, Ok(Err(error)) if error.verdict() == Verdict::Unauthorized)
            && let Some(account) = self.rotated(code, account, deadline).await
        {
            result = self.attempt(upstream, &account, request, deadline, tally).await;
        }
        match result {
            Ok(Ok(accepted)) => {
                self.circuits.succeeded(code);
                CallOutcome::Accepted(accepted)
            }
            Ok(Err(error)) => self.judge(code, error, tally),
            Err(Elapsed) => {
                if self.timeout_policy.opens_on_timeout {
                    self.circuits.timed_out(code, self.clock.wall());
                } else {
                    self.circuits.failed(code, None, self.clock.wall());
                }
                CallOutcome::Undelivered(Cause::Timeout.into())
            }
        }
    }

    async fn attempt<R: Copy + Send, U: Upstream<R>>(
        &self,
        upstream: &U,
        account: &U::Account,
        request: R,
        deadline: Instant,
        tally: &Tally,
    ) -> Result<Result<U::Accepted, CallError>, Elapsed> {
        let started = self.clock.now();
        let until =
            self.timeout_policy.answer.map_or(deadline, |longest| deadline.min(started + longest));
        let result = self.clock.timeout_at(until, upstream.send(account, request)).await;
        tally.time(Count::UpstreamMs, self.clock.elapsed(started));
        result
            .map(|result| result.map_err(|error| error.without_key(account.key().expose_secret())))
    }

    /// The account with a newer key than the one that was refused, if there is one.
    async fn rotated<A: Account>(&self, code: &str, refused: &A, deadline: Instant) -> Option<A> {
        let deadline = deadline.min(self.clock.now() + CALLERS_LOOKUP);
        let application = self.secrets.refreshed(code, deadline).await.ok()?;
        let account = A::from_application(&application)?;
        (account.key().expose_secret() != refused.key().expose_secret()).then_some(account)
    }

    fn judge<T>(&self, code: &str, error: CallError, tally: &Tally) -> CallOutcome<T> {
        let (now, cause) = (self.clock.wall(), error.cause());
        let undelivered = |after| {
            let answer = Some(Arc::new(error.answer()));
            CallOutcome::Undelivered(Undelivered { cause, after, answer })
        };
        match error.verdict() {
            Verdict::Permanent => {
                self.circuits.succeeded(code);
                CallOutcome::Refused(error)
            }
            Verdict::Retry { after } => {
                if cause == Cause::Http(429) {
                    tally.refused(Count::UpstreamThrottled, code);
                }
                self.circuits.failed(code, after, now);
                undelivered(after)
            }
            // A key can be corrected: what it was refused for is kept until then.
            Verdict::Unauthorized => {
                tally.refused(Count::UpstreamUnauthorized, code);
                self.circuits.failed(code, None, now);
                undelivered(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use reqwest::StatusCode;

    use super::*;
    use crate::testing::{World, application};

    const SECOND: Duration = Duration::from_secs(1);

    /// An upstream that takes one key, and gives the answers of a list, the last one again and again.
    struct Scripted {
        key: &'static str,
        answers: Mutex<Vec<Scene>>,
        calls: Mutex<u32>,
    }

    #[derive(Clone, Copy)]
    enum Scene {
        Status(u16, Option<Duration>),
        Late(Duration),
        Hang,
    }

    impl Upstream<()> for Scripted {
        type Account = SegmentAccount;
        type Accepted = ();

        async fn send(&self, account: &SegmentAccount, (): ()) -> Result<(), CallError> {
            *self.calls.lock().unwrap() += 1;
            let refused = |status: u16, verdict| CallError::Refused {
                upstream: "Test",
                status: StatusCode::from_u16(status).unwrap(),
                code: None,
                verdict,
                words: "in its own words".to_owned(),
            };
            if account.key().expose_secret() != self.key {
                return Err(refused(401, Verdict::Unauthorized));
            }
            let scene = {
                let mut answers = self.answers.lock().unwrap();
                if answers.len() > 1 { answers.remove(0) } else { answers[0] }
            };
            match scene {
                Scene::Status(200, _) => Ok(()),
                Scene::Status(status @ 400..=499, None) => Err(refused(status, Verdict::Permanent)),
                Scene::Status(status, after) => Err(refused(status, Verdict::Retry { after })),
                Scene::Late(delay) => {
                    Clock::system().sleep(delay).await;
                    Ok(())
                }
                Scene::Hang => std::future::pending().await,
            }
        }
    }

    struct Scenery {
        world: World,
        gate: Gate,
        upstream: Scripted,
        account: SegmentAccount,
        tally: Tally,
    }

    impl Scenery {
        async fn new(answers: &[Scene], timeout_policy: TimeoutPolicy) -> Self {
            let world = World::new(&[]);
            let platform = &world.platform;
            let gate =
                Gate::new(platform.clock.clone(), Arc::clone(&platform.secrets), timeout_policy);
            let application =
                platform.secrets.application("A", world.now() + SECOND).await.unwrap();
            let account = SegmentAccount::from_application(&application).unwrap();
            let upstream = Scripted {
                key: "key",
                answers: Mutex::new(answers.to_vec()),
                calls: Mutex::new(0),
            };
            Self { world, gate, upstream, account, tally: Tally::default() }
        }

        async fn call(&self, budget: Duration) -> CallOutcome<()> {
            let (start, answer) = (self.world.now() + budget, self.world.now() + budget);
            let deadlines = Deadlines { start, answer, end: answer };
            self.gate.call(&self.upstream, "A", &self.account, (), deadlines, &self.tally).await
        }

        async fn cause(&self) -> Cause {
            match self.call(10 * SECOND).await {
                CallOutcome::Undelivered(Undelivered { cause, .. }) => cause,
                other => panic!("{other:?}"),
            }
        }

        fn calls(&self) -> u32 {
            *self.upstream.calls.lock().unwrap()
        }
    }

    const EAGER: TimeoutPolicy = TimeoutPolicy { answer: Some(SECOND), opens_on_timeout: true };
    const PATIENT: TimeoutPolicy = TimeoutPolicy { answer: None, opens_on_timeout: false };

    #[tokio::test(start_paused = true)]
    async fn no_call_starts_after_the_deadline() {
        let scenery = Scenery::new(&[Scene::Status(200, None)], PATIENT).await;
        let outcome = scenery.call(Duration::ZERO).await;
        assert!(
            matches!(outcome, CallOutcome::Undelivered(why) if why == Cause::TimeBudget.into())
        );
        assert_eq!(scenery.calls(), 0);
        assert!(matches!(scenery.call(SECOND).await, CallOutcome::Accepted(())));
    }

    /// A call that is cut off is sent again, although a healthy upstream took it.
    #[tokio::test(start_paused = true)]
    async fn a_call_that_was_started_in_time_is_not_cut_off() {
        let scenery = Scenery::new(&[Scene::Late(SECOND)], PATIENT).await;
        let (start, answer) = (scenery.world.now() + SECOND / 2, scenery.world.now() + 2 * SECOND);
        let deadlines = Deadlines { start, answer, end: answer };
        let Scenery { gate, upstream, account, tally, .. } = &scenery;
        let first = gate.call(upstream, "A", account, (), deadlines, tally).await;
        assert!(matches!(first, CallOutcome::Accepted(())));
        let late = gate.call(upstream, "A", account, (), deadlines, tally).await;
        assert!(matches!(late, CallOutcome::Undelivered(why) if why == Cause::TimeBudget.into()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_without_an_answer_ends_by_the_deadline_or_earlier() {
        for (timeout_policy, waited) in [(PATIENT, 10 * SECOND), (EAGER, SECOND)] {
            let scenery = Scenery::new(&[Scene::Hang], timeout_policy).await;
            let before = scenery.world.now();
            assert_eq!(scenery.cause().await, Cause::Timeout);
            assert_eq!(scenery.world.now().since(before), waited);
            assert_eq!(u128::from(scenery.tally.counts()[&Count::UpstreamMs]), waited.as_millis());
            let next = scenery.cause().await;
            assert_eq!(next == Cause::CircuitOpen, timeout_policy.opens_on_timeout);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn repeated_failures_open_the_circuit_and_an_answer_closes_it() {
        let failure = Scene::Status(503, None);
        let scenery = Scenery::new(&[failure], PATIENT).await;
        while scenery.cause().await != Cause::CircuitOpen {}
        let calls = scenery.calls();
        assert_eq!(scenery.cause().await, Cause::CircuitOpen);
        assert_eq!(scenery.calls(), calls);
        *scenery.upstream.answers.lock().unwrap() = vec![Scene::Status(400, None), failure];
        tokio::time::advance(SECOND).await;
        // A refusal for the call's own fault says that the upstream is there.
        assert!(matches!(scenery.call(SECOND).await, CallOutcome::Refused(_)));
        assert_eq!(scenery.cause().await, Cause::Http(503));
    }

    #[tokio::test(start_paused = true)]
    async fn an_application_is_paused_while_its_circuit_is_open() {
        let scenery = Scenery::new(&[Scene::Hang], EAGER).await;
        assert!(!scenery.gate.is_paused("A"));
        scenery.cause().await;
        assert!(scenery.gate.is_paused("A") && !scenery.gate.is_paused("B"));
        tokio::time::advance(SECOND).await;
        assert!(!scenery.gate.is_paused("A"));
    }

    #[tokio::test]
    async fn each_upstream_has_its_account_and_its_key() {
        let world = World::new(&[]);
        let application = world.platform.secrets.application("A", world.now() + SECOND).await;
        let application = application.unwrap();
        let pushwoosh = PushwooshAccount::from_application(&application).unwrap();
        let segment = SegmentAccount::from_application(&application).unwrap();
        assert_eq!(
            (pushwoosh.key().expose_secret(), segment.key().expose_secret()),
            ("token", "key")
        );
    }

    #[test]
    fn what_came_back_is_told_and_nothing_where_nothing_did() {
        let none = Undelivered::from(Cause::CircuitOpen);
        assert_eq!((none.status(), none.words()), (None, ""));
        let answer = Answer { status: Some(503), words: "busy".to_owned() };
        let some = Undelivered { answer: Some(Arc::new(answer)), ..none };
        assert_eq!((some.status(), some.words()), (Some(503), "busy"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_named_time_is_handed_on_and_kept() {
        let scenery = Scenery::new(&[Scene::Status(429, Some(7 * SECOND))], PATIENT).await;
        let outcome = scenery.call(SECOND).await;
        let words = "in its own words".to_owned();
        let answer = Some(Arc::new(Answer { status: Some(429), words }));
        let why = Undelivered { cause: Cause::Http(429), after: Some(7 * SECOND), answer };
        assert!(matches!(outcome, CallOutcome::Undelivered(found) if found == why));
        assert_eq!(scenery.cause().await, Cause::CircuitOpen);
        assert_eq!(scenery.tally.refusals().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_limit_of_the_rate_counts_as_throttled() {
        let scenery = Scenery::new(&[Scene::Status(503, None)], PATIENT).await;
        scenery.cause().await;
        assert!(scenery.tally.refusals().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_key_is_read_again_once_and_the_call_made_once_more() {
        let mut scenery = Scenery::new(&[Scene::Status(200, None)], PATIENT).await;
        scenery.upstream.key = "rotated";
        tokio::time::advance(2 * SECOND).await;
        // The secret still holds the refused key: no second call.
        assert_eq!(scenery.cause().await, Cause::Unauthorized);
        assert_eq!(scenery.calls(), 1);
        assert!(scenery.tally.refusals().contains(&(Count::UpstreamUnauthorized, "A".to_owned())));
        scenery.world.secret("A", &application("token", "rotated"));
        tokio::time::advance(2 * SECOND).await;
        assert!(matches!(scenery.call(SECOND).await, CallOutcome::Accepted(())));
        assert_eq!(scenery.calls(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn one_applications_trouble_is_not_anothers() {
        let scenery = Scenery::new(&[Scene::Hang], EAGER).await;
        scenery.cause().await;
        assert_eq!(scenery.cause().await, Cause::CircuitOpen);
        let deadlines = Deadlines::within(scenery.world.now(), SECOND, SECOND, SECOND);
        *scenery.upstream.answers.lock().unwrap() = vec![Scene::Status(200, None)];
        let Scenery { gate, upstream, account, tally, .. } = &scenery;
        let other = gate.call(upstream, "B", account, (), deadlines, tally).await;
        assert!(matches!(other, CallOutcome::Accepted(())));
    }
}
