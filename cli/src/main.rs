//! The command `segment-pushwoosh`: runs the system on one machine, and holds what operators need.

mod commands;

use std::process::ExitCode;

use clap::Parser;
use operator::terminal::say;

fn main() -> ExitCode {
    match commands::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
