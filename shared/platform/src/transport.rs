//! The one way to other machines: sends a request and reads the answer up to a limit.
//!
//! The clients of Pushwoosh and Segment and the AWS SDK share one [`Transport`], so that a simulation
//! can put its own in. clippy.toml keeps other HTTP clients out.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Unused connections are closed after this: a function may have been frozen in between, and its
/// peer have hung up.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// A request with its whole body.
pub type Request = http::Request<Bytes>;

/// Why there is no whole answer.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Connecting, sending or receiving failed.
    #[error("the connection failed: {0}")]
    Connection(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer is larger than what is read of it.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl From<reqwest::Error> for TransportError {
    fn from(error: reqwest::Error) -> Self {
        Self::Connection(error.into())
    }
}

/// An answer. Status and headers are there even where the body could not be received.
#[derive(Debug)]
pub struct Response {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The whole body, or why it is not there.
    pub body: Result<Bytes, TransportError>,
}

/// What [`Transport::send`] returns.
pub type ResponseFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Response, TransportError>> + Send + 'a>>;

/// Something that carries requests.
pub trait Transport: fmt::Debug + Send + Sync {
    /// Sends a request and reads the answer; of its body at most `limit` bytes. The time limit is the
    /// caller's, who drops the future.
    fn send(&self, request: Request, limit: usize) -> ResponseFuture<'_>;
}

/// The system's network. It keeps connections, and follows no redirect: a POST would become a GET.
pub fn system() -> Result<Arc<dyn Transport>, reqwest::Error> {
    #[expect(clippy::disallowed_methods, reason = "the one place that opens connections")]
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("segment-pushwoosh/", env!("CARGO_PKG_VERSION")))
        .build()?;
    Ok(Arc::new(Network(client)))
}

#[derive(Debug)]
struct Network(reqwest::Client);

impl Transport for Network {
    fn send(&self, request: Request, limit: usize) -> ResponseFuture<'_> {
        Box::pin(async move {
            let mut response = self.0.execute(request.try_into()?).await?;
            let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
            Ok(Response { status, headers, body: read(response, limit).await })
        })
    }
}

async fn read(mut response: reqwest::Response, limit: usize) -> Result<Bytes, TransportError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit {
            return Err(TransportError::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

#[cfg(test)]
mod tests {
    use wiremock::matchers::{body_string, header, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    fn post(server: &MockServer) -> Request {
        let request = http::Request::post(format!("{}/p", server.uri())).header("x-a", "b");
        request.body(Bytes::from_static(b"hello")).unwrap()
    }

    #[tokio::test]
    async fn a_request_arrives_whole_and_so_does_the_answer() {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .and(path("/p"))
            .and(header("x-a", "b"))
            .and(header("user-agent", concat!("segment-pushwoosh/", env!("CARGO_PKG_VERSION"))))
            .and(body_string("hello"))
            .respond_with(
                ResponseTemplate::new(302).insert_header("location", "/q").set_body_string("12345"),
            )
            .expect(1)
            .mount(&server)
            .await;
        let response = system().unwrap().send(post(&server), 5).await.unwrap();
        assert_eq!(response.status, StatusCode::FOUND, "no redirect is followed");
        assert_eq!(response.headers["location"], "/q");
        assert_eq!(response.body.unwrap(), "12345");
    }

    #[tokio::test]
    async fn of_a_large_answer_only_the_body_is_missing() {
        let server = MockServer::start().await;
        let large = ResponseTemplate::new(200).set_body_string("123456");
        Mock::given(method("POST")).respond_with(large).mount(&server).await;
        let response = system().unwrap().send(post(&server), 5).await.unwrap();
        assert_eq!(response.status, StatusCode::OK);
        assert!(matches!(response.body, Err(TransportError::TooLarge(5))));
    }

    #[tokio::test]
    async fn nobody_listening_is_a_failed_connection() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let request = http::Request::post(format!("http://{free}/p")).body(Bytes::new()).unwrap();
        let failed = system().unwrap().send(request, 5).await;
        assert!(matches!(failed, Err(TransportError::Connection(_))));
    }
}
