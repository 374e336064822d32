//! What was sent, and where each item ended.
//!
//! Every item carries its number in a text that stays in it wherever it goes: `soak-17`, or `gone-17` in the
//! user id of a deletion. So an item is recognized in a call to an upstream and in a message of a queue
//! without knowing how it was mapped.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard};

/// Marks an item.
const MARK: &str = "soak-";

/// Marks a deletion in the id of its user. That user's profiles carry it too, with their own mark.
const MARK_OF_DELETION: &str = "gone-";

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Event,
    Profile,
    Deletion,
    RawEvent,
    Record,
}

impl Kind {
    const ALL: [Self; 5] =
        [Self::Event, Self::Profile, Self::Deletion, Self::RawEvent, Self::Record];

    fn name(self) -> &'static str {
        match self {
            Self::Event => "events",
            Self::Profile => "profiles",
            Self::Deletion => "deletions",
            Self::RawEvent => "raw events",
            Self::Record => "records",
        }
    }
}

/// Where an item was seen.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// An upstream answered its call with this status; 0 where it gave no answer.
    Upstream(u16),
    Rejects,
    Dead,
}

#[derive(Debug)]
struct Entry {
    kind: Kind,
    /// A profile's user, by the number of the deletion that ends it.
    person: Option<usize>,
    accepted: bool,
    delivered: u16,
    rejected: bool,
    dead: bool,
    /// What the upstream answered instead of 200.
    refusals: Vec<u16>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: Vec<Entry>,
    refused: usize,
    resent: usize,
    /// Profiles of a user that came to Pushwoosh after a newer one, or after the user's deletion.
    late: usize,
    /// By person: the newest profile that was delivered; the greatest number once the user is deleted.
    newest_delivered: HashMap<usize, usize>,
    /// By person: likewise, also when Pushwoosh refused it or it was given up. A newer value overtakes an older
    /// one once it is accepted here, whatever becomes of it then.
    newest_ended: HashMap<usize, usize>,
}

/// The books.
#[derive(Debug, Default)]
pub(super) struct Books(Mutex<Inner>);

/// How items of a kind ended.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    accepted: usize,
    delivered: usize,
    rejected: usize,
    dead: usize,
    disregarded: usize,
    repeated: usize,
}

impl Books {
    /// A new item, and the text that marks it.
    pub(super) fn open(&self, kind: Kind, person: Option<usize>) -> (usize, String) {
        let entries = &mut self.lock().entries;
        let number = entries.len();
        let (accepted, rejected, dead) = (false, false, false);
        let refusals = Vec::new();
        entries.push(Entry { kind, person, accepted, delivered: 0, rejected, dead, refusals });
        let mark = if kind == Kind::Deletion { MARK_OF_DELETION } else { MARK };
        (number, format!("{mark}{number}"))
    }

    /// The caller was told that these items were accepted.
    pub(super) fn accepted(&self, items: &[usize]) {
        let mut inner = self.lock();
        for item in items {
            inner.entries[*item].accepted = true;
        }
    }

    /// A request was answered with 5xx and is sent again.
    pub(super) fn resent(&self) {
        self.lock().resent += 1;
    }

    /// A request was refused for good.
    pub(super) fn refuse(&self) {
        self.lock().refused += 1;
    }

    /// Requests that were refused for good.
    pub(super) fn refused(&self) -> usize {
        self.lock().refused
    }

    /// Items were seen somewhere: those that the text names.
    pub(super) fn see(&self, text: &str, place: Place) {
        let mut items = marked(text, MARK);
        if items.is_empty() {
            items = marked(text, MARK_OF_DELETION);
        }
        let mut inner = self.lock();
        for item in items {
            let Some(entry) = inner.entries.get_mut(item) else { continue };
            match place {
                Place::Upstream(200) => entry.delivered += 1,
                Place::Upstream(status) => {
                    entry.refusals.push(status);
                    continue;
                }
                Place::Rejects => entry.rejected = true,
                Place::Dead => entry.dead = true,
            }
            let (person, order) = match entry.kind {
                Kind::Deletion => (Some(item), usize::MAX),
                _ => (entry.person, item),
            };
            let Some(person) = person else { continue };
            let ended = inner.newest_ended.entry(person).or_default();
            *ended = order.max(*ended);
            if matches!(place, Place::Upstream(_)) {
                let delivered = inner.newest_delivered.entry(person).or_default();
                let late = *delivered > order;
                *delivered = order.max(*delivered);
                inner.late += usize::from(late);
            }
        }
    }

    /// Accepted items of which nobody knows where they are.
    pub(super) fn unaccounted(&self) -> Vec<String> {
        let inner = self.lock();
        let numbered = inner.entries.iter().enumerate().filter(|(_, entry)| entry.accepted);
        let lost = numbered.filter(|(number, entry)| inner.end(*number, entry).is_none());
        lost.map(|(number, entry)| {
            let own = format!("{} {number}", entry.kind.name());
            let Some(person) = entry.person else { return own };
            let of_person = inner.entries.iter().enumerate();
            let of_person =
                of_person.filter(|(other, entry)| *other == person || entry.person == Some(person));
            format!("{own} of {MARK_OF_DELETION}{person}: {:?}", of_person.collect::<Vec<_>>())
        })
        .collect()
    }

