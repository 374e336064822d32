//! Secrets Manager, SQS and DynamoDB on one address.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use world::aws;
use world::dynamodb::{DynamoDb, TableOptions};
use world::faults::{Fault, Faults};
use world::reply::{Exchange, Reply};

use super::queues::Queues;
use crate::apps::Apps;
use crate::http::{self, Request};

/// Name of the table in DynamoDB.
pub(crate) const LEDGER: &str = "ledger";

/// Items of the ledger that are kept. Each takes a kilobyte or two.
const KEPT_ITEMS: usize = 20_000;

/// Operations that are counted: more than the services have.
const MAX_OPERATIONS: usize = 100;

/// The services.
pub(crate) struct Aws {
    /// Where they are served.
    pub(crate) url: String,
    pub(crate) apps: Arc<Apps>,
    pub(crate) queues: Arc<Queues>,
    secrets_faults: Mutex<(Faults, Rng)>,
    tables: Mutex<Tables>,
    /// Calls by operation.
    calls: Mutex<BTreeMap<String, u64>>,
}

struct Tables {
    dynamodb: DynamoDb,
    faults: Faults,
    rng: Rng,
}

impl Aws {
    /// The services at this address.
    pub(crate) fn new(url: String, apps: Arc<Apps>, queues: Arc<Queues>) -> Self {
        let secrets_faults = Mutex::new((Faults::default(), Rng::new()));
        let mut dynamodb = DynamoDb::default();
        let expiry = Some("expires_at".to_owned());
        dynamodb
            .create(LEDGER, TableOptions { expiry, kept: KEPT_ITEMS, ..TableOptions::new("pk") });
        let tables = Mutex::new(Tables { dynamodb, faults: Faults::default(), rng: Rng::new() });
        Self { url, apps, queues, secrets_faults, tables, calls: Mutex::default() }
    }

    /// Replaces the faults of DynamoDB.
    pub(crate) fn set_table_faults(&self, faults: Vec<Fault>) {
        lock(&self.tables).faults.set(faults);
    }

    /// The faults of DynamoDB and of Secrets Manager that are left.
    pub(crate) fn table_faults(&self) -> Vec<Fault> {
        lock(&self.tables).faults.list()
    }

    /// Likewise.
    pub(crate) fn secrets_faults(&self) -> Vec<Fault> {
        lock(&self.secrets_faults).0.list()
    }

    /// Address, and calls by operation, for `/_sandbox/state`.
    pub(crate) fn state(&self) -> Value {
        json!({"endpoint": self.url, "calls": *lock(&self.calls)})
    }

    /// Replaces the faults of Secrets Manager.
    pub(crate) fn set_secrets_faults(&self, faults: Vec<Fault>) {
        lock(&self.secrets_faults).0.set(faults);
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
        let (service, operation) = aws::target(target);
        self.count(operation);
        let idle = http::idle(request);
        match (service, operation) {
            ("AmazonSQS", operation) => self.queues.exchange(operation, request.body(), idle),
            ("secretsmanager", operation) => self.secrets(operation, request.body(), idle),
            ("DynamoDB_20120810", operation) => {
                let Tables { dynamodb, faults, rng } = &mut *lock(&self.tables);
                faults.on_connection(idle);
                aws::exchange(dynamodb, faults, operation, request.body(), Timestamp::now(), rng)
            }
            _ => {
                let body = json!({"__type": "UnknownOperationException"});
                Fault::default().exchange(Reply::json(400, &body))
            }
        }
    }

    fn count(&self, operation: &str) {
        let mut calls = lock(&self.calls);
        if calls.contains_key(operation) || calls.len() < MAX_OPERATIONS {
            *calls.entry(operation.to_owned()).or_default() += 1;
        }
    }

    fn secrets(&self, operation: &str, body: &[u8], idle: Option<Duration>) -> Exchange {
        let (faults, rng) = &mut *lock(&self.secrets_faults);
        faults.on_connection(idle);
        self.apps.with_secrets(|secrets| {
            aws::exchange(secrets, faults, operation, body, Timestamp::now(), rng)
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
