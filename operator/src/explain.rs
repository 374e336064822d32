//! Shows what an event, a body or a record would do, field by field. Nothing is sent.
//!
//! # Layout
//! * `input`: what a text is, and the items in it; `http_request`: a request as text.
//! * `mapping_file`: what `--mapping` names, and the presets to start from.
//! * `human`: an explanation as text.

mod http_request;
mod human;
mod input;
mod mapping_file;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use mapping::explain::{Explanation, Note};
use mapping::tracking_log::OptionalProperty;
use mapping::{ItemKind, Rules};
use platform::Application;
use platform::clock::Clock;
use segment_language::subscription::{self, SubscriptionList};
use serde::Serialize;
use serde_json::Value;

use self::human::human;
use self::input::Input;
use crate::bad_input::BadInput;
use crate::terminal::{print, say, warning};
use crate::track_properties::TrackProperties;

/// The application that inputs are taken to belong to where none is named: the sandbox's demo.
pub const DEMO_APPLICATION: &str = "DEMO0-00001";

/// Flags of `explain`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  segment-pushwoosh explain event.json
  segment-pushwoosh explain --presets > mappings.json
  segment-pushwoosh explain event.json --mapping mappings.json --json

It ends with 0 if it knows the input, also where nothing would be sent; with 2 if it does not; with 1 if a file cannot be read.")]
pub struct Explain {
    /// A Segment event, a body of the destination, a record of the tracking log, a list or lines of them; a
    /// request as text; an event of API Gateway, MSK or SQS; a message of a queue. `-` reads from standard input
    #[arg(required_unless_present = "presets")]
    file: Option<PathBuf>,
    /// JSON file with the mappings for raw Segment events, in place of the presets
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// Print the presets as a mapping to start from
    #[arg(long, conflicts_with_all = ["file", "mapping", "kind"])]
    presets: bool,
    /// Take it for this, rather than for what it looks like
    #[arg(long = "as", value_name = "KIND", value_parser = kind)]
    kind: Option<ItemKind>,
    /// Application code [default: the one that the input names, or DEMO0-00001]
    #[arg(long, value_name = "CODE")]
    app: Option<String>,
    /// One line of JSON per item
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    track_properties: TrackProperties,
    /// Name of the stack, which the `messageId` of Track calls depends on
    #[arg(long, value_name = "NAME", env = "PWSEG_STACK_NAME", default_value = "")]
    stack_name: String,
}

fn kind(name: &str) -> Result<ItemKind> {
    let names = ItemKind::ALL.map(ItemKind::name).join(", ");
    ItemKind::ALL
        .into_iter()
        .find(|kind| kind.name() == name)
        .with_context(|| format!("one of {names} is expected"))
}

/// Explains a file, or prints the presets.
pub fn explain(flags: &Explain) -> Result<()> {
    let Some(file) = &flags.file else {
        print(&mapping_file::presets(flags.json)?);
        return Ok(());
    };
    let text = read_input(file)?;
    let mapping = flags.mapping.as_deref().map(mapping_file::read).transpose()?;
    let question = Question {
        kind: flags.kind,
        code: flags.app.as_deref(),
        settings: &|_| None,
        mapping: mapping.as_ref(),
        track_properties: &flags.track_properties.read()?.unwrap_or_default(),
        stack: &flags.stack_name,
        has_tag: None,
    };
    let explained = of_text(&text, &question).map_err(|BadInput(line)| {
        let file =
            if file.as_os_str() == "-" { "standard input".into() } else { file.to_string_lossy() };
        BadInput(format!("{file}: {line}"))
    })?;
    say(&format!("taken for {}", explained.input.text));
    for problem in &explained.warnings {
        say(&format!("{} {problem}", warning("warning:")));
    }
    for item in &explained.explained {
        print(&if flags.json { serde_json::to_string(item)? } else { human(item)? });
    }
    Ok(())
}

/// A file, or standard input for `-`.
pub fn read_input(file: &Path) -> Result<String> {
    if file.as_os_str() == "-" {
        return std::io::read_to_string(std::io::stdin()).context("standard input cannot be read");
    }
    std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
}

/// An input, explained.
#[derive(Debug, Serialize)]
pub struct Explained {
    /// What it was taken for.
    pub input: TakenFor,
    /// One for each item, in their order.
    pub explained: Vec<ExplainedItem>,
    /// What is wrong with the mappings.
    pub warnings: Vec<String>,
}

