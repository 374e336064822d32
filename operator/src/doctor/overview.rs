//! What is not delivered now, of all applications: what waits, failed, was rejected or refused in the last hour, from the
//! log. The queues do not show what is delayed or in flight; the log has a line for it.

use std::collections::BTreeMap;

use anyhow::Result;
use mapping::remedy;
use serde::Serialize;
use serde_json::Value;

use super::finding::Places;
use super::logged::{item_of, newest, remedy_of_reason, text};
use crate::terminal::{bad, good, title, warning};

/// Rows that are shown to people.
const MAX_ROWS: usize = 40;

/// Outcomes of what is not delivered, and is not meant to be left out.
const OUTCOMES: [&str; 4] = ["parked", "failed", "rejected", "refused"];

/// Items of an application that are undelivered for the same cause, with the same words.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    application: String,
    outcome: String,
    /// The cause or the reason.
    why: String,
    /// What the upstream said last, or what is wrong.
    words: String,
    items: usize,
    remedy: String,
}

/// The rows, those with most items first.
pub(super) fn rows(lines: &[Value]) -> Vec<Row> {
    let mut groups: BTreeMap<[&str; 4], Places> = BTreeMap::new();
    for line in newest(lines) {
        let part = |name: &str| text(line, name).unwrap_or_default();
        let outcome = part("outcome");
        if !OUTCOMES.contains(&outcome) {
            continue;
        }
        let why = text(line, "reason").or_else(|| text(line, "cause")).unwrap_or_default();
        let words = text(line, "words").or_else(|| text(line, "detail")).unwrap_or_default();
        let key = [part("app.code"), outcome, why, words];
        groups.entry(key).or_default().add(item_of(line));
    }
    let rows = groups.into_iter().map(|([application, outcome, why, words], places)| {
        let remedy = match outcome {
            "parked" | "failed" => remedy::of_cause(why).to_owned(),
            _ => remedy_of_reason(why),
        };
        let [application, outcome, why, words] =
            [application, outcome, why, words].map(str::to_owned);
        Row { application, outcome, why, words, items: places.number, remedy }
    });
    let mut rows: Vec<Row> = rows.collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.items));
    rows
}

/// For people, or as JSON.
pub(super) fn shown(rows: &[Row], stack: &str, lines: usize, json: bool) -> Result<String> {
    if json {
        return Ok(serde_json::to_string(rows)?);
    }
    let mut text = vec![format!("{}: {lines} log lines of the last hour", title(stack))];
    for row in rows.iter().take(MAX_ROWS) {
        let Row { application, outcome, why, words, items, remedy } = row;
        let outcome = match outcome.as_str() {
            "parked" => warning("waits   "),
            other => bad(&format!("{other:<8}")),
        };
        let application = if application.is_empty() { "(no code)" } else { application };
        let words = if words.is_empty() { String::new() } else { format!(" \"{words}\"") };
        text.push(format!("{outcome} {application} {why} ×{items}{words}"));
        text.push(format!("           {remedy}"));
    }
    if let Some(more) = rows.len().checked_sub(MAX_ROWS).filter(|more| *more > 0) {
        text.push(format!("{more} more are in --json"));
    }
    text.push(if rows.is_empty() {
        format!(
            "{} the log of the last hour has nothing that waits or was refused",
            good("ok     ")
        )
    } else {
        format!("one application in detail: segment-pushwoosh doctor --stack {stack} --app CODE")
    });
    Ok(text.join("\n"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_waits_is_counted_by_application_cause_and_words() {
        let parked = |app: &str, origin: &str, words: &str| {
            json!({"message": "item", "app.code": app, "outcome": "parked", "cause": "http_503",
                "origin": origin, "words": words})
        };
        let lines = [
            parked("A", "r 0", "down"),
            parked("A", "r 1", "down"),
            parked("A", "r 1", "down"),
            parked("B", "r 0", "else"),
            json!({"message": "refused", "app.code": "C", "outcome": "refused", "reason": "wrong_key", "origin": "r"}),
            json!({"message": "item", "app.code": "C", "outcome": "disregarded", "reason": "duplicate", "origin": "s"}),
        ];
        let rows = rows(&lines);
        let found: Vec<_> = rows
            .iter()
            .map(|row| (row.application.as_str(), row.why.as_str(), row.words.as_str(), row.items))
            .collect();
        assert_eq!(
            found,
            [("A", "http_503", "down", 2), ("B", "http_503", "else", 1), ("C", "wrong_key", "", 1)]
        );
        let text = shown(&rows, "s", lines.len(), false).unwrap();
        assert!(text.contains("A http_503 ×2 \"down\"") && text.contains("--app CODE"), "{text}");
        assert!(shown(&[], "s", 0, false).unwrap().contains("nothing that waits"));
    }
}
