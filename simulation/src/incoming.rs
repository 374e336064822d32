//! A request on its way to a service.

use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use platform::transport::Request;
use world::aws;

use crate::service::{SEGMENT, Service};

/// A request on its way.
pub(crate) struct Incoming {
    pub(crate) service: Service,
    /// Path, or operation of AWS.
    pub(crate) path: String,
    pub(crate) authorization: String,
    pub(crate) encoding: String,
    pub(crate) body: Bytes,
    pub(crate) latency: Duration,
}

impl Incoming {
    pub(crate) fn read(request: &Request, rng: &mut Rng) -> Self {
        let header = |name: &str| {
            let value = request.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let target = header("x-amz-target");
        let (service, path) = match aws::target(&target) {
            (service, operation) if service.starts_with("secretsmanager") => {
                (Service::SecretsManager, operation.to_owned())
            }
            (service, operation) if service.starts_with("AmazonSQS") => {
                (Service::Sqs, operation.to_owned())
            }
            (service, operation) if service.starts_with("DynamoDB") => {
                (Service::DynamoDb, operation.to_owned())
            }
            _ if request.uri().host() == Some(SEGMENT) => {
                (Service::Segment, request.uri().path().to_owned())
            }
            _ => (Service::Pushwoosh, request.uri().path().to_owned()),
        };
        let (least, most) = service.latency();
        Self {
            service,
            path,
            authorization: header("authorization"),
            encoding: header("content-encoding"),
            body: request.body().clone(),
            latency: Duration::from_millis(rng.u64(least..=most)),
        }
    }
}
