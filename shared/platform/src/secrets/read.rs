//! One call of `GetSecretValue`, and what its answer says.
//! <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use jiff::Timestamp;

use crate::aws::trouble;

/// The version that a rotation replaced.
const PREVIOUS: &str = "AWSPREVIOUS";

/// What Secrets Manager said about a version of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reading {
    /// Its text, and when it was written.
    Text(String, Option<Timestamp>),
    /// There is no such secret, or no such version.
    Missing,
    /// The secret is scheduled for deletion.
    Gone,
    /// The caller may not read it, or it does not exist and the caller may not list.
    Denied(String),
    /// It could not be read.
    Failed {
        /// Whether Secrets Manager fails as a service, rather than for this secret.
        service: bool,
        /// In words.
        error: String,
    },
}

impl Reading {
    /// Whether the caller's policy allowed the call.
    pub(super) fn was_allowed(&self) -> bool {
        matches!(self, Self::Text(..) | Self::Missing | Self::Gone)
    }
}

/// Reads the current version of a secret, or the one before.
pub(super) async fn read(client: &Client, id: &str, previous: bool) -> Reading {
    let request = client.get_secret_value().secret_id(id);
    let request = if previous { request.version_stage(PREVIOUS) } else { request };
    match request.send().await {
        Ok(answer) => {
            let created = answer
                .created_date()
                .and_then(|date| Timestamp::from_millisecond(date.to_millis().ok()?).ok());
            // A binary secret has no text: it cannot be used, like any other text that is not JSON.
            Reading::Text(answer.secret_string().unwrap_or_default().to_owned(), created)
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &SdkError<GetSecretValueError>) -> Reading {
    let text = trouble(error, "secretsmanager:GetSecretValue");
    let Some(answer) = error.as_service_error() else {
        return Reading::Failed { service: true, error: text };
    };
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    match answer.code().unwrap_or_default() {
        "ResourceNotFoundException" => Reading::Missing,
        "InvalidRequestException" => Reading::Gone,
        // The key of a secret that exists.
        "AccessDeniedException" if answer.message().unwrap_or_default().contains("KMS") => {
            Reading::Failed { service: false, error: text }
        }
        "AccessDeniedException" => Reading::Denied(text),
        code => {
            let service = status >= 500 || status == 429 || code.contains("Throttl");
            Reading::Failed { service, error: text }
        }
    }
}
