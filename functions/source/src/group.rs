//! The Track calls of one application.

use std::ops::Range;

use mapping::tracking_log::Track;
use platform::application::SegmentAccount;
use serde_json::value::RawValue;

/// The records of one application that are to be sent. All calls are written into one piece of memory.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// None while its settings cannot be read: then its records are parked unsent.
    pub(crate) account: Option<SegmentAccount>,
    text: Vec<u8>,
    calls: Vec<Range<usize>>,
    /// Of each call, the index of its record.
    records: Vec<usize>,
}

impl Group {
    pub(crate) fn new(account: Option<SegmentAccount>) -> Self {
        Self { account, ..Self::default() }
    }

    /// Adds the call of the record at an index.
    pub(crate) fn add(&mut self, record: usize, track: &Track<'_>) {
        let start = self.text.len();
        track.write(&mut self.text);
        self.calls.push(start..self.text.len());
        self.records.push(record);
    }

    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    /// The calls, in the order of their records.
    pub(crate) fn calls(&self) -> Vec<&[u8]> {
        self.calls.iter().map(|range| self.text.get(range.clone()).unwrap_or_default()).collect()
    }

    /// One call, to be kept. What [`Track::write`] writes is JSON text; if it were not, `null` would be kept in its
    /// place, so that its record ends in an outcome all the same.
    pub(crate) fn call(&self, index: usize) -> Box<RawValue> {
        let range = self.calls.get(index).cloned().unwrap_or_default();
        serde_json::from_slice(self.text.get(range).unwrap_or_default()).unwrap_or_default()
    }

    /// The index of a call's record.
    pub(crate) fn record(&self, index: usize) -> Option<usize> {
        self.records.get(index).copied()
    }
}
