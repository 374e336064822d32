//! Tables in the documentation come from the code. `UPDATE_DOCS=1 cargo test --test it docs` writes
//! them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use mapping::{Disposition, Plan, Platform, Reason, event, profile, value};
use platform::settings::VARIABLES;
use serde_json::{Value, json};

use crate::sandbox::docs;

const APPLICATION: &str = "XXXXX-XXXXX";

/// In summer, so that an offset shows whether the day was looked at.
fn now() -> Timestamp {
    "2026-07-01T00:00:00Z".parse().unwrap()
}

/// Every value in a plan by its place: `setTags.tags.City`.
fn places(plan: &Plan) -> BTreeMap<String, Value> {
    fn walk(place: &str, value: &Value, places: &mut BTreeMap<String, Value>) {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (name, value) in fields {
                    walk(&format!("{place}.{name}"), value, places);
                }
            }
            _ => {
                places.insert(place.to_owned(), value.clone());
            }
        }
    }
    let mut places = BTreeMap::new();
    for call in plan.stages.iter().flatten() {
        let method = serde_json::to_value(call.method).unwrap();
        walk(method.as_str().unwrap(), &Value::Object(call.request.clone()), &mut places);
    }
    places
}

/// What of a plan follows a field, as a row of a table: what is different with another value.
fn row(table: &mut String, field: &str, sample: &Value, plan: &Plan, other: &Plan) {
    let (usual, other) = (places(plan), places(other));
    let differs = usual.iter().filter(|(place, value)| other.get(*place) != Some(value));
    let follows: Vec<String> =
        differs.map(|(place, value)| format!("`{place}` = `{value}`")).collect();
    writeln!(table, "| `{field}` | `{sample}` | {} |", follows.join("<br>")).unwrap();
}

fn profile_table() -> String {
    let fields = [
        ("attributes.NAME", json!("shoes"), json!("hats")),
        ("user_id", json!("u1"), json!("u2")),
        ("device_id", json!("D1"), json!("D2")),
        ("device_platform", json!("ios"), json!("android")),
        ("device_token", json!("tok"), json!("kot")),
        ("email", json!("a@b.c"), json!("d@e.f")),
        ("language", json!("en-US"), json!("de")),
        ("country", json!("US"), json!("DE")),
        ("city", json!("SF"), json!("B")),
        (
            "current_location",
            json!({"latitude": 51.5, "longitude": 0}),
            json!({"latitude": 1, "longitude": 2}),
        ),
        ("timezone", json!("Europe/Berlin"), json!("Asia/Tokyo")),
        ("app_version", json!("1.0"), json!("2")),
        ("device_model", json!("iPhone7,2"), json!("x")),
        ("device_os_version", json!("17"), json!("18")),
        ("user_agent", json!("UA"), json!("AU")),
    ];
    let put = |body: &mut Value, field: &str, value: &Value| match field.split_once('.') {
        Some((object, name)) => body[object] = json!({ name: value }),
        None => body[field] = value.clone(),
    };
    let mut full = json!({});
    for (field, sample, _) in &fields {
        put(&mut full, field, sample);
    }
    let plan =
        |body: &Value| profile::plan(APPLICATION, body.to_string().as_bytes(), now()).unwrap();
    let mut table = String::from("| field | for example | becomes |\n|---|---|---|\n");
    for (field, sample, other) in &fields {
        let mut changed = full.clone();
        put(&mut changed, field, other);
        row(&mut table, field, sample, &plan(&full), &plan(&changed));
    }
    table
}

fn event_table() -> String {
    let fields = [
        ("name", json!("SubscribedToOffers"), json!("Other")),
        ("device_platform", json!("ios"), json!("android")),
        ("user_id", json!("u1"), json!("u2")),
        ("device_id", json!("D1"), json!("D2")),
        ("timestamp", json!("2026-01-02T03:04:05.678Z"), json!(0)),
        ("attributes", json!({"offer": "spring"}), json!({"offer": "autumn"})),
    ];
    let full: Value =
        fields.iter().map(|(field, sample, _)| ((*field).to_owned(), sample.clone())).collect();
    let plan = |body: &Value| event::plan(APPLICATION, body.to_string().as_bytes(), now()).unwrap();
    let mut table = String::from("| field | for example | becomes |\n|---|---|---|\n");
    for (field, sample, other) in &fields {
        let mut changed = full.clone();
        changed[*field] = other.clone();
        row(&mut table, field, sample, &plan(&full), &plan(&changed));
    }
    table
}

