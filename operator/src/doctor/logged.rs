//! What the functions logged of an application: items that were not delivered, and tags that Pushwoosh skipped.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use aws_sdk_cloudwatchlogs::Client;
use mapping::{Reason, remedy};
use platform::aws::trouble_of_command;
use serde_json::Value;

use super::finding::{Finding, Places, Report};
use super::mend::Mender;
use super::sample::{dropped, missing_tag};
use super::tags::{TagType, Tags};
use crate::target::Target;
use crate::terminal::{Progress, say};

/// How far back it looks.
const WINDOW: Duration = Duration::from_hours(1);

/// Log groups of the functions, by their names in the template.
const LOG_GROUPS: [&str; 3] = ["DestinationLogs", "SourceLogs", "RetryLogs"];

/// Lines that are looked at: enough to see every kind of trouble, few enough to be read within seconds.
const MAX_LINES: usize = 20_000;

/// Largest list of lines of a sandbox.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Selects the lines about items and requests, where no application is named.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html>
const UNDELIVERED: &str = r#"{ $.message = "item" || $.message = "refused" }"#;

/// The reason of the line about a tag that Pushwoosh did not save.
const SKIPPED_TAG: &str = "skipped_tag";

/// The lines about an application, oldest first; without a code, those about every item and request of all applications.
pub(super) async fn lines(target: &Target, code: Option<&str>) -> Result<Vec<Value>> {
    let mut lines = match (&target.stack, &target.endpoint) {
        (Some(stack), _) => of_stack(target, stack, code).await?,
        (None, Some(url)) => of_sandbox(target, url).await?,
        (None, None) => Vec::new(),
    };
    lines.retain(|line| code.is_none_or(|code| text(line, "app.code") == Some(code)));
    lines.sort_by_cached_key(|line| text(line, "timestamp").map(str::to_owned));
    Ok(lines)
}

async fn of_sandbox(target: &Target, url: &str) -> Result<Vec<Value>> {
    let request = http::Request::get(format!("{url}/_sandbox/logs"));
    let request = request.body(bytes::Bytes::new()).context("--sandbox must be a URL")?;
    let answer = target.connection.transport.send(request, MAX_ANSWER_BYTES).await?;
    serde_json::from_slice(&answer.body?).context("the sandbox has no log: is it this version?")
}

async fn of_stack(target: &Target, stack: &str, code: Option<&str>) -> Result<Vec<Value>> {
    let config = &target.connection.config;
    let client = Client::new(config);
    let now = target.connection.clock.wall().as_millisecond();
    let since = now - i64::try_from(WINDOW.as_millis()).unwrap_or(i64::MAX);
    let pattern = code.map_or_else(|| UNDELIVERED.to_owned(), |code| format!("\"{code}\""));
    let mut progress = Progress::new("log lines read:".to_owned());
    let mut lines = Vec::new();
    for group in crate::stack::log_groups(config, stack, &LOG_GROUPS).await? {
        let request = client.filter_log_events().log_group_name(&group).start_time(since);
        let mut pages = request.filter_pattern(&pattern).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| {
                let trouble = trouble_of_command(&error, "logs:FilterLogEvents");
                anyhow::anyhow!("the log group {group} cannot be read: {trouble}")
            })?;
            for message in page.events().iter().filter_map(|event| event.message()) {
                progress.step();
                lines.extend(serde_json::from_str(message).ok());
            }
            if lines.len() >= MAX_LINES {
                say(&format!(
                    "the log has more than {MAX_LINES} lines of the last hour: the others were not looked at"
                ));
                return Ok(lines);
            }
        }
    }
    Ok(lines)
}

/// A text of a line.
pub(super) fn text<'a>(line: &'a Value, name: &str) -> Option<&'a str> {
    line.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// What an item is known by, however often it is tried.
pub(super) fn item_of(line: &Value) -> Option<&str> {
    text(line, "message_id").or_else(|| text(line, "origin"))
}

