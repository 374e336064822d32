//! The form in which an item waits on the retry queue.
//!
//! Invariant: a message of an older version of this code stays readable: fields are only ever added,
//! with a default.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::about::About;
use crate::cause::Cause;
use crate::item_kind::ItemKind;
use crate::reason::{Reason, Refusal};
use crate::rules::Rules;
use crate::tracking_log::MessageEvent;
use crate::work::{Planned, Work};

/// Something that could not be delivered yet: the message of the retry queue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Parked {
    /// Application code.
    pub application: String,
    /// What is to be sent.
    pub work: Work,
    /// When it came in.
    pub first_seen: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it is here.
    pub cause: Cause,
    /// What it is known by however often it is sent again; empty in messages of older versions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// When it reached its age limit and went to the dead-letter queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_since: Option<Timestamp>,
    /// When it came back from there: its age is counted from then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redriven: Option<Timestamp>,
    /// Since when its application has no settings any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_since: Option<Timestamp>,
    /// What it was when it came in; absent in messages of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ItemKind>,
    /// Where it came from: of Track calls one for each, in their order. Where there is none, `id` says it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
    /// Segment's `messageId` of a raw event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// HTTP status of the upstream's newest answer, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The upstream's newest words; without an answer, what happened instead.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub words: String,
}

impl Parked {
    /// Work that was tried once, of an item that came in at this time.
    pub fn new(application: &str, work: Work, cause: Cause, accepted: Timestamp) -> Self {
        Self {
            application: application.to_owned(),
            work,
            first_seen: accepted,
            attempts: 1,
            cause,
            id: String::new(),
            dead_since: None,
            redriven: None,
            unknown_since: None,
            kind: None,
            origins: Vec::new(),
            message_id: None,
            status: None,
            words: String::new(),
        }
    }

    /// The same under an id, which no other item has.
    #[must_use]
    pub fn known_as(self, id: impl Into<String>) -> Self {
        Self { id: id.into(), ..self }
    }

    /// The same, of an item of this kind.
    #[must_use]
    pub fn of_kind(self, kind: ItemKind) -> Self {
        Self { kind: Some(kind), ..self }
    }

    /// How many items it stands for.
    pub fn number(&self) -> usize {
        match &self.work {
            Work::Pushwoosh(_) => 1,
            Work::Segment(calls) => calls.len(),
        }
    }

    /// What its items were when they came in.
    pub fn item_kind(&self) -> ItemKind {
        match &self.work {
            Work::Pushwoosh(_) => self.kind.unwrap_or(ItemKind::Parked),
            Work::Segment(_) => ItemKind::Record,
        }
    }

    /// Where the item at this place came from; empty where an older message does not say it.
    pub fn origin(&self, index: usize) -> &str {
        self.origins.get(index).map_or(&self.id, String::as_str)
    }

    /// What the item at this place is known by.
    pub fn about(&self, index: usize) -> About {
        match &self.work {
            Work::Pushwoosh(plan) => {
                About { message_id: self.message_id.clone(), ..About::plan(plan) }
            }
            Work::Segment(calls) => {
                calls.get(index).map(|call| About::track(call)).unwrap_or_default()
            }
        }
    }

    /// The Track calls of which this is true, and the others, each with its origin. Other work is not
    /// divided.
    #[must_use]
    pub fn divided(mut self, mut is_left: impl FnMut(&RawValue) -> bool) -> (Self, Self) {
        let work = std::mem::replace(&mut self.work, Work::Segment(Vec::new()));
        let Work::Segment(calls) = work else {
            let none = self.clone();
            return (Self { work, ..self }, none);
        };
        let origins = std::mem::take(&mut self.origins);
        let has_origins = origins.len() == calls.len();
        let (mut left, mut right) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
        let mut origins = origins.into_iter();
        for call in calls {
            let part = if is_left(&call) { &mut left } else { &mut right };
            part.0.push(call);
            part.1.extend(origins.next().filter(|_| has_origins));
        }
        let with = |(calls, origins)| Self { work: Work::Segment(calls), origins, ..self.clone() };
        (with(left), with(right))
    }

    /// Every Track call by itself, with its origin. Other work is whole.
    pub fn each(mut self) -> Vec<Self> {
        let work = std::mem::replace(&mut self.work, Work::Segment(Vec::new()));
        let Work::Segment(calls) = work else {
            return vec![Self { work, ..self }];
        };
        let origins = std::mem::take(&mut self.origins);
        let parts = calls.into_iter().enumerate().map(|(index, call)| Self {
            work: Work::Segment(vec![call]),
            origins: origins.get(index).cloned().into_iter().collect(),
            ..self.clone()
        });
        parts.collect()
    }

    /// When its time to live began.
    pub fn since(&self) -> Timestamp {
        self.redriven.unwrap_or(self.first_seen)
    }

    /// Reads a message.
    pub fn read(message: &[u8]) -> Result<Self, Refusal> {
        crate::json::read(message).map_err(|_| Reason::NotJson.into())
    }

    /// The work as the application's settings want it today. Track calls of events that it does not
    /// export are left out: they may have been parked while its settings could not be read.
    pub fn plan(self, rules: &Rules<'_>) -> Planned {
        let (wanted, others) = self.exported(rules);
        let refusals = (0..others.number()).map(|_| Reason::EventNotExported.into());
        Planned { refusals: refusals.collect(), work: wanted.work }
    }

