//! Shows what an event, a body or a record would do, field by field. Nothing is sent.
//!
//! # Layout
//! * `input`: what a text is, and the items in it; `http_request`: a request as text.
//! * `mapping_source`: whose mappings are used.
//! * `mapping_file`: what `--mapping` names, and the presets to start from.
//! * `human`: an explanation as text.

mod http_request;
mod human;
mod input;
pub(crate) mod mapping_file;
mod mapping_source;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use mapping::explain::{Explanation, Note};
use mapping::tracking_log::OptionalProperty;
use mapping::{ItemKind, Rules};
use platform::Application;
use platform::clock::Clock;
use serde::Serialize;
use serde_json::Value;

use self::human::human;
use self::input::Input;
use self::mapping_source::MappingSource;
use crate::bad_input::BadInput;
use crate::target::code;
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
  segment-pushwoosh explain event.json --stack segment-pushwoosh --app XXXXX-XXXXX      # with the application's own mappings

It ends with 0 if it knows the input, also where nothing would be sent; with 2 if it does not; with 1 if a file or the
application's mappings cannot be read.")]
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
    /// Use the mappings that the application has in this deployed stack; credentials and region are found as every AWS
    /// tool finds them
    #[arg(long, value_name = "NAME", conflicts_with_all = ["sandbox", "mapping", "presets"])]
    stack: Option<String>,
    /// Use the mappings that the application has in this running sandbox
    #[arg(long, value_name = "URL", conflicts_with_all = ["mapping", "presets"])]
    sandbox: Option<String>,
    /// One line of JSON per item, or one of the input where it has none
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
pub async fn explain(flags: Explain) -> Result<()> {
    let Some(file) = &flags.file else {
        print(&mapping_file::presets(flags.json)?);
        return Ok(());
    };
    let code = flags.app.as_deref().map(code).transpose()?;
    let text = read_input(file)?;
    let input = input::read(&text, flags.kind).map_err(|BadInput(line)| {
        let file =
            if file.as_os_str() == "-" { "standard input".into() } else { file.to_string_lossy() };
        BadInput(format!("{file}: {line}"))
    })?;
    let mapping = flags.mapping.as_deref().map(mapping_file::read).transpose()?;
    let track_properties = flags.track_properties.read()?.unwrap_or_default();
    let source = MappingSource::find(&flags, &input, code.as_deref()).await?;
    let question = Question {
        kind: flags.kind,
        code: code.as_deref(),
        settings: &|code| source.settings(code),
        mapping: mapping.as_ref(),
        track_properties: &track_properties,
        stack: &flags.stack_name,
        has_tag: None,
    };
    let explained = all(input, &question)?;
    say(&format!("taken for {}", explained.input.text));
    let is_mapped =
        explained.explained.iter().any(|item| item.explanation.input == ItemKind::RawEvent);
    if is_mapped {
        say(&source.line());
    } else if flags.mapping.is_some() {
        say(&format!(
            "{} --mapping has no effect: only raw Segment events are mapped",
            warning("warning:")
        ));
    }
    for problem in &explained.warnings {
        say(&format!("{} {problem}", warning("warning:")));
    }
    let form = explained.input.form;
    for item in &explained.explained {
        let mappings_of = (item.explanation.input == ItemKind::RawEvent)
            .then(|| source.name(&item.explanation.application));
        let line = || serde_json::to_string(&JsonLine { form, mappings_of, item });
        print(&if flags.json { line()? } else { human(item)? });
    }
    if flags.json && explained.explained.is_empty() {
        print(&serde_json::to_string(&explained.input)?);
    }
    Ok(())
}

/// A line of `--json`.
#[derive(Serialize)]
struct JsonLine<'a> {
    /// What the input was taken for.
    form: &'static str,
    /// Whose mappings were used: an application's code, `presets`, or `file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    mappings_of: Option<&'a str>,
    #[serde(flatten)]
    item: &'a ExplainedItem,
}

