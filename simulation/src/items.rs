//! What goes in, and what its senders were answered.
//!
//! Every item carries a marker: a number between tildes that the functions have no reason to change. It
//! is looked for in calls and in messages, so that nothing needs to be known of how the functions work.

use std::time::Duration;

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Profile,
    Event,
    Deletion,
    Record,
}

/// Something that was sent to the functions.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) what: What,
    pub(crate) application: String,
    pub(crate) user: String,
    /// When it was sent first.
    pub(crate) created: Duration,
    /// When its sender was told that it is taken.
    pub(crate) accepted: Option<Duration>,
    /// In how many equal requests it is, and how many of them were taken.
    pub(crate) copies: usize,
    pub(crate) taken: usize,
    /// It can never be delivered and must be kept with a reason.
    pub(crate) bad: bool,
}

/// All items; a marker is an index.
#[derive(Debug, Default)]
pub(crate) struct Items(pub(crate) Vec<Item>);

impl Items {
    pub(crate) fn add(&mut self, item: Item) -> u64 {
        self.0.push(item);
        self.0.len() as u64 - 1
    }

    pub(crate) fn get_mut(&mut self, marker: u64) -> Option<&mut Item> {
        self.0.get_mut(usize::try_from(marker).ok()?)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Item)> {
        (0_u64..).zip(&self.0)
    }
}

/// A request of Segment, one attempt.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) at: Duration,
    pub(crate) ended: Duration,
    /// Time of a cold start in it.
    pub(crate) cold: Duration,
    pub(crate) application: String,
    pub(crate) user: String,
    /// HTTP status; 0 without an answer.
    pub(crate) status: u16,
    /// The function died, or was not even started.
    pub(crate) died: bool,
    pub(crate) key: Key,
    pub(crate) markers: Vec<u64>,
}

/// What a key is at the time of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// The current one, or the one before within the grace time.
    Right,
    /// Replaced longer ago than the grace time.
    Revoked,
    /// Its secret was away, or something in between.
    Unclear,
}

/// The API keys of an application.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys {
    /// Versions of the secret with their times, oldest first.
    pub(crate) versions: Vec<(Duration, String)>,
    /// What is set up in Segment.
    pub(crate) caller: String,
    /// The secret does not exist now.
    pub(crate) away: bool,
}

/// How long the key before a rotation is accepted, and how late a rotation may be noticed.
const GRACE: Duration = Duration::from_hours(24);
const NOTICED: Duration = Duration::from_hours(1);

impl Keys {
    pub(crate) fn standing(&self, key: &str, now: Duration) -> Key {
        let replaced = self.versions.iter().position(|(_, own)| own == key);
        let Some(place) = replaced.filter(|_| !self.away) else { return Key::Unclear };
        match self.versions.get(place + 1).map(|(at, _)| now.saturating_sub(*at)) {
            None => Key::Right,
            Some(since) if since < GRACE && place + 2 == self.versions.len() => Key::Right,
            Some(since) if since > GRACE + NOTICED => Key::Revoked,
            Some(_) => Key::Unclear,
        }
    }
}

/// How a marker is written.
pub(crate) fn mark(marker: u64) -> String {
    format!("~{marker}~")
}

/// The markers in a text, each once.
pub(crate) fn markers(text: &str) -> Vec<u64> {
    let mut found: Vec<u64> =
        text.split('~').skip(1).step_by(2).filter_map(|number| number.parse().ok()).collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_found_in_any_text() {
        assert_eq!(markers(r#"{"a":"~12~","b":["~3~","~12~"]}"#), [3, 12]);
        assert!(markers("nothing").is_empty());
        assert_eq!(markers(&mark(7)), [7]);
    }
}
