//! An explanation as text, for people.

use anyhow::Result;
use mapping::explain::{CallTrace, Dropped, MappingAttempt, UnknownField};
use segment_language::fql::Clause;

use super::ExplainedItem;
use crate::terminal::{bad, good, title, warning};

/// The lines for one item.
pub(super) fn human(item: &ExplainedItem) -> Result<String> {
    let explanation = &item.explanation;
    let place = item.place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
    let name = format!("{} of {}", explanation.input.name(), explanation.application);
    let mut lines = vec![format!("{}{place}", title(&name))];
    for attempt in &explanation.mappings {
        attempted(attempt, &mut lines);
    }
    for call in &explanation.calls {
        called(call, &mut lines)?;
    }
    if explanation.calls.is_empty() {
        lines.push(format!("  {}", warning("nothing is sent")));
    }
    // Reasons of a single mapping are shown with that mapping.
    let shown = |dropped: &Dropped| {
        let mut of_mappings = explanation.mappings.iter();
        of_mappings.any(|attempt| attempt.dropped.as_ref() == Some(dropped))
    };
    for dropped in explanation.drops.iter().filter(|dropped| !shown(dropped)) {
        drop_reason(dropped, &mut lines);
    }
    for (what, parts) in [
        ("decides whether it is sent", &explanation.decisive),
        ("went nowhere", &explanation.unused),
    ] {
        if !parts.is_empty() {
            lines.push(format!("  {what}: {}", parts.join(", ")));
        }
    }
    lines.extend(explanation.unknown.iter().map(|unknown| format!("  {}", unknown_field(unknown))));
    for note in &explanation.notes {
        let field = note.field.as_ref().map(|field| format!("{field}: ")).unwrap_or_default();
        lines.push(format!("  {} {field}{}", warning("note:"), note.message));
    }
    Ok(lines.join("\n"))
}

fn unknown_field(unknown: &UnknownField) -> String {
    let field = format!("{} {}", warning("unknown field"), unknown.field);
    match &unknown.nearest {
        Some(nearest) => format!("{field}: is {nearest} meant?"),
        None => field,
    }
}

fn attempted(attempt: &MappingAttempt, lines: &mut Vec<String>) {
    let trigger = if attempt.trigger.is_empty() { "every event" } else { &attempt.trigger };
    let selected = if attempt.selected { good("selected") } else { bad("not selected") };
    lines.push(format!(
        "  mapping \"{}\" ({}), {trigger}: {selected}",
        attempt.name, attempt.action
    ));
    if let Some(conditions) = &attempt.conditions {
        clause(conditions, 4, lines);
    }
    let width = attempt.fields.iter().map(|field| field.field.len()).max();
    for field in &attempt.fields {
        let value = match (&field.value, &field.error) {
            (_, Some(error)) => bad(&format!("fails: {error}")),
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
    for unknown in &attempt.unknown {
        lines.push(format!("    {}", unknown_field(unknown)));
    }
    if let Some(dropped) = &attempt.dropped {
        drop_reason(dropped, lines);
    }
}

/// A part of a trigger, and its own parts below it.
fn clause(part: &Clause, indent: usize, lines: &mut Vec<String>) {
    let holds = match part.holds {
        Some(true) => good("true "),
        Some(false) => bad("false"),
        None => bad("fails"),
    };
    let found = match (&part.found, part.parts.is_empty()) {
        (Some(found), _) => format!("  (it is {found})"),
        (None, true) => "  (it is not there)".to_owned(),
        (None, false) => String::new(),
    };
    // What holds needs no more words.
    let found = if part.holds == Some(true) { String::new() } else { found };
    lines.push(format!("{:indent$}{holds} {}{found}", "", part.clause));
    for part in &part.parts {
        clause(part, indent + 2, lines);
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
        bad(dropped.outcome),
        dropped.reason,
        dropped.message,
        dropped.remedy
    ));
}
