//! One Lambda function: its execution environments, and the invocations that wait for one.
//!
//! An environment is the real process: it asks its runtime API for work as it would in AWS. There are
//! two kinds of [`Environments`]. One that ended is started again.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>
//!
//! Invariants: an invocation is answered once, by the function, by its time limit, or by the death of
//! the process that had it; one that no process had yet waits for the next process.

mod environment;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinSet;

use crate::function_error::FunctionError;
use crate::items::Items;
use crate::logs::Logs;
use environment::Environment;

/// Invocations that a shared environment works on at a time.
const SHARED_CONCURRENCY: usize = 16;

/// What the environments of a function are like.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Environments {
    /// One environment that works on several invocations at a time, as on Lambda Managed Instances. It is
    /// never frozen.
    Shared,
    /// As in Lambda by default: each works on one invocation at a time, is frozen (SIGSTOP) while it
    /// waits for the next one, and is killed at the time limit. They are started as load asks for them, and
    /// replaced now and then.
    Separate {
        /// At most so many.
        most: usize,
        /// How long an idle one is kept, least and most.
        idle: (Duration, Duration),
    },
}

impl Environments {
    fn number(self) -> usize {
        match self {
            Self::Shared => 1,
            Self::Separate { most, .. } => most,
        }
    }

    fn concurrency(self) -> usize {
        match self {
            Self::Shared => SHARED_CONCURRENCY,
            Self::Separate { .. } => 1,
        }
    }

    fn idle(self) -> Option<(Duration, Duration)> {
        match self {
            Self::Shared => None,
            Self::Separate { idle, .. } => Some(idle),
        }
    }
}

/// An invocation that has waited this long gets a new environment. In AWS it gets one at once; here a
/// process takes the time of the processes that work.
const GROW_AFTER: Duration = Duration::from_millis(30);

/// Starts of a process that has never asked for work before the sandbox gives up.
const STARTS: u32 = 3;

/// A function of the deployment.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// `PWSEG_TRACK_PROPERTIES` of its environment, where it is set.
    pub(crate) track_properties: Option<String>,
    /// `PWSEG_STACK_NAME` of its environment, where it is set.
    pub(crate) stack_name: Option<String>,
    timeout: Duration,
    environments: Environments,
    /// Told of every invocation.
    items: Arc<Items>,
    logs: Arc<Logs>,
    state: Mutex<State>,
    /// An invocation waits.
    grow: Notify,
    ids: AtomicU64,
    invocations: AtomicU64,
    cold_starts: AtomicU64,
    ready: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Invocation>,
    environments: Vec<Arc<Environment>>,
}

type Answerer = oneshot::Sender<Result<Bytes, FunctionError>>;

#[derive(Debug)]
struct Invocation {
    id: String,
    payload: Bytes,
    answer: Answerer,
}

