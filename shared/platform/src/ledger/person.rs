//! Deletions, and the times of the values that profiles set.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use jiff::Timestamp;

use super::table::{Change, Row, moment, moment_of};
use super::{Ledger, Unavailable, hashed};
use crate::clock::Instant;

/// How long times of values are kept: longer than an item can wait, also one that an operator sends again
/// from the dead-letter queue twice (13 days on the retry queue and 14 on the dead-letter queue, each time).
const VALUES: Duration = Duration::from_hours(60 * 24);

/// How long a deletion is kept, as its receipt: a year and a month.
const RECEIPTS: Duration = Duration::from_hours(400 * 24);

/// Values of one write. Its expressions may have 4 KB and 300 operators.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
const VALUES_OF_A_WRITE: usize = 40;

const DELETED: &str = "deleted";
const PENDING: &str = "pending";
const DELIVERED: &str = "delivered";
const ERASED: &str = "erased";

/// What the ledger knows of a person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// When the newest deletion was accepted.
    pub deleted: Option<Timestamp>,
    /// When the deletion was accepted that is parked.
    pub pending: Option<Timestamp>,
    /// When Pushwoosh took the newest deletion that it took.
    pub delivered: Option<Timestamp>,
    /// When an operator last erased what was kept of them.
    pub erased: Option<Timestamp>,
    newest: HashMap<String, Timestamp>,
}

impl Person {
    /// Whether a deletion or an erasure came after something that was accepted at this time.
    pub fn was_deleted_after(&self, accepted: Timestamp) -> bool {
        self.deleted.max(self.erased).is_some_and(|deleted| is_after(deleted, accepted))
    }

    /// Whether a deletion that was accepted at this time is covered by a later one. An erasure covers
    /// none: Pushwoosh does not learn of it.
    pub fn is_deletion_covered(&self, accepted: Timestamp) -> bool {
        self.deleted.is_some_and(|deleted| is_after(deleted, accepted))
    }

    /// Whether a deletion that came before this time is still to be delivered.
    pub fn has_pending_before(&self, accepted: Timestamp) -> bool {
        self.pending.is_some_and(|pending| is_after(accepted, pending))
    }

    /// Whether Pushwoosh took a deletion that was accepted at this time, or a later one, since. An earlier one that
    /// it took since is none: what came in between was delivered after it, and has to go too.
    pub fn is_deletion_done(&self, accepted: Timestamp) -> bool {
        let is_known = self.deleted.is_some_and(|deleted| !is_after(accepted, deleted));
        is_known && self.delivered.is_some_and(|delivered| is_after(delivered, accepted))
    }

    /// Whether a newer value than that of this time was accepted.
    pub fn is_overtaken(&self, value: &str, accepted: Timestamp) -> bool {
        self.newest.get(&value_name(value)).is_some_and(|newest| is_after(*newest, accepted))
    }

    /// Whether a value was accepted after this time.
    pub fn has_values_after(&self, accepted: Timestamp) -> bool {
        self.newest.values().any(|newest| is_after(*newest, accepted))
    }

    fn read(deletion: Option<&Row>, values: Option<Row>) -> Self {
        let of = |name: &str| deletion.and_then(|row| moment_of(row, name));
        let values = values.unwrap_or_default();
        let newest =
            values.keys().filter_map(|name| Some((name.clone(), moment_of(&values, name)?)));
        Self {
            deleted: of(DELETED),
            pending: of(PENDING),
            delivered: of(DELIVERED),
            erased: of(ERASED),
            newest: newest.collect(),
        }
    }
}

impl Ledger {
    /// What is known of an application's people, by their ids.
    pub async fn people(
        &self,
        application: &str,
        ids: &BTreeSet<&str>,
        deadline: Instant,
    ) -> Result<HashMap<String, Person>, Unavailable> {
        let keys =
            ids.iter().flat_map(|id| [deletion_key(application, id), values_key(application, id)]);
        let mut rows = self.get_all(&keys.collect::<Vec<_>>(), deadline).await?;
        let people = ids.iter().map(|id| {
            let values = rows.remove(&values_key(application, id));
            let person = Person::read(rows.get(&deletion_key(application, id)), values);
            ((*id).to_owned(), person)
        });
        Ok(people.collect())
    }

    /// What is known of an application's people, but for the times of values.
    pub async fn deletions(
        &self,
        application: &str,
        ids: &BTreeSet<&str>,
        deadline: Instant,
    ) -> Result<HashMap<String, Person>, Unavailable> {
        let keys: Vec<String> = ids.iter().map(|id| deletion_key(application, id)).collect();
        let rows = self.get_all(&keys, deadline).await?;
        let people = ids
            .iter()
            .zip(keys)
            .map(|(id, key)| ((*id).to_owned(), Person::read(rows.get(&key), None)));
        Ok(people.collect())
    }

