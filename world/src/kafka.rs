//! A Kafka topic: partitions, a producer that stays with a partition, committed offsets.
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html>
//!
//! Invariants: a partition is read in order; what was not committed is read again.

pub mod mapping;
pub mod wire;

use bytes::Bytes;
use jiff::Timestamp;

/// Kafka's producer stays with a partition for this many bytes (`batch.size`).
/// <https://kafka.apache.org/documentation/#producerconfigs_batch.size>
const STICKY_BYTES: usize = 16 * 1024;

/// A record and its place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Number of the partition.
    pub partition: usize,
    /// Offset in the partition.
    pub offset: usize,
    /// Epoch milliseconds.
    pub timestamp: i64,
    /// Key.
    pub key: Option<Bytes>,
    /// Value; a tombstone has none.
    pub value: Option<Bytes>,
    /// Names and values, in order, repeated ones included.
    pub headers: Vec<(String, Bytes)>,
}

/// Where a consumer group without committed offsets starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StartingPosition {
    /// At the oldest record.
    #[default]
    TrimHorizon,
    /// After the newest record. What is appended before the group reads for the first time is missed.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/with-msk-configure.html>
    Latest,
}

/// What becomes of a mapping's place in the topic when the mapping is updated, as by a deployment, where it
/// starts with [`StartingPosition::Latest`]. The documentation says that it "could miss events during
/// creation or updates", and not when.
/// <https://docs.aws.amazon.com/lambda/latest/dg/with-msk-configure.html>
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LatestAtUpdate {
    /// The group goes on at its committed offsets.
    #[default]
    GoesOn,
    /// The group starts after the newest record again.
    Misses,
}

/// One partition, as `/_sandbox/state` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Offset after the newest record.
    pub end: usize,
    /// Offset of the record to read next.
    pub committed: usize,
}

/// A topic, and how far one consumer group has read it.
#[derive(Debug, Clone)]
pub struct Topic {
    /// Name.
    pub name: String,
    partitions: Vec<Partition>,
    /// Where the next record goes, and how many bytes went there.
    sticky: (usize, usize),
    start: StartingPosition,
    /// The group has not read yet.
    unread: Option<StartingPosition>,
}

#[derive(Debug, Clone, Default)]
struct Partition {
    /// Records from `first` on; earlier ones were dropped.
    records: std::collections::VecDeque<Record>,
    first: usize,
    committed: usize,
}

impl Partition {
    fn end(&self) -> usize {
        self.first + self.records.len()
    }
}

impl Topic {
    /// An empty topic.
    pub fn new(name: &str, partitions: usize, start: StartingPosition) -> Self {
        let partitions = std::iter::repeat_with(Partition::default).take(partitions).collect();
        Self { name: name.to_owned(), partitions, sticky: (0, 0), start, unread: Some(start) }
    }

    /// The mapping stops and polls again, as at a deployment that changes it. A batch that it was delivering
    /// is not committed, and is read again.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/with-msk-configure.html>
    pub fn mapping_updated(&mut self, rule: LatestAtUpdate) {
        if rule == LatestAtUpdate::Misses && self.start == StartingPosition::Latest {
            self.unread = Some(self.start);
        }
    }

    /// Appends values as one request of a producer, and returns how many. They stay on one partition
    /// as long as a producer would keep them there; the next request starts on the next partition.
    pub fn append(
        &mut self,
        values: impl IntoIterator<Item = Option<Bytes>>,
        now: Timestamp,
    ) -> usize {
        let mut number = 0;
        for value in values {
            let (partition, bytes) = self.sticky;
            let bytes = bytes + value.as_ref().map_or(0, Bytes::len);
            self.sticky = if bytes > STICKY_BYTES {
                (self.next_partition(partition), 0)
            } else {
                (partition, bytes)
            };
            let timestamp = now.as_millisecond();
            self.push(Record { partition, timestamp, value, ..Record::default() });
            number += 1;
        }
        self.sticky = (self.next_partition(self.sticky.0), 0);
        number
    }

    /// Appends a record to its partition; the offset is set here.
    pub fn push(&mut self, mut record: Record) {
        if let Some(partition) = self.partitions.get_mut(record.partition) {
            record.offset = partition.end();
            partition.records.push_back(record);
        }
    }

    fn next_partition(&self, partition: usize) -> usize {
        (partition + 1) % self.partitions.len().max(1)
    }

    /// How far each partition was read.
    pub fn progress(&self) -> Vec<Progress> {
        let progress = |partition: &Partition| Progress {
            end: partition.end(),
            committed: partition.committed,
        };
        self.partitions.iter().map(progress).collect()
    }

