//! CPU time and memory of a process, from /proc.

use std::fs;

use anyhow::{Context as _, Result};

/// CPU time of all threads so far, in nanoseconds. `stat` has only hundredths of a second. A thread that ended is no
/// longer counted; the contestants keep theirs.
pub(crate) fn cpu_ns(pid: u32) -> Result<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
        // A thread may end while the others are read.
        let Ok(text) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
        let time = text.split_whitespace().next().context("schedstat is empty")?;
        sum += time.parse::<u64>()?;
    }
    Ok(sum)
}

/// The most memory that the process has had, in bytes.
pub(crate) fn high_water(pid: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024)
}
