//! Why an invocation gave no answer.

use std::time::Duration;

use serde_json::{Value, json};

/// Why an invocation gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FunctionError {
    /// The function answered with an error document.
    #[error("{0}")]
    Failed(String),
    /// Its process ended.
    #[error(r#"{{"errorType":"Runtime.ExitError","errorMessage":"the process ended: {0}"}}"#)]
    Ended(String),
    /// It was still worked on at its time limit.
    #[error("Task timed out after {} seconds", .0.as_secs())]
    TimedOut(Duration),
    /// No environment was free.
    #[error("Rate Exceeded.")]
    Throttled,
    /// The sandbox is being stopped.
    #[error("the invocation was given up")]
    GivenUp,
}

impl FunctionError {
    /// The line that Lambda itself writes in place of the function, where it worked on the invocation.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html#platform-report>
    pub(super) fn report(&self, id: &str) -> Option<Value> {
        let (status, error_type) = match self {
            Self::Failed(_) => ("failure", "Runtime.FunctionError"),
            Self::Ended(_) => ("error", "Runtime.ExitError"),
            Self::TimedOut(_) => ("timeout", "Sandbox.Timedout"),
            Self::Throttled | Self::GivenUp => return None,
        };
        let record = json!({"requestId": id, "status": status, "errorType": error_type});
        let time = format!("{:.3}", jiff::Timestamp::now());
        Some(json!({"time": time, "type": "platform.report", "record": record}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lambda_reports_what_it_worked_on() {
        let status = |error: FunctionError| Some(error.report("i-1")?["record"]["status"].clone());
        assert_eq!(status(FunctionError::Failed("{}".to_owned())), Some(json!("failure")));
        assert_eq!(status(FunctionError::Ended("signal: 9".to_owned())), Some(json!("error")));
        let limit = Duration::from_secs(29);
        assert_eq!(status(FunctionError::TimedOut(limit)), Some(json!("timeout")));
        assert_eq!(FunctionError::TimedOut(limit).to_string(), "Task timed out after 29 seconds");
        assert_eq!(status(FunctionError::Throttled), None, "no environment had it");
        let died: Value =
            serde_json::from_str(&FunctionError::Ended("x".to_owned()).to_string()).unwrap();
        assert_eq!(died["errorType"], "Runtime.ExitError");
    }
}