/// The presets as they stand, a row per field.
fn preset_tables() -> String {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/segment_language/src/presets.json");
    let presets: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let mut text = String::new();
    for preset in presets.as_array().unwrap() {
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
        text.push('\n');
    }
    text
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
    let text = format!(
        "# Mapping\n\n\
Written from the code by `UPDATE_DOCS=1 cargo test --test it docs`. The rules are in `shared/mapping`.\n\n\
## A profile: `track-user`\n\n\
The device and the e-mail address are registered together, then the tags are set; with up to 50 tags that is three calls at most.\n\
More tags are sent in further calls of 50. The header `no-auto-tags` keeps Pushwoosh from taking Lambda's address for the user's.\n\n{}\n\
* `external_id` is read where `user_id` is missing. `false` as an id is nobody: Segment's client makes it of `context.device: false`.\n\
* With a token the device is registered (`registerDevice`), without one it is linked to the user (`registerUser`).\n\
* A user id alone sets the user's tags, a device id alone that device's. An e-mail address alone is its own device.\n\
* With an unknown platform the device is left out; the user's tags are set all the same.\n\
* An attribute with the name of one of these tags wins over the profile field: the customer chose it.\n\
* A time zone becomes the offset of that moment, in seconds. Tags that do not exist in Pushwoosh are skipped there; the log names them.\n\n\
## An event: `post-events`\n\n{}\n\
* `external_id` is read where `user_id` is missing; `app_code` and `app_id` are not needed, since the header names the application.\n\
* Names stay as they came. An event without a time gets that of its arrival. Attributes that are null are left out.\n\
* Without a known platform, or without both ids, an event is disregarded: [OPERATIONS](OPERATIONS.md#reasons).\n\n\
## A deletion: `delete-user`\n\n\
`external_id`, or `user_id`, becomes `deleteUser` with `application` and `user_id`. Who is not there counts as deleted.\n\n\
## Raw Segment events\n\n\
They go through mappings in Segment's own language first; how, and how to change them: [WEBHOOK](WEBHOOK.md). These are on from the start.\n\n{}\
## Values of tags and attributes\n\n{}\n\
Null removes a tag. Elements of a list become texts.\n\n\
## Times\n\n\
RFC 3339; unix seconds, milliseconds or microseconds as number or text; dates without a zone are UTC (`2026-01-02`, `2026/01/02 03:04`,\n\
`Jan 2 2026`, `01/02/2026`); RFC 2822.\n\n\
## Platforms\n\n\
Read in any case: the names below, `web` (as Chrome) and the numbers.\n\n{}\n\
## The topic\n\n\
Records of `channels-tracking-log` and what they become: [TRACKING_LOG](TRACKING_LOG.md).\n",
        profile_table(),
        event_table(),
        preset_tables(),
        value_table(),
        platform_table(),
    );
    docs("MAPPING.md", &text, true);
}

#[test]
fn configuration() {
    let mut table = String::from("| variable | default | accepted | |\n|---|---|---|---|\n");
    for variable in VARIABLES {
        let default =
            variable.default.map_or("required".to_owned(), |default| format!("`{default}`"));
        writeln!(
            table,
            "| `{}` | {default} | {} | {} |",
            variable.name, variable.expected, variable.doc
        )
        .unwrap();
    }
    let text = format!(
        "# Configuration\n\n\
Written from the code by `UPDATE_DOCS=1 cargo test --test it docs`.\n\n\
## Environment\n\n\
`template.yaml` sets all of them, most from its parameters. What is wrong is told at start, all of it at once; an unknown `PWSEG_…` is\n\
warned about. No key is ever in the environment.\n\n{table}\n\
## An application's secret\n\n\
JSON in AWS Secrets Manager, by default one secret per application, named `segment-pushwoosh/` and the application code.\n\n\
```json\n\
{{\n  \"pushwoosh\": {{\"api_token\": \"…\", \"base_url\": \"https://api.pushwoosh.com\"}},\n  \
\"segment\": {{\"write_key\": \"…\", \"region\": \"us\", \"events\": \"Push Sent, Email Bounced\"}},\n  \
\"webhook\": {{\"shared_secret\": \"…\"}}\n}}\n```\n\n\
| field | | |\n|---|---|---|\n\
| `pushwoosh.api_token` | needed for the destination | The API token of Pushwoosh; Segment presents the same as its API key. |\n\
| `pushwoosh.base_url` | `{}` | Another host of Pushwoosh. |\n\
| `segment.write_key` | needed for the source | Write key of the source in Segment. |\n\
| `segment.region` | `us` | `us` sends to `{}`, `eu` to `{}`. |\n\
| `segment.base_url` | by region | Another host of Segment, up to and including `/v1`. |\n\
| `segment.events` | all | Events to export, with commas between, in any case. |\n\
| `webhook.shared_secret` | route closed | A text, or a list of texts during a rotation. |\n\
| `mappings` | the two presets | Mappings of raw events: [WEBHOOK](WEBHOOK.md#mappings). |\n\n\
### Rotation\n\n\
Put a new version into the secret. Within `PWSEG_SECRET_TTL_S` it is used; a call that Pushwoosh or Segment refuses for its key makes the\n\
function read it at once. Whoever still presents the key of before is let in while Secrets Manager keeps it as `AWSPREVIOUS`.\n",
        platform::application::PUSHWOOSH_BASE_URL,
        platform::application::SEGMENT_US_URL,
        platform::application::SEGMENT_EU_URL,
    );
    docs("CONFIGURATION.md", &text, true);
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
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/OPERATIONS.md");
    let text = std::fs::read_to_string(file).unwrap();
    let (before, rest) = text.split_once("<!-- reasons -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    docs("OPERATIONS.md", &format!("{before}<!-- reasons -->\n{table}<!-- end -->{after}"), true);
}

/// Every reason has a code of its own.
#[test]
fn codes_are_unique() {
    let codes: std::collections::HashSet<_> =
        Reason::ALL.iter().map(|reason| reason.code()).collect();
    assert_eq!(codes.len(), Reason::ALL.len());
}
