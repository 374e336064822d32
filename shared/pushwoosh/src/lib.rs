//! Client of Pushwoosh's Device API: sends one [`Call`] and reads the answer as Pushwoosh means it.
//! What follows from an answer is decided in [`delivery`].
//!
//! Invariants: success is HTTP 200 **and** `status_code` 200 in the body (the v2 Device API has no
//! envelope: there HTTP 2xx is success). The token is in the `Authorization` header and nowhere
//! else; no error holds data of the call.

pub mod delivery;

use jiff::Timestamp;
use mapping::{Call, Method};
use platform::application::Pushwoosh;
use platform::upstream::{Answer, TransportError, Verdict};
use reqwest::StatusCode;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;

/// Keeps Pushwoosh from deriving tags from the connection: the user is not where Lambda is.
const NO_AUTO_TAGS: (&str, &str) = ("no-auto-tags", "true");

/// In the body: something is wrong with the arguments, whatever the HTTP status.
const ARGUMENT_ERROR: u16 = 210;

/// Sends calls over kept-alive connections. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
}

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

/// Why a call was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There was no answer.
    #[error("no answer from Pushwoosh: {0}")]
    Transport(#[from] TransportError),
    /// Pushwoosh refused.
    #[error("Pushwoosh answered HTTP {http}, status code {code:?}")]
    Refused {
        /// HTTP status.
        http: StatusCode,
        /// `status_code` of the body, where there is one.
        code: Option<u16>,
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

    /// Whether the rate was too high.
    pub fn is_throttled(&self) -> bool {
        matches!(self, Self::Refused { http, .. } if *http == StatusCode::TOO_MANY_REQUESTS)
    }

    /// Short, stable name of the cause, e.g. `http_503`.
    pub fn cause(&self) -> String {
        match self {
            Self::Transport(_) => "connection".to_owned(),
            Self::Refused { http, code, .. } if http.is_success() => code.map_or_else(
                || "no_answer_of_pushwoosh".to_owned(),
                |code| format!("status_code_{code}"),
            ),
            Self::Refused { http, .. } => format!("http_{}", http.as_u16()),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
struct Envelope {
    status_code: Option<u16>,
    #[serde(default)]
    response: Option<Response>,
}

#[derive(Debug, Default, Deserialize)]
struct Response {
    #[serde(default)]
    skipped: Vec<SkippedTag>,
}

impl Client {
    /// A client on this connection pool.
    pub fn new(http: reqwest::Client) -> Self {
        Self { http }
    }

    /// Sends one call. The time limit is the caller's.
    #[tracing::instrument(level = "debug", name = "pushwoosh call", skip_all, fields(method = ?call.method))]
    pub async fn send(&self, account: &Pushwoosh, call: &Call) -> Result<Accepted, Error> {
        let url = format!("{}{}", account.base_url, call.method.path());
        let body = if call.method.enveloped() {
            json!({ "request": call.request }).to_string()
        } else {
            json!(call.request).to_string()
        };
        let response = self
            .http
            .post(url)
            .header("authorization", format!("Token {}", account.api_token.expose_secret()))
            .header("content-type", "application/json")
            .header(NO_AUTO_TAGS.0, NO_AUTO_TAGS.1)
            .body(body)
            .send()
            .await
            .map_err(TransportError::from)?;
        let answer = Answer::read(response, Timestamp::now()).await?;
        read(call, &answer)
    }
}

fn read(call: &Call, answer: &Answer) -> Result<Accepted, Error> {
    let envelope: Option<Envelope> = serde_json::from_slice(&answer.body).ok();
    let code = envelope.as_ref().and_then(|envelope| envelope.status_code);
    let refused = |verdict| Err(Error::Refused { http: answer.status, code, verdict });
    // Who is not there needs no deletion.
    if call.method == Method::DeleteUser && answer.status == StatusCode::NOT_FOUND {
        return Ok(Accepted::default());
    }
    if !answer.status.is_success() {
        return refused(match code {
            Some(ARGUMENT_ERROR) => Verdict::Permanent,
            _ => answer.verdict(),
        });
    }
    if !call.method.enveloped() {
        return Ok(Accepted::default());
    }
    match (code, envelope) {
        (Some(200), Some(envelope)) => {
            let skipped_tags = envelope.response.unwrap_or_default().skipped;
            Ok(Accepted { skipped_tags })
        }
        (Some(401 | 403), _) => refused(Verdict::Unauthorized),
        (Some(code), _) if code < 500 => refused(Verdict::Permanent),
        // 5xx in the body, or no answer of Pushwoosh's at all: a proxy's page, cut-off JSON.
        _ => refused(Verdict::Retry { after: answer.retry_after }),
    }
}

#[cfg(test)]
mod tests {
    use mapping::deletion;
    use serde_json::{Value, json};
    use wiremock::matchers::{body_json, header, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    fn set_tags() -> Call {
        let body = br#"{"user_id":"u1","attributes":{"plan":"pro"}}"#;
        let plan = mapping::profile::plan("DEMO0-00001", body, Timestamp::UNIX_EPOCH).unwrap();
        plan.stages[0][0].clone()
    }

    async fn answer(template: ResponseTemplate, call: &Call) -> Result<Accepted, Error> {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .and(path(call.method.path()))
            .and(header("authorization", "Token demo-token"))
            .respond_with(template)
            .mount(&server)
            .await;
        let account = Pushwoosh { base_url: server.uri(), api_token: "demo-token".into() };
        Client::new(reqwest::Client::new()).send(&account, call).await
    }

    fn json_answer(http: u16, body: &Value) -> ResponseTemplate {
        ResponseTemplate::new(http).set_body_json(body)
    }

    #[tokio::test]
    async fn success_needs_both_the_http_status_and_the_status_code() {
        let ok = json_answer(
            200,
            &json!({"status_code": 200, "status_message": "OK", "response": null}),
        );
        assert_eq!(answer(ok, &set_tags()).await.unwrap(), Accepted::default());
        for (http, code, verdict) in [
            (200, 210, Verdict::Permanent),
            (400, 210, Verdict::Permanent),
            (500, 210, Verdict::Permanent),
            (200, 403, Verdict::Unauthorized),
            (200, 500, Verdict::Retry { after: None }),
            (503, 200, Verdict::Retry { after: None }),
        ] {
            let refused =
                answer(json_answer(http, &json!({"status_code": code})), &set_tags()).await;
            assert_eq!(refused.unwrap_err().verdict(), verdict, "{http} {code}");
        }
        let page = ResponseTemplate::new(200).set_body_string("<html>");
        let error = answer(page, &set_tags()).await.unwrap_err();
        assert_eq!(error.verdict(), Verdict::Retry { after: None });
    }

    #[tokio::test]
    async fn skipped_tags_are_told() {
        let body = json!({"status_code": 200, "response": {"skipped": [{"tag": "plan", "reason": "Not found"}]}});
        let accepted = answer(json_answer(200, &body), &set_tags()).await.unwrap();
        assert_eq!(
            accepted.skipped_tags,
            [SkippedTag { tag: "plan".into(), reason: "Not found".into() }]
        );
    }

    #[tokio::test]
    async fn a_deletion_goes_bare_and_its_empty_answer_is_success() {
        let server = MockServer::start().await;
        Mock::given(path("/api/v2/device-api/deleteUser"))
            .and(body_json(json!({"application": "DEMO0-00001", "user_id": "u1"})))
            .respond_with(ResponseTemplate::new(200))
            .expect(1)
            .mount(&server)
            .await;
        let plan = deletion::plan("DEMO0-00001", br#"{"external_id":"u1"}"#).unwrap();
        let account = Pushwoosh { base_url: server.uri(), api_token: "demo-token".into() };
        let client = Client::new(reqwest::Client::new());
        client.send(&account, &plan.stages[0][0]).await.unwrap();
    }

    #[tokio::test]
    async fn an_endless_answer_is_cut_off_and_tried_again() {
        let huge = ResponseTemplate::new(200).set_body_bytes(vec![b'x'; 1_000_000]);
        let error = answer(huge, &set_tags()).await.unwrap_err();
        assert!(matches!(error, Error::Transport(TransportError::TooLarge)));
    }
}
