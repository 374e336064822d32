//! An answer, ready for a connection.

use std::time::Duration;

use serde_json::Value;

/// Status, headers and body of an HTTP response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Reply {
    /// A JSON answer.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// Any answer.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status, headers, body: body.into() }
    }
}

/// What becomes of the connection that a call came on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// The reply is sent.
    Answered,
    /// The connection is closed without a reply.
    Reset,
    /// Nothing is sent and the connection stays open.
    Hangs,
}

/// A reply and how it is delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The reply, as it would be sent.
    pub reply: Reply,
    /// How long after the call.
    pub delay: Duration,
    /// Whether it is sent.
    pub connection: Connection,
}
