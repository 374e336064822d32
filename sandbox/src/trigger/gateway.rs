//! The HTTP API in front of the destination.

use bytes::Bytes;
use jiff::Timestamp;
use world::api_gateway::{self, HttpRequest};

use crate::http::{self, Request, Response};
use crate::lambda::Function;

/// Invokes the function with a request.
pub(crate) async fn answer(function: &Function, request: &Request) -> Response {
    let headers: Vec<(String, String)> = request
        .headers()
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let event = api_gateway::event(
        &HttpRequest {
            method: request.method().as_str(),
            path: request.uri().path(),
            query: request.uri().query().unwrap_or_default(),
            headers: &headers,
            body: request.body(),
        },
        Timestamp::now(),
    );
    let reply = match event {
        Err(refused) => {
            let app = request.headers().get("x-pw-appcode");
            let app = app.and_then(|app| app.to_str().ok()).unwrap_or_default();
            function.refused_by_gateway(request.uri().path(), app, refused.status);
            refused
        }
        Ok(event) => {
            let invoked = function.invoke(Bytes::from(event));
            match tokio::time::timeout(api_gateway::MAX_WAIT, invoked).await {
                Ok(Ok(answer)) => api_gateway::response(Some(&answer)),
                Ok(Err(error)) => {
                    operator::terminal::say(&format!("{}: {error}", function.name));
                    api_gateway::response(None)
                }
                Err(_) => api_gateway::timed_out(),
            }
        }
    };
    http::reply(reply)
}
