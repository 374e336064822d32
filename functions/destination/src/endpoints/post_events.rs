//! `post-events`: one event, or a batch of up to 1,000 (spec D2, D5).
//!
//! Segment applies one status to the whole batch, so that a bad event is set aside and the batch
//! answered with 200. Only a request whose single event cannot be decoded gets a 400.

use jiff::Timestamp;
use mapping::{Outcome, event};
use platform::Application;
use platform::message::Kind;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::single;
use crate::answer::Answer;
use crate::request::Request;
use crate::{Destination, Invocation};

const ACTION: &str = "post event";

/// The events are split without being read: what is wrong with one is its own matter.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

/// Records the events.
pub(super) async fn answer(
    destination: &Destination,
    application: &Application,
    request: &Request,
    invocation: &Invocation,
) -> Answer {
    let Some(events) = split(&request.body) else {
        return Answer::failure(ACTION, "an object with a list of events is expected");
    };
    let now = Timestamp::now();
    let map = |event: &[u8]| event::plan(&application.code, event, now);
    let items: Vec<&[u8]> = events.iter().map(|event| event.get().as_bytes()).collect();
    let processed = destination.process(application, Kind::Event, &items, map, invocation).await;
    if let [only] = processed.as_slice() {
        return single(only, ACTION);
    }
    if processed.iter().any(|item| item.outcome == Outcome::Failed) {
        return Answer::unavailable();
    }
    Answer::ok()
}

fn split(body: &[u8]) -> Option<Vec<&RawValue>> {
    // A derived Deserialize would read a list as the struct's fields.
    let is_object = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let body: Body<'_> = serde_json::from_slice(body).ok().filter(|_| is_object)?;
    Some(body.events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_split_whatever_its_events_are() {
        let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
        let body = format!(r#"{{"other":1,"events":[{{"a":1}},null,5,{deep}]}}"#);
        assert_eq!(split(body.as_bytes()).unwrap().len(), 4);
        assert_eq!(split(br#"{"events":[]}"#).unwrap().len(), 0);
        for body in ["", "[[1]]", "{}", r#"{"events":null}"#, r#"{"events":{}}"#, r#"{"events":[}"#]
        {
            assert!(split(body.as_bytes()).is_none(), "{body}");
        }
    }
}
