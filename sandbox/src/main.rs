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
//! * `logs`: what the functions write.

mod apps;
mod cli;
mod control;
mod http;
mod lambda;
mod logs;
mod serve;
mod standin;
mod trigger;

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

/// A line for the person at the terminal. Standard output carries only what programs read.
fn say(line: &str) {
    use std::io::Write as _;
    // Nobody is left to tell where this fails.
    writeln!(std::io::stderr().lock(), "{line}").ok();
}