    /// What is known of one person, but for the times of values.
    pub async fn person(
        &self,
        application: &str,
        id: &str,
        deadline: Instant,
    ) -> Result<Person, Unavailable> {
        let row = self.get(&deletion_key(application, id), deadline).await?;
        Ok(Person::read(row.as_ref(), None))
    }

    /// A deletion was accepted: what was accepted before it must not be delivered any more.
    pub async fn deleted(
        &self,
        application: &str,
        id: &str,
        accepted: Timestamp,
        deadline: Instant,
    ) -> Result<(), Unavailable> {
        let change = Change::default().raise(DELETED, accepted);
        self.note(application, id, change, deadline).await
    }

    /// An operator erases what is kept of a person: what was accepted before must not be delivered any more,
    /// except for deletions.
    pub async fn erased(
        &self,
        application: &str,
        id: &str,
        at: Timestamp,
        deadline: Instant,
    ) -> Result<(), Unavailable> {
        let change = Change::default().raise(ERASED, at);
        self.note(application, id, change, deadline).await
    }

    /// A deletion is about to be parked: what comes after it has to wait behind it.
    pub async fn deletion_is_pending(
        &self,
        application: &str,
        id: &str,
        accepted: Timestamp,
        deadline: Instant,
    ) -> Result<(), Unavailable> {
        let change = Change::default()
            .raise(PENDING, accepted)
            .value(":own", moment(accepted))
            .only_if("attribute_not_exists(#deleted) OR #deleted <= :own");
        self.note(application, id, change, deadline).await
    }

    /// Pushwoosh took a deletion. It covers those that came before it.
    pub async fn deletion_is_delivered(
        &self,
        application: &str,
        id: &str,
        accepted: Timestamp,
        deadline: Instant,
    ) -> Result<(), Unavailable> {
        let change = Change::default()
            .set(DELIVERED, moment(self.clock.wall()))
            .remove(PENDING)
            .value(":own", moment(accepted))
            .only_if("attribute_not_exists(#pending) OR #pending <= :own");
        self.note(application, id, change, deadline).await
    }

    /// Nothing waits behind this deletion any more: a later one covers it, no queue took it, or Pushwoosh
    /// refused it.
    pub async fn deletion_is_covered(
        &self,
        application: &str,
        id: &str,
        accepted: Timestamp,
        deadline: Instant,
    ) -> Result<(), Unavailable> {
        let change = Change::default()
            .remove(PENDING)
            .value(":own", moment(accepted))
            .only_if("#pending <= :own");
        self.note(application, id, change, deadline).await
    }

    /// Writes what became of a deletion. Where the condition does not hold, what is there is newer and covers it.
    async fn note(
        &self,
        application: &str,
        id: &str,
        change: Change,
        deadline: Instant,
    ) -> Result<(), Unavailable> {
        let key = deletion_key(application, id);
        self.change(&key, change, RECEIPTS, deadline).await?.or(Ok(()))
    }

    /// These values were accepted at this time; older ones must not overwrite them.
    pub async fn values_were_accepted(
        &self,
        application: &str,
        id: &str,
        values: &BTreeSet<String>,
        accepted: Timestamp,
        deadline: Instant,
    ) -> Result<(), Unavailable> {
        let key = values_key(application, id);
        let names: Vec<String> = values.iter().map(|value| value_name(value)).collect();
        for names in names.chunks(VALUES_OF_A_WRITE) {
            let mut left = names.to_vec();
            while !left.is_empty() {
                let change = left
                    .iter()
                    .fold(Change::default(), |change, name| change.raise(name, accepted));
                let Err(row) = self.change(&key, change, VALUES, deadline).await? else { break };
                // Some are newer there already. Each round leaves out at least one.
                left.retain(|name| {
                    moment_of(&row, name).is_none_or(|newest| is_after(accepted, newest))
                });
            }
        }
        Ok(())
    }
}

/// Whether a moment is after another, as precisely as the ledger keeps them.
fn is_after(moment: Timestamp, other: Timestamp) -> bool {
    moment.as_microsecond() > other.as_microsecond()
}

fn deletion_key(application: &str, id: &str) -> String {
    format!("deletion#{application}#{}", hashed(&[id.as_bytes()]))
}

fn values_key(application: &str, id: &str) -> String {
    format!("values#{application}#{}", hashed(&[id.as_bytes()]))
}

/// The attribute that stands for a value: a name that expressions take, whatever the tag's is.
fn value_name(value: &str) -> String {
    format!("v{}", hashed(&[value.as_bytes()]))
}