    /// What of it the application still exports, and the Track calls that it does not.
    #[must_use]
    pub fn exported(self, rules: &Rules<'_>) -> (Self, Self) {
        let exported = rules.exported;
        self.divided(|call| exported.is_none_or(|exported| is_exported(call, exported)))
    }
}

/// Whether a Track call's event is among those. A call without a known event is not withheld.
fn is_exported(call: &RawValue, exported: &[MessageEvent]) -> bool {
    #[derive(Deserialize)]
    struct Named<'a> {
        event: &'a str,
    }
    let named = serde_json::from_str::<Named<'_>>(call.get()).ok();
    let event = named.and_then(|call| MessageEvent::parse(call.event));
    event.is_none_or(|event| exported.contains(&event))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parked(calls: &[&str]) -> Parked {
        let calls = calls.iter().map(|call| RawValue::from_string((*call).to_owned()).unwrap());
        Parked::new("A", Work::Segment(calls.collect()), Cause::Timeout, Timestamp::UNIX_EPOCH)
    }

    fn planned(calls: &[&str], exported: Option<&[MessageEvent]>) -> (Vec<String>, usize) {
        let planned = parked(calls).plan(&Rules { exported, ..Rules::of_presets("A") });
        let Work::Segment(calls) = planned.work else { panic!("not for Segment") };
        (calls.iter().map(|call| call.get().to_owned()).collect(), planned.refusals.len())
    }

    #[test]
    fn track_calls_stay_byte_for_byte_and_others_than_the_exported_are_left_out() {
        let calls =
            [r#"{"event":"Push Sent","a":1.50}"#, r#"{"event":"Email Sent"}"#, r#"{"x":1}"#];
        assert_eq!(planned(&calls, None), (calls.map(str::to_owned).into(), 0));
        let exported = [MessageEvent::PushSent];
        let kept = vec![calls[0].to_owned(), calls[2].to_owned()];
        assert_eq!(planned(&calls, Some(&exported)), (kept, 1));
    }

    #[test]
    fn every_track_call_keeps_its_origin() {
        let mut parked = parked(&["1", "2", "3"]).known_as("message");
        assert_eq!((parked.number(), parked.origin(2)), (3, "message"));
        parked.origins = ["t-0-1", "t-0-2", "t-0-3"].map(str::to_owned).into();
        let (one, others) = parked.divided(|call| call.get() == "2");
        assert_eq!((one.number(), one.origin(0)), (1, "t-0-2"));
        assert_eq!((others.number(), others.origin(1)), (2, "t-0-3"));
    }

    #[test]
    fn every_track_call_by_itself_is_the_message_in_parts() {
        let mut parked = parked(&[r#"{"anonymousId":"d1"}"#, r#"{"anonymousId":"d2"}"#]);
        parked.origins = ["t-0-1", "t-0-2"].map(str::to_owned).into();
        let [one, two] = parked.each().try_into().unwrap();
        assert_eq!((one.number(), one.origin(0), one.application.as_str()), (1, "t-0-1", "A"));
        assert_eq!(two.origin(0), "t-0-2");
        let device = |part: &Parked| part.about(0).device;
        assert_eq!((device(&one).as_deref(), device(&two).as_deref()), (Some("d1"), Some("d2")));
        assert_eq!(one.about(1), About::default());
    }

    #[test]
    fn calls_of_pushwoosh_stay_together_and_know_their_item() {
        let mut call = crate::call::Call::new(crate::call::Method::DeleteUser, "A");
        call.request.insert("user_id".to_owned(), "u".into());
        let work = Work::Pushwoosh(crate::call::Plan { stages: vec![vec![call]] });
        let parked = Parked {
            message_id: Some("m".to_owned()),
            ..Parked::new("A", work, Cause::Timeout, Timestamp::UNIX_EPOCH)
        };
        assert_eq!(parked.item_kind(), ItemKind::Parked);
        let parked = parked.of_kind(ItemKind::RawEvent);
        assert_eq!(parked.item_kind(), ItemKind::RawEvent);
        let about = parked.about(0);
        assert_eq!((about.user.as_deref(), about.message_id.as_deref()), (Some("u"), Some("m")));
        let [whole] = parked.each().try_into().unwrap();
        assert_eq!(whole.number(), 1);
        assert!(matches!(whole.work, Work::Pushwoosh(plan) if plan.deletes() == Some("u")));
    }

    #[test]
    fn a_redrive_begins_the_time_to_live_anew() {
        let accepted = Timestamp::from_second(5).unwrap();
        let mut parked = Parked::new("A", Work::Segment(Vec::new()), Cause::Timeout, accepted);
        assert_eq!(parked.since(), accepted);
        let redriven = Timestamp::from_second(9).unwrap();
        parked.redriven = Some(redriven);
        assert_eq!(parked.since(), redriven);
    }

    #[test]
    fn a_message_reads_back_and_what_is_none_is_refused() {
        let message = serde_json::to_vec(&parked(&["{}"])).unwrap();
        let read = Parked::read(&message).unwrap();
        assert_eq!((read.application.as_str(), read.cause), ("A", Cause::Timeout));
        assert_eq!(Parked::read(b"{}").unwrap_err().reason, Reason::NotJson);
    }
}
