//! The form in which an item waits on the retry queue.
//!
//! Invariant: a message of an older version of this code stays readable: fields are only ever added,
//! with a default.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::cause::Cause;
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
        }
    }

    /// The same under an id, which no other item has.
    #[must_use]
    pub fn known_as(self, id: impl Into<String>) -> Self {
        Self { id: id.into(), ..self }
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
        match (self.work, rules.exported) {
            (Work::Segment(calls), Some(exported)) => {
                let (wanted, others): (Vec<_>, Vec<_>) =
                    calls.into_iter().partition(|call| is_exported(call, exported));
                let refusals = others.iter().map(|_| Reason::EventNotExported.into()).collect();
                Planned { work: Work::Segment(wanted), refusals }
            }
            (work, _) => Planned { work, refusals: Vec::new() },
        }
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
    fn a_message_reads_back_and_what_is_none_is_refused() {
        let message = serde_json::to_vec(&parked(&["{}"])).unwrap();
        let read = Parked::read(&message).unwrap();
        assert_eq!((read.application.as_str(), read.cause), ("A", Cause::Timeout));
        assert_eq!(Parked::read(b"{}").unwrap_err().reason, Reason::NotJson);
    }
}
