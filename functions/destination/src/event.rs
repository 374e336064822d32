//! What invokes the function, and what it answers: an API Gateway event, and its response.
//!
//! Known answers of Pushwoosh's own service are repeated byte for byte. Bodies stay far below 8 KB: Segment's client hangs on larger ones.

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::denial::Denial;

/// An HTTP request: the parts of the event that the function reads.
#[derive(Debug)]
pub struct HttpRequest {
    /// Upper case.
    pub method: String,
    /// With its leading slash.
    pub path: String,
    /// The bytes as the caller sent them.
    pub body: Vec<u8>,
    /// The address that the request came from, as the gateway saw it.
    pub address: Option<String>,
    headers: aws_lambda_events::http::HeaderMap,
}

impl HttpRequest {
    /// Reads the event. It fails only where the body is not the base64 that the event says it is.
    pub fn read(event: ApiGatewayV2httpRequest) -> Result<Self, HttpResponse> {
        let body = event.body.unwrap_or_default();
        let body = if event.is_base64_encoded {
            STANDARD
                .decode(body)
                .map_err(|_| HttpResponse::message(400, "the body is not base64"))?
        } else {
            body.into_bytes()
        };
        Ok(Self {
            method: event.request_context.http.method.to_string(),
            path: event.raw_path.unwrap_or_default(),
            body,
            address: event.request_context.http.source_ip,
            headers: event.headers,
        })
    }

    /// A header's value, trimmed: people paste keys with blanks around them.
    pub fn header(&self, name: &str) -> Option<&str> {
        let value = self.headers.get(name)?.to_str().ok()?.trim();
        (!value.is_empty()).then_some(value)
    }
}

/// An HTTP response in API Gateway's form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpResponse {
    /// HTTP status.
    pub status_code: u16,
    headers: Map<String, Value>,
    /// Empty, or JSON text.
    pub body: String,
    /// Why the request was denied, where it was; for counters and logs.
    #[serde(skip)]
    pub denial: Option<Denial>,
    /// What the log says of a request that is not worked on, beside the status: a code, and what is wrong.
    #[serde(skip)]
    pub refusal: Option<Box<(&'static str, String)>>,
}

impl HttpResponse {
    /// Success, with the empty body that Pushwoosh's service answers.
    pub fn ok() -> Self {
        Self {
            status_code: 200,
            headers: Map::new(),
            body: String::new(),
            denial: None,
            refusal: None,
        }
    }

    /// A JSON body.
    pub fn json(status_code: u16, body: &Value) -> Self {
        let content_type = ("content-type".to_owned(), "application/json".into());
        let headers = Map::from_iter([content_type]);
        Self { status_code, headers, body: body.to_string(), ..Self::ok() }
    }

    /// An error that concerns the whole request.
    pub fn message(status_code: u16, message: &str) -> Self {
        Self::json(status_code, &json!({ "message": message }))
    }

    /// The request was denied, in words that say more than those of the denial.
    pub(crate) fn denied(denial: Denial, message: &str) -> Self {
        Self { denial: Some(denial), ..Self::message(denial.status(), message) }
    }

    /// The same with what the log says.
    #[must_use]
    pub(crate) fn because(self, code: &'static str, detail: impl Into<String>) -> Self {
        Self { refusal: Some(Box::new((code, detail.into()))), ..self }
    }

    /// The body could not be decoded, in the words of Pushwoosh's service.
    pub fn failure(action: &str, message: &str) -> Self {
        Self::json(
            400,
            &json!({"action": action, "status": "failure", "error": {"message": message}}),
        )
    }

    /// The request has more items than are taken in one; none of them was read.
    pub fn too_many_items(limit: usize) -> Self {
        let message =
            format!("a request may have at most {limit} items: send them in several requests");
        Self::denied(Denial::TooManyItems, &message)
    }

    /// Something could be neither delivered nor kept: the caller must resend the request.
    pub fn unavailable() -> Self {
        Self::message(503, "temporarily unavailable, send it again")
    }
}

impl From<Denial> for HttpResponse {
    fn from(denial: Denial) -> Self {
        Self::denied(denial, denial.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(event: &Value) -> Result<HttpRequest, HttpResponse> {
        let mut whole = json!({"rawPath": "/p", "requestContext": {"http": {"method": "POST"}},
            "headers": {"x-key": "  k ", "x-empty": " "}});
        whole.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
        HttpRequest::read(serde_json::from_value(whole).unwrap())
    }

    #[test]
    fn a_body_is_the_bytes_that_the_caller_sent() {
        let encoded = request(&json!({"body": "/w==", "isBase64Encoded": true})).unwrap();
        assert_eq!((encoded.method.as_str(), encoded.path.as_str()), ("POST", "/p"));
        assert_eq!(encoded.body, b"\xff");
        let plain = request(&json!({"body": "/w==", "isBase64Encoded": false})).unwrap();
        assert_eq!(plain.body, b"/w==");
        assert_eq!(request(&json!({})).unwrap().body, b"");
        let wrong = request(&json!({"body": "?", "isBase64Encoded": true})).unwrap_err();
        assert_eq!(wrong.status_code, 400);
    }

    #[test]
    fn a_header_is_read_in_any_case_without_blanks() {
        let request = request(&json!({})).unwrap();
        assert_eq!(request.header("X-Key"), Some("k"));
        assert_eq!((request.header("x-empty"), request.header("x-other")), (None, None));
    }

    #[test]
    fn a_denial_has_its_status_and_its_words() {
        for denial in Denial::ALL {
            let response = HttpResponse::from(*denial);
            assert_eq!((response.status_code, response.denial), (denial.status(), Some(*denial)));
            assert_eq!(response.body, json!({ "message": denial.message() }).to_string());
        }
    }

    #[test]
    fn responses_have_the_words_of_pushwooshs_service() {
        assert_eq!(
            HttpResponse::failure("track user", "m").body,
            r#"{"action":"track user","status":"failure","error":{"message":"m"}}"#
        );
        assert_eq!(
            serde_json::to_value(HttpResponse::unavailable()).unwrap(),
            json!({"statusCode": 503, "headers": {"content-type": "application/json"},
                   "body": r#"{"message":"temporarily unavailable, send it again"}"#})
        );
        assert_eq!(
            serde_json::to_value(HttpResponse::ok()).unwrap(),
            json!({"statusCode": 200, "headers": {}, "body": ""})
        );
    }
}
