//! A batch of records that Lambda gave up: the object in the failure bucket.

use anyhow::{Context, Result};
use jiff::Timestamp;
use mapping::{Item, ItemKind, Origin, Parked};
use serde_json::Value;
use source::event::{MskEvent, RecordValue};

use super::entry::Entry;
use super::plan::Planner;
use crate::bad_input::BadInput;

/// A record's origin, and what it would send.
pub(super) type Planned = (String, Result<Parked>);

/// Plans the records of a batch that are meant. They count as accepted when Lambda gave the batch up.
pub(super) async fn plan(
    planner: &Planner,
    text: &str,
    now: Timestamp,
    is_meant: impl Fn(&Entry) -> bool,
) -> Result<Vec<Planned>> {
    let object: Value = serde_json::from_str(text)
        .map_err(|error| BadInput(format!("the file is not JSON: {error}")))?;
    let given_up = given_up_at(&object).unwrap_or(now);
    // S3 holds the event as text, a Kafka destination as an object.
    let event: Value = match object
        .get("payload")
        .context("the file has no payload: is it from the failure bucket?")?
    {
        Value::String(event) => serde_json::from_str(event).context("the payload is not JSON")?,
        event => event.clone(),
    };
    let event: MskEvent =
        serde_json::from_value(event).context("the payload is not a Kafka event")?;
    let mut all = Vec::new();
    for (partition, records) in event.records {
        for one in records {
            let origin = Origin::Record(&partition, one.offset);
            let bytes: &[u8] = match &one.value {
                RecordValue::Bytes(bytes) => bytes,
                RecordValue::Tombstone | RecordValue::NotBase64(_) => &[],
            };
            let item = Item { kind: ItemKind::Record, application: None, origin, bytes };
            if !is_meant(&Entry::of_item(item, given_up)) {
                continue;
            }
            let parked = match &one.value {
                RecordValue::Bytes(_) => planner.item(item, given_up).await,
                RecordValue::Tombstone => Err(anyhow::anyhow!("it has no value")),
                RecordValue::NotBase64(_) => Err(anyhow::anyhow!("its value is not base64")),
            };
            all.push((origin.to_string(), parked));
        }
    }
    Ok(all)
}

/// When Lambda gave a batch up.
fn given_up_at(object: &Value) -> Option<Timestamp> {
    object.get("timestamp")?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_batch_counts_as_accepted_when_it_was_given_up() {
        let at = given_up_at(&json!({"timestamp": "2026-01-31T12:00:02.000Z"}));
        assert_eq!(at, "2026-01-31T12:00:02Z".parse().ok());
        assert_eq!(given_up_at(&json!({"timestamp": 5})), None);
        assert_eq!(given_up_at(&json!({})), None);
    }
}
