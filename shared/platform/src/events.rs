//! Takes events out of the way of `lambda_runtime`, which would parse each with `serde_path_to_error`: for a batch of records
//! this takes longer than all of our own work on it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use lambda_runtime::tower::Layer;
use lambda_runtime::{LambdaInvocation, Service};

/// What the runtime parses in place of the event.
const NOTHING: Bytes = Bytes::from_static(b"null");

/// Events on their way past the runtime, by the ids of their requests.
#[derive(Debug, Clone, Default)]
pub(crate) struct Events(Arc<Mutex<HashMap<String, Bytes>>>);

impl Events {
    /// The event of a request.
    pub(crate) fn take(&self, request: &str) -> Bytes {
        self.lock().remove(request).unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Layer<S> for Events {
    type Service = Past<S>;

    fn layer(&self, inner: S) -> Past<S> {
        Past { inner, events: self.clone() }
    }
}

/// The runtime, and what goes past it.
#[derive(Debug, Clone)]
pub(crate) struct Past<S> {
    inner: S,
    events: Events,
}

impl<S: Service<LambdaInvocation>> Service<LambdaInvocation> for Past<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut invocation: LambdaInvocation) -> S::Future {
        let event = std::mem::replace(&mut invocation.body, NOTHING);
        self.events.lock().insert(invocation.context.request_id.clone(), event);
        self.inner.call(invocation)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::ready;

    use lambda_runtime::service_fn;

    use super::*;

    /// A service that is not ready yet.
    struct Busy;

    impl Service<LambdaInvocation> for Busy {
        type Response = ();
        type Error = Infallible;
        type Future = std::future::Ready<Result<(), Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Pending
        }

        fn call(&mut self, _: LambdaInvocation) -> Self::Future {
            ready(Ok(()))
        }
    }

    #[test]
    fn it_is_ready_when_the_runtime_is() {
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut busy = Events::default().layer(Busy);
        assert!(busy.poll_ready(&mut context).is_pending());
        let idle = service_fn(|_: LambdaInvocation| ready(Ok::<_, Infallible>(())));
        assert!(Events::default().layer(idle).poll_ready(&mut context).is_ready());
    }

    #[tokio::test]
    async fn an_event_goes_past_the_runtime_to_its_own_request() {
        let events = Events::default();
        let mut service = events.layer(service_fn(|invocation: LambdaInvocation| {
            assert_eq!(invocation.body, NOTHING);
            ready(Ok::<_, Infallible>(()))
        }));
        for request in ["1", "2"] {
            let mut context = lambda_runtime::Context::default();
            request.clone_into(&mut context.request_id);
            let (parts, ()) = http::Response::new(()).into_parts();
            let body = Bytes::from(format!("event {request}"));
            service.call(LambdaInvocation { parts, body, context }).await.unwrap();
        }
        assert_eq!((events.take("2"), events.take("1")), ("event 2".into(), "event 1".into()));
        assert_eq!(events.take("1"), Bytes::new(), "an event is taken once");
    }
}
