//! Lambda: execution environments of one function.
//! <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>
//!
//! Invariants: an environment works on one invocation at a time; between invocations it is frozen: its
//! code does not run and its monotonic clock stands, while the wall clock goes on; after a time-out or
//! a crash it is gone.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;

use crate::time::{after, between};

/// Environments of an account that can work at the same time, unless AWS raises it.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
pub const ACCOUNT_CONCURRENCY: usize = 1_000;

/// Which of several idle environments gets an invocation. AWS does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reuse {
    /// The one that was used last.
    #[default]
    MostRecent,
    /// Any.
    Random,
}

/// Properties of the function, open rules, and what happens by chance.
#[derive(Debug, Clone)]
pub struct Options {
    /// `Timeout`.
    pub timeout: Duration,
    /// Invocations at the same time: `ReservedConcurrentExecutions`, or what the account leaves.
    pub max_concurrency: usize,
    /// How long an idle environment is kept, least and most. AWS names no time: minutes to hours.
    pub idle: (Duration, Duration),
    /// How long a start takes, least and most.
    pub init: (Duration, Duration),
    /// Which idle environment is used.
    pub reuse: Reuse,
    /// How long a deployment is in progress, least and most. So long invocations still get the version before.
    /// AWS names no time: none unless it is set.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html>
    pub rollout: (Duration, Duration),
}

impl Options {
    /// A function with this `Timeout`.
    pub fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            max_concurrency: ACCOUNT_CONCURRENCY,
            idle: (Duration::from_mins(5), Duration::from_mins(45)),
            init: (Duration::from_millis(15), Duration::from_millis(400)),
            reuse: Reuse::default(),
            rollout: (Duration::ZERO, Duration::ZERO),
        }
    }
}

/// An environment. Numbers are not used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvironmentId(pub u64);

/// Where an invocation runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invocation {
    /// The environment, which is busy until [`Lambda::finished`], [`Lambda::ended`] or a time-out.
    pub environment: EnvironmentId,
    /// Time of a cold start before the invocation begins; nothing where the environment is warm.
    pub cold_start: Option<Duration>,
    /// When it begins.
    pub begins_at: Timestamp,
    /// When it times out.
    pub deadline: Timestamp,
    /// Which version of the function it runs: how many deployments were complete when it began.
    pub version: u64,
}

/// Too many invocations at the same time: 429 `TooManyRequestsException`.
/// <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttled;

#[derive(Debug, Clone)]
enum State {
    /// Works since the first time, until the second at most.
    Busy { since: Timestamp, deadline: Timestamp },
    /// Frozen since the first time, kept until the second.
    Frozen { since: Timestamp, kept_until: Timestamp },
}

#[derive(Debug, Clone)]
struct Environment {
    state: State,
    version: u64,
    /// How long it has run, without the times when it was frozen.
    ran: Duration,
}

/// What happened so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Invocations that were not throttled.
    pub invocations: u64,
    /// Environments that were started.
    pub cold_starts: u64,
    /// Invocations that were throttled.
    pub throttled: u64,
    /// Environments that ended at a time-out.
    pub timed_out: u64,
    /// Environments that were dropped while idle.
    pub dropped: u64,
}

/// A function and its environments.
#[derive(Debug, Clone)]
pub struct Lambda {
    options: Options,
    environments: BTreeMap<EnvironmentId, Environment>,
    next: u64,
    totals: Totals,
    /// The version that new invocations get.
    version: u64,
    /// When the deployments in progress are complete, in the order in which they began.
    deployments: VecDeque<Timestamp>,
}

