//! What both upstreams have in common: every call is recorded on arrival, and answered as it would
//! be, or as a fault says.

use std::io::Read;
use std::sync::{Arc, Mutex};

use flate2::read::GzDecoder;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use super::fault::Faults;
use crate::http::{self, Request, Response};

/// A call, read.
pub(crate) struct Call<'a> {
    pub(crate) path: &'a str,
    pub(crate) headers: &'a hyper::HeaderMap,
    /// Bytes after decompression.
    pub(crate) size: usize,
    pub(crate) body: &'a Value,
}

impl Call<'_> {
    /// A header's text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// What an upstream answers of its own accord.
pub(crate) trait Behaviour: Send + Sync + 'static {
    /// Which application calls, for faults that concern one.
    fn application(&self, call: &Call<'_>) -> Option<String>;
    /// Status and body.
    fn answer(&self, call: &Call<'_>) -> (u16, Value);
}

/// A stand-in for an upstream.
pub(crate) struct Upstream<B> {
    behaviour: B,
    pub(crate) faults: Faults,
    calls: Mutex<Vec<Value>>,
}

impl<B: Behaviour> Upstream<B> {
    /// A stand-in that behaves like this.
    pub(crate) fn new(behaviour: B) -> Arc<Self> {
        Arc::new(Self { behaviour, faults: Faults::default(), calls: Mutex::default() })
    }

    /// The calls received, oldest first.
    pub(crate) fn calls(&self) -> Value {
        Value::Array(self.lock().clone())
    }

    /// Forgets the calls.
    pub(crate) fn clear(&self) {
        self.lock().clear();
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
        let at = Timestamp::now();
        let (method, path) = http::route(&request);
        let bytes = decompressed(&request);
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        let call = Call { path: &path, headers: request.headers(), size: bytes.len(), body: &body };
        let fault = self
            .faults
            .take(&path, self.behaviour.application(&call).as_deref())
            .unwrap_or_default();
        let (mut status, mut answer) = self.behaviour.answer(&call);
        if let Some(wanted) = fault.status {
            status = wanted;
            answer = json!({"message": "a fault of the sandbox"});
        }
        if let Some(body) = &fault.body {
            answer = body.clone();
        }
        let headers: Map<String, Value> = request
            .headers()
            .iter()
            .map(|(name, value)| {
                (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into())
            })
            .collect();
        self.lock().push(json!({
            "at": format!("{at:.3}"), "method": method.as_str(), "path": path, "headers": headers,
            "body": body, "status": if fault.reset { 0 } else { status },
        }));
        tokio::time::sleep(fault.delay()).await;
        if fault.reset {
            return None;
        }
        let response = match (fault.body_bytes, answer) {
            (Some(size), _) => http::answer(status, "application/json", vec![b'x'; size]),
            (None, Value::String(text)) => http::answer(status, "text/plain", text),
            (None, answer) => http::json(status, &answer),
        };
        Some(match &fault.retry_after {
            None => response,
            Some(Value::String(date)) => http::with_header(response, "retry-after", date),
            Some(seconds) => http::with_header(response, "retry-after", &seconds.to_string()),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Value>> {
        self.calls.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn decompressed(request: &Request) -> Vec<u8> {
    let gzip = request.headers().get("content-encoding").is_some_and(|encoding| encoding == "gzip");
    let mut bytes = Vec::new();
    if gzip && GzDecoder::new(request.body().as_ref()).read_to_end(&mut bytes).is_ok() {
        return bytes;
    }
    request.body().to_vec()
}
