//! A platform in memory, for unit tests of what is built on it: the real clients and the real AWS SDK,
//! over a transport that answers as the test says; the ledger's table is the model of DynamoDB. Time is Tokio's,
//! which tests pause; the wall clock follows it, and can be moved on alone, as it does while Lambda
//! freezes an environment.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, Once};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use bytes::Bytes;
use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use serde_json::{Value, json};
use world::dynamodb::{DynamoDb, TableOptions};
use world::faults::Faults;

use crate::clock::{Clock, Instant, Sleep, Time};
use crate::function::Platform;
use crate::invocation::{Deadlines, Invocation};
use crate::ledger::Ledger;
use crate::settings::Settings;
use crate::transport::{Request, Response, ResponseFuture, Transport, TransportError};

/// What an upstream does with a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Answers.
    Status(u16, Value),
    /// Answers with this `Retry-After`.
    Limited(u16, &'static str),
    /// Does something after this long.
    Late(Duration, Box<Self>),
    /// Never answers.
    Hang,
    /// Breaks the connection.
    Broken,
}

type Upstream = Box<dyn Fn(&Request) -> Reply + Send + Sync>;

/// The transport: Secrets Manager, SQS, and everything else as the upstream.
pub struct InMemory {
    /// By name and whether it is the previous version.
    secrets: Mutex<BTreeMap<(String, bool), Reply>>,
    sqs: Mutex<Reply>,
    /// So many batches to come leave out their last entry.
    left_out: Mutex<usize>,
    upstream: Mutex<Upstream>,
    requests: Mutex<Vec<Request>>,
    aws_calls: Mutex<Vec<String>>,
    messages: Mutex<Vec<(String, Value)>>,
    table: Mutex<DynamoDb>,
    /// What DynamoDB does in place of its work.
    table_reply: Mutex<Option<Reply>>,
}

impl fmt::Debug for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InMemory")
    }
}

/// Tokio's clock, and a wall clock that follows it and can be moved on alone.
#[derive(Debug, Clone)]
struct TestTime {
    began: Timestamp,
    monotonic: Instant,
    /// By how much the wall clock went on alone.
    frozen: Arc<Mutex<Duration>>,
}

impl TestTime {
    fn new() -> Self {
        let clock = Clock::system();
        Self { began: clock.wall(), monotonic: clock.now(), frozen: Arc::default() }
    }
}

impl Time for TestTime {
    fn wall(&self) -> Timestamp {
        let passed = Clock::system().elapsed(self.monotonic) + *lock(&self.frozen);
        self.began.checked_add(passed).unwrap_or(Timestamp::MAX)
    }

    fn monotonic(&self) -> Duration {
        Clock::system().now().since(Instant::default())
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Clock::system().sleep(duration)
    }
}

