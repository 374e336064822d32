//! Output of the commands: results on standard output, everything else on standard error.

use std::io::Write as _;

/// A line for the person at the terminal.
pub fn say(line: &str) {
    // There is no other place to report a failure to.
    writeln!(std::io::stderr().lock(), "{line}").ok();
}

/// A line of a command's result, which programs may read.
pub fn print(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).ok();
}
