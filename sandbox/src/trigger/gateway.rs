//! The HTTP API: requests become events of payload version 2.0, answers become responses.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::HeaderMap;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::http::{self, Request, Response};
use crate::lambda::Function;

/// Lambda's limit on a synchronous invocation, event included.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const MAX_EVENT: usize = 6 * 1024 * 1024;

/// Invokes the function with a request.
pub(crate) async fn answer(function: &Function, request: &Request) -> Response {
    let event = event(request, Timestamp::now()).to_string();
    if event.len() > MAX_EVENT {
        return http::json(413, &json!({"message": "Request Entity Too Large"}));
    }
    match function.invoke(Bytes::from(event)).await {
        Ok(answer) => response(&answer),
        Err(error) => {
            operator::terminal::say(&format!("{}: {}", function.name, error.0));
            http::json(500, &json!({"message": "Internal Server Error"}))
        }
    }
}

fn event(request: &Request, now: Timestamp) -> Value {
    let headers = headers(request.headers());
    let text = |name: &str| headers.get(name).cloned().unwrap_or_default();
    let path = request.uri().path();
    let (body, encoded) =
        if is_text(request.headers()) && std::str::from_utf8(request.body()).is_ok() {
            (String::from_utf8_lossy(request.body()).into_owned(), false)
        } else {
            (STANDARD.encode(request.body()), true)
        };
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": request.uri().query().unwrap_or_default(),
        "headers": headers,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "sandbox",
            "domainName": text("host"),
            "domainPrefix": "sandbox",
            "http": {
                "method": request.method().as_str(), "path": path, "protocol": "HTTP/1.1",
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
    if let (false, Value::Object(event)) = (request.body().is_empty(), &mut event) {
        event.insert("body".to_owned(), body.into());
    }
    event
}

/// Lower-case names; the values of a repeated header with commas between.
fn headers(headers: &HeaderMap) -> Map<String, Value> {
    let names = headers.keys().map(|name| {
        let values: Vec<_> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        (name.as_str().to_owned(), values.join(",").into())
    });
    names.collect()
}

/// Which bodies the gateway passes on as they are; others it encodes.
fn is_text(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(hyper::header::CONTENT_TYPE) else {
        return true;
    };
    let kind = String::from_utf8_lossy(kind.as_bytes()).to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.starts_with("text/")
        || matches!(kind, "application/json" | "application/javascript" | "application/xml")
}

/// An answer in the form that the function gives.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: u16,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    body: Option<String>,
}

fn response(answer: &[u8]) -> Response {
    let Ok(answer) = serde_json::from_slice::<Answer>(answer) else {
        return http::json(500, &json!({"message": "Internal Server Error"}));
    };
    let content_type =
        answer.headers.get("content-type").and_then(Value::as_str).unwrap_or_default();
    http::answer(answer.status_code, content_type, answer.body.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(content_type: &str, body: &'static [u8]) -> Request {
        hyper::Request::post("/webhook/A?x=1&y=%20")
            .header("Content-Type", content_type)
            .header("X-Two", "a")
            .header("X-Two", "b")
            .body(Bytes::from_static(body))
            .unwrap()
    }

    #[test]
    fn a_request_becomes_an_event_of_version_two() {
        let event =
            event(&request("application/json; charset=utf-8", b"{}"), Timestamp::UNIX_EPOCH);
        assert_eq!(event["rawPath"], "/webhook/A");
        assert_eq!(event["rawQueryString"], "x=1&y=%20");
        assert_eq!(event["headers"]["x-two"], "a,b");
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("{}"), &json!(false)));
        assert_eq!(event["requestContext"]["time"], "01/Jan/1970:00:00:00 +0000");
    }

    #[test]
    fn other_bodies_are_encoded_and_an_empty_one_is_left_out() {
        let binary = event(&request("application/vnd.x+json", b"{}"), Timestamp::UNIX_EPOCH);
        assert_eq!((&binary["body"], &binary["isBase64Encoded"]), (&json!("e30="), &json!(true)));
        assert_eq!(event(&request("text/plain", b""), Timestamp::UNIX_EPOCH).get("body"), None);
        assert_eq!(event(&request("text/plain", b"\xff"), Timestamp::UNIX_EPOCH)["body"], "/w==");
    }
}