/// The newest line of each item that a cause holds up, and every line that has a reason: of each item one for each reason.
pub(super) fn newest(lines: &[Value]) -> Vec<&Value> {
    let mut known: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    let mut found: Vec<&Value> = Vec::new();
    for line in lines {
        let reason = text(line, "reason");
        if reason.is_none() && text(line, "cause").is_none() {
            continue;
        }
        let Some(item) = item_of(line) else {
            found.push(line);
            continue;
        };
        let code = text(line, "app.code").unwrap_or_default();
        let place = *known.entry((code, item, reason.unwrap_or_default())).or_insert_with(|| {
            found.push(line);
            found.len() - 1
        });
        if let Some(older) = found.get_mut(place) {
            *older = line;
        }
    }
    found
}

/// What to do about a reason or a denial.
pub(super) fn remedy_of_reason(code: &str) -> String {
    let known = Reason::ALL.iter().find(|known| known.code() == code);
    match (known, remedy::of_denial(code)) {
        (Some(known), _) => format!("{} {}", known.cause(), known.remedy()),
        (None, Some(remedy)) => format!("The request was not worked on. {remedy}"),
        (None, None) => "docs/OPERATIONS.md#denied-requests has what it means".to_owned(),
    }
}

/// What Pushwoosh or Segment said, at the end of a message.
fn said(words: Option<&str>) -> String {
    words.map(|words| format!(" The last answer: {words}")).unwrap_or_default()
}

/// Lines of one kind.
#[derive(Default)]
struct Group<'a> {
    places: Places,
    words: Option<&'a str>,
    failed: bool,
}

/// Adds what the lines tell.
pub(super) fn look(lines: &[Value], tags: Option<&Tags>, mender: &Mender<'_>, report: &mut Report) {
    let mut reasons: BTreeMap<&str, Group<'_>> = BTreeMap::new();
    let mut causes: BTreeMap<&str, Group<'_>> = BTreeMap::new();
    let mut skipped: BTreeMap<(&str, &str), Places> = BTreeMap::new();
    for line in newest(lines) {
        let (reason, cause) = (text(line, "reason"), text(line, "cause"));
        if let (Some(SKIPPED_TAG), Some(tag)) = (reason, text(line, "tag.name")) {
            let detail = text(line, "detail").unwrap_or_default();
            skipped.entry((tag, detail)).or_default().add(item_of(line));
            continue;
        }
        let group = match (reason, cause) {
            (Some(reason), _) => reasons.entry(reason).or_default(),
            (None, Some(cause)) => causes.entry(cause).or_default(),
            (None, None) => continue,
        };
        group.places.add(item_of(line));
        group.words = text(line, "words").or(group.words);
        group.failed |= text(line, "outcome") == Some("failed");
    }
    for ((tag, detail), places) in skipped {
        report.add(skipped_tag(tag, detail, tags, mender).at(&places));
    }
    for (reason, group) in reasons {
        let message = format!("{}{}", remedy_of_reason(reason), said(group.words));
        report.add(dropped(reason, message).at(&group.places));
    }
    for (cause, group) in causes {
        let message = format!("{}{}", remedy::of_cause(cause), said(group.words));
        let finding = if group.failed {
            Finding::wrong(cause, message)
        } else {
            Finding::warning(cause, format!("It waits. {message}"))
        };
        report.add(finding.at(&group.places));
    }
}

