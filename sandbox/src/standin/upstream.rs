//! An upstream over HTTP: the model answers, and every call is recorded on arrival.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use world::faults::{Fault, Faults};
use world::reply::{Connection, Exchange};
use world::upstream::{self, Call};

use crate::http::{self, Request, Response};
use crate::recent::{self, Recent};

/// Calls that are kept for the page and `/_sandbox/upstream`.
const KEPT_CALLS: usize = 10_000;

/// Answers of the upstreams are shorter than this.
const MAX_ANSWER: usize = 2_000;

/// A model, served.
pub(crate) struct Upstream<M> {
    state: Mutex<State<M>>,
    calls: Mutex<Recent>,
}

/// A call as `/_sandbox/upstream` shows it.
#[derive(Serialize)]
struct Received<'a> {
    at: String,
    method: &'a str,
    path: &'a str,
    headers: Map<String, Value>,
    body: &'a Value,
    /// What was answered, where it was.
    answer: Value,
    /// 0 where nothing was answered. It stays last: who reads many calls looks at the end of the line.
    status: u16,
}

struct State<M> {
    model: M,
    faults: Faults,
    rng: Rng,
}

impl<M: upstream::Upstream + Send + 'static> Upstream<M> {
    /// Serves this model.
    pub(crate) fn new(model: M) -> Arc<Self> {
        let state = State { model, faults: Faults::default(), rng: Rng::new() };
        let calls = Mutex::new(Recent::new(KEPT_CALLS));
        Arc::new(Self { state: Mutex::new(state), calls })
    }

    /// Looks at the model, or changes it.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut M) -> T) -> T {
        act(&mut lock(&self.state).model)
    }

    /// Replaces the faults.
    pub(crate) fn set_faults(&self, faults: Vec<Fault>) {
        lock(&self.state).faults.set(faults);
    }

    /// The faults that are left.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        lock(&self.state).faults.list()
    }

    /// The newest calls, oldest first, as a JSON list.
    pub(crate) fn calls(&self) -> String {
        lock(&self.calls).list()
    }

    /// The calls after the one with this number, as numbered lines.
    pub(crate) fn calls_after(&self, number: u64) -> String {
        lock(&self.calls).after(number)
    }

    /// The calls that are wanted, as text, oldest first.
    pub(crate) fn find(&self, wanted: &dyn Fn(&str) -> bool) -> Vec<String> {
        lock(&self.calls).find(wanted)
    }

    /// Forgets the calls.
    pub(crate) fn clear(&self) {
        lock(&self.calls).clear();
    }

    /// Serves until the process ends.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) {
        http::serve(listener, move |request| {
            let upstream = Arc::clone(&self);
            async move { upstream.handle(request).await }
        })
        .await;
    }

    async fn handle(&self, request: Request) -> Option<Response> {
        let now = Timestamp::now();
        let (method, path) = http::route(&request);
        let header = |name: &str| {
            request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
        };
        let bytes = upstream::decompressed(header("content-encoding"), request.body());
        let body = upstream::document(&bytes);
        let exchange = {
            let authorization = header("authorization");
            let call = Call { path: &path, authorization, size: bytes.len(), body: &body };
            self.exchange(&call, http::idle(&request), now)
        };
        let answered = exchange.connection == Connection::Answered;
        let headers: Map<String, Value> = request
            .headers()
            .iter()
            .map(|(name, value)| {
                (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into())
            })
            .collect();
        let call = recent::text(&Received {
            at: format!("{now:.3}"),
            method: method.as_str(),
            path: &path,
            headers,
            body: &body,
            answer: if answered { shown(&exchange.reply.body) } else { Value::Null },
            status: if answered { exchange.reply.status } else { 0 },
        });
        lock(&self.calls).push(call);
        http::exchanged(exchange).await
    }

    fn exchange(&self, call: &Call<'_>, idle: Option<Duration>, now: Timestamp) -> Exchange {
        let State { model, faults, rng } = &mut *lock(&self.state);
        faults.on_connection(idle);
        upstream::exchange(model, faults, call, now, rng)
    }
}

/// An answer, as it is kept; nothing of one that is long.
fn shown(body: &[u8]) -> Value {
    if body.len() > MAX_ANSWER {
        return format!("{} bytes", body.len()).into();
    }
    upstream::document(body)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
