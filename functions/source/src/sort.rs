//! Which records of an event are to be sent, and for whom.
//!
//! Invariants: a record is looked at no further than it takes to know that it is not ours: the
//! application code first, since most records on the topic belong to applications without Segment.
//! The same record twice in an event is sent once.

use std::collections::{BTreeMap, HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mapping::tracking_log::{Record, Track};
use mapping::{Outcome, Reason};
use platform::application::Segment;
use platform::message::{Kind, Reject};
use platform::secrets::SecretError;
use platform::telemetry::Tally;
use serde_json::value::RawValue;

use crate::Source;
use crate::batch::Kept;
use crate::msk::{Event, ItemIdentifier};

/// A record that is to be sent.
pub(crate) struct Item {
    pub(crate) place: ItemIdentifier,
    pub(crate) call: Box<RawValue>,
}

/// The records of one application.
#[derive(Default)]
pub(crate) struct Group {
    /// None while its settings cannot be read: then its records are parked unsent.
    pub(crate) account: Option<Segment>,
    pub(crate) items: Vec<Item>,
}

/// The records of an event by application, and those that can never be sent.
#[derive(Default)]
pub(crate) struct Sorted {
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) rejects: Vec<Kept<Reject>>,
}

/// What is known of an application.
enum Known {
    /// It has no Segment.
    NotOurs,
    Ours(Box<Segment>),
    /// Its settings cannot be read now.
    Unavailable,
}

/// An event while it is sorted.
struct Sorting<'a> {
    source: &'a Source,
    applications: HashMap<String, Known>,
    seen: HashSet<String>,
    groups: BTreeMap<String, Group>,
}

impl Sorted {
    /// Sorts an event's records; what is not to be sent is counted here.
    pub(crate) async fn sort(source: &Source, event: Event, tally: &Tally) -> Self {
        let mut sorting = Sorting {
            source,
            applications: HashMap::new(),
            seen: HashSet::new(),
            groups: BTreeMap::new(),
        };
        let mut rejects = Vec::new();
        for (partition, records) in event.records {
            for record in records {
                let place = ItemIdentifier { partition: partition.clone(), offset: record.offset };
                let Some(value) = record.value else {
                    tally.item(Reason::Tombstone.into());
                    continue;
                };
                let (reason, raw) = match STANDARD.decode(&value) {
                    Ok(raw) => match sorting.add(&place, &raw).await {
                        Ok(()) => continue,
                        Err(reason) => (reason, raw),
                    },
                    Err(_) => (Reason::NotBase64, value.into_bytes()),
                };
                let outcome = Outcome::from(reason);
                if matches!(outcome, Outcome::Rejected(_)) {
                    tracing::warn!(
                        reason = reason.code(),
                        kafka.partition = place.partition,
                        kafka.offset = place.offset,
                        "a record cannot be used"
                    );
                    let message =
                        Reject::new(None, Kind::Record, place.to_string(), reason, reason.cure())
                            .with_raw(&raw);
                    rejects.push(Kept { message, outcome, places: vec![place] });
                } else {
                    tally.item(outcome);
                }
            }
        }
        Self { groups: sorting.groups, rejects }
    }
}

impl Sorting<'_> {
    /// Finds out about one record, and puts it where it belongs if it is to be sent.
    async fn add(&mut self, place: &ItemIdentifier, raw: &[u8]) -> Result<(), Reason> {
        let record = Record::read(raw)?;
        let code = record.application()?;
        if !self.applications.contains_key(code) {
            let known = self.look_up(code).await;
            self.applications.insert(code.to_owned(), known);
        }
        let account = match self.applications.get(code) {
            Some(Known::Ours(account)) => Some(account.as_ref()),
            Some(Known::Unavailable) => None,
            Some(Known::NotOurs) | None => return Err(Reason::NotConfigured),
        };
        let event = record.event()?;
        let wanted = account.and_then(|account| account.events.as_ref());
        if wanted.is_some_and(|wanted| !wanted.contains(&event)) {
            return Err(Reason::EventNotExported);
        }
        let track = record.to_track(&self.source.settings.track_properties)?;
        let call = serialize(&track)?;
        if !self.seen.insert(track.message_id) {
            return Err(Reason::Duplicate);
        }
        if !self.groups.contains_key(code) {
            let group = Group { account: account.cloned(), items: Vec::new() };
            self.groups.insert(code.to_owned(), group);
        }
        if let Some(group) = self.groups.get_mut(code) {
            group.items.push(Item { place: place.clone(), call });
        }
        Ok(())
    }

    async fn look_up(&self, code: &str) -> Known {
        match self.source.secrets.application(code).await {
            Ok(application) => application
                .segment
                .clone()
                .map_or(Known::NotOurs, |account| Known::Ours(Box::new(account))),
            Err(SecretError::Unknown) => Known::NotOurs,
            Err(SecretError::Malformed(_) | SecretError::Unavailable(_)) => Known::Unavailable,
        }
    }
}

fn serialize(track: &Track) -> Result<Box<RawValue>, Reason> {
    serde_json::value::to_raw_value(track).map_err(|_| Reason::BadField)
}
