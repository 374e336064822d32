//! Shows what an event, a body or a record would do, field by field. Nothing is sent.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use mapping::explain::{CallTrace, Dropped, Explanation, MappingAttempt};
use mapping::tracking_log::OptionalProperty;
use mapping::{ItemKind, Rules};
use platform::Application;
use platform::clock::Clock;
use segment_language::subscription;
use serde::Serialize;
use serde_json::Value;

use crate::terminal::{print, say};
use crate::track_properties::TrackProperties;

/// The application that inputs are taken to belong to where none is named: the sandbox's demo.
pub const DEMO_APPLICATION: &str = "DEMO0-00001";

/// Flags of `explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// JSON: a Segment event, a body of the destination, or a record of the tracking log; a list or
    /// lines of them; `-` reads from standard input
    file: PathBuf,
    /// JSON file with the mappings for raw Segment events, in place of the presets
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// Take it for this, rather than for what it looks like
    #[arg(long = "as", value_name = "KIND", value_parser = kind)]
    kind: Option<ItemKind>,
    /// Application code
    #[arg(long, value_name = "CODE", default_value = DEMO_APPLICATION)]
    app: String,
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

/// Explains a file.
pub fn explain(flags: &Explain) -> Result<()> {
    let file = flags.file.display();
    let text = read_input(&flags.file)?;
    let items = items(&text).with_context(|| file.to_string())?;
    let mapping = flags
        .mapping
        .as_ref()
        .map(|file| {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("--mapping {} cannot be read", file.display()))?;
            serde_json::from_str::<Value>(&text)
                .with_context(|| format!("--mapping {} is not JSON", file.display()))
        })
        .transpose()?;
    let Explained { explained, warnings } = all(
        &items,
        &Question {
            kind: flags.kind,
            code: &flags.app,
            application: None,
            mapping: mapping.as_ref(),
            track_properties: &flags.track_properties.read()?.unwrap_or_default(),
            stack: &flags.stack_name,
        },
    )?;
    for warning in warnings {
        say(&format!("warning: {warning}"));
    }
    for explanation in explained {
        if flags.json {
            print(&serde_json::to_string(&explanation)?);
        } else {
            print(&human(&explanation)?);
        }
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

/// The items of a text: JSON, or a line of JSON each.
pub fn items(text: &str) -> Result<Vec<Value>> {
    let whole = match mapping::json::read::<Value>(text.as_bytes()) {
        Ok(value) => return Ok(mapping::explain::items(value)),
        Err(error) => error,
    };
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let is_json = |line: &&str| mapping::json::read::<Value>(line.as_bytes()).is_ok();
    if lines.len() < 2 || !lines.first().is_some_and(is_json) {
        return Err(whole).context("it is not JSON");
    }
    let mut items = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let value = mapping::json::read(line.as_bytes())
            .with_context(|| format!("line {} is not JSON", number + 1))?;
        items.extend(mapping::explain::items(value));
    }
    Ok(items)
}

/// Explanations, and problems of the mappings that they were made with.
#[derive(Debug, Serialize)]
pub struct Explained {
    /// One for each item, in their order.
    pub explained: Vec<Explanation>,
    /// What is wrong with the mappings.
    pub warnings: Vec<String>,
}

/// With what items are explained.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// What they are; without it, what they look like.
    pub kind: Option<ItemKind>,
    /// Code of their application.
    pub code: &'a str,
    /// Its settings, where they are known.
    pub application: Option<&'a Application>,
    /// Mappings in place of the application's.
    pub mapping: Option<&'a Value>,
    /// Properties of Track calls beyond the usual ones.
    pub track_properties: &'a [OptionalProperty],
    /// Name of the stack that sends the Track calls.
    pub stack: &'a str,
}

/// Explains items.
pub fn all(items: &[Value], question: &Question<'_>) -> Result<Explained> {
    let Question { kind, code, application, mapping, track_properties, stack } = *question;
    let read = mapping.map(subscription::read_any);
    let now = Clock::system().wall();
    let mut rules = match application {
        Some(application) => application.rules(track_properties, now),
        None => Rules { track_properties, now, ..Rules::of_presets(code) },
    };
    rules.stack = stack;
    if let Some(read) = &read {
        if read.subscriptions.is_empty() {
            bail!("no mapping can be used: {}", read.problems.join("; "));
        }
        rules.subscriptions = &read.subscriptions;
    }
    let explained = items.iter().map(|item| {
        let kind = kind.unwrap_or_else(|| ItemKind::recognise(item));
        mapping::explain::explain(kind, item, &rules)
    });
    Ok(Explained {
        explained: explained.collect(),
        warnings: read.map(|read| read.problems).unwrap_or_default(),
    })
}

/// For people.
fn human(explanation: &Explanation) -> Result<String> {
    let mut lines = vec![format!("{} of {}", explanation.input.name(), explanation.application)];
    for attempt in &explanation.mappings {
        attempted(attempt, &mut lines);
    }
    for call in &explanation.calls {
        called(call, &mut lines)?;
    }
    if explanation.calls.is_empty() {
        lines.push("  nothing is sent".to_owned());
    }
    // Reasons of a single mapping are shown with that mapping.
    let shown = |dropped: &Dropped| {
        let mut of_mappings = explanation.mappings.iter();
        of_mappings.any(|attempt| attempt.dropped.as_ref() == Some(dropped))
    };
    for dropped in explanation.drops.iter().filter(|dropped| !shown(dropped)) {
        drop_reason(dropped, &mut lines);
    }
    for (title, parts) in [
        ("decides whether it is sent", &explanation.decisive),
        ("went nowhere", &explanation.unused),
    ] {
        if !parts.is_empty() {
            lines.push(format!("  {title}: {}", parts.join(", ")));
        }
    }
    Ok(lines.join("\n"))
}

fn attempted(attempt: &MappingAttempt, lines: &mut Vec<String>) {
    let trigger = if attempt.trigger.is_empty() { "every event" } else { &attempt.trigger };
    let selected = if attempt.selected { "selected" } else { "not selected" };
    lines.push(format!(
        "  mapping \"{}\" ({}), {trigger}: {selected}",
        attempt.name, attempt.action
    ));
    let width = attempt.fields.iter().map(|field| field.field.len()).max();
    for field in &attempt.fields {
        let value = match (&field.value, &field.error) {
            (_, Some(error)) => format!("fails: {error}"),
            (Some(value), None) => value.to_string(),
            (None, None) => "absent".to_owned(),
        };
        let mut from = field.inputs.clone();
        from.extend(field.missing.iter().map(|path| format!("{path} (not there)")));
        lines.push(format!(
            "    {:width$}  {value}  ← {} {}",
            field.field,
            field.directive,
            from.join(", "),
            width = width.unwrap_or_default()
        ));
    }
    if let Some(dropped) = &attempt.dropped {
        drop_reason(dropped, lines);
    }
}

fn called(call: &CallTrace, lines: &mut Vec<String>) -> Result<()> {
    lines.push(format!("  call {}: POST {}", call.stage + 1, call.path));
    let body = serde_json::to_string_pretty(&call.body)?;
    lines.extend(body.lines().map(|line| format!("    {line}")));
    for field in &call.fields {
        lines.push(format!("    {} ← {}", field.field, field.inputs.join(", ")));
    }
    Ok(())
}

fn drop_reason(dropped: &Dropped, lines: &mut Vec<String>) {
    lines.push(format!(
        "  {}: {} ({}). {}",
        dropped.outcome, dropped.reason, dropped.message, dropped.remedy
    ));
}
