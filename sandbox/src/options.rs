//! The flags of `serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::deployed::FUNCTIONS;

/// Processes of a function: a bound for the memory of a laptop.
const MAX_ENVIRONMENTS: usize = 64;

/// Flags of `serve`.
#[derive(Debug, Args)]
pub struct Options {
    /// Address to serve on; port 0 picks one
    #[arg(long, default_value = "127.0.0.1:8787")]
    pub listen: SocketAddr,
    /// JSON file with an object of applications: code → the content of its secret
    #[arg(long, value_name = "FILE")]
    pub apps: Option<PathBuf>,
    /// Run a built artifact in place of the function of this name
    #[arg(long, value_name = "NAME=FILE", value_parser = bootstrap)]
    pub bootstrap: Vec<(String, PathBuf)>,
    /// Read the topic from this broker, rather than from memory
    #[arg(long, value_name = "BROKERS")]
    pub kafka: Option<String>,
    /// Read the topic as on-demand pollers do: no partial-batch response, no bisection
    #[arg(long)]
    pub on_demand: bool,
    /// Seconds after which a parked item goes to the dead-letter queue [default: as deployed]
    #[arg(long, value_name = "SECONDS")]
    pub max_age: Option<u64>,
    /// JSON file with the variables of each function, in place of the sandbox's: function → name → value
    #[arg(long, value_name = "FILE")]
    pub environment: Option<PathBuf>,
    /// Run each function in up to NUMBER processes as Lambda does: one invocation each, frozen between
    /// invocations, killed at the time limit. Without it one process takes several invocations at a time
    #[arg(long, value_name = "NUMBER", value_parser = environments)]
    pub environments: Option<usize>,
    /// Wait between retries as long as in AWS, rather than for seconds
    #[arg(long)]
    pub real_delays: bool,
}

fn environments(text: &str) -> Result<usize> {
    let number = text.parse().ok().filter(|number| (1..=MAX_ENVIRONMENTS).contains(number));
    number.with_context(|| format!("a number from 1 to {MAX_ENVIRONMENTS} is expected"))
}

fn bootstrap(text: &str) -> Result<(String, PathBuf)> {
    let (name, file) = text
        .split_once('=')
        .context("NAME=FILE is expected, e.g. source=target/lambda/source/bootstrap")?;
    if !FUNCTIONS.iter().any(|function| function.name == name) {
        bail!("{name} is no function: destination, source or retry is expected");
    }
    Ok((name.to_owned(), file.into()))
}
