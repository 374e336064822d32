//! Records of the topic as they invoke `source`, and as Lambda keeps a batch that it gave up.

use mapping::{ItemKind, Reason};
use serde_json::Value;
use source::event::{MskEvent, RecordValue};

use super::{Input, InputItem, counted};
use crate::bad_input::BadInput;

/// The object that Lambda writes into the failure bucket.
pub(super) fn failed_batch(value: &Value) -> Result<Input, BadInput> {
    let payload = value.get("payload").and_then(Value::as_str).unwrap_or_default();
    let event = serde_json::from_str(payload).map_err(|_| {
        BadInput("it is a batch that Lambda gave up, and its payload is no event of MSK".to_owned())
    })?;
    let found = msk(&event)?;
    let taken_for =
        format!("a batch that Lambda gave up, with {}", counted(found.items.len(), "record"));
    Ok(Input { form: "failed_msk_event", taken_for, ..found })
}

/// An event that invokes `source`.
pub(super) fn msk(event: &Value) -> Result<Input, BadInput> {
    let event: MskEvent = serde_json::from_value(event.clone())
        .map_err(|error| BadInput(format!("it is an event of MSK that cannot be read: {error}")))?;
    let records = event.records.into_iter().flat_map(|(partition, records)| {
        records
            .into_iter()
            .map(move |record| (format!("{partition}-{}", record.offset), record.value))
    });
    let items: Vec<InputItem> = records
        .map(|(place, value)| {
            let refused = |reason: Reason| InputItem::refused(ItemKind::Record, reason.into());
            let item = match value {
                RecordValue::Bytes(bytes) => InputItem::of_bytes(ItemKind::Record, &bytes),
                RecordValue::Tombstone => refused(Reason::Tombstone),
                RecordValue::NotBase64(_) => refused(Reason::NotBase64),
            };
            item.at(place)
        })
        .collect();
    let taken_for = format!("an event of MSK with {}", counted(items.len(), "record"));
    Ok(Input { form: "msk_event", taken_for, application: None, items })
}