impl Function {
    /// A function with this time limit.
    pub(crate) fn new(
        name: &'static str,
        timeout: Duration,
        environments: Environments,
        track_properties: Option<String>,
        stack_name: Option<String>,
        items: Arc<Items>,
        logs: Arc<Logs>,
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            track_properties,
            stack_name,
            timeout,
            environments,
            items,
            logs,
            state: Mutex::default(),
            grow: Notify::new(),
            ids: AtomicU64::new(0),
            invocations: AtomicU64::new(0),
            cold_starts: AtomicU64::new(0),
            ready: watch::Sender::new(false),
        })
    }

    /// Invokes the function and waits for its answer.
    pub(crate) async fn invoke(&self, payload: Bytes) -> Result<Bytes, FunctionError> {
        let id = format!("{}-{:08}", self.name, self.ids.fetch_add(1, Ordering::Relaxed));
        let watched = Watched::begin(&self.items, self.name, &id, &payload);
        let answer = self.invoke_as(&id, payload).await;
        watched.end(&answer);
        if let Some(report) = answer.as_ref().err().and_then(|error| error.report(&id)) {
            self.logs.line(self.name, &report.to_string());
        }
        answer
    }

    /// The gateway in front of the function refused a request.
    pub(crate) fn refused_by_gateway(&self, path: &str, app: &str, status: u16) {
        self.items.refused_by_gateway(path, app, status);
    }

    async fn invoke_as(&self, id: &str, payload: Bytes) -> Result<Bytes, FunctionError> {
        let (answer, mut answered) = oneshot::channel();
        self.invocations.fetch_add(1, Ordering::Relaxed);
        self.place(Invocation { id: id.to_owned(), payload, answer });
        // The environment watches the time limit of what it works on.
        let given_up = || Err(FunctionError::GivenUp);
        if let Ok(answer) = tokio::time::timeout(self.timeout, &mut answered).await {
            return answer.unwrap_or_else(|_| given_up());
        }
        if take_out(&mut self.lock().waiting, id) {
            return Err(FunctionError::Throttled);
        }
        answered.await.unwrap_or_else(|_| given_up())
    }

    /// Gives an invocation to the idle environment that was used last, or lets it wait.
    fn place(&self, invocation: Invocation) {
        let mut state = self.lock();
        let idle = state.environments.iter().filter_map(|environment| environment.idle_since());
        let newest = idle.max();
        let found = state
            .environments
            .iter()
            .find(|environment| newest.is_some() && environment.idle_since() == newest);
        if let Some(environment) = found {
            environment.assign(invocation);
        } else {
            state.waiting.push_back(invocation);
            self.grow.notify_one();
        }
    }

    /// Waits until a process has asked for its first invocation.
    pub(crate) async fn ready(&self) {
        let mut ready = self.ready.subscribe();
        // The sender lives as long as the function.
        ready.wait_for(|ready| *ready).await.ok();
    }

    /// For `/_sandbox/state`. `pid` is the process that was used last.
    pub(crate) fn state(&self) -> Value {
        let state = self.lock();
        let mut pids: Vec<(u64, u32)> =
            state.environments.iter().filter_map(|environment| environment.pid()).collect();
        pids.sort_unstable_by(|left, right| right.cmp(left));
        let pids: Vec<u32> = pids.into_iter().map(|(_, pid)| pid).collect();
        json!({
            "pid": pids.first().copied().unwrap_or_default(),
            "pids": pids,
            "invocations": self.invocations.load(Ordering::Relaxed),
            "cold_starts": self.cold_starts.load(Ordering::Relaxed),
            "track_properties": self.track_properties,
            "stack_name": self.stack_name,
        })
    }

    /// Keeps environments running: one from the start, more as invocations wait.
    pub(crate) async fn supervise(
        self: Arc<Self>,
        command: impl Fn() -> Command + Clone + Send + Sync + 'static,
    ) -> Result<()> {
        let mut environments = JoinSet::new();
        loop {
            let environment = Arc::new(Environment::new(
                self.environments.concurrency(),
                self.environments.idle(),
            ));
            self.lock().environments.push(Arc::clone(&environment));
            let (function, command) = (Arc::clone(&self), command.clone());
            environments.spawn(async move { environment.run(&function, command).await });
            tokio::select! {
                () = self.more_needed() => {}
                ended = environments.join_next() => return ended.context("nothing runs")??,
            }
        }
    }

    /// Returns when another environment is to be started.
    async fn more_needed(&self) {
        loop {
            self.grow.notified().await;
            tokio::time::sleep(GROW_AFTER).await;
            let state = self.lock();
            let starting =
                state.environments.iter().filter(|environment| environment.is_starting()).count();
            if state.waiting.len() > starting
                && state.environments.len() < self.environments.number()
            {
                if state.waiting.len() > starting + 1 {
                    self.grow.notify_one();
                }
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An invocation that the items are told of. It may be dropped: a client that closes its connection waits for
/// no answer.
struct Watched<'a> {
    items: &'a Items,
    id: &'a str,
}

impl<'a> Watched<'a> {
    fn begin(items: &'a Items, function: &'static str, id: &'a str, payload: &[u8]) -> Self {
        items.invoked(function, id, payload);
        Self { items, id }
    }

    fn end(self, answer: &Result<Bytes, FunctionError>) {
        self.items.answered(self.id, answer);
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.items.unanswered(self.id);
    }
}

/// Removes an invocation from those that wait; whether it was there.
fn take_out(waiting: &mut VecDeque<Invocation>, id: &str) -> bool {
    let before = waiting.len();
    waiting.retain(|invocation| invocation.id != id);
    waiting.len() < before
}
