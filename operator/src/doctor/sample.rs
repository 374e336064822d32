//! What the items of a sample would become, and what of it Pushwoosh would skip.

use std::collections::{BTreeMap, BTreeSet};

use mapping::explain::{CallTrace, MAX_ATTRIBUTE_NAME, MAX_EVENT_NAME, nearest};
use mapping::{ItemKind, Reason};
use platform::Application;
use serde_json::Value;

use super::finding::{Finding, Places, Report};
use super::mend::Mender;
use super::tags::{TagType, Tags};
use crate::explain::ExplainedItem;

/// The path of the call that sets tags, and of the one that posts an event.
const SET_TAGS: &str = "/json/1.3/setTags";
const POST_EVENT: &str = "/json/1.3/postEvent";

/// Longest name of a tag that a call is offered for: nobody means a longer one.
const MAX_TAG_NAME: usize = 200;

/// Values of one tag.
#[derive(Debug, Default)]
struct Used {
    places: Places,
    by_user: bool,
    /// With the place of each.
    values: Vec<(Option<String>, Value)>,
}

/// An event as it is sent.
#[derive(Debug, Default)]
struct Posted {
    places: Places,
    attributes: BTreeMap<String, TagType>,
}

/// What a sample holds.
#[derive(Debug, Default)]
pub(super) struct Sample {
    /// Items of the application.
    pub(super) items: usize,
    /// Items of others, by their codes.
    others: BTreeMap<String, Places>,
    raw_events: usize,
    /// Items that are not delivered, by the reason.
    dropped: BTreeMap<&'static str, (Places, String)>,
    notes: BTreeMap<(&'static str, Option<String>), (Places, String)>,
    unknown: BTreeMap<(String, Option<String>), Places>,
    tags: BTreeMap<String, Used>,
    events: BTreeMap<String, Posted>,
    /// Names of the mappings that select at least one event.
    selecting: BTreeSet<String>,
}

impl Sample {
    pub(super) fn of(items: &[ExplainedItem], code: &str) -> Self {
        let mut sample = Self::default();
        for (index, item) in items.iter().enumerate() {
            let explanation = &item.explanation;
            let place =
                item.place.clone().or_else(|| (items.len() > 1).then(|| (index + 1).to_string()));
            let place = place.as_deref();
            if explanation.application != code {
                sample.others.entry(explanation.application.clone()).or_default().add(place);
                continue;
            }
            sample.items += 1;
            sample.raw_events += usize::from(explanation.input == ItemKind::RawEvent);
            for dropped in &explanation.drops {
                let entry = sample.dropped.entry(dropped.reason);
                entry.or_insert_with(|| (Places::default(), dropped.message.clone())).0.add(place);
            }
            for note in &explanation.notes {
                let entry = sample.notes.entry((note.code, note.field.clone()));
                entry.or_insert_with(|| (Places::default(), note.message.clone())).0.add(place);
            }
            for unknown in &explanation.unknown {
                let key = (unknown.field.clone(), unknown.nearest.clone());
                sample.unknown.entry(key).or_default().add(place);
            }
            for attempt in explanation.mappings.iter().filter(|attempt| attempt.selected) {
                sample.selecting.insert(attempt.name.clone());
            }
            for call in &explanation.calls {
                sample.count(call, place);
            }
        }
        sample
    }

    fn count(&mut self, call: &CallTrace, place: Option<&str>) {
        let at = |pointer: &str| call.body.pointer(pointer);
        let fields = |pointer: &str| at(pointer).and_then(Value::as_object).into_iter().flatten();
        if call.path == SET_TAGS {
            for (tag, value) in fields("/request/tags") {
                let used = self.tags.entry(tag.clone()).or_default();
                used.places.add(place);
                used.by_user |= at("/request/userId").is_some_and(|user| !user.is_null());
                used.values.push((place.map(str::to_owned), value.clone()));
            }
        } else if call.path == POST_EVENT {
            let name = at("/request/event").and_then(Value::as_str).unwrap_or_default();
            let posted = self.events.entry(name.to_owned()).or_default();
            posted.places.add(place);
            for (attribute, value) in fields("/request/attributes") {
                if let Some(kind) = TagType::suggested(value) {
                    posted.attributes.insert(attribute.clone(), kind);
                }
            }
        }
    }

