//! The Track calls of one application.

use mapping::tracking_log::Track;
use platform::application::SegmentAccount;
use segment::Calls;

/// The records of one application that are to be sent.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// None while its settings cannot be read: then its records are parked unsent.
    pub(crate) account: Option<SegmentAccount>,
    pub(crate) calls: Calls,
    /// Of each call, the index of its record.
    records: Vec<usize>,
}

impl Group {
    pub(crate) fn new(account: Option<SegmentAccount>) -> Self {
        Self { account, ..Self::default() }
    }

    /// Adds the call of the record at an index.
    pub(crate) fn add(&mut self, record: usize, track: &Track<'_>) {
        self.calls.add(|body| track.write(body));
        self.records.push(record);
    }

    /// The index of a call's record.
    pub(crate) fn record(&self, index: usize) -> Option<usize> {
        self.records.get(index).copied()
    }
}
