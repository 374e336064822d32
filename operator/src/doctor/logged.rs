//! What the functions logged of an application: items that were not delivered, and tags that Pushwoosh skipped.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::error::ProvideErrorMetadata;
use mapping::Reason;
use serde_json::Value;

use super::finding::{Finding, Report};
use super::mend::Mender;
use super::sample::{dropped, missing_tag};
use super::tags::{TagType, Tags};
use crate::target::Target;

/// How far back it looks.
const WINDOW: Duration = Duration::from_hours(1);

/// Log groups of the functions, by their names in the template.
const LOG_GROUPS: [&str; 3] = ["DestinationLogs", "SourceLogs", "RetryLogs"];

/// Lines that are looked at: enough to see every kind of trouble, few enough to be read within seconds.
const MAX_LINES: usize = 20_000;

/// Largest list of lines of a sandbox.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// The reason of the line about a tag that Pushwoosh did not save.
const SKIPPED_TAG: &str = "skipped_tag";

/// The lines about an application.
pub(super) async fn lines(target: &Target, code: &str) -> Result<Vec<Value>> {
    let lines = match (&target.stack, &target.endpoint) {
        (Some(stack), _) => of_stack(target, stack, code).await?,
        (None, Some(url)) => of_sandbox(target, url).await?,
        (None, None) => Vec::new(),
    };
    Ok(lines.into_iter().filter(|line| text(line, "app.code") == Some(code)).collect())
}

async fn of_sandbox(target: &Target, url: &str) -> Result<Vec<Value>> {
    let request = http::Request::get(format!("{url}/_sandbox/logs"));
    let request = request.body(bytes::Bytes::new()).context("--sandbox must be a URL")?;
    let answer = target.connection.transport.send(request, MAX_ANSWER_BYTES).await?;
    serde_json::from_slice(&answer.body?).context("the sandbox has no log: is it this version?")
}

async fn of_stack(target: &Target, stack: &str, code: &str) -> Result<Vec<Value>> {
    let config = &target.connection.config;
    let client = Client::new(config);
    let now = target.connection.clock.wall().as_millisecond();
    let since = now - i64::try_from(WINDOW.as_millis()).unwrap_or(i64::MAX);
    let mut lines = Vec::new();
    for group in crate::stack::log_groups(config, stack, &LOG_GROUPS).await? {
        let request = client.filter_log_events().log_group_name(&group).start_time(since);
        let mut pages = request.filter_pattern(format!("\"{code}\"")).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| {
                let code = error.code().unwrap_or("no answer");
                anyhow::anyhow!("the log group {group} cannot be read ({code}): give yourself logs:FilterLogEvents on it, or give a sample as a file")
            })?;
            let messages = page.events().iter().filter_map(|event| event.message());
            lines.extend(messages.filter_map(|message| serde_json::from_str(message).ok()));
            if lines.len() >= MAX_LINES {
                return Ok(lines);
            }
        }
    }
    Ok(lines)
}

fn text<'a>(line: &'a Value, name: &str) -> Option<&'a str> {
    line.get(name).and_then(Value::as_str)
}

/// Adds what the lines tell.
pub(super) fn look(
    lines: &[Value],
    code: &str,
    tags: Option<&Tags>,
    mender: &Mender<'_>,
    report: &mut Report,
) {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    let mut causes: BTreeMap<&str, usize> = BTreeMap::new();
    let mut skipped: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for line in lines.iter().filter(|line| text(line, "app.code") == Some(code)) {
        match (text(line, "reason"), text(line, "tag.name")) {
            (Some(SKIPPED_TAG), Some(tag)) => {
                let detail = text(line, "detail").unwrap_or_default();
                skipped.entry(tag).or_insert((0, detail)).0 += 1;
            }
            (Some(reason), _) => *reasons.entry(reason).or_default() += 1,
            (None, _) => {
                if let Some(cause) = text(line, "cause") {
                    *causes.entry(cause).or_default() += 1;
                }
            }
        }
    }
    for (tag, (number, detail)) in skipped {
        let known = tags.and_then(|tags| tags.get(tag));
        report.add(match known {
            Some(kind) => {
                let kind = kind.map_or_else(|| "another type".to_owned(), |kind| format!("the type {}", kind.name()));
                let message = format!("Pushwoosh skipped it ({detail}): the tag has {kind} there, and another value was sent. Map another value, or map it to a tag of that type");
                Finding::wrong("tag_type", message).about(tag).times(number)
            }
            // The log has no values: only the type is a guess.
            None => missing_tag(tag, number, TagType::String, true, &Tags::new(), mender),
        });
    }
    for (reason, number) in reasons {
        let known = Reason::ALL.iter().find(|known| known.code() == reason);
        let message = known.map_or_else(
            || "see docs/OPERATIONS.md".to_owned(),
            |known| format!("{} {}", known.cause(), known.remedy()),
        );
        report.add(dropped(reason, message).times(number));
    }
    for (cause, number) in causes {
        let message = "an upstream did not take it, and it is tried again";
        report.add(Finding::warning(cause, message).times(number));
    }
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
            line("skipped_tag", json!("age")),
            json!({"app.code": "B", "reason": "no_platform"}),
            json!({"app.code": "A"}),
            json!({"app.code": "A", "cause": "timeout"}),
        ];
        let mut report = Report::new("A");
        let mender = Mender { base_url: "https://api.example.com", code: "A" };
        let tags = Tags::from([("age".to_owned(), Some(TagType::Integer))]);
        look(&lines, "A", Some(&tags), &mender, &mut report);
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
                ("warning", "timeout", 1)
            ]
        );
    }
}
