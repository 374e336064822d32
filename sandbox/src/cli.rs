//! The commands and their flags.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};

use crate::explain::{self, Explain};
use crate::redrive::{self, Redrive};
use crate::secret::{self, CheckSecret, HashId};
use crate::serve;

/// Segment and Pushwoosh, connected, on one machine
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything (the default)
    Serve(Serve),
    /// Show what an event or a record would do, field by field; nothing is sent
    Explain(Explain),
    /// Look at an application's secret: what is wrong with it, and what each function will do with it
    CheckSecret(CheckSecret),
    /// Show how a user or device id appears in logs
    HashId(HashId),
    /// Send again what was set aside
    Redrive(Redrive),
    /// Run one function as Lambda would
    #[command(hide = true)]
    Function { name: String },
}

/// Flags of `serve`.
#[derive(Debug, Parser)]
pub(crate) struct Serve {
    /// Address to serve on; port 0 picks one
    #[arg(long, default_value = "127.0.0.1:8787")]
    pub(crate) listen: SocketAddr,
    /// JSON file with an object of applications: code → the content of its secret
    #[arg(long, value_name = "FILE")]
    pub(crate) apps: Option<PathBuf>,
    /// Run a built artifact in place of the function of this name
    #[arg(long, value_name = "NAME=FILE", value_parser = bootstrap)]
    pub(crate) bootstrap: Vec<(String, PathBuf)>,
    /// Read the topic from this broker, rather than from memory
    #[arg(long, value_name = "BROKERS")]
    pub(crate) kafka: Option<String>,
    /// Read the topic as on-demand pollers do: no partial-batch response, no bisection, no end of retries
    #[arg(long)]
    pub(crate) on_demand: bool,
    /// Receives after which a message of the retry queue is dead
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    pub(crate) max_receives: u32,
    /// JSON file with the variables of each function, in place of the sandbox's: function → name → value
    #[arg(long, value_name = "FILE")]
    pub(crate) environment: Option<PathBuf>,
    /// Wait between retries as long as in AWS, rather than for seconds
    #[arg(long)]
    pub(crate) real_delays: bool,
}

fn bootstrap(text: &str) -> Result<(String, PathBuf)> {
    let (name, file) = text
        .split_once('=')
        .context("NAME=FILE is expected, e.g. source=target/lambda/source/bootstrap")?;
    if !serve::FUNCTIONS.iter().any(|function| function.name == name) {
        bail!("{name} is no function: destination, source or retry is expected");
    }
    Ok((name.to_owned(), file.into()))
}

impl Cli {
    /// Runs the command to its end.
    pub(crate) fn run(self) -> Result<()> {
        match self.command {
            None => serve_until_stopped(Serve::parse_from(["sandbox"])),
            Some(Command::Serve(flags)) => serve_until_stopped(flags),
            Some(Command::Explain(flags)) => explain::explain(&flags),
            Some(Command::CheckSecret(flags)) => secret::check(&flags),
            Some(Command::HashId(flags)) => {
                secret::hash(&flags);
                Ok(())
            }
            Some(Command::Redrive(flags)) => {
                tokio::runtime::Runtime::new()?.block_on(redrive::redrive(flags))
            }
            Some(Command::Function { name }) => function(&name),
        }
    }
}

fn serve_until_stopped(flags: Serve) -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(serve::serve(flags))
}

/// The function's own loop, on the kind of runtime that its binary uses.
fn function(name: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        match name {
            "destination" => destination::run().await,
            "source" => source::run().await,
            "retry" => retry::run().await,
            _ => Err(format!("there is no function {name}").into()),
        }
    });
    ended.map_err(|error| anyhow::anyhow!("{name}: {error}"))
}