impl Lambda {
    /// A function without environments.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            environments: BTreeMap::new(),
            next: 0,
            totals: Totals::default(),
            version: 0,
            deployments: VecDeque::new(),
        }
    }

    /// Deploys a new version. The one before serves until the deployment is complete, and what it works on
    /// then is finished; its idle environments are dropped.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html>
    pub fn deploy(&mut self, now: Timestamp, rng: &mut Rng) {
        let complete = after(now, between_chosen(self.options.rollout, rng));
        // An update is refused while another one is in progress: it begins after it.
        let complete = self.deployments.back().map_or(complete, |last| complete.max(*last));
        self.deployments.push_back(complete);
    }

    /// Completes the deployments that are due, and drops the idle environments of versions before.
    fn complete_deployments(&mut self, now: Timestamp) {
        while self.deployments.front().is_some_and(|complete| *complete <= now) {
            self.deployments.pop_front();
            self.version += 1;
        }
        let (version, before) = (self.version, self.environments.len());
        self.environments.retain(|_, environment| {
            environment.version == version || matches!(environment.state, State::Busy { .. })
        });
        self.totals.dropped += (before - self.environments.len()) as u64;
    }

    /// What happened so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The environments, busy or frozen.
    pub fn environments(&self) -> impl Iterator<Item = EnvironmentId> {
        self.environments.keys().copied()
    }

    /// How many environments are busy.
    pub fn busy(&self) -> usize {
        let busy = |environment: &&Environment| matches!(environment.state, State::Busy { .. });
        self.environments.values().filter(busy).count()
    }

    /// Starts an invocation, in an idle environment or in a new one.
    pub fn invoke(&mut self, now: Timestamp, rng: &mut Rng) -> Result<Invocation, Throttled> {
        self.drop_idle(now);
        self.complete_deployments(now);
        if self.busy() >= self.options.max_concurrency {
            self.totals.throttled += 1;
            return Err(Throttled);
        }
        self.totals.invocations += 1;
        let idle =
            self.environments.iter().filter_map(|(id, environment)| match environment.state {
                State::Frozen { since, .. } => Some((since, *id)),
                State::Busy { .. } => None,
            });
        let idle: Vec<(Timestamp, EnvironmentId)> = idle.collect();
        let chosen = match self.options.reuse {
            Reuse::MostRecent => idle.into_iter().max(),
            Reuse::Random => rng.choice(idle),
        };
        let timeout = self.options.timeout;
        if let Some((_, id)) = chosen
            && let Some(environment) = self.environments.get_mut(&id)
        {
            let deadline = after(now, timeout);
            environment.state = State::Busy { since: now, deadline };
            let version = environment.version;
            return Ok(Invocation {
                environment: id,
                cold_start: None,
                begins_at: now,
                deadline,
                version,
            });
        }
        let init = between_chosen(self.options.init, rng);
        let begins_at = after(now, init);
        let deadline = after(begins_at, timeout);
        let id = EnvironmentId(self.next);
        self.next += 1;
        self.totals.cold_starts += 1;
        let state = State::Busy { since: now, deadline };
        let version = self.version;
        self.environments.insert(id, Environment { state, version, ran: Duration::ZERO });
        Ok(Invocation { environment: id, cold_start: Some(init), begins_at, deadline, version })
    }

    /// The invocation was answered: the environment is frozen and waits for the next one.
    pub fn finished(&mut self, id: EnvironmentId, now: Timestamp, rng: &mut Rng) {
        let kept = between_chosen(self.options.idle, rng);
        if let Some(environment) = self.environments.get_mut(&id)
            && let State::Busy { since, .. } = environment.state
        {
            environment.ran += between(since, now);
            environment.state = State::Frozen { since: now, kept_until: after(now, kept) };
        }
    }

    /// The process ended: a crash, an exit, or a deployment. The environment is gone.
    pub fn ended(&mut self, id: EnvironmentId) {
        self.environments.remove(&id);
    }

    /// Ends the environments whose invocation has reached its time limit, and returns them. Lambda kills
    /// the process; what it was doing is neither finished nor undone.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-shutdown>
    pub fn time_out(&mut self, now: Timestamp) -> Vec<EnvironmentId> {
        let late = self.environments.iter().filter(|(_, environment)| {
            matches!(environment.state, State::Busy { deadline, .. } if deadline <= now)
        });
        let late: Vec<EnvironmentId> = late.map(|(id, _)| *id).collect();
        for id in &late {
            self.environments.remove(id);
            self.totals.timed_out += 1;
        }
        late
    }

    /// Drops the environments that were idle for long, and returns them. They are not notified.
    pub fn drop_idle(&mut self, now: Timestamp) -> Vec<EnvironmentId> {
        let old = self.environments.iter().filter(|(_, environment)| {
            matches!(environment.state, State::Frozen { kept_until, .. } if kept_until <= now)
        });
        let old: Vec<EnvironmentId> = old.map(|(id, _)| *id).collect();
        for id in &old {
            self.environments.remove(id);
            self.totals.dropped += 1;
        }
        old
    }

    /// What the monotonic clock of an environment shows: how long it has run.
    pub fn monotonic(&self, id: EnvironmentId, now: Timestamp) -> Option<Duration> {
        let environment = self.environments.get(&id)?;
        Some(match environment.state {
            State::Busy { since, .. } => environment.ran + between(since, now),
            State::Frozen { .. } => environment.ran,
        })
    }
}

