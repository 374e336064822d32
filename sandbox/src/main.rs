//! The whole system on one machine: the real functions, each in its own process, and around them
//! stand-ins for AWS, Pushwoosh and Segment. Nothing leaves the machine.
//!
//! # Layout
//! * `cli`: the commands and their flags.
//! * `serve`: starts everything.
//! * `lambda`: the Lambda runtime API and the processes of the functions.
//! * `trigger`: what invokes functions: HTTP gateway, Kafka and SQS event source mappings.
//! * `standin`: Secrets Manager, SQS, Pushwoosh and Segment.
//! * `control`: the routes below `/_sandbox`, and the page.
//! * `explain`: shows what an event or a record would do.
//! * `redrive`: sends again what was set aside.
//! * `secret`: looks at secrets, and shows how ids appear in logs.
//! * `logs`: what the functions write.

mod apps;
mod cli;
mod control;
mod explain;
mod http;
mod lambda;
mod logs;
mod redrive;
mod secret;
mod serve;
mod standin;
mod trigger;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// A line for the person at the terminal.
fn say(line: &str) {
    // Nobody is left to tell where this fails.
    writeln!(std::io::stderr().lock(), "{line}").ok();
}

/// A line of a command's result, which programs may read.
fn print(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).ok();
}
