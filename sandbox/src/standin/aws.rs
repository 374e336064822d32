//! Secrets Manager and SQS on one address.

use std::sync::{Arc, Mutex, PoisonError};

use fastrand::Rng;
use jiff::Timestamp;
use serde_json::json;
use tokio::net::TcpListener;
use world::aws;
use world::faults::{Fault, Faults};
use world::reply::{Exchange, Reply};

use super::queues::Queues;
use crate::apps::Apps;
use crate::http::{self, Request};

/// The services.
pub(crate) struct Aws {
    /// Where they are served.
    pub(crate) url: String,
    pub(crate) apps: Arc<Apps>,
    pub(crate) queues: Arc<Queues>,
    secrets_faults: Mutex<(Faults, Rng)>,
}

impl Aws {
    /// The services at this address.
    pub(crate) fn new(url: String, apps: Arc<Apps>, queues: Arc<Queues>) -> Self {
        let secrets_faults = Mutex::new((Faults::default(), Rng::new()));
        Self { url, apps, queues, secrets_faults }
    }

    /// Replaces the faults of Secrets Manager.
    pub(crate) fn set_secrets_faults(&self, faults: Vec<Fault>) {
        self.secrets_faults.lock().unwrap_or_else(PoisonError::into_inner).0.set(faults);
    }

    /// Serves until the process ends.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) {
        http::serve(listener, move |request| {
            let aws = Arc::clone(&self);
            async move { http::exchanged(aws.exchange(&request)).await }
        })
        .await;
    }

    fn exchange(&self, request: &Request) -> Exchange {
        let target = request.headers().get("x-amz-target");
        let target = target.and_then(|target| target.to_str().ok()).unwrap_or_default();
        match aws::target(target) {
            ("AmazonSQS", operation) => self.queues.exchange(operation, request.body()),
            ("secretsmanager", operation) => self.secrets(operation, request.body()),
            _ => {
                let body = json!({"__type": "UnknownOperationException"});
                Exchange::new(Reply::json(400, &body), &Fault::default())
            }
        }
    }

    fn secrets(&self, operation: &str, body: &[u8]) -> Exchange {
        let (faults, rng) =
            &mut *self.secrets_faults.lock().unwrap_or_else(PoisonError::into_inner);
        self.apps.with_secrets(|secrets| {
            aws::exchange(secrets, faults, operation, body, Timestamp::now(), rng)
        })
    }
}