    /// How the items of each kind ended.
    pub(super) fn table(&self) -> String {
        let inner = self.lock();
        let mut table = "| | accepted | delivered | rejected | dead letters | disregarded | unaccounted | repeated |\n|---|---|---|---|---|---|---|---|\n".to_owned();
        for kind in Kind::ALL {
            let Sum { accepted, delivered, rejected, dead, disregarded, repeated } =
                inner.sum(kind);
            let left = accepted - delivered - rejected - dead - disregarded;
            let name = kind.name();
            writeln!(table, "| {name} | {accepted} | {delivered} | {rejected} | {dead} | {disregarded} | {left} | {repeated} |").unwrap();
        }
        table
    }

    /// What else is worth knowing.
    pub(super) fn remarks(&self) -> Vec<String> {
        let inner = self.lock();
        vec![
            format!("requests sent again after a 5xx: {}", inner.resent),
            format!("profiles that came after a newer one or a deletion: {}", inner.late),
        ]
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }
}

/// How an item ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Delivered,
    Rejected,
    Dead,
    /// A profile that a newer one of its user, or its user's deletion, has overtaken.
    Disregarded,
}

impl Inner {
    fn end(&self, number: usize, entry: &Entry) -> Option<End> {
        let overtaken = || {
            let newest = entry.person.and_then(|person| self.newest_ended.get(&person));
            newest.is_some_and(|newest| *newest > number)
        };
        match entry {
            Entry { delivered: 1.., .. } => Some(End::Delivered),
            Entry { rejected: true, .. } => Some(End::Rejected),
            Entry { dead: true, .. } => Some(End::Dead),
            _ => overtaken().then_some(End::Disregarded),
        }
    }

    fn sum(&self, kind: Kind) -> Sum {
        let mut sum = Sum::default();
        for (number, entry) in self.entries.iter().enumerate() {
            if entry.kind != kind || !entry.accepted {
                continue;
            }
            sum.accepted += 1;
            sum.repeated += usize::from(entry.delivered.saturating_sub(1));
            match self.end(number, entry) {
                Some(End::Delivered) => sum.delivered += 1,
                Some(End::Rejected) => sum.rejected += 1,
                Some(End::Dead) => sum.dead += 1,
                Some(End::Disregarded) => sum.disregarded += 1,
                None => {}
            }
        }
        sum
    }
}

/// The numbers after a mark in a text, each once.
fn marked(text: &str, mark: &str) -> Vec<usize> {
    let mut numbers: Vec<usize> = text
        .split(mark)
        .skip(1)
        .filter_map(|rest| {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            rest.get(..digits)?.parse().ok()
        })
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

#[test]
fn an_item_is_found_wherever_it_is_and_what_is_found_nowhere_is_told() {
    let books = Books::default();
    let (deletion, user) = books.open(Kind::Deletion, None);
    let marks: Vec<String> = (0..3).map(|_| books.open(Kind::Profile, Some(deletion)).1).collect();
    books.accepted(&[0, 1, 2, 3]);
    assert_eq!(books.unaccounted().len(), 4);
    books.see(
        &format!(r#"{{"userId":"{user}","tags":{{"n":"{}"}}}}"#, marks[1]),
        Place::Upstream(200),
    );
    let lost = books.unaccounted();
    assert_eq!(lost.len(), 2, "the first was overtaken: {lost:?}");
    assert_eq!(lost[0], "deletions 0");
    assert!(lost[1].starts_with("profiles 3 of gone-0"), "{lost:?}");
    books.see(&format!("raw {} raw {0}", marks[2]), Place::Rejects);
    books.see(&format!(r#"{{"user_id":"{user}"}}"#), Place::Upstream(200));
    assert!(books.unaccounted().is_empty());
    let table = books.table();
    assert!(table.contains("| profiles | 3 | 1 | 1 | 0 | 1 | 0 | 0 |"), "{table}");
    books.see(&marks[2], Place::Upstream(200));
    assert!(books.remarks()[1].ends_with(": 1"));
}

#[test]
fn a_profile_is_overtaken_by_a_newer_one_also_when_pushwoosh_refused_that_one() {
    let books = Books::default();
    let (person, user) = books.open(Kind::Deletion, None);
    let (older, _) = books.open(Kind::Profile, Some(person));
    let (_, newer) = books.open(Kind::Profile, Some(person));
    books.accepted(&[older]);
    books.see(&newer, Place::Upstream(503));
    assert!(books.unaccounted()[0].starts_with(&format!("profiles {older} of {user}")));
    books.see(&newer, Place::Rejects);
    assert!(books.unaccounted().is_empty());
}