/// What an input was taken for.
#[derive(Debug, Serialize)]
pub struct TakenFor {
    /// Stable code.
    pub form: &'static str,
    /// The same, for people.
    pub text: String,
}

/// An item of an input, explained.
#[derive(Debug, Serialize)]
pub struct ExplainedItem {
    /// Its place in the input, where that has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The explanation.
    #[serde(flatten)]
    pub explanation: Explanation,
}

/// Says whether an application has a tag in Pushwoosh.
pub type HasTag<'a> = dyn Fn(&str, &str) -> bool + 'a;

/// With what items are explained.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// What they are; without it, what they look like.
    pub kind: Option<ItemKind>,
    /// Code of their application; without it, the one that the input names.
    pub code: Option<&'a str>,
    /// The settings of an application, where they are known.
    pub settings: &'a dyn Fn(&str) -> Option<Application>,
    /// Mappings in place of the application's.
    pub mapping: Option<&'a Value>,
    /// Properties of Track calls beyond the usual ones.
    pub track_properties: &'a [OptionalProperty],
    /// Name of the stack that sends the Track calls.
    pub stack: &'a str,
    /// Whether an application has a tag in Pushwoosh, where that is known.
    pub has_tag: Option<&'a HasTag<'a>>,
}

impl std::fmt::Debug for Question<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Question")
            .field("kind", &self.kind)
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

/// Explains a text.
pub fn of_text(text: &str, question: &Question<'_>) -> Result<Explained, BadInput> {
    all(input::read(text, question.kind)?, question)
}

/// Explains JSON.
pub fn of_json(value: Value, question: &Question<'_>) -> Result<Explained, BadInput> {
    all(input::of_json(value, question.kind)?, question)
}

/// Whether something of a mapping can be used.
pub fn check_mapping(mapping: &Value) -> Result<(), BadInput> {
    usable(mapping).map(drop)
}

fn usable(mapping: &Value) -> Result<SubscriptionList, BadInput> {
    let read = subscription::read_any(mapping);
    if read.subscriptions.is_empty() {
        let problems = read.problems.join("; ");
        return Err(BadInput(format!("no mapping can be used: {problems}")));
    }
    Ok(read)
}

fn all(input: Input, question: &Question<'_>) -> Result<Explained, BadInput> {
    let Question { code, settings, mapping, track_properties, stack, .. } = *question;
    let read = mapping.map(usable).transpose()?;
    let code = code.or(input.application.as_deref()).unwrap_or(DEMO_APPLICATION);
    let application = settings(code);
    let now = Clock::system().wall();
    let mut rules = match &application {
        Some(application) => application.rules(track_properties, now),
        None => Rules { track_properties, now, ..Rules::of_presets(code) },
    };
    rules.stack = stack;
    if let Some(read) = &read {
        rules.subscriptions = &read.subscriptions;
    }
    let explained = input.items.into_iter().map(|item| ExplainedItem {
        place: item.place,
        explanation: match item.content {
            Ok(value) => mapping::explain::explain(item.kind, &value, &rules),
            Err(refusal) => mapping::explain::refused(item.kind, refusal, &rules),
        },
    });
    let mut explained: Vec<ExplainedItem> = explained.collect();
    if let Some(has_tag) = question.has_tag {
        for item in &mut explained {
            note_unknown_tags(&mut item.explanation, has_tag);
        }
    }
    let mut warnings = read.map(|read| read.problems).unwrap_or_default();
    warnings.extend(mapping.map(mapping_file::misspelt).unwrap_or_default());
    let input = TakenFor { form: input.form, text: input.taken_for };
    Ok(Explained { input, explained, warnings })
}

/// Notes the tags that Pushwoosh would skip.
fn note_unknown_tags(explanation: &mut Explanation, has_tag: &HasTag<'_>) {
    let tags =
        explanation.calls.iter().filter_map(|call| call.body.pointer("/request/tags")?.as_object());
    let unknown = tags.flatten().filter(|(tag, _)| !has_tag(&explanation.application, tag));
    let notes: Vec<Note> = unknown
        .map(|(tag, _)| Note {
            code: "unknown_tag",
            field: Some(tag.clone()),
            message: "Pushwoosh has no such tag, and skips it: create it there, with the type of its values".to_owned(),
        })
        .collect();
    explanation.notes.extend(notes);
}
