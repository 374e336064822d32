//! The one way to other machines: sends a request and reads the answer up to a limit.
//!
//! The clients of Pushwoosh and Segment and the AWS SDK share one [`Transport`], so that a simulation
//! can put its own in. clippy.toml keeps other HTTP clients out.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::clock::{Clock, between};

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
pub fn system(clock: Clock) -> Result<Arc<dyn Transport>, reqwest::Error> {
    let kept = Kept { client: client()?, used: clock.wall() };
    Ok(Arc::new(Network { kept: Mutex::new(kept), clock }))
}

fn client() -> Result<reqwest::Client, reqwest::Error> {
    #[expect(clippy::disallowed_methods, reason = "the one place that opens connections")]
    let builder = reqwest::Client::builder();
    builder
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .tls_backend_preconfigured(crate::tls::config())
        .user_agent(concat!("segment-pushwoosh/", env!("CARGO_PKG_VERSION")))
        .build()
}

#[derive(Debug)]
struct Network {
    kept: Mutex<Kept>,
    clock: Clock,
}

/// A client with its connections, and when they were used last.
#[derive(Debug)]
struct Kept {
    client: reqwest::Client,
    used: Timestamp,
}

impl Network {
    /// The client for a request now. The client's own idle time is counted by the monotonic clock, which may
    /// stand still while Lambda freezes the environment: after a long pause by the wall clock all
    /// connections are given up, since the peer or a NAT gateway may have forgotten them.
    fn client(&self) -> reqwest::Client {
        let now = self.clock.wall();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if between(kept.used, now) >= IDLE_TIMEOUT
            && let Ok(fresh) = client()
        {
            kept.client = fresh;
        }
        kept.used = kept.used.max(now);
        kept.client.clone()
    }
}

impl Transport for Network {
    fn send(&self, request: Request, limit: usize) -> ResponseFuture<'_> {
        Box::pin(async move {
            let mut response = self.client().execute(request.try_into()?).await?;
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use wiremock::matchers::{body_string, header, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::clock::{Sleep, Time, after};

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
        let response = system(Clock::system()).unwrap().send(post(&server), 5).await.unwrap();
        assert_eq!(response.status, StatusCode::FOUND, "no redirect is followed");
        assert_eq!(response.headers["location"], "/q");
        assert_eq!(response.body.unwrap(), "12345");
    }

    #[tokio::test]
    async fn of_a_large_answer_only_the_body_is_missing() {
        let server = MockServer::start().await;
        let large = ResponseTemplate::new(200).set_body_string("123456");
        Mock::given(method("POST")).respond_with(large).mount(&server).await;
        let response = system(Clock::system()).unwrap().send(post(&server), 5).await.unwrap();
        assert_eq!(response.status, StatusCode::OK);
        assert!(matches!(response.body, Err(TransportError::TooLarge(5))));
    }

    #[tokio::test]
    async fn nobody_listening_is_a_failed_connection() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let request = http::Request::post(format!("http://{free}/p")).body(Bytes::new()).unwrap();
        let failed = system(Clock::system()).unwrap().send(request, 5).await;
        assert!(matches!(failed, Err(TransportError::Connection(_))));
    }

    /// A clock whose wall clock is set by hand.
    #[derive(Debug, Clone, Default)]
    struct HandTime(Arc<Mutex<Duration>>);

    impl Time for HandTime {
        fn wall(&self) -> Timestamp {
            after(Timestamp::UNIX_EPOCH, *self.0.lock().unwrap())
        }

        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }

        fn sleep(&self, duration: Duration) -> Sleep {
            Clock::system().sleep(duration)
        }
    }

    /// Answers every request, and keeps the number of connections that it accepted.
    async fn serve(listener: tokio::net::TcpListener, accepted: Arc<Mutex<u32>>) {
        while let Ok((mut connection, _)) = listener.accept().await {
            *accepted.lock().unwrap() += 1;
            tokio::spawn(async move {
                let mut buffer = [0; 1_024];
                while connection.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                    connection.write_all(answer).await.unwrap();
                }
            });
        }
    }

    #[tokio::test]
    async fn a_connection_is_kept_but_not_over_a_long_freeze() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/p", listener.local_addr().unwrap());
        let accepted = Arc::new(Mutex::new(0));
        tokio::spawn(serve(listener, Arc::clone(&accepted)));
        let time = HandTime::default();
        let transport = system(Clock::new(time.clone())).unwrap();
        for (seconds, connections) in [(0, 1), (19, 1), (38, 1), (58, 2), (59, 2)] {
            *time.0.lock().unwrap() = Duration::from_secs(seconds);
            let request = http::Request::post(&uri).body(Bytes::new()).unwrap();
            assert_eq!(transport.send(request, 5).await.unwrap().status, StatusCode::OK);
            assert_eq!(*accepted.lock().unwrap(), connections, "after {seconds} s");
        }
    }
}