    /// Records that were not committed yet.
    pub fn lag(&self) -> usize {
        self.progress().iter().map(|partition| partition.end - partition.committed).sum()
    }

    /// The records after the committed offsets, partition by partition.
    fn unread(&mut self) -> impl Iterator<Item = &Record> {
        if self.unread.take() == Some(StartingPosition::Latest) {
            for partition in &mut self.partitions {
                partition.committed = partition.end();
            }
        }
        self.partitions.iter().flat_map(|partition| {
            partition.records.iter().skip(partition.committed - partition.first)
        })
    }

    /// Commits the offsets after these records. A commit never goes back.
    pub fn commit(&mut self, records: &[Record]) {
        for record in records {
            if let Some(partition) = self.partitions.get_mut(record.partition) {
                partition.committed = partition.committed.max(record.offset + 1);
            }
        }
    }

    /// Forgets committed records except the newest of each partition, as the retention of a topic does.
    pub fn trim(&mut self, keep: usize) {
        for partition in &mut self.partitions {
            while partition.first < partition.committed && partition.records.len() > keep {
                partition.records.pop_front();
                partition.first += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(start: StartingPosition) -> Topic {
        Topic::new("channels-tracking-log", 3, start)
    }

    fn values(number: usize, bytes: usize) -> impl Iterator<Item = Option<Bytes>> {
        std::iter::repeat_n(Some(Bytes::from(vec![b'x'; bytes])), number)
    }

    fn lags(topic: &Topic) -> Vec<usize> {
        topic.progress().iter().map(|partition| partition.end - partition.committed).collect()
    }

    #[test]
    fn one_request_stays_on_a_partition_and_a_large_one_moves_on() {
        let mut topic = topic(StartingPosition::TrimHorizon);
        topic.append(values(7, 2), Timestamp::UNIX_EPOCH);
        topic.append([None], Timestamp::UNIX_EPOCH);
        assert_eq!(lags(&topic), [7, 1, 0]);
        topic.append(values(4, 9_000), Timestamp::UNIX_EPOCH);
        assert_eq!(lags(&topic), [9, 1, 2]);
    }

    #[test]
    fn what_was_not_committed_is_read_again() {
        let mut topic = topic(StartingPosition::TrimHorizon);
        topic.append(values(3, 2), Timestamp::UNIX_EPOCH);
        let first: Vec<Record> = topic.unread().cloned().collect();
        topic.commit(&first[..1]);
        let again: Vec<usize> = topic.unread().map(|record| record.offset).collect();
        assert_eq!(again, [1, 2]);
        topic.commit(&first);
        topic.commit(&first[..1]);
        topic.trim(1);
        assert_eq!((topic.lag(), topic.unread().count()), (0, 0));
        topic.append(values(1, 2), Timestamp::UNIX_EPOCH);
        assert_eq!(topic.progress()[0].end, 3);
    }

    // with-msk-configure: with LATEST "the event source mapping could miss events during creation or updates";
    // with TRIM_HORIZON "no events are missed".
    #[test]
    fn what_an_update_of_the_mapping_misses_depends_on_where_it_starts() {
        for (start, rule, read) in [
            (StartingPosition::TrimHorizon, LatestAtUpdate::GoesOn, 2),
            (StartingPosition::TrimHorizon, LatestAtUpdate::Misses, 2),
            (StartingPosition::Latest, LatestAtUpdate::GoesOn, 2),
            (StartingPosition::Latest, LatestAtUpdate::Misses, 0),
        ] {
            let mut topic = topic(start);
            assert_eq!(topic.unread().count(), 0);
            topic.append(values(1, 2), Timestamp::UNIX_EPOCH);
            let first: Vec<Record> = topic.unread().cloned().collect();
            topic.commit(&first);
            topic.append(values(2, 2), Timestamp::UNIX_EPOCH);
            topic.mapping_updated(rule);
            assert_eq!(topic.unread().count(), read, "{start:?} {rule:?}");
        }
    }

    // with-msk-configure: "LATEST can miss records while the mapping is created".
    #[test]
    fn latest_misses_what_came_before_the_first_read() {
        for (start, read) in [(StartingPosition::TrimHorizon, 2), (StartingPosition::Latest, 0)] {
            let mut topic = topic(start);
            topic.append(values(2, 2), Timestamp::UNIX_EPOCH);
            assert_eq!(topic.unread().count(), read, "{start:?}");
            topic.append(values(1, 2), Timestamp::UNIX_EPOCH);
            assert_eq!(topic.unread().count(), read + 1, "{start:?}");
        }
    }
}
