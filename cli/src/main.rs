//! The command `segment-pushwoosh`: runs the system on one machine, and holds what operators need.

mod commands;

use std::process::ExitCode;

use clap::Parser;
use operator::bad_input::{self, BadInput};
use operator::terminal::{bad, say};

fn main() -> ExitCode {
    match commands::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{} {error:#}", bad("error:")));
            match error.downcast_ref::<BadInput>() {
                Some(_) => ExitCode::from(bad_input::EXIT),
                None => ExitCode::FAILURE,
            }
        }
    }
}
