//! The least that the source can cost: it receives an event, decodes what is base64 in it, and sends as many bytes as the
//! source does, on the same HTTP libraries. It reads no JSON and maps nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use base64_simd::STANDARD;
use bytes::Bytes;
use lambda_runtime::tower::layer::layer_fn;
use lambda_runtime::{Error, LambdaEvent, LambdaInvocation, Runtime, Service, service_fn};

/// Bytes of a request.
const BATCH_BYTES: usize = 475_000;

const VALUE: &[u8] = b"\"value\":\"";

/// The event that is worked on.
type Body = Arc<Mutex<Bytes>>;

/// Takes an event before the runtime parses it.
#[derive(Clone)]
struct Take<S>(S, Body);

impl<S: Service<LambdaInvocation>> Service<LambdaInvocation> for Take<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut invocation: LambdaInvocation) -> S::Future {
        let body = std::mem::replace(&mut invocation.body, Bytes::from_static(b"null"));
        *self.1.lock().unwrap_or_else(PoisonError::into_inner) = body;
        self.0.call(invocation)
    }
}

async fn handle(
    body: Bytes,
    client: reqwest::Client,
    url: String,
    bytes: usize,
) -> Result<serde_json::Value, Error> {
    let mut decoded = Vec::with_capacity(body.len() / 4 * 3);
    let starts = memchr::memmem::find_iter(&body, VALUE).map(|at| at + VALUE.len());
    for start in starts {
        let rest = body.get(start..).unwrap_or_default();
        let end = memchr::memchr(b'"', rest).unwrap_or(rest.len());
        STANDARD.decode_append(rest.get(..end).unwrap_or_default(), &mut decoded)?;
    }
    drop(body);
    let decoded = Bytes::from(decoded);
    let mut left = bytes;
    let mut sent = Vec::new();
    while left > 0 {
        let batch = decoded.slice(..left.min(BATCH_BYTES).min(decoded.len()));
        left -= batch.len();
        sent.push(tokio::spawn(client.post(&url).basic_auth("key", Some("")).body(batch).send()));
    }
    for request in sent {
        request.await??.error_for_status()?;
    }
    Ok(serde_json::json!({"batchItemFailures": []}))
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::disallowed_methods, reason = "it stands on nothing of ours")]
async fn main() -> Result<(), Error> {
    let url = format!("{}/v1/batch", std::env::var("BENCH_UPSTREAM")?);
    let bytes = std::env::var("BENCH_FLOOR_BYTES")?.parse()?;
    // Without certificates: nothing here is sent over TLS.
    let client = reqwest::Client::builder().tls_certs_only([]).build()?;
    let body = Body::default();
    let event = Arc::clone(&body);
    let handler = service_fn(move |_: LambdaEvent<()>| {
        let body = std::mem::take(&mut *event.lock().unwrap_or_else(PoisonError::into_inner));
        handle(body, client.clone(), url.clone(), bytes)
    });
    Runtime::new(handler).layer(layer_fn(move |inner| Take(inner, Arc::clone(&body)))).run().await
}
