//! Reading the records of an event, in whatever form they stand there.
//!
//! Lambda documents one form: lists of objects by `topic-partition`, with a base64 value each. Events also come
//! from people, from replays and from other tools: a list in place of the map, a record or an object of
//! records in place of a list, a JSON value that nobody encoded. Each record is read by itself, so that an odd one cannot fail
//! the event.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Offset of a record that names none. Lambda knows no such record: where one is reported as failed, the
/// whole batch comes again.
pub const UNKNOWN_OFFSET: i64 = -1;

/// A record. Its headers, key and timestamp are not read: nothing depends on them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MskRecord {
    /// Offset in its partition, or [`UNKNOWN_OFFSET`].
    pub offset: i64,
    /// Its value.
    pub value: RecordValue,
}

/// A record's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordValue {
    /// There is none.
    Tombstone,
    /// The bytes on the topic.
    Bytes(Vec<u8>),
    /// Text that is not the base64 that it should be.
    NotBase64(Vec<u8>),
}

/// The parts of a record that are read. Nothing is required of them here.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Wire<'a> {
    #[serde(borrow)]
    topic: Option<&'a RawValue>,
    #[serde(borrow)]
    partition: Option<&'a RawValue>,
    #[serde(borrow)]
    offset: Option<&'a RawValue>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

impl<'a> Wire<'a> {
    /// Reads a record's object; nothing where it is none, or is no envelope but the value itself.
    fn read(json: &'a str) -> Option<Self> {
        // A derived Deserialize would also take a list.
        let wire: Self = serde_json::from_str(json).ok().filter(|_| json.starts_with('{'))?;
        (wire.offset.is_some() || wire.value.is_some()).then_some(wire)
    }
}

/// Text or number as text.
fn text(json: &RawValue) -> Option<String> {
    match json.get().as_bytes().first()? {
        b'"' => mapping::json::read(json.get().as_bytes()).ok(),
        b'-' | b'0'..=b'9' => Some(json.get().to_owned()),
        _ => None,
    }
}

impl MskRecord {
    /// Reads a record, and the key that its partition would have.
    fn read(json: &str) -> (String, Self) {
        let Some(wire) = Wire::read(json) else {
            let value = match json {
                "null" => RecordValue::Tombstone,
                json => RecordValue::Bytes(json.as_bytes().to_vec()),
            };
            return (String::new(), Self { offset: UNKNOWN_OFFSET, value });
        };
        let offset = wire.offset.and_then(text).and_then(|offset| offset.trim().parse().ok());
        let value = match wire.value {
            None => RecordValue::Tombstone,
            Some(json) if json.get().starts_with('"') => {
                let text = text(json).unwrap_or_default();
                match STANDARD.decode(&text) {
                    Ok(bytes) => RecordValue::Bytes(bytes),
                    Err(_) => RecordValue::NotBase64(text.into_bytes()),
                }
            }
            Some(json) => RecordValue::Bytes(json.get().as_bytes().to_vec()),
        };
        let part = |json: Option<&RawValue>| json.and_then(text).unwrap_or_default();
        let partition = format!("{}-{}", part(wire.topic), part(wire.partition));
        (partition, Self { offset: offset.unwrap_or(UNKNOWN_OFFSET), value })
    }

    /// The records of one partition: a list, an object, or one alone.
    fn read_all(json: &str) -> Vec<Self> {
        let list: Option<Vec<&RawValue>> = serde_json::from_str(json).ok();
        match list {
            Some(list) => list.into_iter().map(|one| Self::read(one.get()).1).collect(),
            None if json == "null" => Vec::new(),
            None => Self::read_object(json).unwrap_or_else(|| vec![Self::read(json).1]),
        }
    }

    /// The records of an object that holds nothing else, in the order of their offsets.
    fn read_object(json: &str) -> Option<Vec<Self>> {
        let records: BTreeMap<String, &RawValue> = serde_json::from_str(json).ok()?;
        let all = records.values().all(|one| Wire::read(one.get()).is_some());
        if records.is_empty() || !all {
            return None;
        }
        let mut records: Vec<Self> =
            records.into_values().map(|one| Self::read(one.get()).1).collect();
        records.sort_by_key(|record| record.offset);
        Some(records)
    }
}

/// Reads the records of an event, by `topic-partition`.
pub(super) fn by_partition<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Vec<MskRecord>>, D::Error> {
    deserializer.deserialize_any(RecordsVisitor)
}

struct RecordsVisitor;

impl<'de> Visitor<'de> for RecordsVisitor {
    type Value = BTreeMap<String, Vec<MskRecord>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("records by partition, or a list of them")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(BTreeMap::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut records: Self::Value = BTreeMap::new();
        while let Some((partition, json)) = map.next_entry::<String, Box<RawValue>>()? {
            records.entry(partition).or_default().extend(MskRecord::read_all(json.get()));
        }
        Ok(records)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut records: Self::Value = BTreeMap::new();
        while let Some(json) = list.next_element::<Box<RawValue>>()? {
            let (partition, record) = MskRecord::read(json.get());
            records.entry(partition).or_default().push(record);
        }
        Ok(records)
    }
}
