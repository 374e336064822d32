//! Measures the functions side by side with what a user would pick instead.
//!
//! Every contestant is a process that talks to Lambda's Runtime API. This program is that API, Secrets Manager, and both
//! upstreams, so that all contestants see the same events, secrets and answers. What is counted is the CPU time of the
//! contestant's process; what this program uses itself does not count.
//!
//! ```text
//! cargo run --release -p bench                     everything; writes docs/PERFORMANCE.md
//! cargo run --release -p bench -- check            the short form of CI; see ci/bench
//! cargo run --release -p bench -- record           the same, and records the instructions per event
//! cargo run --release -p bench -- engine FILE      events per second through the mapping engine; see bench/run
//! cargo run --release -p bench -- drive CASE FILE  one case against one bootstrap
//!     --also NAME=FILE                             another bootstrap of the source beside the others
//! ```
//! # Layout
//! * `http`: a small HTTP server. `tls`: its certificate. `lambda`: the Runtime API and a process that uses it.
//! * `services`: Secrets Manager and the upstreams.
//! * `events`: what the contestants are invoked with. `cases`: which events, how often.
//! * `contestants`: who is measured, and how they are started.
//! * `process`: CPU time and memory of a process. `statistics`: medians and spread.
//! * `measure`: one case with all its contestants. `startup`: from the start to the first event.
//! * `poller`: whether one environment keeps up with one poller.
//! * `size`: archives. `instructions`: counted by valgrind.
//! * `report`: docs/PERFORMANCE.md. `check`: what CI asks for. `engine`: the mapping engine alone.

#![expect(clippy::cast_precision_loss, reason = "sizes, and a few seconds of nanoseconds")]

mod cases;
mod check;
mod contestants;
mod engine;
mod events;
mod http;
mod instructions;
mod lambda;
mod measure;
mod poller;
mod process;
mod report;
mod services;
mod size;
mod startup;
mod statistics;
mod tls;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::contestants::Contestant;

/// Writes a line for the person who waits.
fn say(line: &str) {
    use std::io::Write as _;
    writeln!(std::io::stderr(), "{line}").ok();
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let Some(mode) = arguments.next() else { return report::run(&[]) };
    match mode.as_str() {
        "engine" => {
            engine::run(&arguments.next().context("a file with one event per line is expected")?)
        }
        "check" => check::run(false),
        "record" => check::run(true),
        "drive" => {
            let case = arguments.next().context("the name of a case is expected")?;
            let file =
                PathBuf::from(arguments.next().context("the file of a bootstrap is expected")?);
            let times = arguments.next().map_or(Ok(1), |times| times.parse())?;
            measure::drive(&case, &file, times)
        }
        "--also" => {
            let also = arguments.next().context("NAME=FILE is expected")?;
            let (name, file) = also.split_once('=').context("NAME=FILE is expected")?;
            report::run(&[Contestant::also(name, file)])
        }
        other => bail!("unknown argument {other}; expected engine, check, record, drive or --also"),
    }
}
