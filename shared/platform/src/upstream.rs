//! HTTP towards Pushwoosh and Segment: how an answer is read, and what follows from a failure.
//!
//! Invariant: deciding is separate from acting, so that every caller treats the same failure alike.

use std::time::Duration;

use jiff::Timestamp;
use mapping::Cause;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::transport::{Response, TransportError};

/// Largest answer that is read. Real ones stay below a few kilobytes.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Longest `Retry-After` that is believed; Segment's own clients clamp to the same.
pub const MAX_RETRY_AFTER: Duration = Duration::from_mins(5);

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

/// Why a call was not taken. Holds no data of the call and no key.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There was no whole answer.
    #[error("{upstream} gave no answer: {error}")]
    Transport {
        /// Name of the upstream.
        upstream: &'static str,
        /// What happened.
        #[source]
        error: TransportError,
    },
    /// The upstream refused.
    #[error("{upstream} answered HTTP {}{}", status.as_u16(), in_body(*code))]
    Refused {
        /// Name of the upstream.
        upstream: &'static str,
        /// HTTP status.
        status: StatusCode,
        /// `status_code` of the body, where the upstream has one.
        code: Option<u16>,
        /// What to do about it.
        verdict: Verdict,
    },
}

fn in_body(code: Option<u16>) -> String {
    code.map(|code| format!(", status code {code}")).unwrap_or_default()
}

impl CallError {
    /// What to do about it.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Transport { .. } => Verdict::Retry { after: None },
            Self::Refused { verdict, .. } => *verdict,
        }
    }

    /// HTTP status, where there was an answer.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Transport { .. } => None,
            Self::Refused { status, .. } => Some(*status),
        }
    }

    /// Why the call is undelivered.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Transport { .. } => Cause::Connection,
            Self::Refused { verdict: Verdict::Unauthorized, .. } => Cause::Unauthorized,
            Self::Refused { status, code, .. } if status.is_success() => {
                code.map_or(Cause::UnreadableAnswer, Cause::StatusCode)
            }
            Self::Refused { status, .. } => Cause::Http(status.as_u16()),
        }
    }
}

/// What to do about a status other than success. 408, 410, 429, 460 and 5xx are retried, but for 501
/// and 505: what Segment's clients agreed on in 2026, and Pushwoosh's are a subset.
pub fn verdict(response: &Response, now: Timestamp) -> Verdict {
    match response.status.as_u16() {
        401 | 403 => Verdict::Unauthorized,
        501 | 505 => Verdict::Permanent,
        408 | 410 | 429 | 460 | 500..=599 => {
            Verdict::Retry { after: retry_after(&response.headers, now) }
        }
        _ => Verdict::Permanent,
    }
}

/// `Retry-After` in seconds, or as an HTTP date relative to `now`.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
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
    use bytes::Bytes;
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
            let response = Response { status, headers: HeaderMap::new(), body: Ok(Bytes::new()) };
            verdict(&response, Timestamp::UNIX_EPOCH)
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

    #[test]
    fn an_error_names_its_cause_and_reads_as_a_sentence() {
        let refused = |status: u16, code| CallError::Refused {
            upstream: "Pushwoosh",
            status: StatusCode::from_u16(status).unwrap(),
            code,
            verdict: Verdict::Permanent,
        };
        assert_eq!(refused(503, None).cause(), Cause::Http(503));
        assert_eq!(refused(200, Some(500)).cause(), Cause::StatusCode(500));
        assert_eq!(refused(200, None).cause(), Cause::UnreadableAnswer);
        assert_eq!(refused(400, None).to_string(), "Pushwoosh answered HTTP 400");
        assert_eq!(
            refused(400, Some(210)).to_string(),
            "Pushwoosh answered HTTP 400, status code 210"
        );
        let error = TransportError::TooLarge(5);
        let lost = CallError::Transport { upstream: "Segment", error };
        assert_eq!((lost.cause(), lost.status()), (Cause::Connection, None));
        assert_eq!(lost.verdict(), Verdict::Retry { after: None });
    }
}
