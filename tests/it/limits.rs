//! The tables of limits and of denied requests, from the code. Each limit is tested at its edge and one beyond
//! beside its constant; here is what is not tested there.

use std::fmt::Write as _;

use destination::denial::Denial;
use destination::denials::LINES_BURST;
use destination::endpoints::Route;
use mapping::profile::MAX_TAGS;
use mapping::{Item, ItemKind, Origin, Reason, Rules, json};
use operator::unsafe_secret::MIN_SECRET_CHARS;
use platform::application::MAX_AGE_S;
use platform::message;
use platform::secret_place::MAX_CODE_CHARS;
use platform::secrets::{CALLERS_LOOKUP, UNKNOWN_BURST};
use platform::upstream;
use segment::calls;
use segment_language::kit;
use world::api_gateway;

/// Digits in groups of three.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// What is limited, the limit, and what happens beyond it.
pub(crate) fn limits() -> String {
    let max_items = |route: Route| format!("{} items", grouped(route.endpoint().max_items));
    let bytes = |number: usize| format!("{} bytes", grouped(number));
    let (youngest, oldest) = MAX_AGE_S;
    let rows = [
        (
            "a request, with its envelope as an event of Lambda (AWS)",
            bytes(api_gateway::MAX_EVENT),
            "413 `Request Entity Too Large`, from the HTTP API",
        ),
        (
            "path, query and headers of a request (AWS)",
            bytes(api_gateway::MAX_HEADERS),
            "431, from the HTTP API",
        ),
        ("events of a `post-events` body", max_items(Route::PostEvents), "413; none is read"),
        ("events of a webhook's list", max_items(Route::Webhook), "413; none is read"),
        ("attributes of an event or a profile", "none but the size of the request".to_owned(), ""),
        (
            "tags of one call to Pushwoosh",
            format!("{MAX_TAGS} tags"),
            "the profile is sent in several calls",
        ),
        (
            "levels of lists and objects in an item",
            format!("{} levels", json::MAX_DEPTH),
            "the item is rejected as `not_json`; 400 where it is alone",
        ),
        (
            "a Track call to Segment",
            bytes(calls::MAX_EVENT_BYTES),
            "the record is rejected as `too_large`",
        ),
        (
            "a batch of Track calls",
            format!("{} calls, {}", grouped(calls::MAX_EVENTS), bytes(calls::MAX_BATCH_BYTES)),
            "the calls are sent in several batches",
        ),
        (
            "a parked or rejected item on a queue",
            format!("{}, compressed", bytes(message::MAX_BYTES)),
            "a reject is kept cut, with the SHA-256 of the whole; what cannot be parked fails, and the caller must resend it",
        ),
        ("an upstream's answer", bytes(upstream::MAX_ANSWER_BYTES), "the rest is not read"),
        (
            "an application's code",
            format!("{MAX_CODE_CHARS} letters, digits and `-`"),
            "400 `application not found`; no secret is read",
        ),
        (
            "a key or a shared secret",
            format!("at least {MIN_SECRET_CHARS} characters"),
            "`check-secret` refuses it; the functions use it",
        ),
        ("a secret (AWS)", bytes(65_536), "Secrets Manager does not take it"),
        (
            "levels of a mapping",
            format!("{} levels", kit::MAX_DEPTH),
            "the mapping is ignored, and the log names it",
        ),
        (
            "what a mapping makes of one event",
            bytes(kit::MAX_OUTPUT),
            "the event is rejected as `mapping_failed`",
        ),
        (
            "`webhook.max_age_s`",
            format!("{} to {} s", youngest, grouped(usize::try_from(oldest).unwrap())),
            "the section `webhook` is unusable",
        ),
        (
            "time for an answer",
            "`PWSEG_TIME_BUDGET_MS`".to_owned(),
            "what was not sent is parked: 200; what could not be parked: 503",
        ),
        ("time to look up a caller's secret", format!("{} s", CALLERS_LOOKUP.as_secs()), "503"),
        (
            "lookups of unknown applications",
            format!(
                "{} at once in a process, then one a second",
                grouped(usize::try_from(UNKNOWN_BURST).unwrap())
            ),
            "503; records are parked",
        ),
        (
            "log lines of refused requests",
            format!("{LINES_BURST} at once in a process, then one a second"),
            "counted, and the next line says how many are missing",
        ),
    ];
    let mut table = String::from("| what | limit | beyond it |\n|---|---|---|\n");
    for (what, limit, beyond) in rows {
        writeln!(table, "| {what} | {limit} | {beyond} |").unwrap();
    }
    table
}

/// Why requests are denied, with the answer.
pub(crate) fn denials() -> String {
    let mut table = String::from("| denial | metric | response | message |\n|---|---|---|---|\n");
    for denial in Denial::ALL {
        let (count, _) = denial.count().metric();
        let (code, status, message) = (denial.code(), denial.status(), denial.message());
        writeln!(table, "| `{code}` | `{count}` | {status} | {message} |").unwrap();
    }
    table
}

fn plan(kind: ItemKind, bytes: &[u8]) -> Result<usize, Reason> {
    let origin = Origin::Request("r", 0);
    let item = Item { kind, application: Some("A"), origin, bytes };
    let planned = item.plan(&Rules::of_presets("A"));
    let calls = |planned: mapping::Planned| match planned.work {
        mapping::Work::Pushwoosh(plan) => plan.stages.iter().flatten().count(),
        mapping::Work::Segment(calls) => calls.len(),
    };
    planned.map(calls).map_err(|refusal| refusal.reason)
}

#[test]
fn a_profile_with_more_tags_than_a_call_takes_is_sent_in_several() {
    for (tags, calls) in [(MAX_TAGS, 1), (MAX_TAGS + 1, 2)] {
        let attributes: serde_json::Map<String, serde_json::Value> =
            (0..tags).map(|tag| (format!("t{tag}"), tag.into())).collect();
        let profile = serde_json::json!({"user_id": "u1", "attributes": attributes});
        assert_eq!(plan(ItemKind::Profile, profile.to_string().as_bytes()), Ok(calls), "{tags}");
    }
}

#[test]
fn an_item_may_be_as_deep_as_that_and_no_deeper() {
    // The item itself and its attributes are the first two levels.
    for (levels, expected) in
        [(json::MAX_DEPTH, Ok(1)), (json::MAX_DEPTH + 1, Err(Reason::NotJson))]
    {
        let inner = levels - 2;
        let deep = format!("{}{}", "[".repeat(inner), "]".repeat(inner));
        let event = format!(
            r#"{{"user_id":"u1","device_id":"d","device_platform":"ios","name":"E","attributes":{{"a":{deep}}}}}"#
        );
        assert_eq!(plan(ItemKind::Event, event.as_bytes()), expected, "{levels}");
    }
}
