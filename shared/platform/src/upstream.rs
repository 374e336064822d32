//! HTTP towards Pushwoosh and Segment: how an answer is read, and what follows from a failure.
//!
//! Invariants: an answer is read up to a bound, whatever its headers promise; deciding is separate
//! from acting, so that every caller treats the same failure alike.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// Largest part of an answer that is read. Real ones stay below a few kilobytes.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Longest `Retry-After` that is believed; Segment's own clients clamp to the same.
pub const MAX_RETRY_AFTER: Duration = Duration::from_mins(5);

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Unused connections are closed after this: a function may have been frozen in between, and its
/// peer have hung up.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// The HTTP client for both upstreams. It follows no redirect: a POST would become a GET.
pub fn http_client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("segment-pushwoosh/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// What to do about a failed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Worth another attempt, not before this has passed.
    Retry {
        /// As the upstream asked for, clamped to [`MAX_RETRY_AFTER`].
        after: Option<Duration>,
    },
    /// The key was refused; a fresh one may be accepted.
    Unauthorized,
    /// Will never succeed as it is.
    Permanent,
}

/// Why a request failed before there was a whole answer.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Connecting, sending or receiving failed.
    #[error("the connection failed: {0}")]
    Connection(#[from] reqwest::Error),
    /// There was more of the answer than is read.
    #[error("the answer is larger than {MAX_ANSWER_BYTES} bytes")]
    TooLarge,
}

/// Status, headers and a bounded body.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// `Retry-After`, read and clamped.
    pub retry_after: Option<Duration>,
    /// The body, at most [`MAX_ANSWER_BYTES`].
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads an answer to its end. The time limit is the caller's.
    pub async fn read(
        mut response: reqwest::Response,
        now: Timestamp,
    ) -> Result<Self, TransportError> {
        let status = response.status();
        let retry_after = retry_after(response.headers(), now);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(TransportError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Self { status, retry_after, body })
    }

    /// What follows from a status that is no success. 408, 410, 429, 460 and 5xx are retried, but
    /// for 501 and 505: what Segment's clients agreed on in 2026, and Pushwoosh's are a subset.
    pub fn verdict(&self) -> Verdict {
        match self.status.as_u16() {
            401 | 403 => Verdict::Unauthorized,
            501 | 505 => Verdict::Permanent,
            408 | 410 | 429 | 460 | 500..=599 => Verdict::Retry { after: self.retry_after },
            _ => Verdict::Permanent,
        }
    }
}

/// Seconds, or an HTTP date relative to `now`.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = if let Ok(seconds) = text.parse::<u64>() {
        seconds
    } else {
        let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        u64::try_from(date.as_second().saturating_sub(now.as_second())).unwrap_or(0)
    };
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn retry_after_is_read_in_both_forms_and_clamped() {
        let read = |text: &'static str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            retry_after(&headers, "2026-01-02T03:04:05Z".parse().unwrap()).map(|d| d.as_secs())
        };
        assert_eq!(read("7"), Some(7));
        assert_eq!(read("86400"), Some(300));
        assert_eq!(read("Fri, 02 Jan 2026 03:04:35 GMT"), Some(30));
        assert_eq!(read("Fri, 02 Jan 2026 03:04:00 GMT"), Some(0));
        assert_eq!(read("soon"), None);
    }

    #[test]
    fn every_status_has_one_verdict() {
        let verdict = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            Answer { status, retry_after: None, body: Vec::new() }.verdict()
        };
        for status in [408, 410, 429, 460, 500, 502, 503, 504, 529] {
            assert_eq!(verdict(status), Verdict::Retry { after: None }, "{status}");
        }
        for status in [301, 400, 404, 413, 422, 501, 505] {
            assert_eq!(verdict(status), Verdict::Permanent, "{status}");
        }
        assert_eq!(verdict(401), Verdict::Unauthorized);
        assert_eq!(verdict(403), Verdict::Unauthorized);
    }
}
