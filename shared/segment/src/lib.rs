//! Client of Segment's HTTP Tracking API: sends one batch and reads the answer.
//!
//! Invariants: success is HTTP 2xx and nothing else; `sentAt` is the moment of the attempt, since
//! Segment corrects every timestamp by it; `X-Retry-Count` is absent on the first attempt. The
//! write key is in the header and the body, as Segment's own server library sends it, and in no
//! error. What follows from an answer is decided in [`delivery`].
//!
//! # Layout
//! * [`batch`]: cuts calls into batches.
//! * [`delivery`]: sends them, with retries, and tells how each call ended.

pub mod batch;
pub mod delivery;

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use platform::application::Segment;
use platform::upstream::{Answer, TransportError, Verdict};
use reqwest::StatusCode;
use secrecy::ExposeSecret;
use serde_json::value::RawValue;

/// Sends batches over kept-alive connections. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    gzip: bool,
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There was no answer.
    #[error("no answer from Segment: {0}")]
    Transport(#[from] TransportError),
    /// Segment refused.
    #[error("Segment answered HTTP {status}")]
    Refused {
        /// HTTP status.
        status: StatusCode,
        /// What to do about it.
        verdict: Verdict,
    },
}

impl Error {
    /// What to do about it.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Transport(_) => Verdict::Retry { after: None },
            Self::Refused { verdict, .. } => *verdict,
        }
    }

    /// HTTP status, where there was an answer.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Transport(_) => None,
            Self::Refused { status, .. } => Some(*status),
        }
    }

    /// Short, stable name of the cause, e.g. `http_503`.
    pub fn cause(&self) -> String {
        match self {
            Self::Transport(_) => "connection".to_owned(),
            Self::Refused { status, .. } => format!("http_{}", status.as_u16()),
        }
    }
}

impl Client {
    /// A client on this connection pool.
    pub fn new(http: reqwest::Client, gzip: bool) -> Self {
        Self { http, gzip }
    }

    /// Sends one batch. `attempts` tells how often it was tried before. The time limit is the
    /// caller's.
    #[tracing::instrument(level = "debug", name = "segment batch", skip_all)]
    pub async fn send(
        &self,
        account: &Segment,
        calls: &[Box<RawValue>],
        attempts: u32,
    ) -> Result<(), Error> {
        let key = account.write_key.expose_secret();
        let now = Timestamp::now();
        let body = body(key, calls, now);
        let mut request = self
            .http
            .post(format!("{}/batch", account.base_url))
            .header("authorization", format!("Basic {}", STANDARD.encode(format!("{key}:"))))
            .header("content-type", "application/json");
        if attempts > 0 {
            request = request.header("x-retry-count", attempts);
        }
        request = match self.gzip.then(|| gzip(&body)).flatten() {
            Some(compressed) => request.header("content-encoding", "gzip").body(compressed),
            None => request.body(body),
        };
        let response = request.send().await.map_err(TransportError::from)?;
        let status = response.status();
        // What a 2xx says is not documented: it is read for the connection's sake, and not waited for.
        let answer = Answer::read(response, now).await;
        if status.is_success() {
            return Ok(());
        }
        let verdict = answer?.verdict();
        Err(Error::Refused { status, verdict })
    }
}

fn body(key: &str, calls: &[Box<RawValue>], now: Timestamp) -> Vec<u8> {
    let size: usize = calls.iter().map(|call| call.get().len() + 1).sum();
    let mut body = Vec::with_capacity(size + 256);
    body.extend_from_slice(b"{\"batch\":[");
    for (index, call) in calls.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(call.get().as_bytes());
    }
    body.extend_from_slice(b"],\"writeKey\":");
    body.extend_from_slice(serde_json::Value::from(key).to_string().as_bytes());
    body.extend_from_slice(format!(",\"sentAt\":\"{now:.3}\"}}").as_bytes());
    body
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
    use wiremock::matchers::{header, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    fn calls() -> Vec<Box<RawValue>> {
        ["{\"type\":\"track\",\"n\":1}", "{\"type\":\"track\",\"n\":2}"]
            .map(|call| RawValue::from_string(call.to_owned()).unwrap())
            .into()
    }

    fn account(server: &MockServer) -> Segment {
        Segment {
            base_url: format!("{}/v1", server.uri()),
            write_key: "k\"ey".into(),
            events: None,
        }
    }

    #[tokio::test]
    async fn a_batch_is_sent_as_segments_own_library_does() {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .and(path("/v1/batch"))
            .and(header("authorization", format!("Basic {}", STANDARD.encode("k\"ey:"))))
            .respond_with(ResponseTemplate::new(200))
            .expect(3)
            .mount(&server)
            .await;
        for (gzip, attempts) in [(false, 0), (false, 2), (true, 0)] {
            Client::new(reqwest::Client::new(), gzip)
                .send(&account(&server), &calls(), attempts)
                .await
                .unwrap();
        }
        let requests = server.received_requests().await.unwrap();
        let plain: Value = serde_json::from_slice(&requests[0].body).unwrap();
        assert_eq!(plain["batch"], json!([{"type": "track", "n": 1}, {"type": "track", "n": 2}]));
        assert_eq!(plain["writeKey"], "k\"ey");
        assert!(plain["sentAt"].as_str().unwrap().parse::<Timestamp>().is_ok());
        assert!(!requests[0].headers.contains_key("x-retry-count"));
        assert_eq!(requests[1].headers["x-retry-count"], "2");
        let mut json = String::new();
        flate2::read::GzDecoder::new(requests[2].body.as_slice())
            .read_to_string(&mut json)
            .unwrap();
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["batch"], plain["batch"]);
    }
}
