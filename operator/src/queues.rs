//! The queues that a command works on: a deployed stack's, found by its outputs, or a running sandbox's; and the ledger beside
//! them.
//!
//! # Layout
//! * [`browse`]: looks through a queue.

pub(crate) mod browse;

use std::fmt;

use anyhow::{Context as _, Result};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use clap::{Args, ValueEnum};
use platform::aws::trouble_of_command;
use platform::secret_place::SecretPlace;

use crate::connection::{Connection, DEFAULT_SANDBOX};
use crate::stack::Stack;

/// Name of the ledger's table in a sandbox.
const SANDBOX_LEDGER: &str = "ledger";

/// Which queues.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// A running sandbox
    #[arg(long, value_name = "URL", default_value = DEFAULT_SANDBOX, conflicts_with = "stack")]
    sandbox: String,
    /// A deployed stack: its outputs name the queues. Credentials and region are found as every AWS tool finds
    /// them
    #[arg(long, value_name = "NAME")]
    stack: Option<String>,
}

/// A queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum QueueName {
    /// What could not be delivered yet
    Retry,
    /// What was not delivered in time
    Dead,
    /// What cannot be delivered as it is
    Rejects,
}

impl QueueName {
    pub(crate) const ALL: [Self; 3] = [Self::Retry, Self::Dead, Self::Rejects];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Dead => "dead",
            Self::Rejects => "rejects",
        }
    }

    /// The message group of an application's messages: the retry queue is a fair queue, and a redrive from the
    /// dead-letter queue keeps the group.
    pub(crate) fn group(self, application: &str) -> Option<String> {
        match self {
            Self::Retry | Self::Dead => Some(application.to_owned()),
            Self::Rejects => None,
        }
    }

    /// The stack's output with its URL.
    fn output(self) -> &'static str {
        match self {
            Self::Retry => "RetryQueueUrl",
            Self::Dead => "DeadQueueUrl",
            Self::Rejects => "RejectsQueueUrl",
        }
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The queues, and what is known of those who use them.
pub(crate) struct Queues {
    pub(crate) connection: Connection,
    pub(crate) client: Client,
    stack: Option<Stack>,
    stack_name: String,
}

impl Place {
    pub(crate) async fn open(&self) -> Result<Queues> {
        let (connection, stack) = match &self.stack {
            Some(name) => {
                let connection = Connection::to_aws().await?;
                let stack = Stack::read(&connection.config, name).await?;
                (connection, Some(stack))
            }
            None => (Connection::to_sandbox(&self.sandbox, "--stack NAME").await?, None),
        };
        let of_sandbox = connection.sandbox_text("/functions/source/stack_name");
        let stack_name = self.stack.as_deref().or(of_sandbox).unwrap_or_default().to_owned();
        Ok(Queues { client: Client::new(&connection.config), connection, stack, stack_name })
    }
}

impl Queues {
    pub(crate) fn url(&self, queue: QueueName) -> Result<String> {
        match &self.stack {
            Some(stack) => Ok(stack.needed(queue.output())?.to_owned()),
            None => self.connection.sandbox_queue(queue.name()),
        }
    }

    /// Name of the ledger's table.
    pub(crate) fn ledger_table(&self) -> Result<&str> {
        match &self.stack {
            Some(stack) => stack.needed("LedgerTable"),
            None => Ok(SANDBOX_LEDGER),
        }
    }

    /// What shows messages that nobody can receive now.
    pub(crate) fn where_the_hidden_are(&self) -> String {
        match &self.stack {
            Some(_) => format!(
                "what is not shown is in the log: `segment-pushwoosh doctor --stack {}` lists what waits by application and cause",
                self.stack_name
            ),
            None => "what is not shown is on the sandbox's page, and in GET /_sandbox/queues/retry"
                .to_owned(),
        }
    }

    /// What the hashes of ids in the logs are salted with.
    pub(crate) fn salt(&self) -> &str {
        self.stack.as_ref().map_or("", |stack| stack.id.as_str())
    }

    /// The `messageId` of Track calls depends on it.
    pub(crate) fn stack_name(&self) -> &str {
        &self.stack_name
    }

    /// Where the applications' secrets are.
    pub(crate) fn secrets(&self) -> Result<SecretPlace> {
        let id = match &self.stack {
            Some(stack) => stack.needed("SecretId")?,
            None => self.connection.sandbox_text("/aws/secret_id").unwrap_or_default(),
        };
        SecretPlace::parse(id)
            .with_context(|| format!("{id:?} is no name of secrets: update this command"))
    }
}

/// What went wrong with a call about a queue, and what to do.
pub(crate) fn failed<E, R>(
    queue: QueueName,
    error: &SdkError<E, R>,
    operation: &str,
) -> anyhow::Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: fmt::Debug,
{
    let trouble = trouble_of_command(error, &format!("sqs:{operation}"));
    anyhow::anyhow!("the {} queue: {trouble}", queue.name())
}
