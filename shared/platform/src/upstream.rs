//! HTTP towards Pushwoosh and Segment: how an answer is read, and what follows from a failure.
//!
//! Invariant: deciding is separate from acting, so that every caller treats the same failure alike.

use std::time::Duration;

use jiff::Timestamp;
use mapping::Cause;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

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

/// Longest part of an upstream's words that is kept, in characters.
const MAX_WORDS: usize = 300;

/// What came back for a call that was not taken, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// The upstream's own words; without an answer, what happened instead.
    pub words: String,
}

/// What an answer's body says, on one line: the message in it, or else its text.
pub fn words(body: &[u8]) -> String {
    /// Where Pushwoosh and Segment put it.
    const MESSAGES: [&str; 5] =
        ["/status_message", "/message", "/error/message", "/error", "/errors/0"];
    let json: Option<Value> = mapping::json::read(body).ok();
    let message = json.as_ref().and_then(|json| {
        let mut texts = MESSAGES.iter().filter_map(|at| json.pointer(at)?.as_str());
        texts.find(|text| !text.trim().is_empty())
    });
    match (message, &json) {
        (Some(message), _) => one_line(message),
        (None, Some(Value::String(text))) => one_line(text),
        // JSON without a message says no more than its status.
        (None, Some(_)) => String::new(),
        (None, None) => one_line(&String::from_utf8_lossy(body)),
    }
}

/// Text on one line, cut where it is long.
pub fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if !word.is_empty() {
            line.extend((!line.is_empty()).then_some(' '));
            line.push_str(word);
        }
        if line.len() > 4 * MAX_WORDS {
            break;
        }
    }
    match line.char_indices().nth(MAX_WORDS) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// Why a call was not taken. Holds no data of the call, but for what the upstream quotes of it.
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
    #[error("{upstream} answered HTTP {}{}{}", status.as_u16(), in_body(*code), after_colon(words))]
    Refused {
        /// Name of the upstream.
        upstream: &'static str,
        /// HTTP status.
        status: StatusCode,
        /// `status_code` of the body, where the upstream has one.
        code: Option<u16>,
        /// What to do about it.
        verdict: Verdict,
        /// The upstream's own words, as [`words`] reads them.
        words: String,
    },
}

fn in_body(code: Option<u16>) -> String {
    code.map(|code| format!(", status code {code}")).unwrap_or_default()
}

fn after_colon(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(": {words}") }
}

impl CallError {
    /// What came back.
    pub fn answer(&self) -> Answer {
        let status = self.status().map(|status| status.as_u16());
        let words = match self {
            Self::Transport { .. } => one_line(&self.to_string()),
            Self::Refused { words, .. } => words.clone(),
        };
        Answer { status, words }
    }

    /// The same without a key that the upstream may have quoted.
    #[must_use]
    pub fn without_key(mut self, key: &str) -> Self {
        if let (Self::Refused { words, .. }, false) = (&mut self, key.is_empty()) {
            *words = words.replace(key, "…");
        }
        self
    }

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
            words: String::new(),
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

    #[test]
    fn an_upstreams_words_are_found_and_kept_on_one_line() {
        for (body, expected) in [
            (
                r#"{"status_code":210,"status_message":"event Purchase\n does not exist"}"#,
                "event Purchase does not exist",
            ),
            (r#"{"code":3,"message":"invalid request","details":[]}"#, "invalid request"),
            (r#"{"error":{"message":"no such source"}}"#, "no such source"),
            (r#"{"status_code":210,"status_message":""}"#, ""),
            ("<html>\r\n\tBad Gateway\0</html>", "<html> Bad Gateway </html>"),
            ("null", ""),
            ("", ""),
        ] {
            assert_eq!(words(body.as_bytes()), expected, "{body}");
        }
        assert_eq!(words("ä".repeat(100_000).as_bytes()), format!("{}…", "ä".repeat(MAX_WORDS)));
        let short = "\u{1F600} ".repeat(MAX_WORDS / 2);
        assert_eq!(one_line(&short), short.trim_end());
        assert_eq!(one_line(&short.repeat(2)), format!("{short}…"));
    }

    #[test]
    fn a_key_that_the_upstream_quotes_is_left_out() {
        let error = CallError::Refused {
            upstream: "Segment",
            status: StatusCode::BAD_REQUEST,
            code: None,
            verdict: Verdict::Permanent,
            words: "the key k3y is unknown".to_owned(),
        };
        let error = error.without_key("").without_key("k3y");
        assert_eq!(error.to_string(), "Segment answered HTTP 400: the key … is unknown");
        let words = "the key … is unknown".to_owned();
        assert_eq!(error.answer(), Answer { status: Some(400), words });
    }
}