/// A tag that Pushwoosh did not save. It says why; its list of tags has the type.
fn skipped_tag(tag: &str, detail: &str, tags: Option<&Tags>, mender: &Mender<'_>) -> Finding {
    let known = tags.and_then(|tags| tags.get(tag));
    let is_of_another_type = match detail {
        "" => known.is_some(),
        detail => detail.to_ascii_lowercase().contains("type"),
    };
    if is_of_another_type {
        let kind = known.copied().flatten();
        let (there, send) = match kind {
            Some(kind) => (format!("the type {}", kind.name()), format!("Send {}", kind.name())),
            None => ("another type".to_owned(), "Send a value of that type".to_owned()),
        };
        let detail = if detail.is_empty() { String::new() } else { format!(" ({detail})") };
        let message = format!(
            "Pushwoosh skipped it{detail}: the tag has {there} there. {send}, or change the type of the tag in Pushwoosh"
        );
        return Finding::wrong("tag_type", message).about(tag);
    }
    if known.is_some() {
        let message = format!("Pushwoosh skipped it ({detail}), and has the tag now");
        return Finding::note("tag_made_since", message).about(tag);
    }
    // The log has no values: only the type is a guess.
    missing_tag(tag, TagType::String, true, tags.unwrap_or(&Tags::new()), mender)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_become_findings_by_reason_and_by_tag() {
        let line = |reason: &str, tag: Value| json!({"app.code": "A", "reason": reason, "tag.name": tag, "detail": "Not found"});
        let lines = [
            line("no_platform", Value::Null),
            line("no_platform", Value::Null),
            line("bad_timestamp", Value::Null),
            line("skipped_tag", json!("plan")),
            json!({"app.code": "A", "reason": "skipped_tag", "tag.name": "age", "detail": "Wrong type"}),
            json!({"app.code": "A", "outcome": "parked", "origin": "r 0", "cause": "http_503", "words": "early"}),
            json!({"app.code": "A", "outcome": "parked", "origin": "r 0", "cause": "http_503", "words": "late"}),
            json!({"app.code": "A"}),
            json!({"app.code": "A", "cause": "timeout"}),
        ];
        let mut report = Report::new("A");
        let mender = Mender { base_url: "https://api.example.com", code: "A" };
        let tags = Tags::from([("age".to_owned(), Some(TagType::Integer))]);
        look(&lines, Some(&tags), &mender, &mut report);
        let found: Value = serde_json::from_str(&report.text(true).unwrap()).unwrap();
        let found: Vec<_> = found["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                (
                    one["severity"].as_str().unwrap(),
                    one["code"].as_str().unwrap(),
                    one["number"].as_u64().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                ("wrong", "tag_type", 1),
                ("wrong", "tag_missing", 1),
                ("wrong", "bad_timestamp", 1),
                ("wrong", "no_platform", 2),
                ("warning", "http_503", 1),
                ("warning", "timeout", 1)
            ]
        );
        let text = report.text(false).unwrap();
        assert!(text.contains("http_503 ×1 (r 0): It waits.") && text.contains("late"), "{text}");
        assert!(!text.contains("early"), "{text}");
    }

    /// Pushwoosh says why it skips a tag, whether or not its list of tags is known.
    #[test]
    fn a_tag_of_another_type_is_not_said_to_be_missing() {
        let mender = Mender { base_url: "https://api.example.com", code: "A" };
        let finding = skipped_tag("age", "Wrong type", None, &mender);
        assert_eq!((finding.code.as_str(), &finding.mend), ("tag_type", &None));
        assert!(finding.message.contains("change the type of the tag"), "{}", finding.message);
        let finding = skipped_tag("age", "Not found", None, &mender);
        assert_eq!(finding.code, "tag_missing");
        let tags = Tags::from([("age".to_owned(), Some(TagType::Integer))]);
        let finding = skipped_tag("age", "Wrong type", Some(&tags), &mender);
        assert!(finding.message.contains("Send integer"), "{}", finding.message);
        assert_eq!(skipped_tag("age", "Not found", Some(&tags), &mender).code, "tag_made_since");
        assert_eq!(skipped_tag(&"n".repeat(201), "Not found", None, &mender).mend, None);
    }

    #[test]
    fn what_a_caller_has_to_do_is_said() {
        for code in ["wrong_key", "refused_key", "wrong_signature"] {
            assert!(!remedy_of_reason(code).contains("OPERATIONS"), "{code}");
        }
    }
}
