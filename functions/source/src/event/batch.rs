//! The records of an event in the form in which they are worked on: all values in one piece of memory, since thousands of
//! small ones take longer to allocate than to read.

use super::record::{MskRecord, RecordValue};
use super::{ItemIdentifier, MskEvent};

/// A batch of records, ordered by partition and then as they came.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Batch {
    partitions: Vec<String>,
    slots: Vec<Slot>,
    bytes: Vec<u8>,
}

/// A record: where its parts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    partition: usize,
    offset: i64,
    form: Form,
    start: usize,
    end: usize,
}

/// What a record's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Tombstone,
    Decoded,
    NotBase64,
}

/// A record of a batch.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Placed<'b> {
    /// The key under which the event held it.
    pub partition: &'b str,
    /// Its offset.
    pub offset: i64,
    /// Its bytes. Where they are not base64, as they came.
    pub value: Option<Result<&'b [u8], &'b [u8]>>,
}

impl Placed<'_> {
    /// Where it came from.
    pub fn place(&self) -> ItemIdentifier {
        ItemIdentifier { partition: self.partition.to_owned(), offset: self.offset }
    }
}

impl Batch {
    /// An empty batch with room for an event of this many bytes.
    pub(super) fn for_event(bytes: usize) -> Self {
        // Base64 takes four bytes for three.
        Self { bytes: Vec::with_capacity(bytes / 4 * 3), ..Self::default() }
    }

    /// How many records there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The record at an index.
    pub fn get(&self, index: usize) -> Option<Placed<'_>> {
        self.slots.get(index).map(|slot| self.placed(slot))
    }

    /// All records.
    pub fn iter(&self) -> impl Iterator<Item = Placed<'_>> {
        self.slots.iter().map(|slot| self.placed(slot))
    }

    fn placed(&self, slot: &Slot) -> Placed<'_> {
        let bytes = self.bytes.get(slot.start..slot.end).unwrap_or_default();
        let value = match slot.form {
            Form::Tombstone => None,
            Form::Decoded => Some(Ok(bytes)),
            Form::NotBase64 => Some(Err(bytes)),
        };
        let partition = self.partitions.get(slot.partition).map_or("", String::as_str);
        Placed { partition, offset: slot.offset, value }
    }

    /// Begins a partition, of which records follow.
    pub(super) fn partition(&mut self, key: String) {
        self.partitions.push(key);
    }

    /// A record of the last partition; `write` appends its bytes.
    pub(super) fn record<E>(
        &mut self,
        offset: i64,
        write: impl FnOnce(&mut Vec<u8>) -> Result<Form, E>,
    ) -> Result<(), E> {
        let start = self.bytes.len();
        let form = write(&mut self.bytes)?;
        let partition = self.partitions.len().saturating_sub(1);
        self.slots.push(Slot { partition, offset, form, start, end: self.bytes.len() });
        Ok(())
    }

    /// Brings the records into the order of their partitions' keys.
    pub(super) fn sort(&mut self) {
        if !self.partitions.is_sorted() {
            let partitions = &self.partitions;
            self.slots.sort_by_key(|slot| partitions.get(slot.partition));
        }
    }
}

impl From<MskEvent> for Batch {
    fn from(event: MskEvent) -> Self {
        let mut batch = Self::default();
        for (partition, records) in event.records {
            batch.partition(partition);
            for MskRecord { offset, value } in records {
                let written: Result<(), std::convert::Infallible> = batch.record(offset, |bytes| {
                    let (form, value) = match value {
                        RecordValue::Tombstone => (Form::Tombstone, Vec::new()),
                        RecordValue::Bytes(value) => (Form::Decoded, value),
                        RecordValue::NotBase64(value) => (Form::NotBase64, value),
                    };
                    bytes.extend_from_slice(&value);
                    Ok(form)
                });
                match written {
                    Ok(()) => {}
                }
            }
        }
        batch
    }
}
