//! The command `segment-pushwoosh`: runs the system on one machine, and holds what operators need.

mod commands;
mod usage;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use operator::bad_input::{self, BadInput};
use operator::terminal::{bad, say};

fn main() -> ExitCode {
    let cli = match commands::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let arguments: Vec<String> = std::env::args().skip(1).collect();
            let command = commands::Cli::command().name("segment-pushwoosh");
            let Some(line) = usage::line(&error, &command, &arguments) else { error.exit() };
            say(&format!("{} {line}", bad("error:")));
            return ExitCode::from(bad_input::EXIT);
        }
    };
    match cli.run() {
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
