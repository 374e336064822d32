//! AWS's JSON protocol: an operation and its input become an output or an error.
//! <https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html>

use fastrand::Rng;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::faults::{Fault, Faults};
use crate::reply::{Exchange, Reply};

/// Account and region of everything that has an ARN.
pub const ACCOUNT: &str = "123456789012";
/// Region of everything that has an ARN.
pub const REGION: &str = "eu-central-1";

/// An error of a service: its code and its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceError {
    /// Code, as SDKs match it.
    pub code: &'static str,
    /// Message.
    pub message: String,
    /// Further members of the error, e.g. `Item` of `ConditionalCheckFailedException`.
    pub details: Map<String, Value>,
}

impl ServiceError {
    /// An error.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Map::new() }
    }

    /// An operation that the model does not have.
    pub fn unknown_operation() -> Self {
        Self::new("UnknownOperationException", "the model does not know this operation")
    }
}

/// The model of an AWS service.
pub trait Service {
    /// Does one operation. A fault is given where it concerns a part of the operation only.
    fn call(
        &mut self,
        operation: &str,
        input: &Value,
        fault: Option<&Fault>,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Result<Value, ServiceError>;
}

/// Answers a request, or does what the first fault that applies says.
pub fn exchange(
    service: &mut impl Service,
    faults: &mut Faults,
    operation: &str,
    body: &[u8],
    now: Timestamp,
    rng: &mut Rng,
) -> Exchange {
    let input: Value = serde_json::from_slice(body).unwrap_or_default();
    let fault = faults.take(operation, None, rng).unwrap_or_default();
    let result =
        fault.takes_effect().then(|| service.call(operation, &input, Some(&fault), now, rng));
    let reply = match (fault.status, result) {
        (Some(status), _) => {
            let code = fault.code.as_deref().unwrap_or("InternalFailure");
            error(status, code, "a fault of the sandbox", Map::new())
        }
        (None, Some(Ok(output))) => {
            Reply::new(200, "application/x-amz-json-1.0", output.to_string())
        }
        (None, Some(Err(ServiceError { code, message, details }))) => {
            error(400, code, &message, details)
        }
        (None, None) => Reply { status: 200, headers: Vec::new(), body: Vec::new() },
    };
    fault.exchange(reply)
}

/// The service and the operation that a request is for, from its `x-amz-target`.
pub fn target(header: &str) -> (&str, &str) {
    header.split_once('.').unwrap_or_default()
}

fn error(status: u16, code: &str, message: &str, details: Map<String, Value>) -> Reply {
    let mut body = json!({"__type": code, "Message": message, "message": message});
    if let Value::Object(body) = &mut body {
        body.extend(details);
    }
    let mut reply = Reply::new(status, "application/x-amz-json-1.0", body.to_string());
    reply.headers.push(("x-amzn-errortype", code.to_owned()));
    reply
}

/// A text of the input; empty where it is missing.
pub(crate) fn text<'a>(input: &'a Value, name: &str) -> &'a str {
    input.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A list of the input; empty where it is missing.
pub(crate) fn list<'a>(input: &'a Value, name: &str) -> &'a [Value] {
    input.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
