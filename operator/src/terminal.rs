//! Output of the commands: results on standard output, everything else on standard error. Colours are for
//! terminals only; `NO_COLOR` switches them off there too.

use std::io::Write as _;

use anstyle::{AnsiColor, Style};

/// A line for the person at the terminal.
pub fn say(line: &str) {
    // There is no other place to report a failure to.
    writeln!(anstream::stderr().lock(), "{line}").ok();
}

/// A line of a command's result, which programs may read.
pub fn print(line: &str) {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).ok();
}

/// Something that is as it should be.
pub fn good(text: &str) -> String {
    styled(AnsiColor::Green.on_default(), text)
}

/// Something that is not.
pub fn bad(text: &str) -> String {
    styled(AnsiColor::Red.on_default(), text)
}

/// Something to look at.
pub fn warning(text: &str) -> String {
    styled(AnsiColor::Yellow.on_default(), text)
}

/// A title.
pub fn title(text: &str) -> String {
    styled(Style::new().bold(), text)
}

/// The codes are left out again where they are not printed on a terminal.
fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}
