//! The flags of `serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use platform::secret_place::SecretPlace;
use platform::settings::{self, DEFAULT_SECRET_ID};

use crate::deployed::FUNCTIONS;
use crate::lambda::Environments;

/// Processes of a function: a bound for the memory of a laptop.
const MAX_ENVIRONMENTS: usize = 64;

/// Processes of a function unless it is said otherwise: enough that each has its own caches, few enough that
/// a laptop does not notice.
const ENVIRONMENTS: usize = 4;

/// How long an idle process is kept, least and most. In AWS: minutes to hours.
const IDLE: (Duration, Duration) = (Duration::from_mins(1), Duration::from_mins(10));

/// Flags of `serve`.
#[derive(Debug, Args)]
pub struct Options {
    /// Address to serve on; port 0 picks one
    #[arg(long, default_value = "127.0.0.1:8787")]
    pub listen: SocketAddr,
    /// Name under which it is reached, beside localhost and addresses; may be repeated
    #[arg(long, value_name = "NAME")]
    pub host: Vec<String>,
    /// JSON file with an object of applications: code → the content of its secret
    #[arg(long, value_name = "FILE")]
    pub apps: Option<PathBuf>,
    /// Name of the secrets, as `PWSEG_SECRET_ID` of the functions: `{app_code:2}` puts several applications into one
    #[arg(long, value_name = "ID", value_parser = place, default_value = DEFAULT_SECRET_ID)]
    pub secret_id: SecretPlace,
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
    /// invocations, killed at the time limit, replaced when idle for long
    #[arg(long, value_name = "NUMBER", value_parser = environments, default_value_t = ENVIRONMENTS)]
    pub environments: usize,
    /// Replace idle processes after SECONDS [default: 60 to 600, by chance]
    #[arg(long, value_name = "SECONDS")]
    pub idle: Option<u64>,
    /// Run each function in one process that takes several invocations at a time, as on Lambda Managed
    /// Instances
    #[arg(long, conflicts_with_all = ["environments", "idle"])]
    pub shared: bool,
    /// Wait between retries as long as in AWS, rather than for seconds
    #[arg(long)]
    pub real_delays: bool,
}

impl Options {
    /// What the environments of a function are like.
    pub(crate) fn environments(&self) -> Environments {
        if self.shared {
            return Environments::Shared;
        }
        let idle = self.idle.map(Duration::from_secs).map_or(IDLE, |idle| (idle, idle));
        Environments::Separate { most: self.environments, idle }
    }
}

fn place(id: &str) -> Result<SecretPlace> {
    let place = Some(id).filter(|id| settings::is_secret_id(id)).and_then(SecretPlace::parse);
    place.context(
        "a name with at most one of {app_code} and {app_code:1} to {app_code:5} is expected",
    )
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