/// A file, or standard input for `-`. It is text in UTF-8, or in UTF-16 with its mark, as `>` of a Windows PowerShell writes it.
pub fn read_input(file: &Path) -> Result<String> {
    let (name, bytes) = if file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        let read = std::io::stdin().read_to_end(&mut bytes);
        read.context("standard input cannot be read")?;
        ("standard input".to_owned(), bytes)
    } else {
        let name = file.display().to_string();
        (name, std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?)
    };
    let text = decoded(bytes).ok_or_else(|| {
        BadInput(format!("{name} is binary, or text of another encoding than UTF-8: expected text"))
    })?;
    Ok(text)
}

fn decoded(bytes: Vec<u8>) -> Option<String> {
    let units = |unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().skip(1).map(|pair| unit(*pair)).collect();
        rest.is_empty().then(|| String::from_utf16(&units).ok()).flatten()
    };
    match bytes.get(..2) {
        Some([0xFF, 0xFE]) => units(u16::from_le_bytes),
        Some([0xFE, 0xFF]) => units(u16::from_be_bytes),
        _ => String::from_utf8(bytes).ok(),
    }
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
    mapping_file::usable(mapping).map(drop)
}

fn all(input: Input, question: &Question<'_>) -> Result<Explained, BadInput> {
    let Question { settings, mapping, track_properties, stack, .. } = *question;
    let read = mapping.map(mapping_file::usable).transpose()?;
    let now = Clock::system().wall();
    // An input may hold items of several applications.
    let mut known: BTreeMap<String, Option<Application>> = BTreeMap::new();
    for item in &input.items {
        let (own, of_all) = (item.application.as_deref(), input.application.as_deref());
        let code = code_of(question.code, own, of_all);
        known.entry(code.to_owned()).or_insert_with_key(|code| settings(code));
    }
    let Input { form, taken_for, application, items } = input;
    let explained = items.into_iter().map(|item| {
        let code = code_of(question.code, item.application.as_deref(), application.as_deref());
        let mut rules = match known.get(code) {
            Some(Some(application)) => application.rules(track_properties, now),
            _ => Rules { track_properties, now, ..Rules::of_presets(code) },
        };
        rules.stack = stack;
        if let Some(read) = &read {
            rules.subscriptions = &read.subscriptions;
        }
        let explanation = match item.content {
            Ok(value) => mapping::explain::explain(item.kind, &value, &rules),
            Err(refusal) => mapping::explain::refused(item.kind, refusal, &rules),
        };
        ExplainedItem { place: item.place, explanation }
    });
    let mut explained: Vec<ExplainedItem> = explained.collect();
    if let Some(has_tag) = question.has_tag {
        for item in &mut explained {
            note_unknown_tags(&mut item.explanation, has_tag);
        }
    }
    let mut warnings = read.map(|read| read.problems).unwrap_or_default();
    warnings.extend(mapping.map(mapping_file::misspelt).unwrap_or_default());
    let input = TakenFor { form, text: taken_for };
    Ok(Explained { input, explained, warnings })
}

/// The application that an item is taken to belong to: the one that was given, or the one that the input names.
fn code_of<'c>(given: Option<&'c str>, own: Option<&'c str>, of_all: Option<&'c str>) -> &'c str {
    given.or(own).or(of_all).unwrap_or(DEMO_APPLICATION)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_windows_shell_is_read_and_other_bytes_are_refused() {
        let mut little = vec![0xFF, 0xFE];
        let mut big = vec![0xFE, 0xFF];
        for unit in "{\"ä\":1}".encode_utf16() {
            little.extend(unit.to_le_bytes());
            big.extend(unit.to_be_bytes());
        }
        assert_eq!(decoded(little.clone()).as_deref(), Some("{\"ä\":1}"));
        assert_eq!(decoded(big).as_deref(), Some("{\"ä\":1}"));
        little.push(1);
        assert_eq!(decoded(little), None);
        assert_eq!(decoded(vec![0x1F, 0x8B, 0x08]), None);
        assert_eq!(decoded(b"{}".to_vec()).as_deref(), Some("{}"));
    }
}
