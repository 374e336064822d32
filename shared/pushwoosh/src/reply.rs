//! Reads Pushwoosh's answers as Pushwoosh means them: the HTTP status alone does not say it.

use std::fmt;

use jiff::Timestamp;
use mapping::Method;
use platform::transport::Response;
use platform::upstream::{CallError, Verdict, retry_after, verdict, words};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;

/// The upstream's name in errors.
pub(crate) const NAME: &str = "Pushwoosh";

/// In the body: something is wrong with the arguments, whatever the HTTP status.
const ARGUMENT_ERROR: u16 = 210;

/// What Pushwoosh took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Tags that do not exist in Pushwoosh, or have another type there (spec D7).
    pub skipped_tags: Vec<SkippedTag>,
}

/// A tag that Pushwoosh did not save.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SkippedTag {
    /// Name of the tag.
    pub tag: String,
    /// Pushwoosh's words, e.g. `Not found`.
    #[serde(default)]
    pub reason: String,
}

/// Reads the answer to a call of this method.
pub fn read(method: Method, response: Response, now: Timestamp) -> Result<Accepted, CallError> {
    let (status, after) = (response.status, retry_after(&response.headers, now));
    let by_status = verdict(&response, now);
    let bytes = response.body.map_err(|error| CallError::Transport { upstream: NAME, error })?;
    // Only `status_code` decides. The rest of an answer has no fixed shape.
    let body: Value = mapping::json::read(&bytes).unwrap_or_default();
    let code = body.get("status_code").and_then(Value::as_u64);
    let code = code.and_then(|code| u16::try_from(code).ok());
    let refused = |verdict| {
        let words = words(&bytes);
        Err(CallError::Refused { upstream: NAME, status, code, verdict, words })
    };
    // 404: already deleted.
    if method == Method::DeleteUser && status == StatusCode::NOT_FOUND {
        return Ok(Accepted::default());
    }
    if !status.is_success() {
        return refused(match code {
            Some(ARGUMENT_ERROR) => Verdict::Permanent,
            _ => by_status,
        });
    }
    if method == Method::DeleteUser {
        return Ok(Accepted::default());
    }
    match code {
        Some(200) => Ok(Accepted { skipped_tags: skipped_tags(&body) }),
        Some(401 | 403) => refused(Verdict::Unauthorized),
        Some(code) if code < 500 => refused(Verdict::Permanent),
        // 5xx in the body, or an answer that Pushwoosh does not give: a proxy's page, cut-off JSON.
        _ => refused(Verdict::Retry { after }),
    }
}

/// The tags that an answer names as skipped, as far as they can be read.
fn skipped_tags(body: &Value) -> Vec<SkippedTag> {
    let skipped = body.pointer("/response/skipped").and_then(Value::as_array);
    let tags = skipped.into_iter().flatten().cloned();
    tags.filter_map(|tag| serde_json::from_value(tag).ok()).collect()
}

impl fmt::Display for SkippedTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason.as_str() {
            "" => f.write_str(&self.tag),
            reason => write!(f, "{} ({reason})", self.tag),
        }
    }
}

#[cfg(test)]
mod tests {
    use platform::transport::TransportError;
    use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
    use serde_json::json;

    use super::*;

    fn answer(method: Method, status: u16, body: &str) -> Result<Accepted, CallError> {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("7"))]);
        let status = StatusCode::from_u16(status).unwrap();
        let body = Ok(body.to_owned().into());
        read(method, Response { status, headers, body }, Timestamp::UNIX_EPOCH)
    }

    fn verdict(status: u16, body: &Value) -> Verdict {
        answer(Method::SetTags, status, &body.to_string()).unwrap_err().verdict()
    }

    #[test]
    fn success_needs_both_the_http_status_and_the_status_code() {
        let ok = json!({"status_code": 200, "status_message": "OK", "response": null});
        assert_eq!(answer(Method::SetTags, 200, &ok.to_string()).unwrap(), Accepted::default());
        let again = Verdict::Retry { after: Some(std::time::Duration::from_secs(7)) };
        for (status, code, expected) in [
            (200, 210, Verdict::Permanent),
            (200, 499, Verdict::Permanent),
            (400, 210, Verdict::Permanent),
            (500, 210, Verdict::Permanent),
            (200, 401, Verdict::Unauthorized),
            (200, 403, Verdict::Unauthorized),
            (401, 0, Verdict::Unauthorized),
            (200, 500, again),
            (503, 200, again),
            (404, 200, Verdict::Permanent),
        ] {
            assert_eq!(verdict(status, &json!({"status_code": code})), expected, "{status} {code}");
        }
    }

    #[test]
    fn an_answer_that_pushwoosh_does_not_give_is_tried_again() {
        for body in ["<html>", "", "{}", r#"{"status_code": 20"#, "[200]"] {
            let error = answer(Method::PostEvent, 200, body).unwrap_err();
            assert!(matches!(error.verdict(), Verdict::Retry { .. }), "{body}");
        }
    }

    #[test]
    fn skipped_tags_are_named() {
        let body = json!({"status_code": 200, "response": {"skipped": [
            {"tag": "plan", "reason": "Not found"}, {"tag": "age"}]}});
        let skipped =
            |tag: &str, reason: &str| SkippedTag { tag: tag.into(), reason: reason.into() };
        assert_eq!(
            answer(Method::SetTags, 200, &body.to_string()).unwrap().skipped_tags,
            [skipped("plan", "Not found"), skipped("age", "")]
        );
    }

    /// What is taken must not be sent again because of what stands beside it.
    #[test]
    fn the_status_code_alone_says_that_a_call_is_taken() {
        for response in
            [json!("OK"), json!([]), json!({"skipped": "none"}), json!({"skipped": [1]})]
        {
            let body = json!({"status_code": 200, "response": response}).to_string();
            assert_eq!(answer(Method::SetTags, 200, &body).unwrap(), Accepted::default(), "{body}");
        }
    }

    /// Pushwoosh names the event or the tag again; text in it may be cut. Taken for unreadable, the
    /// answer would make the event go out twice.
    #[test]
    fn an_answer_with_half_a_surrogate_pair_is_an_answer() {
        let body = r#"{"status_code":200,"response":{"skipped":[{"tag":"cut \ud83d"}]}}"#;
        let accepted = answer(Method::PostEvent, 200, body).unwrap();
        assert_eq!(accepted.skipped_tags[0].tag, "cut \u{FFFD}");
    }

    #[test]
    fn a_deletion_is_done_with_an_empty_answer_or_where_the_user_is_unknown() {
        for status in [200, 204, 404] {
            assert!(answer(Method::DeleteUser, status, "").is_ok(), "{status}");
        }
        assert!(answer(Method::SetTags, 404, "").is_err());
        let error = answer(Method::DeleteUser, 503, "").unwrap_err();
        assert!(matches!(error.verdict(), Verdict::Retry { .. }));
    }

    #[test]
    fn an_answer_without_its_body_is_no_answer() {
        let body = Err(TransportError::TooLarge(5));
        let response = Response { status: StatusCode::OK, headers: HeaderMap::new(), body };
        let error = read(Method::SetTags, response, Timestamp::UNIX_EPOCH).unwrap_err();
        assert!(matches!(error, CallError::Transport { .. }));
    }
}