    /// Adds what would be skipped.
    pub(super) fn look(
        &self,
        application: &Application,
        tags: Option<&Tags>,
        mender: &Mender<'_>,
        report: &mut Report,
    ) {
        for (code, places) in &self.others {
            let message = format!("it is of the application {code}, and was not looked at");
            report.add(Finding::note("other_application", message).at(places));
        }
        for (code, (places, message)) in &self.dropped {
            let reason = Reason::ALL.iter().find(|reason| reason.code() == *code);
            let remedy = reason.map(|reason| reason.remedy()).unwrap_or_default();
            let message = format!("{}. {remedy}", message.trim_end_matches('.'));
            report.add(dropped(code, message).at(places));
        }
        for ((code, field), (places, message)) in &self.notes {
            let finding = Finding::warning(*code, message.clone()).at(places);
            report.add(match field {
                Some(field) => finding.about(field.clone()),
                None => finding,
            });
        }
        for ((field, nearest), places) in &self.unknown {
            let Some(nearest) = nearest else { continue };
            let message = format!("unknown field: is {nearest} meant?");
            report.add(Finding::warning("unknown_field", message).about(field.clone()).at(places));
        }
        if self.raw_events > 0 {
            for one in application.subscriptions() {
                if !self.selecting.contains(&one.name) {
                    let message = format!(
                        "the mapping selects none of the {} raw events: {}",
                        self.raw_events, one.trigger
                    );
                    report.add(
                        Finding::warning("mapping_selects_nothing", message)
                            .about(one.name.clone()),
                    );
                }
            }
        }
        if let Some(tags) = tags {
            for (name, used) in &self.tags {
                look_at_tag(name, used, tags, mender, report);
            }
        }
        for (name, posted) in &self.events {
            // The note about a name that is too long says what to do.
            if name.chars().count() > MAX_EVENT_NAME {
                continue;
            }
            let mut attributes: Vec<_> = posted.attributes.clone().into_iter().collect();
            attributes.retain(|(name, _)| name.chars().count() <= MAX_ATTRIBUTE_NAME);
            report.add(
                Finding::note(
                    "event_must_exist",
                    "Pushwoosh counts an event that exists there under this name, and has no call that lists them. If it does not, this makes it:",
                )
                .about(name.clone())
                .at(&posted.places)
                .mended_by(mender.create_event(name, &attributes)),
            );
        }
    }
}

fn look_at_tag(name: &str, used: &Used, tags: &Tags, mender: &Mender<'_>, report: &mut Report) {
    let Some(kind) = tags.get(name) else {
        let suggested = used.values.iter().find_map(|(_, value)| TagType::suggested(value));
        let suggested = suggested.unwrap_or(TagType::String);
        let finding = missing_tag(name, suggested, used.by_user, tags, mender);
        report.add(finding.at(&used.places));
        return;
    };
    let Some(kind) = kind else { return };
    let mut places = Places::default();
    let wrong = used.values.iter().filter(|(_, value)| !kind.takes(value));
    let wrong: Vec<&Value> = wrong
        .map(|(place, value)| {
            places.add(place.as_deref());
            value
        })
        .collect();
    let Some(sent) = wrong.iter().find_map(|value| TagType::suggested(value)) else { return };
    let message = format!(
        "the tag has the type {} in Pushwoosh, and {} is sent: Pushwoosh skips it. Map another value, or map it to a tag of that type",
        kind.name(),
        sent.name()
    );
    report.add(Finding::wrong("tag_type", message).about(name).at(&places));
}

/// An item that is not delivered. Some are meant not to be: by their sender, by a mapping, or because they were sent before.
pub(super) fn dropped(code: &str, message: String) -> Finding {
    let reason = Reason::ALL.iter().find(|reason| reason.code() == code);
    match reason {
        Some(Reason::EventNotExported | Reason::NotConfigured) => Finding::warning(code, message),
        Some(
            Reason::NotForPushwoosh
            | Reason::Duplicate
            | Reason::Tombstone
            | Reason::UserDeleted
            | Reason::Overtaken
            | Reason::UserReturned,
        ) => Finding::note(code, message),
        _ => Finding::wrong(code, message),
    }
}

/// A tag that Pushwoosh does not have.
pub(super) fn missing_tag(
    name: &str,
    kind: TagType,
    by_user: bool,
    tags: &Tags,
    mender: &Mender<'_>,
) -> Finding {
    if name.chars().count() > MAX_TAG_NAME {
        let message = format!(
            "Pushwoosh has no such tag, and skips it. The name has more than {MAX_TAG_NAME} characters: map the value to a shorter one"
        );
        return Finding::wrong("tag_missing", message).about(name);
    }
    let resembles = nearest(name, tags.keys().map(String::as_str));
    let resembles = resembles.map(|known| format!(" (it has {known:?}: is that meant?)"));
    let message = format!(
        "Pushwoosh has no such tag{}, and skips it. This makes it, with the type {}:",
        resembles.unwrap_or_default(),
        kind.name()
    );
    let call = mender.add_tag(name, kind, by_user);
    Finding::wrong("tag_missing", message).about(name).mended_by(call)
}
