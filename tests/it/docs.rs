//! Tables in the documentation come from the code: `just docs` writes them, and without it the tests
//! compare them. Everything else in a document is written by hand.
//!
//! A table stands between two lines, `<!-- table: NAME -->` and `<!-- end -->`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use mapping::explain::explain;
use mapping::profile::TAG_FIELDS;
use mapping::tracking_log::{MessageEvent, Record};
use mapping::{Disposition, ItemKind, Platform, Reason, Rules, value};
use platform::application::{PUSHWOOSH_BASE_URL, SEGMENT_EU_URL, SEGMENT_US_URL};
use platform::secrets::{ABSENT_LONGEST, UNKNOWN_BURST, UNKNOWN_INTERVAL};
use platform::settings::VARIABLES;
use serde_json::{Value, json};
use simulation::tables;

use crate::sandbox::root;

/// Writes or compares the tables of a document in `docs/`, all of them at once.
fn compare(document: &str, tables: &[(&str, String)]) {
    update(document, tables, true);
}

/// Writes the tables of a document with `UPDATE_DOCS=1`; otherwise compares them. Where figures differ from
/// run to run it only looks for their places, and leaves the document's other tables alone.
pub(crate) fn update(document: &str, tables: &[(&str, String)], compared: bool) {
    let file = root().join("docs").join(document);
    let text = std::fs::read_to_string(&file).unwrap();
    let filled =
        fill(&text, tables, compared).unwrap_or_else(|problem| panic!("{document}: {problem}"));
    write_or_compare(&file, &text, &filled, compared);
}

fn write_or_compare(file: &Path, text: &str, filled: &str, compared: bool) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        // Replaced as a whole: another test may be reading it.
        let new = file.with_extension("new");
        std::fs::write(&new, filled).unwrap();
        std::fs::rename(&new, file).unwrap();
    } else if compared {
        assert_eq!(text, filled, "{} is out of date: run `just docs`", file.display());
    }
}

/// A table as the document has it.
fn table_in(text: &str, name: &str) -> String {
    let marker = format!("<!-- table: {name} -->\n");
    let (_, after) = text.split_once(&marker).unwrap();
    after.split_once("<!-- end -->").unwrap().0.to_owned()
}

