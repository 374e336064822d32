//! What the upstreams have in common: a call is read, answered by the model, and the answer is changed
//! by a fault.

use std::io::Read as _;

use fastrand::Rng;
use flate2::read::GzDecoder;
use jiff::Timestamp;
use serde_json::Value;

use crate::faults::Faults;
use crate::reply::{Exchange, Reply};

/// A call, read.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Path without the query.
    pub path: &'a str,
    /// The `authorization` header; empty without one.
    pub authorization: &'a str,
    /// Bytes of the body after decompression.
    pub size: usize,
    /// The body; a string where it is not JSON.
    pub body: &'a Value,
}

/// The model of an upstream.
pub trait Upstream {
    /// The application that calls, for faults that concern one.
    fn application(&self, call: &Call<'_>) -> Option<String>;

    /// Takes a call and answers it.
    fn handle(&mut self, call: &Call<'_>, now: Timestamp, rng: &mut Rng) -> Reply;
}

/// Answers a call, or does what the first fault that applies says.
pub fn exchange(
    upstream: &mut impl Upstream,
    faults: &mut Faults,
    call: &Call<'_>,
    now: Timestamp,
    rng: &mut Rng,
) -> Exchange {
    let application = upstream.application(call);
    let fault = faults.take(call.path, application.as_deref(), rng).unwrap_or_default();
    let reply = if fault.takes_effect() {
        upstream.handle(call, now, rng)
    } else {
        Reply { status: 200, headers: Vec::new(), body: Vec::new() }
    };
    fault.exchange(fault.change(reply))
}

/// The body of a request: decompressed where `content-encoding` is gzip, as sent otherwise.
pub fn decompressed(content_encoding: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    if content_encoding == "gzip" && GzDecoder::new(body).read_to_end(&mut bytes).is_ok() {
        return bytes;
    }
    body.to_vec()
}

/// The JSON document in a body; a string where it is none.
pub fn document(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| String::from_utf8_lossy(bytes).into())
}
