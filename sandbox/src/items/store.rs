//! The rows, newest last, bounded.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use serde::Serialize;

use super::arrival::{Arrival, Arrivals};
use super::filter::Filter;
use super::line::{ItemLine, Step};
use super::row::{DISCARDED, Refused, Row};
use crate::recent::text;

/// Rows that are kept. With what is kept of their inputs they take about 30 MB.
pub(super) const KEPT: usize = 10_000;

/// Bytes of the inputs that are kept.
pub(super) const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Of one input so much is kept; the largest item is that of a request, 6 MB.
const MAX_INPUT: usize = 256 * 1024;

/// Attempts of one item that are kept, the newest ones.
const MAX_STEPS: usize = 50;

/// Rows and how to find them.
#[derive(Debug, Default)]
pub(super) struct Store {
    rows: VecDeque<Entry>,
    /// Rows so far. The newest has this number.
    added: u64,
    bytes: usize,
    by_origin: HashMap<String, u64>,
    /// Each change of a row gets a number; the newest change of each row counts.
    change: u64,
    changes: VecDeque<(u64, u64)>,
    /// Items by the outcome that they have now.
    now: BTreeMap<String, u64>,
    /// How often an item came to an outcome.
    entered: BTreeMap<String, u64>,
    /// Rows that are pending or parked.
    undelivered: BTreeSet<u64>,
}

#[derive(Debug)]
struct Entry {
    row: Row,
    input: Vec<u8>,
    /// The input is longer than what is kept of it.
    cut: bool,
    steps: VecDeque<Step>,
    change: u64,
}

/// A row with what is kept of it.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(super) row: Row,
    pub(super) input: Vec<u8>,
    pub(super) cut: bool,
    pub(super) steps: Vec<Step>,
}

/// Items in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// Items by outcome. Their sum is what came in.
    pub(crate) now: BTreeMap<String, u64>,
    /// How often an item came to an outcome: an item that was parked and delivered is in both.
    pub(crate) entered: BTreeMap<String, u64>,
    /// When the oldest item came in that is pending or parked.
    pub(crate) oldest_undelivered: Option<String>,
}

impl Store {
    /// Items came in. What is known already stays: a batch may come again.
    pub(super) fn arrive(&mut self, arrivals: &Arrivals) {
        for Arrival { row, bytes } in &arrivals.items {
            if !self.by_origin.contains_key(&row.origin) {
                self.add(row.clone(), bytes);
            }
        }
    }

    /// A request came in, and was not worked on.
    pub(super) fn refuse(&mut self, refused: &Refused) {
        let row = refused.row();
        self.add(row, &refused.body);
    }

    /// Why a request was refused: the function says more than its answer.
    pub(super) fn refused_because(&mut self, line: &ItemLine) {
        let Some(id) = self.by_origin.get(&line.origin).copied() else { return };
        if let Some(entry) = self.entry_mut(id) {
            entry.row.reason.clone_from(&line.step.reason);
            self.changed(id);
        }
    }

    /// An invocation gave no answer: what is not known to have ended failed.
    pub(super) fn fail(&mut self, arrivals: &Arrivals, error: &str) {
        for arrival in &arrivals.items {
            let Some(id) = self.by_origin.get(&arrival.row.origin).copied() else { continue };
            let pending =
                self.entry(id).is_some_and(|entry| entry.row.outcome == super::row::PENDING);
            if pending {
                let step = Step {
                    at: super::row::shown(jiff::Timestamp::now()),
                    function: arrivals.function().to_owned(),
                    outcome: "failed".to_owned(),
                    cause: Some("invocation_failed".to_owned()),
                    words: super::row::short(error),
                    ..Step::default()
                };
                self.step(id, &step);
            }
        }
    }

    /// An item was discarded from a queue. One of which only a part was there has ended otherwise, and stays so.
    pub(super) fn discard(&mut self, origin: &str, queue: &str) {
        let Some(id) = self.by_origin.get(origin).copied() else { return };
        let Some(Entry { row, .. }) = self.entry(id) else { return };
        if !row.is_undelivered() && !["rejected", "failed"].contains(&row.outcome.as_str()) {
            return;
        }
        let step = Step {
            at: super::row::shown(jiff::Timestamp::now()),
            function: "a person".to_owned(),
            outcome: DISCARDED.to_owned(),
            reason: row.reason.clone(),
            cause: row.cause.clone(),
            words: Some(format!("discarded from the queue {queue}")),
            ..Step::default()
        };
        self.step(id, &step);
    }

    /// An item ended in some way.
    pub(super) fn line(&mut self, line: ItemLine) {
        let known = self.by_origin.get(&line.origin).copied();
        let id = known.unwrap_or_else(|| {
            // Its row was forgotten, or it was sent by hand. Its ids are known as hashes only.
            let row = Row {
                at: line.step.at.clone(),
                kind: line.kind.clone().unwrap_or_default(),
                app: line.app.clone(),
                name: line.name.clone(),
                message_id: line.message_id.clone(),
                outcome: super::row::PENDING.to_owned(),
                origin: line.origin.clone(),
                ..Row::default()
            };
            self.add(row, &[])
        });
        if let Some(entry) = self.entry_mut(id) {
            let row = &mut entry.row;
            row.app = row.app.take().or(line.app);
            row.name = row.name.take().or(line.name);
            row.message_id = row.message_id.take().or(line.message_id);
        }
        self.step(id, &line.step);
    }

