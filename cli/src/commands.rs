//! The commands and their flags.

use anyhow::Result;
use clap::{Parser, Subcommand};
use operator::check_secret::{self, CheckSecret};
use operator::check_stack::{self, Check};
use operator::connect::{self, Connect};
use operator::doctor::{self, Doctor};
use operator::erase::{self, Erase};
use operator::explain::{self, Explain};
use operator::hash_id::{self, HashId};
use operator::queue::{self, Queue};
use sandbox::Options;

const TOP: &str = "Examples:
  segment-pushwoosh                                   # everything on this machine; http://127.0.0.1:8787 is its page
  segment-pushwoosh explain event.json
  segment-pushwoosh queue list --stack segment-pushwoosh

It ends with 0 if all is well; with 1 if something is wrong; with 2 if a flag or an input cannot be used. `COMMAND --help`
has more.";

const SERVE: &str = "Examples:
  segment-pushwoosh serve --listen 127.0.0.1:0        # prints the address when it serves
  segment-pushwoosh serve --apps apps.json --secret-id 'segment-pushwoosh/{app_code:2}'

It serves until it is stopped, and then ends with 0; with 1 if it cannot start; with 2 if a flag or a file cannot be used.";

/// Segment and Pushwoosh, connected, on one machine
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, after_help = TOP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Options,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything (the default)
    #[command(after_help = SERVE)]
    Serve(Options),
    /// Connect an application: try its keys, write its secret, and say what to enter in Segment
    Connect(Connect),
    /// Find what Pushwoosh would skip of an application's data, and the calls that mend it; sends nothing
    Doctor(Doctor),
    /// Show what an event or a record would do, field by field; nothing is sent
    Explain(Explain),
    /// Check a deployed stack: its state, its route, its queues; sends nothing to people
    Check(Check),
    /// Look at an application's secret: what is wrong with it, and what each function will do with it
    CheckSecret(CheckSecret),
    /// Show how a user or device id appears in logs
    HashId(HashId),
    /// Look at what waits, is dead or was rejected; send it again, or discard it
    Queue(Queue),
    /// Remove what the queues keep of a person
    Erase(Erase),
    /// Run one function as Lambda would
    #[command(hide = true)]
    Function { name: String },
}

impl Cli {
    /// Runs the command to its end.
    pub(crate) fn run(self) -> Result<()> {
        match self.command {
            None => serve_until_stopped(self.serve),
            Some(Command::Serve(flags)) => serve_until_stopped(flags),
            Some(Command::Connect(flags)) => {
                tokio::runtime::Runtime::new()?.block_on(connect::connect(flags))
            }
            Some(Command::Doctor(flags)) => {
                tokio::runtime::Runtime::new()?.block_on(doctor::doctor(flags))
            }
            Some(Command::Explain(flags)) => {
                tokio::runtime::Runtime::new()?.block_on(explain::explain(flags))
            }
            Some(Command::Check(flags)) => {
                tokio::runtime::Runtime::new()?.block_on(check_stack::check(&flags))
            }
            Some(Command::CheckSecret(flags)) => check_secret::check(&flags),
            Some(Command::HashId(flags)) => {
                hash_id::hash_id(&flags);
                Ok(())
            }
            Some(Command::Queue(flags)) => {
                tokio::runtime::Runtime::new()?.block_on(queue::queue(flags))
            }
            Some(Command::Erase(flags)) => {
                tokio::runtime::Runtime::new()?.block_on(erase::erase(flags))
            }
            Some(Command::Function { name }) => sandbox::run_function(&name),
        }
    }
}

fn serve_until_stopped(flags: Options) -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(sandbox::serve(flags))
}
