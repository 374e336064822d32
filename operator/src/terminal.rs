//! Output of the commands: results on standard output, everything else on standard error.

use std::io::{IsTerminal as _, Write as _};

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

/// A colour for the person at the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Something is wrong.
    Red,
    /// Something waits.
    Yellow,
    /// Something is done.
    Green,
}

/// Text in a colour, where standard output is a terminal that wants colours (<https://no-color.org>).
pub fn paint(text: &str, colour: Colour) -> String {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if plain || !std::io::stdout().is_terminal() {
        return text.to_owned();
    }
    let code = match colour {
        Colour::Red => 31,
        Colour::Yellow => 33,
        Colour::Green => 32,
    };
    format!("\x1b[{code}m{text}\x1b[0m")
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
