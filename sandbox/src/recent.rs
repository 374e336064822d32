//! The newest entries of a list, for people and tests who look.
//!
//! Entries are kept as text: a parsed document takes about ten times as much memory. Their number and
//! their bytes are bounded, so that the sandbox's memory stays flat under load.

use std::collections::VecDeque;

use serde::Serialize;

/// Bytes of the text of one list. There are five lists: the calls of each upstream, the log lines,
/// what the topic's mapping gave up, and the samples for the page's plots.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Entries, oldest first.
#[derive(Debug)]
pub(crate) struct Recent {
    entries: VecDeque<String>,
    bytes: usize,
    /// Entries so far: the newest has this number.
    added: u64,
    most: usize,
}

impl Recent {
    /// An empty list of so many entries at most.
    pub(crate) fn new(most: usize) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, added: 0, most }
    }

    /// Adds an entry that was made by [`text`], and forgets the oldest ones if there is no room.
    pub(crate) fn push(&mut self, entry: String) {
        self.bytes += entry.len();
        self.added += 1;
        self.entries.push_back(entry);
        while self.entries.len() > self.most || (self.bytes > MAX_BYTES && self.entries.len() > 1) {
            let Some(entry) = self.entries.pop_front() else { return };
            self.bytes -= entry.len();
        }
    }

    /// The entries, oldest first, as a JSON list.
    pub(crate) fn list(&self) -> String {
        let mut list = String::with_capacity(self.bytes + self.entries.len() + 2);
        list.push('[');
        for entry in &self.entries {
            if list.len() > 1 {
                list.push(',');
            }
            list.push_str(entry);
        }
        list.push(']');
        list
    }

    /// The entries after the one with this number, oldest first, as lines of a number, a space and JSON.
    pub(crate) fn after(&self, number: u64) -> String {
        let first = self.added - self.entries.len() as u64 + 1;
        let mut lines = String::new();
        for (own, entry) in (first..).zip(&self.entries).filter(|(own, _)| *own > number) {
            lines.extend([&own.to_string(), " ", entry, "\n"]);
        }
        lines
    }

    /// The entries that are wanted, oldest first.
    pub(crate) fn find(&self, wanted: &dyn Fn(&str) -> bool) -> Vec<String> {
        self.entries.iter().filter(|entry| wanted(entry)).cloned().collect()
    }

    /// Forgets all entries. Their numbers are not used again.
    pub(crate) fn clear(&mut self) {
        self.entries = VecDeque::new();
        self.bytes = 0;
    }
}

/// An entry as text.
pub(crate) fn text(entry: &impl Serialize) -> String {
    // Keys are text and numbers are finite: nothing can fail.
    serde_json::to_string(entry).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept() {
        let mut recent = Recent::new(10);
        assert_eq!(recent.list(), "[]");
        for number in 0..15 {
            recent.push(text(&number));
        }
        assert_eq!(recent.list(), "[5,6,7,8,9,10,11,12,13,14]");
    }

    #[test]
    fn large_entries_are_forgotten_sooner() {
        let mut recent = Recent::new(10);
        let large = |letter: &str| text(&letter.repeat(MAX_BYTES / 2 - 2));
        for letter in ["a", "b", "c"] {
            recent.push(large(letter));
        }
        assert_eq!(recent.list().len(), MAX_BYTES + 3);
        recent.push(text(&"d".repeat(2 * MAX_BYTES)));
        assert_eq!(recent.list().len(), 2 * MAX_BYTES + 4, "the newest is kept whatever its size");
    }

    #[test]
    fn a_reader_goes_on_where_it_was() {
        let mut recent = Recent::new(2);
        for number in 0..3 {
            recent.push(text(&number));
        }
        assert_eq!(recent.after(0), "2 1\n3 2\n", "the first one was forgotten");
        assert_eq!(recent.after(2), "3 2\n");
        recent.clear();
        recent.push(text(&3));
        assert_eq!(recent.after(3), "4 3\n");
        assert_eq!(recent.after(9), "");
    }
}
