//! The parts of an API Gateway event that the function reads.

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::answer::Answer;

/// An HTTP request.
#[derive(Debug)]
pub struct Request {
    /// Upper case.
    pub method: String,
    /// With its leading slash.
    pub path: String,
    /// The bytes as the caller sent them.
    pub body: Vec<u8>,
    headers: aws_lambda_events::http::HeaderMap,
}

impl Request {
    /// Reads the event; only a body that is not the base64 that the event says it is can fail.
    pub fn read(event: ApiGatewayV2httpRequest) -> Result<Self, Answer> {
        let body = event.body.unwrap_or_default();
        let body = if event.is_base64_encoded {
            STANDARD.decode(body).map_err(|_| Answer::message(400, "the body is not base64"))?
        } else {
            body.into_bytes()
        };
        Ok(Self {
            method: event.request_context.http.method.to_string(),
            path: event.raw_path.unwrap_or_default(),
            body,
            headers: event.headers,
        })
    }

    /// A header's value, trimmed: callers paste keys with blanks around them.
    pub fn header(&self, name: &str) -> Option<&str> {
        let value = self.headers.get(name)?.to_str().ok()?.trim();
        (!value.is_empty()).then_some(value)
    }
}
