//! The way out of an environment: an in-memory transport to the services.
//!
//! Invariant: a request that was sent arrives, whether or not its sender still waits for the answer.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use platform::transport::{Request, Response, ResponseFuture, Transport, TransportError};
use tokio::sync::oneshot;
use world::reply::{Connection, Reply};

use crate::incoming::Incoming;
use crate::sabotage::Sabotage;
use crate::service::Service;
use crate::services::World;
use crate::time::sleep;

/// What the hasty network waits for an answer.
const HASTE: Duration = Duration::from_millis(100);

/// What comes back.
enum Arrival {
    Reply(Reply),
    Reset,
    Nothing,
}

/// The way out of one environment.
pub(crate) struct Network {
    pub(crate) world: Arc<World>,
    /// The invocation that runs in the environment.
    pub(crate) invocation: AtomicU64,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network")
    }
}

impl Transport for Network {
    fn send(&self, request: Request, limit: usize) -> ResponseFuture<'_> {
        let (sender, receiver) = oneshot::channel();
        let (world, invocation) =
            (Arc::clone(&self.world), self.invocation.load(Ordering::Relaxed));
        let incoming = Incoming::read(&request, &mut world.state().rng);
        tokio::spawn(async move {
            let half = incoming.latency / 2;
            sleep(half).await;
            let (exchange, call) = world.exchange(&incoming, invocation);
            if incoming.service == Service::Sqs {
                world.queue_changed.notify_one();
            }
            sleep(half + exchange.delay).await;
            let arrival = match exchange.connection {
                Connection::Answered => Arrival::Reply(exchange.reply),
                Connection::Reset => Arrival::Reset,
                Connection::Hangs => Arrival::Nothing,
            };
            let hasty = world.state().sabotage == Some(Sabotage::HastyNetwork)
                && incoming.service == Service::Pushwoosh
                && incoming.latency + exchange.delay > HASTE;
            let arrival = if hasty { Arrival::Reset } else { arrival };
            if hasty
                && let Some(call) = call
                && let Some(call) = world.state().calls.get_mut(call)
            {
                call.abandoned = true;
            }
            if sender.send(arrival).is_err()
                && let Some(call) = call
                && let Some(call) = world.state().calls.get_mut(call)
            {
                call.abandoned = true;
            }
        });
        Box::pin(async move {
            match receiver.await {
                Ok(Arrival::Reply(reply)) => Ok(response(reply, limit)),
                Ok(Arrival::Nothing) => std::future::pending().await,
                Ok(Arrival::Reset) | Err(_) => {
                    Err(TransportError::Connection("connection reset by peer".into()))
                }
            }
        })
    }
}

fn response(reply: Reply, limit: usize) -> Response {
    let mut headers = HeaderMap::new();
    for (name, value) in &reply.headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(*name, value);
        }
    }
    let body = Bytes::from(reply.body);
    let body = if body.len() > limit { Err(TransportError::TooLarge(limit)) } else { Ok(body) };
    Response { status: StatusCode::from_u16(reply.status).unwrap_or_default(), headers, body }
}
