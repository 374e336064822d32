//! Starts a sandbox and drives it: one method for each thing that a test does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha1::Sha1;

/// Longest time that a test waits for something.
const PATIENCE: Duration = Duration::from_mins(1);

/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// A test's own sandbox; it ends with the test.
pub(crate) struct Sandbox {
    child: Child,
    pub(crate) url: String,
    client: reqwest::Client,
}

/// A response that was read to its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// The workspace's directory.
pub(crate) fn root() -> &'static Path {
    // The tests belong to the package `cli`.
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A file of `events/`.
pub(crate) fn events(path: &str) -> PathBuf {
    root().join("events").join(path)
}

/// How the name of an expectation ends.
pub(crate) const EXPECTED: &str = ".expected.json";

/// The inputs of a directory of `events/`, in the order of their names: every file that is not an
/// expectation.
pub(crate) fn inputs(directory: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(events(directory)).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| !file.to_str().unwrap().ends_with(EXPECTED));
    files.sort();
    files
}

/// Compares what became of an input with `NAME.expected.json` beside it. `UPDATE_EVENTS=1` writes
/// that file; read the difference before you commit it.
pub(crate) fn compare(input: &Path, found: &Value) {
    let file = input.with_extension(EXPECTED.trim_start_matches('.'));
    if std::env::var_os("UPDATE_EVENTS").is_some() {
        std::fs::write(file, format!("{found:#}\n")).unwrap();
        return;
    }
    let text = std::fs::read(&file).unwrap_or_else(|_| panic!("{} is missing", file.display()));
    let expected: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(*found, expected, "{}", file.display());
}

/// Runs a command: whether it succeeds, and what it prints.
pub(crate) fn command(arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_segment-pushwoosh"));
    let output = command.args(arguments).output().unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

/// The same with something on its standard input: exit code, standard output, standard error.
pub(crate) fn command_with(arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_segment-pushwoosh"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads nothing may be gone before.
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // The sandbox ends its functions.
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().ok();
        self.child.wait().ok();
    }
}

impl Sandbox {
    /// Starts a sandbox with the demo application.
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// Starts a sandbox with these applications.
    pub(crate) fn with_apps(name: &str, apps: &Value) -> Self {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.json"));
        std::fs::write(&file, apps.to_string()).unwrap();
        Self::with(&["--apps", file.to_str().unwrap()])
    }

    /// Starts a sandbox with these flags.
    pub(crate) fn with(flags: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_segment-pushwoosh"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line
            .trim()
            .strip_prefix("ready ")
            .expect("the sandbox prints that it is ready")
            .to_owned();
        Self { child, url, client: reqwest::Client::new() }
    }

