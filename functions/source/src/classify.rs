//! Which records of an event are to be sent, and for whom.
//!
//! Invariants: a record is looked at no further than it takes to know that it is not to be sent: the
//! application code first, since most records on the topic belong to applications without Segment, then
//! the event. Such a record costs no allocation. The applications of an event are looked up together, and
//! no longer than a few seconds. The same record twice in an event is sent once.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use mapping::tracking_log::{Glimpse, MessageEvent, MessageId, Record};
use mapping::{Item, ItemKind, Origin, Outcome, Reason, Rules};
use platform::application::{Section, SegmentAccount};
use platform::message::{Message, Reject};
use platform::secrets::SecretError;
use platform::telemetry::{Count, Door, ItemLine};
use platform::{Application, Invocation};

use crate::Source;
use crate::event::{Batch, Placed};
use crate::group::Group;
use crate::kept::Kept;

/// The records of an event by application, and those that can never be sent.
#[derive(Debug, Default)]
pub(crate) struct Classified {
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) rejects: Vec<Kept>,
}

/// Longest wait for the settings of an event's applications. Where they are not there by then, the
/// records are parked.
const LOOKUP_TIME: Duration = Duration::from_secs(5);

/// What is known of an application.
type Settings = Result<Arc<Application>, SecretError>;

/// The applications of a batch, each with its place in a list: a record's is then found without
/// comparing texts.
#[derive(Default)]
struct Codes<'b> {
    // `SipHash` would take longer than all else that is done about most records.
    places: HashMap<Cow<'b, str>, usize, RandomState>,
}

impl<'b> Codes<'b> {
    fn place(&mut self, code: Cow<'b, str>) -> usize {
        if let Some(place) = self.places.get(code.as_ref()) {
            return *place;
        }
        let place = self.places.len();
        self.places.insert(code, place);
        place
    }
}

/// What is done about the records of an application.
enum Plan<'a> {
    /// They are sent, if the event is one of these.
    Send(&'a SegmentAccount, Rules<'a>),
    /// Its settings cannot be read: they are parked. Which events it exports is asked when they are retried.
    Park(Rules<'a>),
    /// It has no settings for this direction.
    PassOver,
    /// It is not known at all.
    Unknown,
}

impl<'a> Plan<'a> {
    fn of(
        code: &'a str,
        settings: Option<&'a Settings>,
        source: &'a Source,
        invocation: &Invocation,
    ) -> Self {
        let stack = &source.settings.stack_name;
        let (properties, now) = (&source.settings.track_properties, invocation.received);
        match settings {
            Some(Ok(application)) if !application.is_disabled(Section::Segment) => {
                match &application.segment {
                    Some(account) => {
                        Self::Send(account, Rules { stack, ..application.rules(properties, now) })
                    }
                    None => Self::PassOver,
                }
            }
            Some(Err(SecretError::Unknown)) | None => Self::Unknown,
            Some(Ok(_) | Err(SecretError::Malformed(_) | SecretError::Unavailable(_))) => {
                let rules = Rules::of_presets(code);
                Self::Park(Rules { track_properties: properties, stack, ..rules })
            }
        }
    }

    /// Whether an event with this name is never sent.
    fn leaves_out(&self, event: &str) -> bool {
        let (Self::Send(_, rules) | Self::Park(rules)) = self else { return true };
        MessageEvent::parse(event)
            .is_none_or(|event| rules.exported.is_some_and(|exported| !exported.contains(&event)))
    }
}

/// An event while it is classified.
struct Classifier<'a> {
    batch: &'a Batch,
    invocation: &'a Invocation,
    message_ids: HashSet<MessageId, RandomState>,
    groups: BTreeMap<String, Group>,
    /// The records that are not sent, by the reason.
    refused: BTreeMap<Reason, Vec<usize>>,
    unknown: u64,
}

/// Classifies an event's records. Those that are disregarded are counted here.
pub(crate) async fn classify(
    source: &Source,
    batch: &Batch,
    invocation: &Invocation,
) -> Classified {
    let mut codes = Codes::default();
    let seen: Vec<Result<usize, Reason>> =
        batch.iter().map(|record| application(record).map(|code| codes.place(code))).collect();
    // In order, so that a simulation repeats itself.
    let names: BTreeSet<&str> = codes.places.keys().map(Cow::as_ref).collect();
    let deadline = invocation.deadlines.start.min(source.clock.now() + LOOKUP_TIME);
    let names = names.into_iter().map(str::to_owned);
    let settings = source.secrets.applications(names, deadline).await;
    let mut plans: Vec<Plan<'_>> = codes.places.iter().map(|_| Plan::Unknown).collect();
    for (code, place) in &codes.places {
        if let Some(plan) = plans.get_mut(*place) {
            *plan = Plan::of(code, settings.get(code.as_ref()), source, invocation);
        }
    }
    let mut classifier = Classifier {
        batch,
        invocation,
        message_ids: HashSet::default(),
        groups: BTreeMap::new(),
        refused: BTreeMap::new(),
        unknown: 0,
    };
    for ((index, record), seen) in batch.iter().enumerate().zip(seen) {
        let plan = |code: &str| codes.places.get(code).and_then(|place| plans.get(*place));
        let added = seen.and_then(|place| match plans.get(place) {
            Some(first) => classifier.add(index, record, first, plan),
            None => Err(Reason::NotConfigured),
        });
        if let Err(reason) = added {
            classifier.refused.entry(reason).or_default().push(index);
        }
    }
    classifier.end()
}

