//! Output of the commands: results on standard output, everything else on standard error. Colours are for
//! terminals only; `NO_COLOR` switches them off there too.

use std::io::{IsTerminal as _, Write as _};

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

/// How far long work is, on a line of its own that ends with it. Only at a terminal.
#[derive(Debug)]
pub struct Progress {
    what: String,
    number: usize,
    shown: bool,
}

/// Steps from one display to the next.
const STEPS: usize = 100;

impl Progress {
    /// Nothing is done yet.
    pub fn new(what: String) -> Self {
        Self { what, number: 0, shown: false }
    }

    /// One more is done.
    pub fn step(&mut self) {
        self.number += 1;
        let mut err = std::io::stderr().lock();
        if self.number.is_multiple_of(STEPS) && err.is_terminal() {
            self.shown = true;
            write!(err, "\r{} {}", self.what, self.number).and_then(|()| err.flush()).ok();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            // Removes the line.
            write!(std::io::stderr().lock(), "\r\x1b[K").ok();
        }
    }
}
