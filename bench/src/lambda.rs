//! Lambda's Runtime API, and a process that uses it.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::ffi::OsString;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::http::{Request, Response, serve};
use crate::process;
use crate::services::{Conditions, Services};

/// Longest wait for a contestant.
const PATIENCE: Duration = Duration::from_mins(2);

/// What a process did.
#[derive(Debug)]
enum Step {
    /// Asked for an event.
    Next,
    /// Answered one.
    Answered(Vec<u8>),
    /// Failed.
    Failed(String),
}

/// An execution environment: a process, and the Runtime API that it talks to.
#[derive(Debug)]
pub(crate) struct Environment {
    child: Child,
    steps: Receiver<Step>,
    events: Sender<Arc<[u8]>>,
    pub(crate) services: Services,
    /// From the start of the process until it asked for its first event.
    pub(crate) ready: Duration,
    /// CPU time until then.
    pub(crate) ready_cpu_ns: u64,
}

impl Environment {
    /// Starts a process and waits until it asks for an event.
    pub(crate) fn start(command: Command) -> Result<Self> {
        Self::start_under(command, Conditions::default())
    }

    /// The same with services under conditions.
    #[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
    pub(crate) fn start_under(mut command: Command, conditions: Conditions<'_>) -> Result<Self> {
        let services = Services::start(conditions)?;
        if let Some(authority) = conditions.authority {
            authority.trusted_by(&mut command);
        }
        let (step, steps) = channel();
        let (events, pending) = channel();
        let (step, pending) = (Mutex::new(step), Mutex::new(pending));
        let api = serve(None, move |request| respond(request, &step, &pending))?;
        let aws = services.url.clone();
        let variables = [
            ("AWS_LAMBDA_RUNTIME_API", api.to_string()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", aws.clone()),
            ("AWS_ENDPOINT_URL_SQS", aws.clone()),
            ("AWS_ENDPOINT_URL_DYNAMODB", aws.clone()),
            ("PWSEG_RETRY_QUEUE_URL", format!("{aws}/1/retry")),
            ("PWSEG_REJECTS_QUEUE_URL", format!("{aws}/1/rejects")),
            ("PWSEG_DEAD_QUEUE_URL", format!("{aws}/1/dead")),
            ("BENCH_UPSTREAM", aws),
        ];
        let fixed = [
            ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "bench"),
            ("AWS_SECRET_ACCESS_KEY", "bench"),
            ("PWSEG_LEDGER_TABLE", "ledger"),
            ("PWSEG_STACK_NAME", "bench"),
            ("POWERTOOLS_SERVICE_NAME", "bench"),
            ("POWERTOOLS_LOG_LEVEL", "WARNING"),
        ];
        let kept = ["PATH", "HOME"];
        let kept = kept.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
        let own: Vec<(OsString, OsString)> = command
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
            .collect();
        command.env_clear().envs(kept).envs(fixed).envs(variables).envs(own);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        if std::env::var_os("BENCH_VERBOSE").is_none() {
            command.stderr(Stdio::null());
        }
        let started = Instant::now();
        let child = command.spawn().with_context(|| format!("{command:?} cannot be started"))?;
        let mut this =
            Self { child, steps, events, services, ready: Duration::ZERO, ready_cpu_ns: 0 };
        this.wait_for_next()?;
        this.ready = started.elapsed();
        this.ready_cpu_ns = this.cpu_ns()?;
        Ok(this)
    }

    /// Hands the process an event and waits for its answer, and for it to ask for the next one.
    pub(crate) fn invoke(&mut self, event: &Arc<[u8]>) -> Result<Vec<u8>> {
        self.events.send(Arc::clone(event)).ok();
        let answer = match self.step()? {
            Step::Answered(answer) => answer,
            Step::Failed(why) => bail!("the invocation failed: {why}"),
            Step::Next => bail!("it asked for another event before it answered"),
        };
        self.wait_for_next()?;
        Ok(answer)
    }

    /// An invocation, and its CPU time in nanoseconds.
    pub(crate) fn measure(&mut self, event: &Arc<[u8]>) -> Result<u64> {
        let before = self.cpu_ns()?;
        self.invoke(event)?;
        Ok(self.cpu_ns()?.saturating_sub(before))
    }

    pub(crate) fn cpu_ns(&self) -> Result<u64> {
        process::cpu_ns(self.child.id())
    }

    pub(crate) fn high_water(&self) -> Result<u64> {
        process::high_water(self.child.id())
    }

    fn step(&mut self) -> Result<Step> {
        for _ in 0..PATIENCE.as_secs() {
            match self.steps.recv_timeout(Duration::from_secs(1)) {
                Ok(step) => return Ok(step),
                Err(RecvTimeoutError::Disconnected) => bail!("the Runtime API ended"),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended: {status}. BENCH_VERBOSE=1 shows what it writes");
            }
        }
        bail!("no answer within {PATIENCE:?}")
    }

    fn wait_for_next(&mut self) -> Result<()> {
        match self.step()? {
            Step::Next => Ok(()),
            Step::Failed(why) => bail!("it failed: {why}"),
            Step::Answered(_) => bail!("it answered what nobody asked"),
        }
    }

    /// Ends the process and waits for it: the process of a profiler writes its file.
    pub(crate) fn end(mut self) -> Result<()> {
        // valgrind writes its results at SIGTERM; `kill` would be SIGKILL.
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn respond(
    request: &Request,
    steps: &Mutex<Sender<Step>>,
    events: &Mutex<Receiver<Arc<[u8]>>>,
) -> Response {
    let tell = |step| {
        steps.lock().unwrap_or_else(PoisonError::into_inner).send(step).ok();
    };
    match request.path.rsplit('/').next().unwrap_or_default() {
        "next" => {
            tell(Step::Next);
            let events = events.lock().unwrap_or_else(PoisonError::into_inner);
            let body = events.recv().unwrap_or_else(|_| Arc::from(Vec::new()));
            let headers = vec![
                ("content-type", "application/json".to_owned()),
                (
                    "lambda-runtime-aws-request-id",
                    "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned(),
                ),
                // The end of the year 2100: no contestant runs out of time.
                ("lambda-runtime-deadline-ms", "4133980799000".to_owned()),
                (
                    "lambda-runtime-invoked-function-arn",
                    "arn:aws:lambda:eu-central-1:1:function:bench".to_owned(),
                ),
                (
                    "lambda-runtime-trace-id",
                    "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0".to_owned(),
                ),
            ];
            return Response { status: 200, headers, body };
        }
        "response" => tell(Step::Answered(request.body.clone())),
        _ => tell(Step::Failed(String::from_utf8_lossy(&request.body).into_owned())),
    }
    Response::json(202, r#"{"status":"OK"}"#)
}
