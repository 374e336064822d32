//! The HTTP API: requests become events of payload version 2.0, answers become responses.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::aws::ACCOUNT;
use crate::reply::Reply;

/// Lambda's limit on a synchronous invocation, event included. It is lower than the gateway's 10 MB.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
pub const MAX_EVENT: usize = 6 * 1024 * 1024;

/// The gateway waits no longer for an integration.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>
pub const MAX_WAIT: Duration = Duration::from_secs(30);

/// Request line and headers together.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>
pub const MAX_HEADERS: usize = 10_240;

/// A request from outside.
#[derive(Debug, Clone, Copy)]
pub struct HttpRequest<'a> {
    /// Method.
    pub method: &'a str,
    /// Path without the query.
    pub path: &'a str,
    /// Query without its question mark; empty without one.
    pub query: &'a str,
    /// Names and values in the order of arrival.
    pub headers: &'a [(String, String)],
    /// Body.
    pub body: &'a [u8],
}

/// The event for a request, or the gateway's own answer.
pub fn event(request: &HttpRequest<'_>, now: Timestamp) -> Result<String, Reply> {
    let headers = request.headers.iter().map(|(name, value)| name.len() + value.len());
    if request.path.len() + request.query.len() + headers.sum::<usize>() > MAX_HEADERS {
        return Err(refused(431, "Request Header Fields Too Large"));
    }
    let event = event_value(request, now).to_string();
    if event.len() > MAX_EVENT {
        return Err(refused(413, "Request Entity Too Large"));
    }
    Ok(event)
}

fn refused(status: u16, message: &str) -> Reply {
    Reply::json(status, &json!({ "message": message }))
}

fn event_value(request: &HttpRequest<'_>, now: Timestamp) -> Value {
    let headers = headers(request.headers);
    let text = |name: &str| headers.get(name).cloned().unwrap_or_default();
    let path = request.path;
    let (body, encoded) = match std::str::from_utf8(request.body) {
        Ok(body) if is_text(&headers) => (body.to_owned(), false),
        _ => (STANDARD.encode(request.body), true),
    };
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "sandbox",
            "domainName": text("host"),
            "domainPrefix": "sandbox",
            "http": {
                "method": request.method, "path": path, "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1", "userAgent": text("user-agent"),
            },
            "requestId": format!("sandbox-{}", now.as_nanosecond()),
            "routeKey": "$default",
            "stage": "$default",
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            "timeEpoch": now.as_millisecond(),
        },
        "isBase64Encoded": encoded,
    });
    if let (false, Value::Object(event)) = (request.body.is_empty(), &mut event) {
        event.insert("body".to_owned(), body.into());
    }
    event
}

/// Lower-case names; the values of a repeated header with commas between.
fn headers(headers: &[(String, String)]) -> Map<String, Value> {
    let mut joined: Map<String, Value> = Map::new();
    for (name, value) in headers {
        let entry = joined.entry(name.to_ascii_lowercase()).or_insert(Value::Null);
        *entry = match entry.as_str() {
            Some(before) => format!("{before},{value}").into(),
            None => value.as_str().into(),
        };
    }
    joined
}

/// Which bodies the gateway passes on as they are; others it encodes.
fn is_text(headers: &Map<String, Value>) -> bool {
    let Some(content_type) = headers.get("content-type").and_then(Value::as_str) else {
        return true;
    };
    let content_type = content_type.to_ascii_lowercase();
    let content_type = content_type.split(';').next().unwrap_or_default().trim();
    content_type.starts_with("text/")
        || matches!(content_type, "application/json" | "application/javascript" | "application/xml")
}

/// What the function returns.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FunctionResponse {
    status_code: u16,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    body: Option<String>,
}

/// The response for what the function returned; 500 where it gave an error or something else.
pub fn response(answer: Option<&[u8]>) -> Reply {
    let response =
        answer.and_then(|answer| serde_json::from_slice::<FunctionResponse>(answer).ok());
    let Some(response) = response else {
        return refused(500, "Internal Server Error");
    };
    let headers = &response.headers;
    let content_type = headers.get("content-type").and_then(Value::as_str).unwrap_or_default();
    Reply::new(response.status_code, content_type, response.body.unwrap_or_default())
}

/// The response where the function has not answered within [`MAX_WAIT`]. The function goes on.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>
pub fn timed_out() -> Reply {
    refused(503, "Service Unavailable")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event_of(content_type: &str, body: &[u8]) -> Value {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let headers =
            [header("Content-Type", content_type), header("x-two", "a"), header("X-Two", "b")];
        let request = HttpRequest {
            method: "POST",
            path: "/webhook/A",
            query: "x=1&y=%20",
            headers: &headers,
            body,
        };
        serde_json::from_str(&event(&request, Timestamp::UNIX_EPOCH).unwrap()).unwrap()
    }

    #[test]
    fn a_request_becomes_an_event_of_version_two() {
        let event = event_of("application/json; charset=utf-8", b"{}");
        assert_eq!(event["rawPath"], "/webhook/A");
        assert_eq!(event["rawQueryString"], "x=1&y=%20");
        assert_eq!(event["headers"]["x-two"], "a,b");
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("{}"), &json!(false)));
        assert_eq!(event["requestContext"]["time"], "01/Jan/1970:00:00:00 +0000");
    }

    #[test]
    fn other_bodies_are_encoded_and_an_empty_one_is_left_out() {
        let binary = event_of("application/vnd.x+json", b"{}");
        assert_eq!((&binary["body"], &binary["isBase64Encoded"]), (&json!("e30="), &json!(true)));
        assert_eq!(event_of("text/plain", b"").get("body"), None);
        assert_eq!(event_of("text/plain", b"\xff")["body"], "/w==");
    }

    // gettingstarted-limits: 6 MB for a synchronous invocation; http-api-quotas: 10,240 bytes of headers.
    #[test]
    fn what_is_too_large_is_refused_by_the_gateway() {
        let request = |headers, body| {
            let request = HttpRequest { method: "POST", path: "/", query: "", headers, body };
            event(&request, Timestamp::UNIX_EPOCH).map_err(|reply| reply.status)
        };
        let body = vec![b'x'; 6 * 1024 * 1024];
        assert_eq!(request(&[], &body), Err(413));
        let headers = [("a".to_owned(), "x".repeat(11_000))];
        assert_eq!(request(&headers, &[]), Err(431));
        let envelope = request(&[], b"x").unwrap().len() - 1;
        assert_eq!(request(&[], &body[..MAX_EVENT - envelope]).unwrap().len(), MAX_EVENT);
        assert_eq!(request(&[], &body[..=MAX_EVENT - envelope]), Err(413));
        let headers = |bytes| [("a".to_owned(), "x".repeat(bytes - 2))];
        let (most, beyond) = (headers(MAX_HEADERS), headers(MAX_HEADERS + 1));
        assert!(request(&most, &[]).is_ok());
        assert_eq!(request(&beyond, &[]), Err(431));
    }

    #[test]
    fn an_answer_becomes_a_response() {
        let answer = br#"{"statusCode":202,"headers":{"content-type":"text/plain"},"body":"x"}"#;
        assert_eq!(response(Some(answer)), Reply::new(202, "text/plain", "x"));
        for wrong in [Some(b"null".as_slice()), Some(b"{}"), None] {
            assert_eq!(response(wrong).status, 500);
        }
    }

    // http-api-quotas: "Maximum integration timeout", 30 seconds; the answer is 503.
    #[test]
    fn the_gateway_waits_for_thirty_seconds() {
        assert_eq!((MAX_WAIT, timed_out().status), (Duration::from_secs(30), 503));
    }
}
