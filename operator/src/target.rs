//! What a command works on: a deployed stack, or a running sandbox.

use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use platform::Application;
use platform::application::{PushwooshAccount, SegmentAccount};
use platform::gate::Account as _;
use platform::secret_place::{SecretPlace, is_code};

use crate::application_settings::{NoSettings, SettingsReader};
use crate::bad_input::BadInput;
use crate::connection::{Connection, DEFAULT_SANDBOX};
use crate::stack::Stack;

/// The flags that name it.
#[derive(Debug, Args)]
pub(crate) struct TargetFlags {
    /// Name of a deployed stack; credentials and region are found as every AWS tool finds them
    #[arg(long, value_name = "NAME", conflicts_with = "sandbox")]
    pub(crate) stack: Option<String>,
    /// A running sandbox
    #[arg(long, value_name = "URL", default_value = DEFAULT_SANDBOX)]
    pub(crate) sandbox: String,
}

/// A stack or a sandbox, as far as commands about an application need it.
pub(crate) struct Target {
    pub(crate) connection: Connection,
    /// Where the applications' secrets are.
    pub(crate) place: SecretPlace,
    /// Where the destination is; nothing where none is deployed.
    pub(crate) endpoint: Option<String>,
    /// The stack that a command is told to name again.
    pub(crate) stack: Option<String>,
}

impl Target {
    pub(crate) async fn open(flags: &TargetFlags) -> Result<Self> {
        let (connection, id, endpoint) = if let Some(name) = &flags.stack {
            let connection = Connection::to_aws().await?;
            let stack = Stack::read(&connection.config, name).await?;
            let id = stack.needed("SecretId")?.to_owned();
            let endpoint = stack.output("Endpoint").map(str::to_owned);
            (connection, id, endpoint)
        } else {
            let connection = Connection::to_sandbox(&flags.sandbox, "--stack NAME").await?;
            let id = connection.sandbox_text("/aws/secret_id").unwrap_or_default().to_owned();
            let endpoint = flags.sandbox.trim_end_matches('/').to_owned();
            (connection, id, Some(endpoint))
        };
        let place = SecretPlace::parse(&id)
            .with_context(|| format!("{id:?} is no name of secrets: update this command"))?;
        Ok(Self { connection, place, endpoint, stack: flags.stack.clone() })
    }

    /// The application's settings.
    pub(crate) async fn application(&self, code: &str) -> Result<Arc<Application>> {
        let read = SettingsReader::new(&self.connection, &self.place).read(code).await;
        read.map_err(|error| match &error {
            NoSettings::Missing { .. } => {
                let flag = self.flag();
                let flag = if flag.is_empty() { flag } else { format!(" {flag}") };
                anyhow::anyhow!(
                    "{error}: connect it with `segment-pushwoosh connect{flag} --app {code}`"
                )
            }
            NoSettings::Unread { .. } => error.into(),
        })
    }

    /// The application's account in Pushwoosh; a sandbox has its own Pushwoosh.
    pub(crate) fn pushwoosh(&self, application: &Application) -> Option<PushwooshAccount> {
        let mut account = PushwooshAccount::from_application(application)?;
        if let Some(url) = self.connection.sandbox_text("/upstream/pushwoosh") {
            url.clone_into(&mut account.base_url);
        }
        Some(account)
    }

    /// Likewise in Segment.
    pub(crate) fn segment(&self, application: &Application) -> Option<SegmentAccount> {
        let mut account = SegmentAccount::from_application(application)?;
        if let Some(url) = self.connection.sandbox_text("/upstream/segment") {
            url.clone_into(&mut account.base_url);
        }
        Some(account)
    }

    /// The flag that leads a command here.
    pub(crate) fn flag(&self) -> String {
        match (&self.stack, &self.endpoint) {
            (Some(name), _) => format!("--stack {name}"),
            (None, Some(url)) if url != DEFAULT_SANDBOX => format!("--sandbox {url}"),
            (None, _) => String::new(),
        }
    }
}

/// An application's code, or what is wrong with it.
pub(crate) fn code(text: &str) -> Result<String, BadInput> {
    let text = text.trim();
    if is_code(text) {
        return Ok(text.to_owned());
    }
    Err(BadInput(format!(
        "{text:?} is no application code: it has letters, digits and `-`, as in XXXXX-XXXXX (Pushwoosh: Settings, API Access)"
    )))
}