    /// The sandbox's process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a request of the demo application.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> HttpResponse {
        self.send_as(method, path, body, "DEMO0-00001", "demo-token").await
    }

    /// Sends a request of an application with a key.
    pub(crate) async fn send_as(
        &self,
        method: Method,
        path: &str,
        body: impl Into<reqwest::Body>,
        application: &str,
        token: &str,
    ) -> HttpResponse {
        let mut request = self.client.request(method, format!("{}{path}", self.url)).body(body);
        request = request.header("content-type", "application/json");
        if !application.is_empty() {
            request = request.header("x-pw-appcode", application);
        }
        if !token.is_empty() {
            request = request.header("authorization", format!("Token {token}"));
        }
        let response = request.send().await.unwrap();
        HttpResponse { status: response.status().as_u16(), body: response.text().await.unwrap() }
    }

    /// Sends a request of Segment's destination.
    pub(crate) async fn post(&self, action: &str, body: &Value) -> HttpResponse {
        self.send(Method::POST, &format!("/integration-segment/v1/{action}"), body.to_string())
            .await
    }

    /// Sends raw Segment events with the signature of `signed`.
    pub(crate) async fn webhook(&self, body: &str, secret: &str, signed: &str) -> HttpResponse {
        self.webhook_as("DEMO0-00001", body, secret, signed).await
    }

    /// Sends raw Segment events of an application.
    pub(crate) async fn webhook_as(
        &self,
        application: &str,
        body: &str,
        secret: &str,
        signed: &str,
    ) -> HttpResponse {
        let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(signed.as_bytes());
        let request = self
            .client
            .post(format!("{}/webhook/{application}", self.url))
            .header("x-signature", hex::encode(mac.finalize().into_bytes()))
            .body(body.to_owned());
        let response = request.send().await.unwrap();
        HttpResponse { status: response.status().as_u16(), body: response.text().await.unwrap() }
    }

    /// Sends the bytes of a captured request; the sandbox closes the connection.
    pub(crate) fn raw(&self, request: &[u8]) -> HttpResponse {
        let mut stream = TcpStream::connect(self.url.strip_prefix("http://").unwrap()).unwrap();
        stream.write_all(request).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        HttpResponse { status, body: body.to_owned() }
    }

    /// Appends records to the topic, one per element.
    pub(crate) async fn produce(&self, records: &[Value]) {
        let lines: Vec<String> = records.iter().map(Value::to_string).collect();
        self.produce_raw(lines.join("\n")).await;
    }

    /// Appends lines to the topic unchanged.
    pub(crate) async fn produce_raw(&self, lines: impl Into<reqwest::Body>) {
        let answer = self.send(Method::POST, "/_sandbox/topics/channels-tracking-log", lines).await;
        assert_eq!(answer.status, 202);
    }

    /// Gets one of the sandbox's own routes.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.send(Method::GET, &format!("/_sandbox/{path}"), "").await;
        assert_eq!(answer.status, 200, "{path}");
        serde_json::from_str(&answer.body).unwrap()
    }

    /// Runs a command against this sandbox: whether it succeeds, and what it prints.
    pub(crate) fn command(&self, arguments: &[&str]) -> (bool, String) {
        command(&[arguments, &["--sandbox", &self.url]].concat())
    }

    /// The calls that an upstream received.
    pub(crate) async fn calls(&self, upstream: &str) -> Vec<Value> {
        self.get(&format!("upstream/{upstream}")).await.as_array().unwrap().clone()
    }

    /// Forgets the calls of an upstream.
    pub(crate) async fn clear(&self, upstream: &str) {
        self.send(Method::DELETE, &format!("/_sandbox/upstream/{upstream}"), "").await;
    }

    /// Sets the faults of an upstream; an empty list clears them.
    pub(crate) async fn faults(&self, upstream: &str, faults: &Value) {
        let path = format!("/_sandbox/upstream/{upstream}/faults");
        let answer = self.send(Method::PUT, &path, faults.to_string()).await;
        assert_eq!(answer.status, 204, "{}", answer.body);
    }

    /// The messages of a queue.
    pub(crate) async fn queue(&self, queue: &str) -> Vec<Value> {
        self.get(&format!("queues/{queue}")).await.as_array().unwrap().clone()
    }

    /// Invokes a function with an event, as AWS does, and returns its response.
    pub(crate) async fn invoke(&self, function: &str, event: Vec<u8>) -> Value {
        let path = format!("/2015-03-31/functions/{function}/invocations");
        let answer = self.send(Method::POST, &path, event).await;
        serde_json::from_str(&answer.body).unwrap()
    }

    /// Waits until `look` finds something, and returns it.
    pub(crate) async fn until<T>(
        &self,
        what: &str,
        mut look: impl AsyncFnMut(&Self) -> Option<T>,
    ) -> T {
        let started = Instant::now();
        let mut tick = tokio::time::interval(LOOK);
        loop {
            tick.tick().await;
            if let Some(found) = look(self).await {
                return found;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "timed out waiting until {what}; state: {}",
                self.get("state").await
            );
        }
    }

    /// Waits until the topic is read to its end.
    pub(crate) async fn topic_read(&self) {
        self.until("the topic is read", async |sandbox| {
            (sandbox.get("state").await["topic"]["lag"] == json!(0)).then_some(())
        })
        .await;
    }

    /// The outcomes of a function's items. Waits until all its invocations are counted, because the
    /// line with the counts may arrive after the response.
    pub(crate) async fn outcomes(&self, function: &str) -> Value {
        self.until("all invocations are counted", async |sandbox| {
            let state = sandbox.get("state").await;
            let counted = state["metrics"][function]["Invocations"].as_u64().unwrap_or(0);
            let invoked = state["functions"][function]["invocations"].as_u64().unwrap();
            (counted == invoked).then(|| state["outcomes"][function].clone())
        })
        .await
    }
}
