//! An application's settings, read as the functions read them.
//!
//! Invariant: "no secret holds it" is said only where Secrets Manager said so. To who may not read secrets it looks the same for
//! the functions, and `connect` would then write over a good secret.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::ProvideErrorMetadata as _;
use platform::Application;
use platform::aws::trouble_of_command;
use platform::clock::Clock;
use platform::secret_place::SecretPlace;
use platform::secrets::{SecretError, Secrets};

use crate::connection::Connection;

/// Longer than a command takes.
const ARE_FRESH: Duration = Duration::from_hours(1);

/// Longest wait for a secret, and for a function that may have to start.
const LOOKUP: Duration = Duration::from_secs(10);

/// The permission that reading a secret needs.
const PERMISSION: &str = "secretsmanager:GetSecretValue";

/// Reads the settings of applications.
pub(crate) struct SettingsReader {
    secrets: Secrets,
    client: Client,
    place: SecretPlace,
    clock: Clock,
}

/// Why there are none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoSettings {
    /// Secrets Manager says that there are none.
    #[error(
        "no secret holds the application {code}: the secret {secret} does not exist, or does not name it"
    )]
    Missing {
        /// The application.
        code: String,
        /// Name of the secret that was looked for.
        secret: String,
    },
    /// It is not known whether there are any.
    #[error("the secret {secret} of {code} cannot be read: {why}")]
    Unread {
        /// The application.
        code: String,
        /// Name of the secret.
        secret: String,
        /// What went wrong, and what to do.
        why: String,
    },
}

impl SettingsReader {
    /// Where the applications' secrets are.
    pub(crate) fn new(connection: &Connection, place: &SecretPlace) -> Self {
        let (config, clock) = (&connection.config, connection.clock.clone());
        let id = place.to_string();
        Self {
            secrets: Secrets::new(config, &id, ARE_FRESH, Duration::ZERO, clock.clone()),
            client: Client::new(config),
            place: place.clone(),
            clock,
        }
    }

    /// The application's settings.
    pub(crate) async fn read(&self, code: &str) -> Result<Arc<Application>, NoSettings> {
        let deadline = self.clock.now() + LOOKUP;
        let error = match self.secrets.application(code, deadline).await {
            Ok(application) => return Ok(application),
            Err(error) => error,
        };
        let (code, secret) = (code.to_owned(), self.place.of(code));
        let refusal = match &error {
            SecretError::Unknown | SecretError::Unavailable(_) => self.refusal(&secret).await,
            SecretError::Malformed(_) => None,
        };
        Err(match (refusal, error) {
            (Some(why), _) => NoSettings::Unread { code, secret, why },
            (None, SecretError::Unknown) => NoSettings::Missing { code, secret },
            (None, error) => NoSettings::Unread { code, secret, why: error.to_string() },
        })
    }

    /// Why Secrets Manager does not show a secret that may be there.
    async fn refusal(&self, secret: &str) -> Option<String> {
        let error = self.client.get_secret_value().secret_id(secret).send().await.err()?;
        match error.code() {
            Some("ResourceNotFoundException") => None,
            Some("InvalidRequestException") => Some(format!(
                "it is scheduled for deletion: restore it with `aws secretsmanager restore-secret --secret-id {secret}`"
            )),
            _ => Some(trouble_of_command(&error, PERMISSION)),
        }
    }
}