    fn step(&mut self, id: u64, step: &Step) {
        let Some(entry) = self.entry_mut(id) else { return };
        let before = std::mem::replace(&mut entry.row.outcome, step.outcome.clone());
        entry.row.reason.clone_from(&step.reason);
        entry.row.cause.clone_from(&step.cause);
        entry.row.detail.clone_from(&step.words);
        entry.steps.push_back(step.clone());
        entry.row.attempts = step.attempts.unwrap_or(entry.row.attempts).max(1);
        if entry.steps.len() > MAX_STEPS {
            entry.steps.pop_front();
        }
        let undelivered = entry.row.is_undelivered();
        if before != step.outcome {
            if let Some(number) = self.now.get_mut(&before) {
                *number = number.saturating_sub(1);
            }
            self.count(&step.outcome);
        }
        if undelivered {
            self.undelivered.insert(id);
        } else {
            self.undelivered.remove(&id);
        }
        self.changed(id);
    }

    fn count(&mut self, outcome: &str) {
        for counts in [&mut self.now, &mut self.entered] {
            *counts.entry(outcome.to_owned()).or_default() += 1;
        }
    }

    fn add(&mut self, mut row: Row, bytes: &[u8]) -> u64 {
        self.added += 1;
        row.id = self.added;
        self.count(&row.outcome);
        if row.is_undelivered() {
            self.undelivered.insert(row.id);
        }
        if !row.origin.is_empty() {
            self.by_origin.insert(row.origin.clone(), row.id);
        }
        let input = bytes.get(..MAX_INPUT).unwrap_or(bytes).to_vec();
        self.bytes += input.len();
        let cut = input.len() < bytes.len();
        let id = row.id;
        self.rows.push_back(Entry { row, input, cut, steps: VecDeque::new(), change: 0 });
        self.changed(id);
        while self.rows.len() > KEPT || (self.bytes > MAX_BYTES && self.rows.len() > 1) {
            self.forget();
        }
        id
    }

    fn forget(&mut self) {
        let Some(Entry { row, input, .. }) = self.rows.pop_front() else { return };
        self.bytes -= input.len();
        self.undelivered.remove(&row.id);
        if self.by_origin.get(&row.origin) == Some(&row.id) {
            self.by_origin.remove(&row.origin);
        }
    }

    fn changed(&mut self, id: u64) {
        self.change += 1;
        let change = self.change;
        if let Some(entry) = self.entry_mut(id) {
            entry.change = change;
        }
        self.changes.push_back((change, id));
        if self.changes.len() > 2 * KEPT {
            let mut changes = std::mem::take(&mut self.changes);
            changes.retain(|(change, id)| self.entry(*id).is_some_and(|one| one.change == *change));
            self.changes = changes;
        }
    }

    fn place(&self, id: u64) -> Option<usize> {
        let first = self.rows.front()?.row.id;
        usize::try_from(id.checked_sub(first)?).ok()
    }

    fn entry(&self, id: u64) -> Option<&Entry> {
        self.rows.get(self.place(id)?)
    }

    fn entry_mut(&mut self, id: u64) -> Option<&mut Entry> {
        let place = self.place(id)?;
        self.rows.get_mut(place)
    }

    /// The newest rows that a filter lets through, newest first.
    pub(super) fn list(&self, filter: &Filter) -> String {
        let rows = self.rows.iter().rev().map(|entry| &entry.row);
        let rows: Vec<&Row> = rows.filter(|row| filter.lets(row)).take(filter.limit).collect();
        text(&rows)
    }

    /// A row with what is kept of it.
    pub(super) fn find(&self, id: u64) -> Option<Kept> {
        let Entry { row, input, cut, steps, .. } = self.entry(id)?;
        let steps = steps.iter().cloned().collect();
        Some(Kept { row: row.clone(), input: input.clone(), cut: *cut, steps })
    }

    /// Rows that changed after a change, oldest change first, each with its change's number; at most so many.
    pub(super) fn after(&self, change: u64, most: usize) -> Vec<(u64, String)> {
        let start = self.changes.partition_point(|(number, _)| *number <= change);
        let changes = self.changes.iter().skip(start);
        let newest = changes.filter_map(|(number, id)| {
            let entry = self.entry(*id).filter(|entry| entry.change == *number)?;
            Some((*number, text(&entry.row)))
        });
        newest.take(most).collect()
    }

    /// The change after which the newest `rows` rows follow, and the newest change.
    pub(super) fn start(&self, rows: usize) -> (Vec<String>, u64) {
        let skipped = self.rows.len().saturating_sub(rows);
        let newest = self.rows.iter().skip(skipped).map(|entry| text(&entry.row));
        (newest.collect(), self.change)
    }

    /// Items in numbers.
    pub(super) fn counts(&self) -> Counts {
        let oldest = self.undelivered.first().and_then(|id| self.entry(*id));
        Counts {
            now: self.now.clone(),
            entered: self.entered.clone(),
            oldest_undelivered: oldest.map(|entry| entry.row.at.clone()),
        }
    }
}
