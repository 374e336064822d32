//! Which records of an event are to be sent, and for whom.
//!
//! Invariants: a record is looked at no further than it takes to know that it is not to be sent: the
//! application code first, since most records on the topic belong to applications without Segment. The
//! applications of an event are looked up together, and no longer than a few seconds. The same record
//! twice in an event is sent once.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use mapping::tracking_log::Record;
use mapping::{Item, ItemKind, Origin, Outcome, Reason, Rules};
use platform::application::{Section, SegmentAccount};
use platform::message::{Message, Reject};
use platform::secrets::SecretError;
use platform::telemetry::{Count, Door, ItemLine};
use platform::{Application, Invocation};
use serde_json::value::RawValue;

use crate::Source;
use crate::event::{ItemIdentifier, MskEvent, RecordValue};
use crate::kept::Kept;

/// The records of one application that are to be sent.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// None while its settings cannot be read: then its records are parked unsent.
    pub(crate) account: Option<SegmentAccount>,
    /// The Track calls, in the order of their records.
    pub(crate) calls: Vec<Box<RawValue>>,
    /// Where each of them came from.
    pub(crate) places: Vec<ItemIdentifier>,
}

/// The records of an event by application, and those that can never be sent.
#[derive(Debug, Default)]
pub(crate) struct Classified {
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) rejects: Vec<Kept>,
}

/// Longest wait for the settings of an event's applications. Where they are not there by then, the
/// records are parked.
const LOOKUP_TIME: Duration = Duration::from_secs(5);

/// A record and where it came from.
struct Placed {
    place: ItemIdentifier,
    /// Its value; where that is not base64, as it came.
    value: Result<Vec<u8>, Vec<u8>>,
}

impl Placed {
    fn record(&self) -> Result<Record<'_>, Reason> {
        self.value.as_ref().map_err(|_| Reason::NotBase64).and_then(|bytes| Record::read(bytes))
    }

    fn item(&self) -> Item<'_> {
        Item {
            kind: ItemKind::Record,
            application: None,
            origin: Origin::Record(&self.place.partition, self.place.offset),
            bytes: self.value.as_ref().unwrap_or_else(|bytes| bytes),
        }
    }
}

/// An event while it is classified.
struct Classifier<'a> {
    source: &'a Source,
    invocation: &'a Invocation,
    settings: HashMap<String, Result<Arc<Application>, SecretError>>,
    message_ids: HashSet<String>,
    groups: BTreeMap<String, Group>,
    rejects: Vec<Kept>,
}

/// Classifies an event's records. Those that are disregarded are counted here.
pub(crate) async fn classify(
    source: &Source,
    event: MskEvent,
    invocation: &Invocation,
) -> Classified {
    let mut classifier = Classifier {
        source,
        invocation,
        settings: HashMap::new(),
        message_ids: HashSet::new(),
        groups: BTreeMap::new(),
        rejects: Vec::new(),
    };
    let placed = classifier.decode(event);
    let records: Vec<Result<Record<'_>, Reason>> = placed.iter().map(Placed::record).collect();
    // In order, so that a simulation repeats itself.
    let codes: BTreeSet<&str> =
        records.iter().flatten().filter_map(|record| record.application().ok()).collect();
    let now = source.clock.now();
    let deadline = invocation.deadlines.start.min(now + LOOKUP_TIME);
    let codes = codes.into_iter().map(str::to_owned);
    classifier.settings = source.secrets.applications(codes, deadline).await;
    for (placed, record) in placed.iter().zip(records) {
        if let Err(reason) = record.and_then(|record| classifier.add(&placed.place, &record)) {
            classifier.refuse(placed, reason);
        }
    }
    Classified { groups: classifier.groups, rejects: classifier.rejects }
}

/// A record that can never be sent as it is.
fn reject(record: &Placed, reason: Reason, invocation: &Invocation) -> Kept {
    let item = record.item();
    let application = item.application_code();
    let item = Item { application: application.as_deref(), ..item };
    let reject = Reject::new(item, reason, reason.remedy(), invocation.received);
    let places = vec![record.place.clone()];
    Kept { message: Message::Reject(reject), outcome: reason.into(), places }
}

/// Whether records with this reason are most often other people's: the topic has any number of them.
fn is_passed_over(reason: Reason) -> bool {
    matches!(reason, Reason::Tombstone | Reason::NoApplication | Reason::NotConfigured)
}

impl Classifier<'_> {
    /// The records of an event that have a value, in their order.
    fn decode(&self, event: MskEvent) -> Vec<Placed> {
        let mut placed = Vec::new();
        for (partition, records) in event.records {
            for record in records {
                let place = ItemIdentifier { partition: partition.clone(), offset: record.offset };
                let value = match record.value {
                    RecordValue::Bytes(bytes) => Ok(bytes),
                    RecordValue::NotBase64(bytes) => Err(bytes),
                    RecordValue::Tombstone => {
                        let none = Placed { place, value: Ok(Vec::new()) };
                        let none = none.item();
                        let outcome = Reason::Tombstone.into();
                        self.invocation.passed_over(outcome, || ItemLine::item(&none));
                        continue;
                    }
                };
                placed.push(Placed { place, value });
            }
        }
        placed
    }

    /// Puts one record where it belongs if it is to be sent.
    fn add(&mut self, place: &ItemIdentifier, record: &Record<'_>) -> Result<(), Reason> {
        let code = record.application()?;
        let settings = &self.source.settings;
        let (properties, now) = (&settings.track_properties, self.invocation.received);
        let (rules, account) = match self.settings.get(code) {
            Some(Ok(application)) if !application.is_disabled(Section::Segment) => {
                let account = application.segment.as_ref().ok_or(Reason::NotConfigured)?;
                (application.rules(properties, now), Some(account))
            }
            Some(Err(SecretError::Unknown)) | None => {
                let (door, kind) = (Door::Topic, "unknown_application");
                self.invocation.tally.denied(door, kind, Count::DeniedUnknown, 1);
                return Err(Reason::NotConfigured);
            }
            // Which events it exports is asked when the calls are retried.
            Some(Ok(_) | Err(SecretError::Malformed(_) | SecretError::Unavailable(_))) => {
                (Rules { track_properties: properties, ..Rules::of_presets(code) }, None)
            }
        };
        let track = record.track(&Rules { stack: &settings.stack_name, ..rules })?;
        let call = serde_json::value::to_raw_value(&track).map_err(|_| Reason::BadField)?;
        if !self.message_ids.insert(track.message_id) {
            return Err(Reason::Duplicate);
        }
        let group = match self.groups.get_mut(code) {
            Some(group) => group,
            None => self
                .groups
                .entry(code.to_owned())
                .or_insert_with(|| Group { account: account.cloned(), ..Group::default() }),
        };
        group.calls.push(call);
        group.places.push(place.clone());
        Ok(())
    }

    /// Counts a record that is not sent, or keeps it where that needs somebody's attention.
    fn refuse(&mut self, record: &Placed, reason: Reason) {
        let (outcome, item) = (Outcome::from(reason), record.item());
        if matches!(outcome, Outcome::Rejected(_)) {
            self.rejects.push(reject(record, reason, self.invocation));
        } else if is_passed_over(reason) {
            self.invocation.passed_over(outcome, || ItemLine::item(&item));
        } else {
            self.invocation.ended(outcome, || ItemLine::item(&item));
        }
    }
}
