//! One execution environment: a process and its runtime API.

use std::collections::{HashMap, VecDeque};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use hyper::Method;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::{Answerer, Function, FunctionError, Invocation, STARTS};
use crate::http::{self, Request, Response};
use crate::logs::Logs;

/// Pauses between starts of a process that keeps dying.
const FIRST_RESTART: Duration = Duration::from_millis(50);
const MAX_RESTART: Duration = Duration::from_secs(2);

/// How often is looked for idle processes.
const LOOK_FOR_IDLE: Duration = Duration::from_secs(1);

const BASE: &str = "/2018-06-01/runtime/";

/// Orders environments by their last use.
static USES: AtomicU64 = AtomicU64::new(1);

/// An environment.
#[derive(Debug)]
pub(super) struct Environment {
    /// Invocations that it works on at a time.
    concurrency: usize,
    /// How long its process is kept when it is frozen, least and most.
    idle: Option<(Duration, Duration)>,
    state: Mutex<State>,
    /// Something was assigned, or the process ended.
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Counts processes: a request of a dead one must get no invocation.
    process: u64,
    pid: Option<u32>,
    /// The process has asked for work.
    asked: bool,
    /// Requests of the process that wait for an invocation.
    asking: usize,
    frozen: bool,
    /// When its process is dropped, if it stays frozen.
    kept_until: Option<Instant>,
    assigned: VecDeque<Invocation>,
    running: HashMap<String, Running>,
    used: u64,
}

/// An invocation that the process works on. It is dropped with its end, and its time limit with it.
#[derive(Debug)]
struct Running {
    answer: Answerer,
    time_limit: AbortHandle,
}

impl Running {
    /// Ends it.
    fn end(self, answer: Result<Bytes, FunctionError>) {
        self.time_limit.abort();
        // The caller may have given up.
        self.answer.send(answer).ok();
    }
}

impl Environment {
    /// An environment that works on so many invocations at a time.
    pub(super) fn new(concurrency: usize, idle: Option<(Duration, Duration)>) -> Self {
        Self { concurrency, idle, state: Mutex::default(), wake: Notify::new() }
    }

    /// When it was used last, if it can take an invocation now.
    pub(super) fn idle_since(&self) -> Option<u64> {
        let state = self.lock();
        (state.asking > state.assigned.len()).then_some(state.used)
    }

    /// Whether its process has not asked for work yet.
    pub(super) fn is_starting(&self) -> bool {
        !self.lock().asked
    }

    /// When it was used last, and its process.
    pub(super) fn pid(&self) -> Option<(u64, u32)> {
        let state = self.lock();
        state.pid.map(|pid| (state.used, pid))
    }

    /// Gives it an invocation.
    pub(super) fn assign(&self, invocation: Invocation) {
        self.lock().assigned.push_back(invocation);
        self.wake.notify_one();
    }

