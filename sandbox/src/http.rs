//! A small HTTP/1 server for the gateway, the runtime API and the stand-ins.
//!
//! One for all of them, because a stand-in must be able to drop a connection without an answer,
//! which routers hide.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream::{Stream, StreamExt as _};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use world::reply::{Connection, Exchange, Reply};

use crate::access::Access;

/// Larger than anything that AWS or the upstreams take.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// A request with its whole body.
pub(crate) type Request = hyper::Request<Bytes>;

/// In a request's extensions: how long its connection was idle before; nothing where it is new.
#[derive(Debug, Clone, Copy)]
struct Idle(Option<Duration>);

/// How long the connection of a request was idle before it; nothing where it is new.
pub(crate) fn idle(request: &Request) -> Option<Duration> {
    request.extensions().get::<Idle>().and_then(|idle| idle.0)
}

/// A response. Its body is whole, but for server-sent events.
pub(crate) type Response = hyper::Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Makes hyper close the connection without an answer.
#[derive(Debug)]
struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is dropped on purpose")
    }
}

impl std::error::Error for Dropped {}

/// Serves programs on this machine until the process ends. A handler that returns nothing drops the
/// connection.
pub(crate) async fn serve<H, F>(listener: TcpListener, handler: H)
where
    H: Fn(Request) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Option<Response>> + Send + 'static,
{
    serve_to(Access::default(), listener, handler).await;
}

/// Serves whoever has access.
pub(crate) async fn serve_to<H, F>(access: Access, listener: TcpListener, handler: H)
where
    H: Fn(Request) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Option<Response>> + Send + 'static,
{
    let access = Arc::new(access);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let (handler, access) = (handler.clone(), Arc::clone(&access));
        // When the connection was used last.
        let used: Arc<Mutex<Option<Instant>>> = Arc::default();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let (handler, access, used) = (handler.clone(), Arc::clone(&access), Arc::clone(&used));
            async move {
                let idle = lock(&used).map(|used| used.elapsed());
                let (mut parts, body) = request.into_parts();
                if let Some(message) = access.refusal(&parts.headers) {
                    return Ok(json(403, &serde_json::json!({ "message": message })));
                }
                parts.extensions.insert(Idle(idle));
                let answer = match Limited::new(body, MAX_BODY).collect().await {
                    Ok(body) => {
                        handler(Request::from_parts(parts, body.to_bytes())).await.ok_or(Dropped)
                    }
                    Err(_) => {
                        Ok(json(413, &serde_json::json!({"message": "Request Entity Too Large"})))
                    }
                };
                *lock(&used) = Some(Instant::now());
                answer
            }
        });
        tokio::spawn(async move {
            // A client may close its connection at any time.
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await
                .ok();
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An answer without a body.
pub(crate) fn empty(status: u16) -> Response {
    answer(status, "", Bytes::new())
}

/// A JSON answer.
pub(crate) fn json(status: u16, body: &Value) -> Response {
    answer(status, "application/json", body.to_string())
}

/// Any answer.
pub(crate) fn answer(status: u16, content_type: &str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Full::new(body.into()).boxed_unsync());
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Ok(value) = content_type.parse::<hyper::header::HeaderValue>()
        && !content_type.is_empty()
    {
        response.headers_mut().insert(hyper::header::CONTENT_TYPE, value);
    }
    response
}

/// Server-sent events, until the client closes the connection.
pub(crate) fn events(events: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let frames = events.map(|bytes| Ok(Frame::data(bytes)));
    let mut response = answer(200, "text/event-stream", Bytes::new());
    *response.body_mut() = StreamBody::new(frames).boxed_unsync();
    with_header(response, "cache-control", "no-store")
}

/// The answer of a model.
pub(crate) fn reply(reply: Reply) -> Response {
    let mut response = answer(reply.status, "", reply.body);
    for (name, value) in reply.headers {
        if !value.is_empty() {
            response = with_header(response, name, &value);
        }
    }
    response
}

/// The answer of a model after its delay, or what the model does with the connection instead.
pub(crate) async fn exchanged(exchange: Exchange) -> Option<Response> {
    tokio::time::sleep(exchange.delay).await;
    match exchange.connection {
        Connection::Answered => Some(reply(exchange.reply)),
        Connection::Reset => None,
        // Until the caller closes the connection.
        Connection::Hangs => std::future::pending().await,
    }
}

/// Adds a header to an answer.
pub(crate) fn with_header(mut response: Response, name: &'static str, value: &str) -> Response {
    if let Ok(value) = value.parse::<hyper::header::HeaderValue>() {
        response.headers_mut().insert(name, value);
    }
    response
}

/// A response that no other page can read or show.
pub(crate) fn guarded(response: Response) -> Response {
    let headers = [
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "same-origin"),
        ("referrer-policy", "no-referrer"),
    ];
    headers.into_iter().fold(response, |response, (name, value)| with_header(response, name, value))
}

/// Method and path, to match on.
pub(crate) fn route(request: &Request) -> (Method, String) {
    (request.method().clone(), request.uri().path().to_owned())
}