/// A platform and the transport that it is built on.
#[derive(Debug)]
pub struct World {
    /// The platform.
    pub platform: Platform,
    transport: Arc<InMemory>,
    time: TestTime,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl World {
    /// A platform with these settings besides the queues, and one application `A` with the API token
    /// `token`, the write key `key` and the shared secret `secret`. The upstream answers 200.
    ///
    /// # Panics
    /// Where a setting cannot be used.
    pub fn new(settings: &[(&str, &str)]) -> Self {
        log_from_the_start();
        let queues = [
            ("PWSEG_RETRY_QUEUE_URL", "https://sqs.example.com/1/retry"),
            ("PWSEG_REJECTS_QUEUE_URL", "https://sqs.example.com/1/rejects"),
            ("PWSEG_DEAD_QUEUE_URL", "https://sqs.example.com/1/dead"),
            ("PWSEG_LEDGER_TABLE", "ledger"),
        ];
        let variables = queues.iter().chain(settings);
        let variables = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        #[expect(clippy::expect_used, reason = "a test fails by panicking")]
        let settings = Settings::read(&variables.collect()).expect("the settings are usable");
        let mut table = DynamoDb::default();
        table.create("ledger", TableOptions::new("pk"));
        let transport = Arc::new(InMemory {
            secrets: Mutex::default(),
            sqs: Mutex::new(Reply::Status(200, Value::Null)),
            left_out: Mutex::default(),
            upstream: Mutex::new(Box::new(|_| Reply::Status(200, json!({"status_code": 200})))),
            requests: Mutex::default(),
            aws_calls: Mutex::default(),
            messages: Mutex::default(),
            table: Mutex::new(table),
            table_reply: Mutex::default(),
        });
        let time = TestTime::new();
        let clock = Clock::new(time.clone());
        let shared: Arc<dyn Transport> = Arc::clone(&transport) as Arc<dyn Transport>;
        let config = config(&clock, &shared);
        let platform = Platform::on(&config, settings, clock, shared);
        let world = Self { platform, transport, time };
        world.secret("A", &application("token", "key"));
        world
    }

    /// Puts an application's secret, with no version before it.
    pub fn secret(&self, code: &str, secret: &Value) {
        self.secret_text(code, &secret.to_string());
    }

    /// Puts an application's secret as this text, with no version before it. It is an hour old: nothing is
    /// being rotated.
    pub fn secret_text(&self, code: &str, text: &str) {
        self.version(code, text, Duration::from_hours(1));
    }

    fn version(&self, code: &str, text: &str, age: Duration) {
        let created = self.platform.clock.wall().as_duration().as_secs_f64() - age.as_secs_f64();
        let version = json!({"SecretString": text, "CreatedDate": created});
        self.secrets_manager(code, Reply::Status(200, version));
        lock(&self.transport.secrets).remove(&(secret_name(code), true));
    }

    /// Puts a new version of an application's secret; the present one becomes `AWSPREVIOUS`.
    pub fn rotate(&self, code: &str, secret: &Value) {
        let present = lock(&self.transport.secrets).get(&(secret_name(code), false)).cloned();
        self.version(code, &secret.to_string(), Duration::ZERO);
        if let Some(present) = present {
            self.previous_version(code, present);
        }
    }

    /// What Secrets Manager does when it is asked for an application's secret.
    pub fn secrets_manager(&self, code: &str, reply: Reply) {
        lock(&self.transport.secrets).insert((secret_name(code), false), reply);
    }

    /// What it does when it is asked for the version before.
    pub fn previous_version(&self, code: &str, reply: Reply) {
        lock(&self.transport.secrets).insert((secret_name(code), true), reply);
    }

    /// Time passes on the wall clock alone, as while Lambda freezes an environment.
    pub fn freeze(&self, duration: Duration) {
        *lock(&self.time.frozen) += duration;
    }

    /// What SQS does; with status 200 it takes everything, also where it says so late.
    pub fn sqs(&self, reply: Reply) {
        *lock(&self.transport.sqs) = reply;
    }

    /// SQS does not take the last entry of so many batches to come.
    pub fn sqs_leaves_out(&self, batches: usize) {
        *lock(&self.transport.left_out) = batches;
    }

    /// What DynamoDB does in place of its work; nothing lets it work again.
    pub fn dynamodb(&self, reply: Option<Reply>) {
        *lock(&self.transport.table_reply) = reply;
    }

    /// What the upstream does.
    pub fn upstream(&self, reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        *lock(&self.transport.upstream) = Box::new(reply);
    }

    /// The requests that the upstream received.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.transport.requests).clone()
    }

    /// How often this operation of AWS was called, e.g. `GetSecretValue`.
    pub fn aws_calls(&self, operation: &str) -> usize {
        let calls = lock(&self.transport.aws_calls);
        calls.iter().filter(|target| target.ends_with(operation)).count()
    }

    /// The messages that SQS took: the name of the queue, and the entry of the batch.
    pub fn messages(&self) -> Vec<(String, Value)> {
        lock(&self.transport.messages).clone()
    }

    /// An invocation with this long for the upstreams, and a second more for the queues.
    pub fn invocation(&self, upstream: Duration) -> Invocation {
        let second = Duration::from_secs(1);
        let (start, answer) = (self.now() + upstream, self.now() + upstream);
        let deadlines = Deadlines { start, answer, end: answer + second };
        Invocation::begin("request", &self.platform.clock, deadlines)
    }

    /// The ledger as another process has it.
    pub fn ledger(&self) -> Ledger {
        let Platform { settings, clock, transport, .. } = &self.platform;
        Ledger::from_settings(&config(clock, transport), settings, clock.clone())
    }

    /// The monotonic clock.
    pub fn now(&self) -> Instant {
        self.platform.clock.now()
    }
}

/// Lets every thread log, to nowhere: a line that is first met where nobody logs, while another thread begins to, may be
/// left out for good.
fn log_from_the_start() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let nowhere = tracing_subscriber::fmt().with_writer(std::io::sink).finish();
        tracing::subscriber::set_global_default(nowhere).ok();
    });
}

/// What this thread logs, as the functions write it. It ends with the guard.
#[derive(Debug, Clone, Default)]
pub struct Logs(Arc<Mutex<Vec<u8>>>);

impl Logs {
    /// Captures log lines of level INFO and above from now on.
    pub fn capture() -> (Self, tracing::subscriber::DefaultGuard) {
        log_from_the_start();
        let logs = Self::default();
        let writer = logs.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_writer(move || writer.clone())
            .finish();
        (logs, tracing::subscriber::set_default(subscriber))
    }

    /// The lines with this message.
    pub fn with_message(&self, message: &str) -> Vec<Value> {
        self.with("message", message)
    }

    /// The lines of level ERROR, whoever wrote them.
    pub fn errors(&self) -> Vec<Value> {
        self.with("level", "ERROR")
    }

    /// The lines with this value of a field.
    pub fn with(&self, field: &str, value: &str) -> Vec<Value> {
        let text = String::from_utf8_lossy(&lock(&self.0)).into_owned();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line.get(field).is_some_and(|found| found == value)).collect()
    }
}

