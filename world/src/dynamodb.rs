//! DynamoDB: tables on demand, conditional writes, expiry that is only a hint, reads that may be late.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Introduction.html>
//!
//! Throttling and failures are faults: `{"status":400,"code":"ThrottlingException"}`.

mod expression;
mod parser;
mod path;
mod value;
mod wire;

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use serde_json::Value;

pub use value::{Item, MAX_ITEM};

use crate::time::{after, between};

/// Reads that do not see the newest writes yet; none unless it is set. Strongly consistent reads always
/// see them.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.ReadConsistency.html>
#[derive(Debug, Clone, Copy, Default)]
pub struct LateReads {
    /// How old a write can be and still not be seen.
    pub window: Duration,
    /// Probability that a read is late, 0 to 1.
    pub probability: f64,
}

/// How a table is set up.
#[derive(Debug, Clone)]
pub struct TableOptions {
    /// Name of the partition key, a string.
    pub partition_key: String,
    /// Name of the sort key, a string, if there is one.
    pub sort_key: Option<String>,
    /// The attribute with the time of expiry, in epoch seconds.
    pub expiry: Option<String>,
    /// How long an expired item is still there: "within a few days".
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html>
    pub expiry_delay: Duration,
    /// Items that are kept; those that were written longest ago are forgotten. DynamoDB forgets nothing: it
    /// is for a process that must not grow.
    pub kept: usize,
}

impl TableOptions {
    /// A table with this partition key; items stay for two days after their expiry.
    pub fn new(partition_key: &str) -> Self {
        Self {
            partition_key: partition_key.to_owned(),
            sort_key: None,
            expiry: None,
            expiry_delay: Duration::from_hours(48),
            kept: usize::MAX,
        }
    }
}

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    options: TableOptions,
    rows: BTreeMap<Vec<String>, Row>,
}

/// The states of an item, oldest first: the newest, and those that a late read can see.
#[derive(Debug, Clone, Default)]
struct Row(Vec<(Timestamp, Option<Item>)>);

impl Row {
    fn at(&self, time: Timestamp) -> Option<&Item> {
        self.0.iter().rev().find(|(since, _)| *since <= time)?.1.as_ref()
    }

    fn newest(&self) -> Option<&Item> {
        self.0.last()?.1.as_ref()
    }
}

/// The tables of an account.
#[derive(Debug, Clone, Default)]
pub struct DynamoDb {
    /// Reads that do not see the newest writes.
    pub late_reads: LateReads,
    tables: BTreeMap<String, Table>,
}

impl DynamoDb {
    /// Creates a table.
    pub fn create(&mut self, name: &str, options: TableOptions) {
        self.tables.insert(name.to_owned(), Table { options, rows: BTreeMap::new() });
    }

    /// The items of a table as a strongly consistent read sees them, in the order of their keys.
    pub fn items(&self, table: &str) -> impl Iterator<Item = &Item> {
        self.tables
            .get(table)
            .into_iter()
            .flat_map(|table| table.rows.values())
            .filter_map(Row::newest)
    }

    /// Deletes what expired long enough ago; a caller with a large table calls it now and then.
    pub fn sweep(&mut self, now: Timestamp) {
        let window = self.late_reads.window;
        for table in self.tables.values_mut() {
            let options = table.options.clone();
            table.rows.retain(|_, row| {
                let gone = row.newest().is_none_or(|item| expired(&options, item, now));
                let last = row.0.last().map_or(now, |(since, _)| *since);
                !gone || between(last, now) < window
            });
        }
    }
}

impl Table {
    /// The item as a read at this time sees it.
    fn read(&self, key: &[String], at: Timestamp, now: Timestamp) -> Option<&Item> {
        let item = self.rows.get(key)?.at(at)?;
        (!expired(&self.options, item, now)).then_some(item)
    }

    /// The item as a strongly consistent read and every write see it.
    fn newest(&self, key: &[String], now: Timestamp) -> Option<&Item> {
        let item = self.rows.get(key)?.newest()?;
        (!expired(&self.options, item, now)).then_some(item)
    }

    fn write(&mut self, key: &[String], item: Option<Item>, window: Duration, now: Timestamp) {
        let row = self.rows.entry(key.to_vec()).or_default();
        row.0.push((now, item));
        // What a late read can see begins with the newest state from before the window.
        let mut states = row.0.iter();
        let old = states.rposition(|(since, _)| between(*since, now) >= window).unwrap_or_default();
        row.0.drain(..old);
        if row.0.len() == 1 && row.newest().is_none() {
            self.rows.remove(key);
        }
        if self.rows.len() > self.options.kept {
            self.forget_oldest();
        }
    }

    /// Forgets the tenth that was written longest ago.
    fn forget_oldest(&mut self) {
        let last = |row: &Row| row.0.last().map_or(Timestamp::MIN, |(since, _)| *since);
        let mut times: Vec<Timestamp> = self.rows.values().map(last).collect();
        let (_, newest_old, _) = times.select_nth_unstable(self.options.kept / 10);
        let newest_old = *newest_old;
        self.rows.retain(|_, row| last(row) > newest_old);
    }
}

/// Whether DynamoDB has deleted the item by now.
fn expired(options: &TableOptions, item: &Item, now: Timestamp) -> bool {
    let expiry = options.expiry.as_ref().and_then(|name| item.get(name)?.get("N")?.as_str());
    let expiry = expiry.and_then(|seconds| Timestamp::from_second(seconds.parse().ok()?).ok());
    expiry.is_some_and(|expiry| after(expiry, options.expiry_delay) <= now)
}

/// When a read sees the table: now, or a moment ago by chance.
fn seen_at(late: LateReads, consistent: bool, now: Timestamp, rng: &mut Rng) -> Timestamp {
    if consistent || rng.f64() >= late.probability {
        return now;
    }
    let window = u64::try_from(late.window.as_nanos()).unwrap_or(u64::MAX);
    let lag = Duration::from_nanos(rng.u64(..=window));
    now.checked_sub(lag).unwrap_or(now)
}

/// The value of a key attribute, if it is a string that is not empty.
fn key_text(value: Option<&Value>) -> Option<String> {
    let text = value?.get("S")?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests;