    /// Keeps a process running, serves its runtime API, and passes on what it writes.
    pub(super) async fn run(
        self: Arc<Self>,
        function: &Arc<Function>,
        command: impl Fn() -> Command,
    ) -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no local port is free")?;
        let api = listener.local_addr()?.to_string();
        let (environment, served) = (Arc::clone(&self), Arc::clone(function));
        let serve = http::serve(listener, move |request| {
            let (environment, function) = (Arc::clone(&environment), Arc::clone(&served));
            async move { environment.answer(&function, request).await }
        });
        tokio::select! {
            () = serve => Ok(()),
            () = self.drop_idle() => Ok(()),
            ended = self.keep_running(function, &api, command) => ended,
        }
    }

    /// Drops its process once it was idle for long, as Lambda does without notice. Another one is started in
    /// its place, so that the next caller need not wait.
    async fn drop_idle(&self) {
        let mut tick = tokio::time::interval(LOOK_FOR_IDLE);
        loop {
            tick.tick().await;
            let state = self.lock();
            let late = state.kept_until.is_some_and(|until| until <= Instant::now());
            if state.frozen && late {
                send(state.pid, Signal::KILL);
            }
        }
    }

    async fn keep_running(
        &self,
        function: &Function,
        api: &str,
        command: impl Fn() -> Command,
    ) -> Result<()> {
        let mut pause = FIRST_RESTART;
        let mut starts_left = STARTS;
        loop {
            {
                let mut state = self.lock();
                state.process += 1;
                state.asked = false;
                state.used = USES.fetch_add(1, Ordering::Relaxed);
            }
            let mut command = command();
            if self.concurrency > 1 {
                command.env("AWS_LAMBDA_MAX_CONCURRENCY", self.concurrency.to_string());
            }
            let mut child = start(function.name, api, command)?;
            self.lock().pid = child.id();
            function.cold_starts.fetch_add(1, Ordering::Relaxed);
            let (out, err) = (child.stdout.take(), child.stderr.take());
            let started = tokio::time::Instant::now();
            let (status, (), ()) = tokio::join!(
                child.wait(),
                pass_on(function.name, out, &function.logs),
                pass_on(function.name, err, &function.logs)
            );
            if !*function.ready.borrow() {
                starts_left -= 1;
                if starts_left == 0 {
                    bail!(
                        "the function {} does not start: what it wrote above says why",
                        function.name
                    );
                }
            }
            self.died(
                function,
                &status.map_or_else(|error| error.to_string(), |status| status.to_string()),
            );
            pause = if started.elapsed() > MAX_RESTART {
                FIRST_RESTART
            } else {
                (pause * 2).min(MAX_RESTART)
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn answer(
        self: &Arc<Self>,
        function: &Arc<Function>,
        request: Request,
    ) -> Option<Response> {
        let (method, path) = http::route(&request);
        let path = path.strip_prefix(BASE)?;
        if method == Method::GET && path == "invocation/next" {
            return self.next(function).await;
        }
        let body = request.into_body();
        let (id, what) = path.strip_prefix("invocation/").and_then(|path| path.split_once('/'))?;
        let result = match what {
            "response" => Ok(body),
            "error" => Err(FunctionError::Failed(String::from_utf8_lossy(&body).into_owned())),
            _ => return Some(http::empty(404)),
        };
        let running = self.lock().running.remove(id);
        if let Some(running) = running {
            running.end(result);
        }
        Some(http::empty(202))
    }

    /// Hands out the next invocation to the process that asks, once there is one.
    async fn next(self: &Arc<Self>, function: &Arc<Function>) -> Option<Response> {
        let process = {
            // In this order: nothing may be placed between the two looks.
            let mut all = function.lock();
            let mut state = self.lock();
            state.asked = true;
            state.asking += 1;
            state.assigned.extend(all.waiting.pop_front());
            if self.concurrency == 1 && state.assigned.is_empty() {
                state.frozen = true;
                state.kept_until = self.idle.map(|idle| Instant::now() + chosen(idle));
                send(state.pid, Signal::STOP);
            }
            state.process
        };
        function.ready.send_replace(true);
        loop {
            {
                let mut state = self.lock();
                if state.process != process {
                    return None;
                }
                if let Some(invocation) = state.assigned.pop_front() {
                    state.asking -= 1;
                    if std::mem::take(&mut state.frozen) {
                        send(state.pid, Signal::CONT);
                    }
                    if !state.assigned.is_empty() {
                        self.wake.notify_one();
                    }
                    state.used = USES.fetch_add(1, Ordering::Relaxed);
                    let id = invocation.id;
                    let time_out = Arc::clone(self).time_out(function.timeout, id.clone());
                    let time_limit = tokio::spawn(time_out).abort_handle();
                    let running = Running { answer: invocation.answer, time_limit };
                    state.running.insert(id.clone(), running);
                    return Some(response(function, &id, invocation.payload));
                }
            }
            self.wake.notified().await;
        }
    }

    /// Fails an invocation that is still worked on after its time. A process that works on nothing else
    /// is killed, as in AWS.
    async fn time_out(self: Arc<Self>, limit: Duration, id: String) {
        tokio::time::sleep(limit).await;
        let mut state = self.lock();
        if let Some(running) = state.running.remove(&id) {
            if self.concurrency == 1 {
                send(state.pid, Signal::KILL);
            }
            running.end(Err(FunctionError::TimedOut(limit)));
        }
    }

    /// Fails what the dead process was working on; what it had not begun waits for another one.
    fn died(&self, function: &Function, status: &str) {
        let mut all = function.lock();
        let mut state = self.lock();
        state.process += 1;
        state.pid = None;
        state.asked = false;
        state.asking = 0;
        state.frozen = false;
        for invocation in std::mem::take(&mut state.assigned).into_iter().rev() {
            all.waiting.push_front(invocation);
            function.grow.notify_one();
        }
        for (_, running) in state.running.drain() {
            running.end(Err(FunctionError::Ended(status.to_owned())));
        }
        drop(state);
        self.wake.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn start(name: &str, api: &str, mut command: Command) -> Result<Child> {
    command
        .env("AWS_LAMBDA_RUNTIME_API", api)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own: when the sandbox is killed, the kernel sends SIGHUP and SIGCONT to what is
        // frozen in it.
        .process_group(0)
        .kill_on_drop(true);
    command.spawn().with_context(|| {
        let program = command.as_std().get_program().display();
        format!("the function {name} cannot be started: {program}")
    })
}

fn response(function: &Function, id: &str, payload: Bytes) -> Response {
    let deadline = (SystemTime::now() + function.timeout).duration_since(SystemTime::UNIX_EPOCH);
    let deadline = deadline.unwrap_or_default().as_millis().to_string();
    let arn = format!("arn:aws:lambda:eu-central-1:123456789012:function:{}", function.name);
    let trace = format!(
        "Root=1-{:08x}-{:024x};Sampled=1",
        jiff::Timestamp::now().as_second(),
        function.ids.load(Ordering::Relaxed)
    );
    let headers = [
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", &deadline),
        ("lambda-runtime-invoked-function-arn", &arn),
        ("lambda-runtime-trace-id", &trace),
    ];
    let response = http::answer(200, "application/json", payload);
    headers
        .into_iter()
        .fold(response, |response, (name, value)| http::with_header(response, name, value))
}

/// A time between the least and the most.
fn chosen((least, most): (Duration, Duration)) -> Duration {
    least + most.saturating_sub(least).mul_f64(fastrand::f64())
}

fn send(pid: Option<u32>, signal: Signal) {
    let pid = pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    if let Some(pid) = pid {
        // It may have ended meanwhile.
        kill_process(pid, signal).ok();
    }
}

async fn pass_on(name: &str, stream: Option<impl AsyncRead + Unpin>, logs: &Logs) {
    let Some(stream) = stream else { return };
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    // Not by characters: a line that is no UTF-8 text would end it.
    while matches!(stream.read_until(b'\n', &mut line).await, Ok(read) if read > 0) {
        logs.line(name, String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
}