/// A document with its tables replaced. Every table must have its marker, and where they are all of the
/// document's, every marker its table.
fn fill(text: &str, tables: &[(&str, String)], all: bool) -> Result<String, String> {
    let mut tables: BTreeMap<&str, &String> =
        tables.iter().map(|(name, table)| (*name, table)).collect();
    let (mut filled, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("<!-- table: ") {
        let (name, after) = after.split_once(" -->\n").ok_or("a marker does not end")?;
        let new = tables.remove(name).map(String::as_str);
        if all && new.is_none() {
            return Err(format!("the table {name} is unknown, or marked twice"));
        }
        let (old, after) = after
            .split_once("<!-- end -->\n")
            .ok_or_else(|| format!("the table {name} does not end"))?;
        let table = new.unwrap_or(old);
        if old.contains("<!-- table: ") {
            return Err(format!("the table {name} does not end"));
        }
        write!(filled, "{before}<!-- table: {name} -->\n{table}<!-- end -->\n").unwrap();
        rest = after;
    }
    match tables.keys().next() {
        Some(name) => Err(format!("the table {name} has no marker")),
        None if rest.contains("<!-- end -->") => Err("an end without a table".to_owned()),
        None => Ok(filled + rest),
    }
}

#[test]
fn only_the_marked_parts_of_a_document_are_replaced() {
    let text = "a\n<!-- table: x -->\nold\n<!-- end -->\nb\n<!-- table: y -->\n<!-- end -->\n";
    let tables = [("x", "new\n".to_owned()), ("y", "y\n".to_owned())];
    let filled = "a\n<!-- table: x -->\nnew\n<!-- end -->\nb\n<!-- table: y -->\ny\n<!-- end -->\n";
    assert_eq!(fill(text, &tables, true).unwrap(), filled);
    assert_eq!(fill(filled, &tables, true).unwrap(), filled);
    let one = fill(text, &tables[..1], false).unwrap();
    assert_eq!(fill(&one, &tables[1..], false).unwrap(), filled);
}

#[test]
fn unknown_and_missing_markers_are_refused() {
    let table = [("x", String::new())];
    for (text, problem) in [
        ("", "the table x has no marker"),
        ("<!-- table: y -->\n<!-- end -->\n", "the table y is unknown"),
        ("<!-- table: x -->\n", "the table x does not end"),
        ("<!-- table: x", "a marker does not end"),
        ("<!-- table: x -->\n<!-- end -->\n<!-- end -->\n", "an end without a table"),
        ("<!-- table: x -->\n<!-- table: x -->\n<!-- end -->\n", "the table x does not end"),
        (
            "<!-- table: x -->\n<!-- end -->\n<!-- table: x -->\n<!-- end -->\n",
            "the table x is unknown, or marked twice",
        ),
    ] {
        let refused = fill(text, &table, true).unwrap_err();
        assert!(refused.contains(problem), "{text}: {refused}");
    }
}

/// The events that an application may export, in any spelling: the pattern of `segment.events`.
#[test]
fn secret_schema() {
    let spelling = |name: &str| {
        let in_any_case = |letter: char| match letter {
            ' ' => r"[\\s_-]*".to_owned(),
            letter => format!("[{}{}]", letter.to_ascii_uppercase(), letter.to_ascii_lowercase()),
        };
        name.chars().map(in_any_case).collect::<String>()
    };
    let names = MessageEvent::ALL.iter().map(|event| spelling(event.name()));
    let names = names.collect::<Vec<_>>().join("|");
    let pattern = format!(r"^[\\s,]*$|(^|,)[\\s_-]*({names})[\\s_-]*(,|$)");
    let file = root().join("docs/secret.schema.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once("\"events\": {").unwrap();
    let (description, rest) = rest.split_once("\"pattern\": \"").unwrap();
    let (_, after) = rest.split_once('"').unwrap();
    let filled = format!("{before}\"events\": {{{description}\"pattern\": \"{pattern}\"{after}");
    write_or_compare(&file, &text, &filled, true);
}

const APPLICATION: &str = "XXXXX-XXXXX";

/// In summer, so that the offset of a time zone shows daylight saving time.
fn now() -> Timestamp {
    "2026-07-01T00:00:00Z".parse().unwrap()
}

/// A body's fields, each with an example and what it becomes: the fields of calls that follow it, as
/// `explain` finds them.
fn becomes_table(kind: ItemKind, examples: &[(&str, Value)]) -> String {
    let mut body = json!({});
    for (field, example) in examples {
        match field.split_once('.') {
            Some((object, name)) => body[object][name] = example.clone(),
            None => body[*field] = example.clone(),
        }
    }
    let rules = Rules { now: now(), ..Rules::of_presets(APPLICATION) };
    let explanation = explain(kind, &body, &rules);
    let mut table = String::from("| field | for example | becomes |\n|---|---|---|\n");
    for (field, example) in examples {
        let mut becomes = Vec::new();
        for call in &explanation.calls {
            let method = call.path.rsplit('/').next().unwrap();
            for followed in &call.fields {
                if followed.inputs.iter().any(|input| input == field) {
                    let place = followed.field.split('.').map(str::to_owned).collect::<Vec<_>>();
                    let value = call.body.pointer(&format!("/{}", place.join("/"))).unwrap();
                    let place = followed.field.trim_start_matches("request.");
                    becomes.push(format!("`{method}.{place}` = `{value}`"));
                }
            }
        }
        assert!(!becomes.is_empty(), "{field} becomes nothing");
        writeln!(table, "| `{field}` | `{example}` | {} |", becomes.join("<br>")).unwrap();
    }
    table
}

fn profile_table() -> String {
    let mut examples = vec![
        ("attributes.NAME", json!("shoes")),
        ("user_id", json!("u1")),
        ("device_id", json!("D1")),
        ("device_platform", json!("ios")),
        ("device_token", json!("tok")),
        ("email", json!("a@b.c")),
    ];
    examples.extend(TAG_FIELDS.iter().map(|field| match field.name {
        "current_location.latitude" | "current_location.longitude" => {
            (field.name, serde_json::from_str(field.example).unwrap())
        }
        name => (name, json!(field.example)),
    }));
    becomes_table(ItemKind::Profile, &examples)
}

fn event_table() -> String {
    let examples = [
        ("name", json!("SubscribedToOffers")),
        ("device_platform", json!("ios")),
        ("user_id", json!("u1")),
        ("device_id", json!("D1")),
        ("timestamp", json!("2026-01-02T03:04:05.678Z")),
        ("attributes.NAME", json!("spring")),
    ];
    becomes_table(ItemKind::Event, &examples)
}

/// The presets, one table each with a row per field.
fn preset_tables() -> String {
    let file = root().join("shared/segment_language/src/presets.json");
    let presets: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let mut tables = Vec::new();
    for preset in presets.as_array().unwrap() {
        let mut text = String::new();
        let (name, action) = (&preset["name"], &preset["action"]);
        let trigger = preset["subscribe"].as_str().unwrap();
        writeln!(
            text,
            "**{}** fills `{}` for `{trigger}`:\n\n| field | mapping |\n|---|---|",
            name.as_str().unwrap(),
            action.as_str().unwrap()
        )
        .unwrap();
        for (field, mapping) in preset["mapping"].as_object().unwrap() {
            writeln!(text, "| `{field}` | `{mapping}` |").unwrap();
        }
        tables.push(text);
    }
    tables.join("\n")
}

fn value_table() -> String {
    let samples = [
        ("text", json!("shoes")),
        ("full date and time", json!("2026-01-02T03:04:05+01:00")),
        ("date without a time", json!("2026-01-02")),
        ("true, false", json!(true)),
        ("whole number within 32 bits", json!(42)),
        ("whole number beyond 32 bits", json!(4_294_967_296_u64)),
        ("fraction", json!(19.95)),
        ("list", json!(["a", 1, null, {"b": 2}])),
        ("object", json!({"a": {"b": [1, 2]}})),
        ("null", json!(null)),
    ];
    let mut table = String::from("| value | for example | becomes |\n|---|---|---|\n");
    for (name, sample) in samples {
        writeln!(table, "| {name} | `{sample}` | `{}` |", value::to_pushwoosh(&sample)).unwrap();
    }
    table
}

fn platform_table() -> String {
    let mut table = String::from("| number | name |\n|---|---|\n");
    for number in 1..=150 {
        if let Some(platform) = Platform::from_number(number)
            && platform.number() == number
        {
            writeln!(table, "| {number} | {} |", platform.name()).unwrap();
        }
    }
    table
}

#[test]
fn mapping() {
    let tables = [
        ("profile", profile_table()),
        ("event", event_table()),
        ("presets", preset_tables()),
        ("values", value_table()),
        ("platforms", platform_table()),
    ];
    compare("MAPPING.md", &tables);
}

#[test]
fn configuration() {
    let mut variables = String::from("| variable | default | accepted | |\n|---|---|---|---|\n");
    for variable in VARIABLES {
        let default =
            variable.default.map_or("required".to_owned(), |default| format!("`{default}`"));
        writeln!(
            variables,
            "| `{}` | {default} | {} | {} |",
            variable.name, variable.expected, variable.doc
        )
        .unwrap();
    }
    let hosts = format!(
        "| upstream | host |\n|---|---|\n\
         | Pushwoosh | `{PUSHWOOSH_BASE_URL}` |\n\
         | Segment, region `us` | `{SEGMENT_US_URL}` |\n\
         | Segment, region `eu` | `{SEGMENT_EU_URL}` |\n"
    );
    let tables = [("variables", variables), ("hosts", hosts), ("limits", crate::limits::limits())];
    compare("CONFIGURATION.md", &tables);
}

#[test]
fn tracking_log() {
    let mut table = String::from("| event | `message_type` |\n|---|---|\n");
    for event in MessageEvent::ALL {
        let record = json!({"event_name": event.name(), "timestamp": 1, "application_code": "A", "hwid": "H"});
        let record = record.to_string();
        let record = Record::read(record.as_bytes()).unwrap();
        let track = serde_json::to_value(record.to_track("", &[]).unwrap()).unwrap();
        let message_type = track["properties"]["message_type"].as_str().unwrap();
        writeln!(table, "| `{}` | {message_type} |", event.name()).unwrap();
    }
    compare("TRACKING_LOG.md", &[("events", table)]);
}

#[test]
fn reasons() {
    let mut table =
        String::from("| code | what becomes of it | cause | remedy |\n|---|---|---|---|\n");
    for reason in Reason::ALL {
        let disposition = match reason.disposition() {
            Disposition::Disregard => "disregarded: counted",
            Disposition::Reject => "rejected: kept with its bytes",
        };
        writeln!(
            table,
            "| `{}` | {disposition} | {} | {} |",
            reason.code(),
            reason.cause(),
            reason.remedy()
        )
        .unwrap();
    }
    let tables = [("reasons", table), ("denials", crate::limits::denials())];
    compare("OPERATIONS.md", &tables);
}

#[test]
fn guarantees() {
    // Figures differ from run to run: `reliability.rs` and `soak.rs` write them.
    let text = std::fs::read_to_string(root().join("docs/RELIABILITY.md")).unwrap();
    let figures =
        ["reliability", "soak-sums", "soak-figures"].map(|name| (name, table_in(&text, name)));
    let mut tables = vec![("guarantees", tables::guarantees()), ("sabotages", tables::sabotages())];
    tables.extend(figures);
    compare("RELIABILITY.md", &tables);
}

/// What codes cost that are not an application's follows from the limits in the code.
#[test]
fn the_costs_of_unknown_codes() {
    const USD_PER_READ: f64 = 0.05 / 10_000.0;
    let month = Duration::from_hours(30 * 24).as_secs_f64();
    let foreign = month / ABSENT_LONGEST.as_secs_f64() * USD_PER_READ;
    let made_up = month / UNKNOWN_INTERVAL.as_secs_f64() * USD_PER_READ;
    let text = std::fs::read_to_string(root().join("docs/DEPLOY.md")).unwrap();
    let (thousands, rest) = (UNKNOWN_BURST / 1_000, UNKNOWN_BURST % 1_000);
    for fact in [
        format!("{foreign:.4} USD a month per code and process"),
        format!("at most {thousands},{rest:03} reads at the start of a process"),
        format!("{made_up:.0} USD a month per process"),
    ] {
        assert!(text.contains(&fact), "docs/DEPLOY.md: {fact}");
    }
}

/// Every reason has a code of its own.
#[test]
fn codes_are_unique() {
    let codes: std::collections::HashSet<_> =
        Reason::ALL.iter().map(|reason| reason.code()).collect();
    assert_eq!(codes.len(), Reason::ALL.len());
}

/// The repository's documents: Markdown at the top, in `docs/` and beside what it describes.
fn documents() -> Vec<PathBuf> {
    let directories = ["", "docs", "docs/adr", "events", "bench"];
    let entries = directories.iter().flat_map(|name| std::fs::read_dir(root().join(name)).unwrap());
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "md"));
    files
}

/// The anchors of a document's headings, as GitHub forms them.
fn anchors(document: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(document).unwrap();
    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    let anchor = |heading: &str| -> String {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

/// Links between the documents lead to a file, and to a heading of it.
#[test]
fn links_have_a_target() {
    let mut seen = 0;
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() {
                document.clone()
            } else {
                document.parent().unwrap().join(file)
            };
            assert!(target.exists(), "{}: {link}", document.display());
            let found = anchor.is_empty() || anchors(&target).iter().any(|name| name == anchor);
            assert!(found, "{}: {link}", document.display());
            seen += 1;
        }
    }
    assert!(seen > 50);
}
