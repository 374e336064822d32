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
use jiff::SignedDuration;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::clock::Clock;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections are closed after being unused for this long, and after this long in all for which Lambda froze the
/// environment: the peer or a NAT gateway may have forgotten them.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// The same as the difference of two clocks.
const FROZEN_LONGEST: SignedDuration =
    SignedDuration::from_secs(IDLE_TIMEOUT.as_secs().cast_signed());

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
    let kept = Kept { client: client()?, ahead: clock.ahead() };
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

/// A client with its connections, and how far the wall clock was ahead of the monotonic one at least since the
/// client was made.
#[derive(Debug)]
struct Kept {
    client: reqwest::Client,
    ahead: SignedDuration,
}

impl Network {
    /// The client for a request now. The client's own idle time is counted by the monotonic clock, which may
    /// stand still while Lambda freezes the environment. So the freezes since the client was made are added up, for
    /// all its connections: no connection is used that was idle for longer than twice [`IDLE_TIMEOUT`]. A wall clock
    /// that is set forward looks like a freeze.
    fn client(&self) -> reqwest::Client {
        let ahead = self.clock.ahead();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if ahead.saturating_sub(kept.ahead) >= FROZEN_LONGEST
            && let Ok(fresh) = client()
        {
            *kept = Kept { client: fresh, ahead };
        }
        // A wall clock that was set back must not hide the next freeze.
        kept.ahead = kept.ahead.min(ahead);
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

    use jiff::Timestamp;

    use super::*;
    use crate::clock::{Sleep, Time};

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

    /// A clock whose wall and monotonic clocks are set by hand.
    #[derive(Debug, Clone, Default)]
    struct HandTime(Arc<Mutex<(i64, u64)>>);

    impl Time for HandTime {
        fn wall(&self) -> Timestamp {
            Timestamp::from_second(1_000_000 + self.0.lock().unwrap().0).unwrap()
        }

        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.0.lock().unwrap().1)
        }

        fn sleep(&self, duration: Duration) -> Sleep {
            Clock::system().sleep(duration)
        }
    }

    /// A host that answers every request, and the number of connections that it accepted.
    struct Host {
        uri: String,
        accepted: Arc<Mutex<u32>>,
    }

    impl Host {
        async fn start() -> Self {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let uri = format!("http://{}/p", listener.local_addr().unwrap());
            let accepted = Arc::new(Mutex::new(0));
            tokio::spawn(serve(listener, Arc::clone(&accepted)));
            Self { uri, accepted }
        }

        async fn ask(&self, transport: &Arc<dyn Transport>) {
            let request = http::Request::post(&self.uri).body(Bytes::new()).unwrap();
            assert_eq!(transport.send(request, 5).await.unwrap().status, StatusCode::OK);
        }

        fn connections(&self) -> u32 {
            *self.accepted.lock().unwrap()
        }
    }

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

    /// The wall clock, the monotonic clock, and how many connections there were by then.
    async fn connections_at(moments: &[(i64, u64, u32)]) {
        let (host, time) = (Host::start().await, HandTime::default());
        let transport = system(Clock::new(time.clone())).unwrap();
        for (wall, monotonic, connections) in moments {
            *time.0.lock().unwrap() = (*wall, *monotonic);
            host.ask(&transport).await;
            assert_eq!(host.connections(), *connections, "at {wall} s");
        }
    }

    #[tokio::test]
    async fn a_connection_is_kept_but_not_over_freezes_that_add_up() {
        let frozen = [(0, 0, 1), (19, 0, 1), (20, 0, 2), (39, 0, 2), (58, 0, 3), (59, 0, 3)];
        connections_at(&frozen).await;
        // It is awake all the time.
        connections_at(&[(0, 0, 1), (19, 19, 1), (3_600, 3_600, 1)]).await;
    }

    #[tokio::test]
    async fn a_connection_is_kept_when_the_wall_clock_jumps_back_but_not_over_the_next_freeze() {
        connections_at(&[(0, 0, 1), (-3_600, 1, 1), (-3_599, 2, 1), (-3_578, 3, 2)]).await;
        // Back and forth looks like a freeze, once.
        connections_at(&[(0, 0, 1), (-60, 0, 1), (0, 0, 2), (1, 1, 2)]).await;
    }

    #[tokio::test]
    async fn a_busy_host_does_not_keep_connections_to_another_over_freezes() {
        let (quiet, busy) = (Host::start().await, Host::start().await);
        let time = HandTime::default();
        let transport = system(Clock::new(time.clone())).unwrap();
        quiet.ask(&transport).await;
        for seconds in (15..=3_600).step_by(15) {
            time.0.lock().unwrap().0 = seconds;
            busy.ask(&transport).await;
        }
        quiet.ask(&transport).await;
        assert_eq!(quiet.connections(), 2);
    }
}
