//! One Lambda function: its runtime API, its process, and the invocations that wait for it.
//!
//! The process is the real one: it asks the runtime API for work as it would in AWS. Where it is
//! told to, it works on several invocations at a time, as on Lambda Managed Instances.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>
//!
//! Invariants: an invocation is answered once, by the function, by its time limit, or by the death
//! of the process that had it; one that no process had yet waits for the next process.

use std::collections::{HashMap, VecDeque};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::{Notify, oneshot, watch};

use crate::http::{self, Request, Response};
use crate::logs::Logs;

/// Invocations that one process may work on at a time.
pub(crate) const CONCURRENCY: usize = 16;

/// Pauses between starts of a process that keeps dying.
const FIRST_RESTART: Duration = Duration::from_millis(50);
const MAX_RESTART: Duration = Duration::from_secs(2);

/// Starts of a process that has never asked for work before the sandbox gives up.
const STARTS: u32 = 3;

const BASE: &str = "/2018-06-01/runtime/";

/// Why an invocation gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FunctionError(pub(crate) String);

/// A function of the deployment.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// `PWSEG_TRACK_PROPERTIES` of its environment, where it is set.
    pub(crate) track_properties: Option<String>,
    timeout: Duration,
    state: Mutex<State>,
    work: Notify,
    ids: AtomicU64,
    invocations: AtomicU64,
    cold_starts: AtomicU64,
    pid: AtomicU32,
    ready: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Invocation>,
    running: HashMap<String, Answerer>,
    /// Counts processes: a request of a dead one must get no invocation.
    process: u64,
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
        track_properties: Option<String>,
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            track_properties,
            timeout,
            state: Mutex::default(),
            work: Notify::new(),
            ids: AtomicU64::new(0),
            invocations: AtomicU64::new(0),
            cold_starts: AtomicU64::new(0),
            pid: AtomicU32::new(0),
            ready: watch::Sender::new(false),
        })
    }

    /// Invokes the function and waits for its answer.
    pub(crate) async fn invoke(&self, payload: Bytes) -> Result<Bytes, FunctionError> {
        let id = format!("{}-{:08}", self.name, self.ids.fetch_add(1, Ordering::Relaxed));
        let (answer, answered) = oneshot::channel();
        self.lock().waiting.push_back(Invocation { id: id.clone(), payload, answer });
        self.work.notify_one();
        self.invocations.fetch_add(1, Ordering::Relaxed);
        let result = tokio::time::timeout(self.timeout, answered).await;
        match result {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(FunctionError("the invocation was given up".to_owned())),
            Err(_) => {
                let mut state = self.lock();
                state.waiting.retain(|invocation| invocation.id != id);
                state.running.remove(&id);
                Err(FunctionError(format!(
                    "Task timed out after {} seconds",
                    self.timeout.as_secs()
                )))
            }
        }
    }

    /// Waits until a process has asked for its first invocation.
    pub(crate) async fn ready(&self) {
        let mut ready = self.ready.subscribe();
        // The sender lives as long as the function.
        ready.wait_for(|ready| *ready).await.ok();
    }

    /// For `/_sandbox/state`.
    pub(crate) fn state(&self) -> Value {
        json!({
            "pid": self.pid.load(Ordering::Relaxed),
            "invocations": self.invocations.load(Ordering::Relaxed),
            "cold_starts": self.cold_starts.load(Ordering::Relaxed),
            "track_properties": self.track_properties,
        })
    }

    /// Serves the runtime API.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) {
        http::serve(listener, move |request| {
            let function = Arc::clone(&self);
            async move { function.answer(request).await }
        })
        .await;
    }

    async fn answer(&self, request: Request) -> Option<Response> {
        let (method, path) = http::route(&request);
        let path = path.strip_prefix(BASE)?;
        if method == Method::GET && path == "invocation/next" {
            return self.next().await;
        }
        let body = request.into_body();
        let result = match path.strip_prefix("invocation/").and_then(|path| path.split_once('/')) {
            Some((id, "response")) => {
                self.lock().running.remove(id).map(|answer| answer.send(Ok(body)))
            }
            Some((id, "error")) => {
                let error = FunctionError(String::from_utf8_lossy(&body).into_owned());
                self.lock().running.remove(id).map(|answer| answer.send(Err(error)))
            }
            _ => None,
        };
        // An answer to an invocation that has timed out is for nobody.
        drop(result);
        Some(http::empty(202))
    }

    /// Hands out the next invocation to the process that asks, once there is one.
    async fn next(&self) -> Option<Response> {
        let process = self.lock().process;
        self.ready.send_replace(true);
        loop {
            let work = self.work.notified();
            {
                let mut state = self.lock();
                if state.process != process {
                    return None;
                }
                if let Some(Invocation { id, payload, answer }) = state.waiting.pop_front() {
                    if !state.waiting.is_empty() {
                        self.work.notify_one();
                    }
                    let deadline =
                        (SystemTime::now() + self.timeout).duration_since(SystemTime::UNIX_EPOCH);
                    let deadline = deadline.unwrap_or_default().as_millis().to_string();
                    let response = http::answer(200, "application/json", payload);
                    let response =
                        http::with_header(response, "lambda-runtime-aws-request-id", &id);
                    let response =
                        http::with_header(response, "lambda-runtime-deadline-ms", &deadline);
                    let arn =
                        format!("arn:aws:lambda:eu-central-1:123456789012:function:{}", self.name);
                    let response =
                        http::with_header(response, "lambda-runtime-invoked-function-arn", &arn);
                    let trace = format!(
                        "Root=1-{:08x}-{:024x};Sampled=1",
                        jiff::Timestamp::now().as_second(),
                        self.ids.load(Ordering::Relaxed)
                    );
                    let response = http::with_header(response, "lambda-runtime-trace-id", &trace);
                    state.running.insert(id, answer);
                    return Some(response);
                }
            }
            work.await;
        }
    }

    /// Keeps a process running, and passes on what it writes.
    pub(crate) async fn supervise(
        self: Arc<Self>,
        command: impl Fn() -> Command,
        logs: Arc<Logs>,
    ) -> Result<()> {
        let mut pause = FIRST_RESTART;
        let mut starts_left = Some(STARTS);
        loop {
            self.lock().process += 1;
            let mut command = command();
            let started = command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .kill_on_drop(true)
                .spawn();
            let mut child = started.with_context(|| {
                let program = command.as_std().get_program().display();
                format!("the function {} cannot be started: {program}", self.name)
            })?;
            self.pid.store(child.id().unwrap_or_default(), Ordering::Relaxed);
            self.cold_starts.fetch_add(1, Ordering::Relaxed);
            self.ready.send_replace(false);
            let (out, err) = (child.stdout.take(), child.stderr.take());
            let started = tokio::time::Instant::now();
            let (status, (), ()) = tokio::join!(
                child.wait(),
                pass_on(self.name, out, &logs),
                pass_on(self.name, err, &logs)
            );
            starts_left = starts_left.filter(|_| !*self.ready.borrow());
            if let Some(left) = &mut starts_left {
                *left -= 1;
                if *left == 0 {
                    bail!(
                        "the function {} does not start: what it wrote above says why",
                        self.name
                    );
                }
            }
            self.died(&status.map_or_else(|error| error.to_string(), |status| status.to_string()));
            pause = if started.elapsed() > MAX_RESTART {
                FIRST_RESTART
            } else {
                (pause * 2).min(MAX_RESTART)
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Fails what the dead process was working on.
    fn died(&self, status: &str) {
        let mut state = self.lock();
        state.process += 1;
        for (_, answer) in state.running.drain() {
            let error = json!({"errorType": "Runtime.ExitError", "errorMessage": format!("the process ended: {status}")});
            // Whoever waited has given up in the meantime.
            answer.send(Err(FunctionError(error.to_string()))).ok();
        }
        drop(state);
        self.work.notify_waiters();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
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
