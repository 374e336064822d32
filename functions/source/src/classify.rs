//! Which records of an event are to be sent, and for whom.
//!
//! Invariants: a record is looked at no further than it takes to know that it is not to be sent: the
//! application code first, since most records on the topic belong to applications without Segment. The
//! same record twice in an event is sent once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use mapping::tracking_log::Record;
use mapping::{Item, ItemKind, Origin, Outcome, Reason, Rules};
use platform::application::SegmentAccount;
use platform::message::{Message, Reject};
use platform::secrets::SecretError;
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

/// What is known of an application.
enum Settings {
    /// There is no such application, or it has no Segment.
    NotConfigured,
    Known(Arc<Application>),
    /// They cannot be read now.
    Unavailable,
}

/// An event while it is classified.
struct Classifier<'a> {
    source: &'a Source,
    invocation: &'a Invocation,
    settings: HashMap<String, Settings>,
    message_ids: HashSet<String>,
    groups: BTreeMap<String, Group>,
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
    };
    let mut rejects = Vec::new();
    for (partition, records) in event.records {
        for record in records {
            let place = ItemIdentifier { partition: partition.clone(), offset: record.offset };
            let (reason, bytes) = match record.value {
                RecordValue::Tombstone => (Reason::Tombstone, Vec::new()),
                RecordValue::NotBase64(bytes) => (Reason::NotBase64, bytes),
                RecordValue::Bytes(bytes) => match classifier.add(&place, &bytes).await {
                    Ok(()) => continue,
                    Err(reason) => (reason, bytes),
                },
            };
            let outcome = Outcome::from(reason);
            if matches!(outcome, Outcome::Rejected(_)) {
                rejects.push(reject(place, reason, &bytes, invocation));
            } else {
                invocation.tally.item(outcome);
            }
        }
    }
    Classified { groups: classifier.groups, rejects }
}

/// A record that can never be sent as it is.
fn reject(place: ItemIdentifier, reason: Reason, bytes: &[u8], invocation: &Invocation) -> Kept {
    tracing::warn!(
        reason = reason.code(),
        kafka.partition = place.partition,
        kafka.offset = place.offset,
        "a record cannot be used"
    );
    let origin = Origin::Record(&place.partition, place.offset);
    let item = Item { kind: ItemKind::Record, application: None, origin, bytes };
    let reject = Reject::new(item, reason, reason.remedy(), invocation.received);
    Kept { message: Message::Reject(reject), outcome: reason.into(), places: vec![place] }
}

impl Classifier<'_> {
    /// Finds out about one record, and puts it where it belongs if it is to be sent.
    async fn add(&mut self, place: &ItemIdentifier, bytes: &[u8]) -> Result<(), Reason> {
        let record = Record::read(bytes)?;
        let code = record.application()?;
        if !self.settings.contains_key(code) {
            let settings = self.look_up(code).await;
            self.settings.insert(code.to_owned(), settings);
        }
        let settings = &self.source.settings;
        let (properties, now) = (&settings.track_properties, self.invocation.received);
        let (rules, account) = match self.settings.get(code) {
            Some(Settings::Known(application)) => {
                (application.rules(properties, now), application.segment.as_ref())
            }
            // Which events it exports is asked when the calls are retried.
            Some(Settings::Unavailable) => {
                (Rules { track_properties: properties, ..Rules::of_presets(code) }, None)
            }
            Some(Settings::NotConfigured) | None => return Err(Reason::NotConfigured),
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

    async fn look_up(&self, code: &str) -> Settings {
        match self.source.secrets.application(code).await {
            Ok(application) if application.segment.is_some() => Settings::Known(application),
            Ok(_) | Err(SecretError::Unknown) => Settings::NotConfigured,
            Err(SecretError::Malformed(_) | SecretError::Unavailable(_)) => Settings::Unavailable,
        }
    }
}
