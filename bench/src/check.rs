//! What CI asks for: archives within their budget, no more instructions per event than recorded, and a source
//! that is well ahead of one in Go.

use anyhow::{Context as _, Result, ensure};

use crate::contestants::{self, Job};
use crate::size::{FUNCTIONS, MAX_ZIP_BYTES, zip};
use crate::{cases, instructions, measure, say};

/// Instructions may grow by this much before somebody has to look at it.
const MAX_GROWTH_PERCENT: u64 = 5;

/// What the source has to be ahead of Go by, with all records exported. 5 was measured; machines vary.
const MIN_RATIO_TO_GO: f64 = 4.0;

/// Checks everything; with `record`, the instructions are written down in place of being compared.
pub(crate) fn run(record: bool) -> Result<()> {
    for function in FUNCTIONS {
        let bytes = zip(function)?;
        say(&format!("{function}: {bytes} bytes compressed of {MAX_ZIP_BYTES}"));
        ensure!(bytes <= MAX_ZIP_BYTES, "the archive of {function} is over its budget");
    }
    let counts = instructions::count()?;
    if record {
        instructions::record(&counts)?;
    }
    let recorded = instructions::recorded()?;
    for (case, count) in &counts {
        let Some(before) = recorded.get(case) else {
            say(&format!(
                "{case}: {count} instructions per event; nothing is recorded for this machine"
            ));
            continue;
        };
        say(&format!("{case}: {count} instructions per event, recorded {before}"));
        ensure!(
            count * 100 <= before * (100 + MAX_GROWTH_PERCENT),
            "{case} takes over {MAX_GROWTH_PERCENT} % more instructions than recorded. Where that is worth it: \
             cargo run --release -p bench -- record"
        );
    }
    let both: Vec<_> = contestants::all()
        .into_iter()
        .filter(|one| one.job == Job::Source && (one.is_ours || one.name == "Go"))
        .collect();
    let measured = measure::case(&cases::source(10_000, 1, 1), &both)?;
    let cpu =
        |ours: bool| measured.iter().find(|one| one.is_ours == ours).map(|one| one.cpu_ms.median);
    let (ours, go) = (
        cpu(true).context("no source")?,
        cpu(false).context("Go was not measured: run bench/tools")?,
    );
    say(&format!("10,000 records: {ours:.1} ms of CPU, Go {go:.1} ms: {:.1} times", go / ours));
    ensure!(
        go / ours >= MIN_RATIO_TO_GO,
        "the source is less than {MIN_RATIO_TO_GO} times as fast as Go"
    );
    Ok(())
}