impl std::io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        lock(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A refusal as AWS writes it, e.g. `ResourceNotFoundException`.
pub fn aws_error(code: &str) -> Reply {
    Reply::Status(400, json!({"__type": code}))
}

fn secret_name(code: &str) -> String {
    format!("segment-pushwoosh/{code}")
}

/// A secret with both sections and a webhook secret, for upstreams in memory.
pub fn application(api_token: &str, write_key: &str) -> Value {
    json!({
        "pushwoosh": {"api_token": api_token, "base_url": "http://pushwoosh.test"},
        "segment": {"write_key": write_key, "base_url": "http://segment.test/v1"},
        "webhook": {"shared_secret": "secret"},
    })
}

fn config(clock: &Clock, transport: &Arc<dyn Transport>) -> SdkConfig {
    let credentials = aws_sdk_sqs::config::Credentials::new("test", "test", None, None, "test");
    crate::aws::on_seams(SdkConfig::builder(), clock, transport)
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(aws_sdk_sqs::config::SharedCredentialsProvider::new(credentials))
        .build()
}

impl InMemory {
    fn reply(&self, request: Request) -> Reply {
        let target = request.headers().get("x-amz-target");
        let target = target.and_then(|target| target.to_str().ok()).unwrap_or_default().to_owned();
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        lock(&self.aws_calls).push(target.clone());
        if target.starts_with("secretsmanager") {
            return self.secret(&body);
        }
        if let Some(operation) = target.strip_prefix("DynamoDB_20120810.") {
            let reply = lock(&self.table_reply).clone();
            return reply.unwrap_or_else(|| self.table(operation, request.body()));
        }
        if target.starts_with("AmazonSQS") {
            let reply = lock(&self.sqs).clone();
            return match reply {
                Reply::Status(200, _) => self.take(&body),
                Reply::Late(delay, then) if matches!(*then, Reply::Status(200, _)) => {
                    Reply::Late(delay, Box::new(self.take(&body)))
                }
                reply => reply,
            };
        }
        let reply = lock(&self.upstream)(&request);
        lock(&self.requests).push(request);
        reply
    }

    fn secret(&self, body: &Value) -> Reply {
        let id = body.get("SecretId").and_then(Value::as_str).unwrap_or_default();
        let previous = body.get("VersionStage").is_some();
        let reply = lock(&self.secrets).get(&(id.to_owned(), previous)).cloned();
        reply.unwrap_or_else(|| aws_error("ResourceNotFoundException"))
    }

    fn table(&self, operation: &str, body: &[u8]) -> Reply {
        let (now, mut faults) = (Clock::system().wall(), Faults::default());
        let mut table = lock(&self.table);
        let rng = &mut fastrand::Rng::new();
        let reply = world::aws::exchange(&mut *table, &mut faults, operation, body, now, rng).reply;
        Reply::Status(reply.status, serde_json::from_slice(&reply.body).unwrap_or_default())
    }

    /// Takes a batch of messages, or answers an operation that takes none.
    fn take(&self, body: &Value) -> Reply {
        let url = body.get("QueueUrl").and_then(Value::as_str).unwrap_or_default();
        let queue = url.rsplit('/').next().unwrap_or_default().to_owned();
        let mut entries =
            body.get("Entries").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut left_out = lock(&self.left_out);
        let failed = if *left_out > 0 { entries.pop() } else { None };
        *left_out = left_out.saturating_sub(1);
        let failed: Vec<Value> = failed
            .iter()
            .map(|entry| json!({"Id": entry.get("Id"), "Code": "InternalError", "SenderFault": false}))
            .collect();
        let taken: Vec<Value> = entries
            .iter()
            .map(|entry| json!({"Id": entry.get("Id"), "MessageId": "m", "MD5OfMessageBody": ""}))
            .collect();
        lock(&self.messages).extend(entries.into_iter().map(|entry| (queue.clone(), entry)));
        Reply::Status(200, json!({"Successful": taken, "Failed": failed}))
    }
}

impl Transport for InMemory {
    fn send(&self, request: Request, limit: usize) -> ResponseFuture<'_> {
        let mut reply = self.reply(request);
        Box::pin(async move {
            while let Reply::Late(delay, then) = reply {
                Clock::system().sleep(delay).await;
                reply = *then;
            }
            let mut headers = HeaderMap::new();
            let (status, body) = match reply {
                Reply::Status(status, body) => (status, body),
                Reply::Limited(status, after) => {
                    headers.insert(RETRY_AFTER, HeaderValue::from_static(after));
                    (status, Value::Null)
                }
                Reply::Hang | Reply::Late(..) => std::future::pending().await,
                Reply::Broken => {
                    return Err(TransportError::Connection("broken on purpose".into()));
                }
            };
            let body = Bytes::from(body.to_string());
            let body =
                if body.len() > limit { Err(TransportError::TooLarge(limit)) } else { Ok(body) };
            let status = StatusCode::from_u16(status).unwrap_or_default();
            Ok(Response { status, headers, body })
        })
    }
}