fn between_chosen((least, most): (Duration, Duration), rng: &mut Rng) -> Duration {
    let nanoseconds = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let (least, most) = (nanoseconds(least), nanoseconds(most));
    Duration::from_nanos(rng.u64(least..=most.max(least)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_hours(1);

    fn start() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn options() -> Options {
        Options { init: (SECOND, SECOND), ..Options::new(29 * SECOND) }
    }

    fn rng() -> Rng {
        Rng::with_seed(1)
    }

    // lambda-concurrency: one invocation at a time per environment, as many environments as load asks for.
    #[test]
    fn an_environment_works_on_one_invocation_at_a_time_and_is_used_again() {
        let (mut lambda, mut rng) = (Lambda::new(options()), rng());
        let first = lambda.invoke(start(), &mut rng).unwrap();
        assert_eq!((first.cold_start, first.begins_at), (Some(SECOND), after(start(), SECOND)));
        assert_eq!(first.deadline, after(start(), 30 * SECOND), "a cold start is not its time");
        let second = lambda.invoke(start(), &mut rng).unwrap();
        assert_ne!(first.environment, second.environment);
        let later = after(start(), 2 * SECOND);
        lambda.finished(first.environment, later, &mut rng);
        let third = lambda.invoke(later, &mut rng).unwrap();
        assert_eq!((third.environment, third.cold_start), (first.environment, None));
        assert_eq!((lambda.totals().cold_starts, lambda.totals().invocations), (2, 3));
    }

    // Reported (hashicorp/vault-lambda-extension#150): the monotonic clock stands while frozen.
    #[test]
    fn the_monotonic_clock_stands_between_invocations() {
        let (mut lambda, mut rng) = (Lambda::new(options()), rng());
        let id = lambda.invoke(start(), &mut rng).unwrap().environment;
        let answered = after(start(), 2 * SECOND);
        assert_eq!(lambda.monotonic(id, answered), Some(2 * SECOND));
        lambda.finished(id, answered, &mut rng);
        let next = after(answered, 4 * 60 * SECOND);
        assert_eq!(lambda.monotonic(id, next), Some(2 * SECOND));
        assert_eq!(lambda.invoke(next, &mut rng).unwrap().environment, id);
        assert_eq!(lambda.monotonic(id, after(next, SECOND)), Some(3 * SECOND));
    }

    // runtimes-lifecycle-shutdown: the next invocation starts a new environment.
    #[test]
    fn a_time_out_ends_the_environment() {
        let (mut lambda, mut rng) = (Lambda::new(options()), rng());
        let Invocation { environment, deadline, .. } = lambda.invoke(start(), &mut rng).unwrap();
        let before = deadline.checked_sub(Duration::from_nanos(1)).unwrap();
        assert!(lambda.time_out(before).is_empty());
        assert_eq!(lambda.time_out(deadline), [environment]);
        assert_eq!(lambda.monotonic(environment, deadline), None);
        let next = lambda.invoke(deadline, &mut rng).unwrap();
        assert!(next.environment != environment && next.cold_start.is_some());
        lambda.finished(environment, deadline, &mut rng);
        assert_eq!(lambda.environments().count(), 1, "an answer after the end is ignored");
    }

    // lambda-runtime-environment: idle environments are removed without notice.
    #[test]
    fn an_idle_environment_is_dropped_after_a_while() {
        let (mut lambda, mut rng) = (Lambda::new(options()), rng());
        let id = lambda.invoke(start(), &mut rng).unwrap().environment;
        lambda.finished(id, start(), &mut rng);
        assert!(lambda.drop_idle(after(start(), 299 * SECOND)).is_empty());
        assert_eq!(lambda.drop_idle(after(start(), HOUR)), [id]);
        assert!(lambda.invoke(after(start(), HOUR), &mut rng).unwrap().cold_start.is_some());
    }

    // functions-states: "Lambda … invocations use the function's previous code and configuration" until the
    // update is complete.
    #[test]
    fn a_deployment_lets_invocations_end_and_begins_with_new_environments() {
        for rollout in [Duration::ZERO, 10 * SECOND] {
            let mut lambda = Lambda::new(Options { rollout: (rollout, rollout), ..options() });
            let mut rng = rng();
            let idle = lambda.invoke(start(), &mut rng).unwrap();
            let busy = lambda.invoke(start(), &mut rng).unwrap();
            lambda.finished(idle.environment, start(), &mut rng);
            lambda.deploy(start(), &mut rng);
            if rollout > Duration::ZERO {
                let meanwhile = lambda.invoke(after(start(), SECOND), &mut rng).unwrap();
                assert_eq!((meanwhile.environment, meanwhile.version), (idle.environment, 0));
                lambda.finished(meanwhile.environment, after(start(), SECOND), &mut rng);
            }
            let complete = after(start(), rollout);
            let next = lambda.invoke(complete, &mut rng).unwrap();
            assert_eq!((next.version, next.cold_start), (1, Some(SECOND)), "{rollout:?}");
            let left: Vec<EnvironmentId> = lambda.environments().collect();
            assert_eq!(left, [busy.environment, next.environment], "what is worked on is finished");
            lambda.finished(busy.environment, complete, &mut rng);
            let last = lambda.invoke(complete, &mut rng).unwrap();
            assert_eq!(last.version, 1, "the environment of the version before is not used again");
        }
    }

    // lambda-concurrency: throttling.
    #[test]
    fn the_concurrency_has_a_limit() {
        let mut lambda = Lambda::new(Options { max_concurrency: 2, ..options() });
        let mut rng = rng();
        let first = lambda.invoke(start(), &mut rng).unwrap();
        lambda.invoke(start(), &mut rng).unwrap();
        assert_eq!(lambda.invoke(start(), &mut rng), Err(Throttled));
        lambda.ended(first.environment);
        assert!(lambda.invoke(start(), &mut rng).unwrap().cold_start.is_some());
    }

    #[test]
    fn which_idle_environment_is_used_is_an_option() {
        let used = |reuse| {
            let mut lambda = Lambda::new(Options { reuse, ..options() });
            let mut rng = rng();
            let ids: Vec<EnvironmentId> =
                (0..5).map(|_| lambda.invoke(start(), &mut rng).unwrap().environment).collect();
            let mut now = start();
            for id in ids {
                now = after(now, SECOND);
                lambda.finished(id, now, &mut rng);
            }
            let mut used = Vec::new();
            for _ in 0..20 {
                now = after(now, SECOND);
                let id = lambda.invoke(now, &mut rng).unwrap().environment;
                lambda.finished(id, now, &mut rng);
                used.push(id);
            }
            used.dedup();
            used.len()
        };
        assert_eq!(used(Reuse::MostRecent), 1);
        assert!(used(Reuse::Random) > 5);
    }

    proptest! {
        /// Over any operations: never more at work than allowed, no environment with two invocations, and
        /// monotonic clocks that run exactly while their environment is busy.
        #[test]
        fn environments_keep_their_rules(steps in proptest::collection::vec((0..5_u8, 0..90_u64), 1..200), seed: u64) {
            let mut lambda = Lambda::new(Options { max_concurrency: 4, ..options() });
            let mut rng = Rng::with_seed(seed);
            let mut now = start();
            let mut busy: BTreeMap<EnvironmentId, Timestamp> = BTreeMap::new();
            for (step, seconds) in steps {
                let before: BTreeMap<EnvironmentId, Duration> =
                    lambda.environments().map(|id| (id, lambda.monotonic(id, now).unwrap())).collect();
                let passed = Duration::from_secs(seconds);
                now = after(now, passed);
                for (id, clock) in before {
                    let runs = if busy.contains_key(&id) { passed } else { Duration::ZERO };
                    prop_assert_eq!(lambda.monotonic(id, now), Some(clock + runs));
                }
                let known = busy.keys().copied().nth(usize::try_from(seconds).unwrap() % 5);
                match (step, known) {
                    (0 | 1, _) => if let Ok(invocation) = lambda.invoke(now, &mut rng) {
                        let twice = busy.insert(invocation.environment, invocation.deadline);
                        prop_assert!(twice.is_none());
                    } else {
                        prop_assert_eq!(busy.len(), 4);
                    },
                    (2, Some(id)) => {
                        lambda.finished(id, now, &mut rng);
                        busy.remove(&id);
                    }
                    (3, Some(id)) => {
                        lambda.ended(id);
                        busy.remove(&id);
                    }
                    _ => for id in lambda.time_out(now) {
                        prop_assert!(busy.remove(&id).is_some_and(|deadline| deadline <= now));
                    },
                }
                prop_assert_eq!(lambda.busy(), busy.len());
            }
        }
    }
}
