//! Who is measured, and how they are started.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where `bench/tools` installs what the peers need.
pub(crate) const TOOLS: &str = "target/bench";

/// What a contestant does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    Source,
    Destination,
    /// Nothing: for start-up.
    Empty,
    /// Receives, decodes and sends.
    Floor,
}

/// A program that is measured.
#[derive(Debug, Clone)]
pub(crate) struct Contestant {
    pub(crate) name: String,
    pub(crate) job: Job,
    program: PathBuf,
    arguments: Vec<String>,
    /// Whether it is ours, whose other contestants are compared with.
    pub(crate) is_ours: bool,
}

impl Contestant {
    fn new(name: &str, job: Job, program: &str, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|one| (*one).to_owned()).collect();
        Self { name: name.to_owned(), job, program: program.into(), arguments, is_ours: false }
    }

    fn ours(name: &str, job: Job, function: &str) -> Self {
        let file = format!("target/lambda/{function}/bootstrap");
        Self { is_ours: true, ..Self::new(name, job, &file, &[]) }
    }

    /// Another build of the source, to compare ours with.
    pub(crate) fn also(name: &str, file: &str) -> Self {
        Self::new(name, Job::Source, file, &[])
    }

    /// The command that starts it.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        command.env("BENCH_MODULES", absolute(&format!("{TOOLS}/node")));
        command
    }

    /// Why it cannot be measured here.
    pub(crate) fn missing(&self) -> Option<String> {
        let on_path = || {
            let paths = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&paths).any(|path| path.join(&self.program).is_file())
        };
        let is_there =
            if self.program.components().count() > 1 { self.program.is_file() } else { on_path() };
        (!is_there).then(|| format!("{} is not installed", self.program.display()))
    }
}

fn absolute(path: &str) -> PathBuf {
    std::path::absolute(Path::new(path)).unwrap_or_default()
}

/// All of them, ours first.
pub(crate) fn all() -> Vec<Contestant> {
    use Job::{Destination, Empty, Floor, Source};
    let bun = format!("{TOOLS}/node/node_modules/@oven/bun-linux-{}/bin/bun", bun_architecture());
    let python = format!("{TOOLS}/venv/bin/python");
    let new = Contestant::new;
    vec![
        Contestant::ours("source", Source, "source"),
        new("floor", Floor, "target/lambda/floor/bootstrap", &[]),
        new("Go", Source, &format!("{TOOLS}/go/bootstrap"), &[]),
        new("Node", Source, "node", &["bench/peers/node/source.mjs"]),
        new("Node, Segment's library", Source, "node", &["bench/peers/node/source-sdk.mjs"]),
        new("Bun", Source, &bun, &["bench/peers/node/source.mjs"]),
        new("LLRT", Source, "llrt", &["bench/peers/node/source.mjs"]),
        new("Python", Source, &python, &["bench/peers/python/source.py"]),
        new(
            "Python, Segment's library and Powertools",
            Source,
            &python,
            &["bench/peers/python/source_sdk.py"],
        ),
        Contestant::ours("destination", Destination, "destination"),
        new("Node", Destination, "node", &["bench/peers/node/destination.mjs"]),
        new("Bun", Destination, &bun, &["bench/peers/node/destination.mjs"]),
        new("Python", Destination, &python, &["bench/peers/python/destination.py"]),
        new("empty Rust function", Empty, "target/lambda/empty/bootstrap", &[]),
    ]
}

fn bun_architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "aarch64" } else { "x64" }
}
