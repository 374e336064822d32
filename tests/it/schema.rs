//! The schema for producers, compared with what the source reads.

use mapping::Reason;
use mapping::tracking_log::{OptionalProperty, Record, Track};
use serde_json::{Value, json};

use crate::sandbox::events;

fn schema() -> Value {
    serde_json::from_str(include_str!("../../docs/tracking-log.schema.json")).unwrap()
}

fn track(record: &Value) -> Result<Track<'static>, Reason> {
    let bytes = record.to_string();
    Record::read(bytes.as_bytes())?.to_track("", OptionalProperty::ALL).map(Track::into_owned)
}

fn full() -> Value {
    json!({"event_name": "Push Sent", "timestamp": "2026-01-31T12:00:00Z", "application_code": "XXXXX-XXXXX",
           "message_id": 12_345_678_900_u64, "message_code": "A444-AAABBBCC-00112233", "campaign_id": 961_234,
           "campaign_code": "AAAAA-XXXXX", "message_type": "Push", "platform": 3, "hwid": "H1", "user_id": "u1",
           "payload": "personal", "description": "personal"})
}

#[test]
fn the_golden_records_keep_to_the_schema() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    assert!(validator.is_valid(&full()));
    let records = std::fs::read_to_string(events("source/records.ndjson")).unwrap();
    for record in records.lines() {
        let record = serde_json::from_str(record).unwrap();
        assert!(validator.is_valid(&record), "{record}");
    }
}

#[test]
fn the_schema_names_every_field_that_is_read_and_no_other() {
    let schema = schema();
    let properties = schema["properties"].as_object().unwrap();
    let usual = track(&full()).unwrap();
    for (name, property) in properties {
        let mut record = full();
        record[name] = json!(if name == "message_type" { "SMS" } else { "Email Sent" });
        let private = ["payload", "description"].contains(&name.as_str());
        // Where there is a code, the id says nothing more.
        let unread = private || name == "message_id";
        assert_eq!(track(&record) == Ok(usual.clone()), unread, "{name}");
        for example in property["examples"].as_array().into_iter().flatten() {
            record[name] = example.clone();
            assert!(track(&record).is_ok(), "{name}: {example}");
        }
    }
    assert_eq!(properties.len(), full().as_object().unwrap().len());
}

#[test]
fn what_the_schema_requires_is_needed() {
    let schema = schema();
    for name in schema["required"].as_array().unwrap() {
        let mut record = full();
        record.as_object_mut().unwrap().remove(name.as_str().unwrap());
        record["user_id"] = json!("");
        // The message code keeps ids apart, the platform is a property: without them a record is
        // still worth sending.
        let tolerated = ["message_code", "platform"].contains(&name.as_str().unwrap());
        assert_eq!(track(&record).is_ok(), tolerated, "{name}");
    }
}
