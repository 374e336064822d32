//! What goes wrong in a story, from when to when.

use std::time::Duration;

use world::faults::Fault;

use crate::service::Service;

/// What a trouble concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Concerns {
    /// A service as a whole, or its calls of one application.
    Service(Service),
    /// Single entries of batches that SQS does not take.
    SingleEntries,
    /// Invocations that die.
    Processes,
    /// An application's secret is away.
    Secret,
    /// The key that Pushwoosh takes is not the one in the secret.
    Key,
    /// A rotation, until its caller has the new key.
    Rotation,
}

/// A trouble.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    pub(crate) concerns: Concerns,
    /// The application that it concerns; none means all.
    pub(crate) application: Option<String>,
    pub(crate) label: &'static str,
    pub(crate) faults: Vec<Fault>,
}

impl Trouble {
    /// Whether it overlaps this time.
    pub(crate) fn overlaps(&self, from: Duration, to: Duration) -> bool {
        self.from <= to && from <= self.to
    }

    /// Whether it concerns this application.
    pub(crate) fn touches(&self, application: &str) -> bool {
        self.application.as_deref().is_none_or(|own| own == application)
    }

    /// The service whose calls it changes.
    pub(crate) fn service(&self) -> Option<Service> {
        match self.concerns {
            Concerns::Service(service) => Some(service),
            Concerns::SingleEntries => Some(Service::Sqs),
            _ => None,
        }
    }
}

/// The ways in which an upstream fails: label and fault.
pub(crate) fn of_upstream(kind: u8) -> (&'static str, Fault) {
    let fault = Fault::default();
    match kind {
        0 => ("answers 503", Fault { status: Some(503), ..fault }),
        1 => ("answers 429", Fault { status: Some(429), retry_after: Some(120.into()), ..fault }),
        2 => ("hangs", Fault { hang: true, ..fault }),
        3 => ("breaks connections", Fault { reset: true, probability: Some(0.7), ..fault }),
        4 => (
            "takes calls and breaks the connection",
            Fault { reset: true, processed: true, probability: Some(0.5), ..fault },
        ),
        5 => {
            let page = Some("<html>bad gateway</html>".into());
            ("answers with a page", Fault { status: Some(502), body: page, ..fault })
        }
        _ => ("is slow: 1.2 s", Fault { delay_ms: 1_200, ..fault }),
    }
}

/// Pushwoosh takes no deletions: it answers 503, or refuses them for good.
pub(crate) fn refused_deletions() -> (&'static str, Vec<Fault>) {
    let path = Some("/api/v2/device-api/deleteUser".to_owned());
    let down =
        Fault { path: path.clone(), status: Some(503), probability: Some(0.5), ..Fault::default() };
    let body = Some(serde_json::json!({"status_code": 210, "status_message": "refused"}));
    let refused = Fault { path, status: Some(400), body, ..Fault::default() };
    ("refuses deletions, or answers them with 503", vec![down, refused])
}

/// The ways in which Secrets Manager fails.
pub(crate) fn of_secrets(kind: u8) -> (&'static str, Fault) {
    let fault = Fault { path: Some("GetSecretValue".to_owned()), ..Fault::default() };
    match kind {
        0 => ("answers 500", Fault { status: Some(500), ..fault }),
        1 => ("hangs", Fault { hang: true, ..fault }),
        2 => (
            "throttles",
            Fault { status: Some(400), code: Some("ThrottlingException".to_owned()), ..fault },
        ),
        _ => ("is slow: 1.2 s", Fault { delay_ms: 1_200, ..fault }),
    }
}

/// The ways in which SQS fails as a whole.
pub(crate) fn of_sqs(kind: u8) -> (&'static str, Fault) {
    let fault = Fault::default();
    match kind {
        0 => ("answers 500", Fault { status: Some(500), ..fault }),
        1 => ("hangs", Fault { hang: true, ..fault }),
        _ => ("fails now and then", Fault { status: Some(503), probability: Some(0.3), ..fault }),
    }
}

/// The ways in which DynamoDB fails.
pub(crate) fn of_dynamodb(kind: u8) -> (&'static str, Fault) {
    let fault = Fault::default();
    let throttling = Some("ProvisionedThroughputExceededException".to_owned());
    match kind {
        0 => ("answers 500", Fault { status: Some(500), ..fault }),
        1 => ("hangs", Fault { hang: true, ..fault }),
        2 => (
            "throttles now and then",
            Fault { status: Some(400), code: throttling, probability: Some(0.3), ..fault },
        ),
        _ => ("is slow: 0.4 s", Fault { delay_ms: 400, ..fault }),
    }
}
