//! Sends one batch.

use std::io::Write;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use platform::application::SegmentAccount;
use platform::clock::Clock;
use platform::gate::Upstream;
use platform::transport::{Request, Transport, TransportError};
use platform::upstream::{CallError, MAX_ANSWER_BYTES, verdict, words};
use secrecy::ExposeSecret;

use crate::calls::Part;

/// The upstream's name in errors.
const NAME: &str = "Segment";

/// Sends batches over kept connections. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Arc<dyn Transport>,
    clock: Clock,
    gzip: bool,
}

/// Track calls that go in one request.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'c> {
    /// The calls.
    pub calls: Part<'c>,
    /// How often they were tried before.
    pub attempts: u32,
}

impl Client {
    /// A client on this transport; with `gzip` bodies are compressed.
    pub fn new(transport: Arc<dyn Transport>, clock: Clock, gzip: bool) -> Self {
        Self { transport, clock, gzip }
    }
}

impl Upstream<Batch<'_>> for Client {
    type Account = SegmentAccount;
    type Accepted = ();

    #[tracing::instrument(level = "debug", name = "segment batch", skip_all)]
    async fn send(&self, account: &SegmentAccount, batch: Batch<'_>) -> Result<(), CallError> {
        let failed = |error| CallError::Transport { upstream: NAME, error };
        let now = self.clock.wall();
        let request = request(account, batch, self.gzip, now).map_err(failed)?;
        let response = self.transport.send(request, MAX_ANSWER_BYTES).await.map_err(failed)?;
        let status = response.status;
        // What a success says is not documented, and not needed.
        if status.is_success() {
            return Ok(());
        }
        let verdict = verdict(&response, now);
        let words = words(&response.body.map_err(failed)?);
        Err(CallError::Refused { upstream: NAME, status, code: None, verdict, words })
    }
}

fn request(
    account: &SegmentAccount,
    batch: Batch<'_>,
    compress: bool,
    now: Timestamp,
) -> Result<Request, TransportError> {
    let key = account.write_key.expose_secret();
    let body = batch.calls.body(key, now);
    let mut request = http::Request::post(format!("{}/batch", account.base_url))
        .header("authorization", format!("Basic {}", STANDARD.encode(format!("{key}:"))))
        .header("content-type", "application/json");
    if batch.attempts > 0 {
        request = request.header("x-retry-count", batch.attempts);
    }
    let built = match compress.then(|| gzip(&body)).flatten() {
        Some(compressed) => request.header("content-encoding", "gzip").body(compressed.into()),
        None => request.body(body),
    };
    built.map_err(|error| TransportError::Connection(error.into()))
}

fn gzip(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use serde_json::{Value, json};

    use super::*;
    use crate::calls::Calls;

    fn sent(attempts: u32, compress: bool) -> Request {
        let mut calls = Calls::default();
        calls.add(|body| body.extend_from_slice(b"{\"n\":1}"));
        calls.add(|body| body.extend_from_slice(b"{\"n\":2.50}"));
        let account = SegmentAccount {
            base_url: "https://api.example.com/v1".into(),
            write_key: "k\"ey".into(),
            events: None,
        };
        let batch = Batch { calls: calls.batch(0).unwrap(), attempts };
        let now = "2026-01-02T03:04:05.678901Z".parse().unwrap();
        request(&account, batch, compress, now).unwrap()
    }

    #[test]
    fn a_batch_is_sent_as_segments_own_library_does() {
        let request = sent(0, false);
        assert_eq!(request.method(), "POST");
        assert_eq!(request.uri(), "https://api.example.com/v1/batch");
        let basic = format!("Basic {}", STANDARD.encode("k\"ey:"));
        assert_eq!(request.headers()["authorization"], basic);
        assert_eq!(request.headers()["content-type"], "application/json");
        assert!(!request.headers().contains_key("x-retry-count"));
        assert_eq!(
            request.body(),
            r#"{"batch":[{"n":1},{"n":2.50}],"writeKey":"k\"ey","sentAt":"2026-01-02T03:04:05.678Z"}"#
        );
        assert_eq!(sent(2, false).headers()["x-retry-count"], "2");
    }

    #[test]
    fn a_compressed_batch_is_the_same_batch() {
        let request = sent(0, true);
        assert_eq!(request.headers()["content-encoding"], "gzip");
        let mut json = String::new();
        let mut decoder = flate2::read::GzDecoder::new(request.body().as_ref());
        decoder.read_to_string(&mut json).unwrap();
        let body: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(body["batch"], json!([{"n": 1}, {"n": 2.5}]));
        assert!(!sent(0, false).headers().contains_key("content-encoding"));
    }
}
