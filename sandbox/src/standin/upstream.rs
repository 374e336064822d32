//! An upstream over HTTP: the model answers, and every call is recorded on arrival.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastrand::Rng;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use world::faults::{Fault, Faults};
use world::reply::{Connection, Exchange};
use world::upstream::{self, Call};

use super::calls::Calls;
use crate::http::{self, Request, Response};

/// A model, served.
pub(crate) struct Upstream<M> {
    state: Mutex<State<M>>,
    calls: Mutex<Calls>,
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
        Arc::new(Self { state: Mutex::new(state), calls: Mutex::default() })
    }

    /// Looks at the model, or changes it.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut M) -> T) -> T {
        act(&mut lock(&self.state).model)
    }

    /// Replaces the faults.
    pub(crate) fn set_faults(&self, faults: Vec<Fault>) {
        lock(&self.state).faults.set(faults);
    }

    /// The newest calls, oldest first.
    pub(crate) fn calls(&self) -> Value {
        lock(&self.calls).list()
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
            self.exchange(&call, now)
        };
        let answered = exchange.connection == Connection::Answered;
        let headers: Map<String, Value> = request
            .headers()
            .iter()
            .map(|(name, value)| {
                (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into())
            })
            .collect();
        let call = json!({
            "at": format!("{now:.3}"), "method": method.as_str(), "path": path, "headers": headers,
            "body": body, "status": if answered { exchange.reply.status } else { 0 },
        });
        lock(&self.calls).push(call, request.body().len());
        http::exchanged(exchange).await
    }

    fn exchange(&self, call: &Call<'_>, now: Timestamp) -> Exchange {
        let State { model, faults, rng } = &mut *lock(&self.state);
        upstream::exchange(model, faults, call, now, rng)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
