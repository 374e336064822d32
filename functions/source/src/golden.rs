//! What Segment receives for a thousand varied records, held to the byte by `golden/batches.txt`.
//!
//! Segment removes repeats by `messageId`: after an update of this software, records of the last days may come
//! again, and an id that has changed would be delivered twice. The file was made before the source was rewritten
//! for speed. Where a change of the bytes is intended, `GOLDEN=write cargo test` writes it anew.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use platform::testing::{World, application};
use platform::{Function as _, Invocation};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::Source;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/golden/batches.txt");

const RECORDS: u64 = 1_000;

/// The same numbers in every run, also where `fastrand` changes.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[usize::try_from(self.next() % choices.len() as u64).unwrap()]
    }
}

/// A record's value: fields in any order and spelling, each in one of the forms that are read.
fn record(numbers: &mut Numbers) -> String {
    let n = numbers.next() % 50;
    let named = [
        ("event_name", numbers.one_of(&[
            r#""Push Sent""#, r#""push_sent""#, r#""EMAIL-SENT""#, r#""SMS Delivered""#, r#""Email Bounced""#,
            r#""Push Opened""#, r#"" Email  Delivered ""#, r#""Push\u0020Delivered""#, r#"{"string":"SMS Sent"}"#,
            r#""Push Sent""#, "5", "null",
        ]).to_owned()),
        ("timestamp", numbers.one_of(&[
            r#""2026-01-31T12:00:00Z""#, r#""2026-01-31T12:00:00.123456Z""#, r#""2026-01-31T13:00:00+01:00""#, "1769860800",
            "1769860800123", r#""1769860801""#, r#"{"long":1769860800000}"#, "1769860800.5", r#""yesterday""#, "null",
            r#""2026-01-31T12:00:07Z""#, r#""2026-02-28T23:59:59Z""#, "1.7698608e9",
        ]).to_owned()),
        ("application_code", numbers.one_of(&[
            r#""A""#, r#""A""#, r#""A""#, r#""B""#, r#""C""#, r#""X""#, r#"" A ""#, r#""\u0041""#, r#"{"string":"A"}"#, r#""""#,
        ]).to_owned()),
        ("message_id", format!("{}", 12_345_678_900 + n)),
        ("message_code", numbers.one_of(&[r#""A444-AAABBBCC-00112233""#, r#""""#, "null", r#""\"quoted\"""#]).to_owned()),
        ("campaign_id", numbers.one_of(&["961234", "null", r#""961235""#, "-1"]).to_owned()),
        ("campaign_code", numbers.one_of(&[r#""AAAAA-XXXXX""#, r#""Zürich \ud83d\ude00""#, "null", r#""a\\b\u0007\t""#]).to_owned()),
        ("message_type", numbers.one_of(&[r#""Push""#, r#""in_app""#, r#""e-mail""#, "3", "null", r#""fax""#]).to_owned()),
        ("platform", numbers.one_of(&["1", "3", "14", r#""ios""#, r#""Toaster""#, "null", "999", r#"{"int":18}"#]).to_owned()),
        ("hwid", format!("\"H{n}{}\"", numbers.one_of(&["", "", "", r"\n", "é", r"\ud83d", "\u{7f}"]))),
        ("user_id", match numbers.next() % 6 {
            0 => format!("\"H{n}\""),
            1 => r#""""#.to_owned(),
            2 => n.to_string(),
            3 => format!("\"u{n}\u{2028}<é>\""),
            _ => format!("\"user-{n}\""),
        }),
        ("payload", numbers.one_of(&[
            r#""personal""#, r#"{"application_code":"B","event_name":"Email Sent","deep":[[{"a":[1,2.5e3,null,true]}]]}"#,
            r#""{\"application_code\":\"B\"}""#, r#""\ude00""#, "[]", "1e5", "false", r#"",\"application_code\":\"B\"""#,
        ]).to_owned()),
    ];
    let spelling = numbers.next() % 12;
    let start = usize::try_from(numbers.next() % named.len() as u64).unwrap();
    let space = numbers.one_of(&["", " ", "\n  "]);
    let fields: Vec<String> = (0..named.len())
        .map(|index| {
            let (name, value) = &named[(start + index) % named.len()];
            let name = match spelling {
                0 => name.split('_').enumerate().fold(String::new(), |all, (part, word)| {
                    let (first, rest) = word.split_at(1);
                    all + &if part == 0 { first.to_owned() } else { first.to_uppercase() } + rest
                }),
                1 => name.to_uppercase(),
                2 => name.replace('_', "-"),
                3 => name.replace('_', "\\u005f"),
                _ => (*name).to_owned(),
            };
            format!("{space}\"{name}\":{space}{value}")
        })
        .collect();
    match numbers.next() % 40 {
        0 => fields.join(","),
        1 => format!("{{{}}}}}", fields.join(",")),
        2 => format!("{{{},\"application_code\":\"B\"}}", fields.join(",")),
        3 => format!("{{{},\"eventName\":\"SMS Sent\"}}", fields.join(",")),
        4 => format!("[{{{}}}]", fields.join(",")),
        _ => format!(" {{{}{space}}} ", fields.join(",")),
    }
}

/// Kafka's event with the records on three partitions.
fn event() -> Value {
    let mut numbers = Numbers(20_260_131);
    let mut partitions = vec![Vec::new(); 3];
    for offset in 0..RECORDS {
        let value = match numbers.next() % 60 {
            0 => Value::Null,
            1 => "no base64".into(),
            _ => STANDARD.encode(record(&mut numbers)).into(),
        };
        let partition = usize::try_from(numbers.next() % 3).unwrap();
        partitions[partition].push(json!({
            "topic": "t", "partition": partition, "offset": offset, "timestamp": 1_769_860_800_000_u64 + offset,
            "timestampType": "CREATE_TIME", "value": value, "headers": [],
        }));
    }
    json!({"eventSource": "aws:kafka", "records": {
        "t-0": partitions[0], "t-1": partitions[1], "t-2": partitions[2]}})
}

/// A line per request: what it holds, and the hash of its body without the time of sending. Then a line per
/// outcome, and one for the messages of the queues.
async fn lines(settings: &[(&str, &str)]) -> Vec<String> {
    let world = World::new(settings);
    let mut exporting = application("token", "other");
    exporting["segment"]["events"] = "Push Sent, SMS Sent".into();
    world.secret("B", &exporting);
    world.secret("C", &json!({"pushwoosh": {"api_token": "t"}}));
    let source = Source::new(world.platform.clone());
    let deadlines = source.deadlines(world.now(), std::time::Duration::from_mins(1));
    let invocation = Invocation::begin("request", &world.platform.clock, deadlines);
    let event = Source::read(event().to_string().into()).unwrap();
    assert!(source.handle(event, &invocation).await.unwrap().batch_item_failures.is_empty());
    let hash = |bytes: &[u8]| hex(&Sha256::digest(bytes));
    let mut lines: Vec<String> = world
        .requests()
        .iter()
        .map(|request| {
            let body = std::str::from_utf8(request.body()).unwrap();
            let calls: Value = serde_json::from_str(body).unwrap();
            let calls = calls["batch"].as_array().unwrap().len();
            let (body, _) = body.rsplit_once(",\"sentAt\":").unwrap();
            format!(
                "{} {calls} calls {} bytes {}",
                request.uri(),
                body.len(),
                hash(body.as_bytes())
            )
        })
        .collect();
    lines.sort();
    lines.extend(
        invocation.tally.outcomes().iter().map(|(end, number)| format!("{end:?} {number}")),
    );
    let mut messages: Vec<String> = world
        .messages()
        .into_iter()
        .map(|(queue, entry)| {
            let message: Value =
                serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap();
            let held = ["kind", "reason", "origin", "raw"].map(|name| &message[name]);
            format!("{queue} {held:?}\n")
        })
        .collect();
    messages.sort();
    let all = hash(messages.concat().as_bytes());
    lines.push(format!("{} messages {all}", messages.len()));
    lines
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn bodies_and_ids_are_what_they_were() {
    let mut found = lines(&[]).await;
    found.extend(
        lines(&[("PWSEG_TRACK_PROPERTIES", "message_code,campaign_id"), ("PWSEG_STACK_NAME", "s")])
            .await,
    );
    let found = found.join("\n") + "\n";
    if std::env::var_os("GOLDEN").is_some_and(|mode| mode == "write") {
        std::fs::write(FILE, &found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(FILE).unwrap());
}
