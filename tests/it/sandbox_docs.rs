//! Every command in `docs/SANDBOX.md` is run as it stands there, and prints what the page says.

use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::Method;

use crate::sandbox::{Sandbox, root};

/// Where the page says that the sandbox is.
const ADDRESS: &str = "http://127.0.0.1:8787";

/// How the page runs the command.
const CARGO_RUN: &str = "cargo run";

/// What stands before the output that the page promises.
const PROMISE: &str = "# → ";

/// Blocks of commands that are not run, and why. A block of another language than `sh` must be one of these.
const NOT_RUN: [(&str, &str); 1] =
    [("cargo run --features kafka", "needs a broker: ci/kafka runs it")];

/// Commands, and what their output holds.
struct Step {
    commands: String,
    promise: Option<String>,
}

/// The steps of a block: each ends with a promise, or with the block.
fn steps(block: &str) -> Vec<Step> {
    let (mut steps, mut commands) = (Vec::new(), String::new());
    for line in block.lines() {
        if let Some(promise) = line.strip_prefix(PROMISE) {
            let commands = std::mem::take(&mut commands);
            steps.push(Step { commands, promise: Some(promise.to_owned()) });
        } else {
            commands.push_str(line);
            commands.push('\n');
        }
    }
    if !commands.trim().is_empty() {
        steps.push(Step { commands, promise: None });
    }
    steps
}

/// The page's blocks, with their languages.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut parts = page.split("```");
    parts.next();
    let mut blocks = Vec::new();
    while let Some(block) = parts.next() {
        let (language, text) = block.split_once('\n').unwrap();
        blocks.push((language.to_owned(), text.to_owned()));
        parts.next();
    }
    blocks
}

/// A shell in a directory of its own, with a sandbox to talk to.
struct Reader {
    directory: PathBuf,
    sandbox: Option<Sandbox>,
}

impl Reader {
    fn new() -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sandbox-docs");
        std::fs::create_dir_all(&directory).unwrap();
        Self { directory, sandbox: None }
    }

    /// Starts a sandbox as the line says; its flags are split as a shell would split these.
    fn start(&mut self, line: &str) {
        let words = line.trim_start_matches(CARGO_RUN).split_whitespace();
        let flags: Vec<String> = words
            .filter(|word| !["--", "serve"].contains(word))
            .map(|word| word.trim_matches('\''))
            .map(|word| {
                let file = self.directory.join(word);
                if file.is_file() { file.to_str().unwrap().to_owned() } else { word.to_owned() }
            })
            .collect();
        // The one before ends first.
        self.sandbox = None;
        self.sandbox = Some(Sandbox::with(&flags.iter().map(String::as_str).collect::<Vec<_>>()));
    }

    fn run(&self, commands: &str) -> String {
        let url = &self.sandbox.as_ref().expect("the page starts a sandbox first").url;
        let binary = env!("CARGO_BIN_EXE_segment-pushwoosh");
        let commands = commands.replace(ADDRESS, url);
        let commands = ["connect", "doctor"].iter().fold(commands, |commands, name| {
            let ours = format!("{binary} {name} --sandbox {url}");
            commands.replace(&format!("{CARGO_RUN} -- {name}"), &ours)
        });
        let mut shell = Command::new("sh");
        let output = shell.args(["-ec", &commands]).current_dir(&self.directory).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{commands}\n{}", text(&output.stderr));
        text(&output.stdout).replace(url, ADDRESS)
    }
}

/// A command that only looks can be run again until what it waits for is there.
fn only_looks(commands: &str) -> bool {
    let changes = [" -d ", " -X ", "connect", "<<"];
    !changes.iter().any(|change| commands.contains(change))
}

#[tokio::test]
async fn every_command_on_the_page_prints_what_the_page_says() {
    let page = std::fs::read_to_string(root().join("docs/SANDBOX.md")).unwrap();
    let mut reader = Reader::new();
    let (mut ran, mut not_run) = (0, 0);
    for (language, block) in blocks(&page) {
        if NOT_RUN.iter().any(|(begins, _)| block.starts_with(begins)) {
            not_run += 1;
            continue;
        }
        assert_eq!(language, "sh", "this block is neither run nor excused: {block}");
        for step in steps(&block) {
            let serves = step.commands.lines().find(|line| {
                *line == CARGO_RUN || line.starts_with(&format!("{CARGO_RUN} -- serve"))
            });
            if let Some(line) = serves {
                let before = step.commands.replace(line, "");
                if !before.trim().is_empty() {
                    let mut shell = Command::new("sh");
                    shell.args(["-ec", &before]).current_dir(&reader.directory);
                    assert!(shell.status().unwrap().success(), "{before}");
                }
                reader.start(line);
                ran += 1;
                continue;
            }
            let Step { commands, promise } = step;
            let printed = reader.run(&commands);
            ran += 1;
            let Some(promise) = promise else { continue };
            if only_looks(&commands) && !printed.contains(&promise) {
                let sandbox = reader.sandbox.as_ref().unwrap();
                let what = format!("{commands} prints {promise}");
                sandbox
                    .until(&what, async |_| reader.run(&commands).contains(&promise).then_some(()))
                    .await;
            } else {
                assert!(printed.contains(&promise), "{commands}\n{printed}\n{promise}");
            }
        }
    }
    assert_eq!(not_run, NOT_RUN.len(), "what is excused is on the page");
    assert!(ran > 20, "{ran}");
}

/// What a fault may have is what its refusal lists.
#[tokio::test]
async fn every_field_of_a_fault_is_on_the_page() {
    let page = std::fs::read_to_string(root().join("docs/SANDBOX.md")).unwrap();
    let sandbox = Sandbox::start();
    let route = "/_sandbox/upstream/pushwoosh/faults";
    let answer = sandbox.send(Method::PUT, route, r#"[{"colour":"red"}]"#).await;
    let (_, fields) = answer.body.split_once("expected one of").unwrap();
    let fields: Vec<&str> = fields.split('`').skip(1).step_by(2).collect();
    assert!(fields.len() > 10, "{answer:?}");
    for field in fields {
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        let is_named = rows
            .filter_map(|row| row.split('|').nth(1))
            .any(|names| names.contains(&format!("`{field}`")));
        assert!(is_named, "{field} is in no table of the page");
    }
}
