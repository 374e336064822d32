//! Instructions per event, counted by valgrind: the same in every run, whatever else the machine does. valgrind's processor has
//! no SHA instructions, so that hashing counts for more than it costs.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::cases;
use crate::lambda::Environment;

/// What is counted: a case, and the function that is invoked with it.
const COUNTED: [(&str, &str); 3] = [
    ("source-1000-1-1", "source"),
    ("source-1000-100-1", "source"),
    ("destination-100", "destination"),
];

/// The counts that were recorded, per architecture.
pub(crate) const FILE: &str = if cfg!(target_arch = "aarch64") {
    "bench/instructions-aarch64.txt"
} else {
    "bench/instructions-x86_64.txt"
};

/// Instructions per item by case.
pub(crate) type Counts = BTreeMap<String, u64>;

/// Counts all cases.
pub(crate) fn count() -> Result<Counts> {
    COUNTED
        .iter()
        .map(|(case, function)| Ok(((*case).to_owned(), per_item(case, function)?)))
        .collect()
}

/// The recorded counts; none where this architecture has no file.
pub(crate) fn recorded() -> Result<Counts> {
    let Ok(text) = std::fs::read_to_string(FILE) else { return Ok(Counts::new()) };
    text.lines()
        .map(|line| {
            let (case, count) = line.split_once(' ').context("case and count are expected")?;
            Ok((case.to_owned(), count.parse()?))
        })
        .collect()
}

/// Records counts.
pub(crate) fn record(counts: &Counts) -> Result<()> {
    let lines = counts.iter().map(|(case, count)| format!("{case} {count}\n"));
    std::fs::write(FILE, lines.collect::<String>())?;
    Ok(())
}

/// The difference of two runs: without start-up and the first invocation.
fn per_item(case: &str, function: &str) -> Result<u64> {
    let items =
        cases::named(case).with_context(|| format!("there is no case {case}"))?.items as u64;
    let (few, many) = (2, 6);
    let difference = total(case, function, many)?.saturating_sub(total(case, function, few)?);
    Ok(difference / (items * (many - few)))
}

fn total(case: &str, function: &str, invocations: u64) -> Result<u64> {
    let case = cases::named(case).with_context(|| format!("there is no case {case}"))?;
    let out = Path::new("target/bench/callgrind.out");
    std::fs::create_dir_all("target/bench")?;
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet"]);
    command.arg(format!("--callgrind-out-file={}", out.display()));
    command.arg(format!("target/lambda/{function}/bootstrap"));
    let mut environment =
        Environment::start(command).context("valgrind is needed to count instructions")?;
    for _ in 0..invocations {
        environment.invoke(&case.event)?;
    }
    environment.end()?;
    let text = std::fs::read_to_string(out)?;
    let totals = text
        .lines()
        .find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    Ok(totals.context("callgrind wrote no totals")?.trim().parse()?)
}
