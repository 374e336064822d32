//! Measures everything and writes docs/PERFORMANCE.md.

use std::fmt::Write as _;
use std::process::Command;

use anyhow::Result;

use crate::cases::{self, Case};
use crate::contestants::{self, Contestant, Job};
use crate::measure::{self, Measured};
use crate::poller::{self, Kept, POLLER_BYTES};
use crate::size::{FUNCTIONS, MAX_ZIP_BYTES, zip};
use crate::startup::{self, Started};
use crate::statistics::Quartiles;
use crate::{instructions, say};

const FILE: &str = "docs/PERFORMANCE.md";

/// What stands around the numbers.
const TEMPLATE: &str = include_str!("../PERFORMANCE.template.md");

/// A GB-second of Lambda on arm64, and a million requests, in US dollars. <https://aws.amazon.com/lambda/pricing/>
const GB_SECOND: f64 = 0.000_013_333_4;
const MILLION_REQUESTS: f64 = 0.20;

/// Memory at which a function has one processor.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>
const MB_PER_PROCESSOR: f64 = 1_769.0;

/// Measures all contestants, and these besides.
pub(crate) fn run(also: &[Contestant]) -> Result<()> {
    let all = [contestants::all(), also.to_vec()].concat();
    say("start-up");
    let started = startup::all(&all)?;
    say("one poller");
    let kept = poller::all(&all)?;
    let mut measured = Vec::new();
    for case in cases::all() {
        say(&case.title);
        let numbers = measure::case(&case, &all)?;
        measured.push((case, numbers));
    }
    let counts = instructions::count().unwrap_or_default();
    let parts = [
        ("conditions", conditions()),
        ("missing", missing(&all)),
        ("source", tables(&measured, Job::Source)),
        ("destination", tables(&measured, Job::Destination)),
        ("start", start_table(&started)),
        ("poller", poller_table(&kept)),
        ("sizes", sizes()?),
        (
            "instructions",
            counts.iter().fold(String::new(), |mut all, (case, count)| {
                writeln!(all, "| `{case}` | {} |", thousands(*count)).ok();
                all
            }),
        ),
        ("cost", cost(&measured)),
    ];
    let text = parts.iter().fold(TEMPLATE.to_owned(), |text, (name, part)| {
        text.replace(&format!("{{{{{name}}}}}"), part.trim_end())
    });
    std::fs::write(FILE, text)?;
    say(&format!("{FILE} is written"));
    Ok(())
}

fn first_line(program: &str, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default().lines().next().unwrap_or_default().trim().to_owned()
}

fn conditions() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches([' ', '\t', ':']);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    format!(
        "{cores} cores of a virtual machine ({model}, {}), load {load} at the end; {}; {}; Node {}; {}",
        std::env::consts::ARCH,
        first_line("rustc", "--version"),
        first_line("target/bench/venv/bin/go", "version"),
        first_line("node", "--version"),
        first_line("target/bench/venv/bin/python", "--version"),
    )
}

fn missing(all: &[Contestant]) -> String {
    let missing: Vec<String> =
        all.iter().filter_map(|one| Some(format!("{}: {}", one.name, one.missing()?))).collect();
    if missing.is_empty() { "none".to_owned() } else { missing.join("; ") }
}

fn spread(quartiles: Quartiles) -> String {
    let Quartiles { low, median, high } = quartiles;
    format!("{median:.1} ({low:.1}–{high:.1})")
}

/// A table per case: CPU time, and how many times it is of ours.
fn tables(measured: &[(Case, Vec<Measured>)], job: Job) -> String {
    let mut text = String::new();
    for (case, all) in measured.iter().filter(|(case, _)| case.job == job) {
        let mega = case.event.len() as f64 / 1e6;
        writeln!(text, "\n**{}** ({mega:.2} MB)\n", case.title).ok();
        text.push_str(
            "| | CPU of an invocation, ms | times ours | memory, MB |\n|---|---|---|---|\n",
        );
        let ours = all.iter().find(|one| one.is_ours).map_or(1.0, |one| one.cpu_ms.median);
        for one in all {
            let name = if one.is_ours { format!("**{}**", one.name) } else { one.name.clone() };
            let ratio = one.cpu_ms.median / ours;
            let memory = one.memory as f64 / 1e6;
            writeln!(text, "| {name} | {} | {ratio:.2} | {memory:.1} |", spread(one.cpu_ms)).ok();
        }
    }
    text
}

fn start_table(started: &[Started]) -> String {
    let mut text = String::new();
    for one in started {
        let name = match one.job {
            Job::Destination if one.name != "destination" => format!("{}, destination", one.name),
            _ => one.name.clone(),
        };
        let memory = one.memory as f64 / 1e6;
        let (ready, cpu, first) = (spread(one.ready), spread(one.ready_cpu), spread(one.first));
        let tls = one.first_tls.map_or_else(|| "–".to_owned(), spread);
        writeln!(text, "| {name} | {ready} | {cpu} | {first} | {tls} | {memory:.1} |").ok();
    }
    text
}

fn poller_table(kept: &[Kept]) -> String {
    let mut text = String::new();
    for one in kept {
        let share = POLLER_BYTES / one.bytes_per_second * 100.0;
        let (wall, rate) = (spread(one.wall_ms), one.bytes_per_second / 1e6);
        writeln!(text, "| {} | {wall} | {rate:.0} | {share:.0} % |", one.name).ok();
    }
    text
}

fn sizes() -> Result<String> {
    let mut text = String::new();
    for function in FUNCTIONS {
        let mebibytes = zip(function)? as f64 / 1024.0 / 1024.0;
        writeln!(text, "| `{function}` | {mebibytes:.2} | {} |", MAX_ZIP_BYTES / 1024 / 1024).ok();
    }
    Ok(text)
}

/// What a million exported records cost in CPU. A function has a processor's share by its memory, so that less memory makes it
/// slower and not cheaper: what is paid for a second of CPU is the same.
fn cost(measured: &[(Case, Vec<Measured>)]) -> String {
    let mut text = String::new();
    let Some((case, all)) = measured.iter().find(|(case, _)| case.items == 10_000) else {
        return text;
    };
    for one in all {
        let invocations = 1e6 / case.items as f64;
        let seconds = one.cpu_ms.median / 1e3 * invocations;
        let dollars =
            seconds * MB_PER_PROCESSOR / 1024.0 * GB_SECOND + invocations / 1e6 * MILLION_REQUESTS;
        writeln!(text, "| {} | {:.3} |", one.name, dollars * 100.0).ok();
    }
    text
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