/// The code of a record's application.
fn application(record: Placed<'_>) -> Result<Cow<'_, str>, Reason> {
    let bytes = bytes(record)?;
    if let Some(code) = Glimpse::at(bytes).and_then(Glimpse::application) {
        return Ok(Cow::Borrowed(code));
    }
    Record::read(bytes)?.application().map(|code| Cow::Owned(code.to_owned()))
}

fn bytes(record: Placed<'_>) -> Result<&[u8], Reason> {
    record.value.ok_or(Reason::Tombstone)?.map_err(|_| Reason::NotBase64)
}

/// A record as an item, whose application is not known yet.
pub(crate) fn item(record: Placed<'_>) -> Item<'_> {
    Item {
        kind: ItemKind::Record,
        application: None,
        origin: Origin::Record(record.partition, record.offset),
        bytes: record.value.map_or(&[], |value| value.unwrap_or_else(|bytes| bytes)),
    }
}

/// A record that can never be sent as it is.
fn reject(record: Placed<'_>, reason: Reason, invocation: &Invocation) -> Kept {
    let item = item(record);
    let application = item.application_code();
    let item = Item { application: application.as_deref(), ..item };
    let what = Record::refusal(item.bytes, reason).message;
    let reject = Reject::new(item, reason, what, invocation.received);
    let places = vec![record.place()];
    Kept { message: Message::Reject(reject), outcome: reason.into(), places }
}

/// Whether records with this reason are most often other people's: the topic has any number of them.
fn is_passed_over(reason: Reason) -> bool {
    matches!(reason, Reason::Tombstone | Reason::NoApplication | Reason::NotConfigured)
}

impl Classifier<'_> {
    /// Puts one record where it belongs if it is to be sent. `seen` is the plan for the application that a first
    /// look found; `plan` finds that of another.
    fn add<'p>(
        &mut self,
        index: usize,
        placed: Placed<'_>,
        seen: &'p Plan<'p>,
        plan: impl Fn(&str) -> Option<&'p Plan<'p>>,
    ) -> Result<(), Reason> {
        self.is_configured(seen)?;
        let bytes = bytes(placed)?;
        let event = Glimpse::at(bytes).and_then(Glimpse::event);
        if event.is_some_and(|event| seen.leaves_out(event)) {
            return Err(Reason::EventNotExported);
        }
        let record = Record::read(bytes)?;
        let code = record.application()?;
        let plan = plan(code).unwrap_or(seen);
        let (rules, account) = match plan {
            Plan::Send(account, rules) => (rules, Some(*account)),
            Plan::Park(rules) => (rules, None),
            Plan::PassOver | Plan::Unknown => return self.is_configured(plan),
        };
        let track = record.track(rules)?;
        if !self.message_ids.insert(track.message_id) {
            return Err(Reason::Duplicate);
        }
        let group = match self.groups.get_mut(code) {
            Some(group) => group,
            None => {
                self.groups.entry(code.to_owned()).or_insert_with(|| Group::new(account.cloned()))
            }
        };
        group.add(index, &track);
        Ok(())
    }

    fn is_configured(&mut self, plan: &Plan<'_>) -> Result<(), Reason> {
        match plan {
            Plan::Send(..) | Plan::Park(_) => Ok(()),
            Plan::PassOver => Err(Reason::NotConfigured),
            Plan::Unknown => {
                self.unknown += 1;
                Err(Reason::NotConfigured)
            }
        }
    }

    /// Counts the records that are not sent, and keeps those that need somebody's attention.
    fn end(self) -> Classified {
        let Self { batch, invocation, groups, refused, unknown, .. } = self;
        let (door, kind) = (Door::Topic, "unknown_application");
        invocation.tally.denied(door, kind, Count::DeniedUnknown, unknown);
        let mut rejects: Vec<(usize, Kept)> = Vec::new();
        for (reason, records) in refused {
            let outcome = Outcome::from(reason);
            let record = |index| batch.get(index).unwrap_or_default();
            if matches!(outcome, Outcome::Rejected(_)) {
                let kept = |index| (index, reject(record(index), reason, invocation));
                rejects.extend(records.into_iter().map(kept));
                continue;
            }
            let line = |number| {
                let index = records.get(number).copied().unwrap_or_default();
                ItemLine::item(&item(record(index)))
            };
            if is_passed_over(reason) {
                invocation.passed_over(outcome, records.len(), line);
            } else {
                invocation.all_ended(outcome, records.len(), line);
            }
        }
        // In the order of their records.
        rejects.sort_by_key(|(index, _)| *index);
        Classified { groups, rejects: rejects.into_iter().map(|(_, kept)| kept).collect() }
    }
}
