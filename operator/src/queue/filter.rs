//! Which messages of a queue are meant.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use mapping::{Cause, Reason};
use platform::clock::between;
use platform::telemetry::hashed_with;

use super::entry::Entry;
use crate::bad_input::BadInput;
use crate::queues::QueueName;
use crate::target::code;

/// Which messages; without any flag all of them.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub(super) struct Filter {
    /// Only this application's
    #[arg(long, value_name = "CODE", value_parser = code)]
    app: Option<String>,
    /// Only rejects with this reason, a code such as `mapping_failed`
    #[arg(long, value_name = "CODE", value_parser = reason)]
    reason: Option<&'static str>,
    /// Only parked and dead items with this newest cause, a code such as `http_503` or `unauthorized`
    #[arg(long, value_name = "CODE", value_parser = cause)]
    cause: Option<Cause>,
    /// Only what is about this user or device: an id, or its hash as it is in the log
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Only what came in since: a time, or so long ago, such as `30m`, `2h`, `7d`
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Since>,
    /// Only the item with this origin (as in the log), or this id of SQS
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
}

/// A time, or a time ago.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Since {
    At(Timestamp),
    Ago(Duration),
}

impl Filter {
    /// Only what has this origin or id.
    pub(super) fn of_origin(origin: &str) -> Self {
        Self { origin: Some(origin.to_owned()), ..Self::default() }
    }

    /// Refuses what no message of a queue can have: rejects have a reason, everything else has a cause.
    pub(super) fn fits(&self, queue: QueueName) -> Result<(), BadInput> {
        let problem = match (queue, self.reason, self.cause) {
            (_, Some(_), Some(_)) => {
                "no message has both a reason and a cause: give --reason for rejects, or --cause for what waits or is dead"
            }
            (QueueName::Rejects, None, Some(_)) => "rejects have no cause: choose with --reason",
            (QueueName::Retry | QueueName::Dead, Some(_), None) => {
                "only rejects have a reason: choose with --cause, or give --queue rejects"
            }
            _ => return Ok(()),
        };
        Err(BadInput(problem.to_owned()))
    }

    /// Whether it asks for a reason or a cause.
    pub(super) fn asks_why(&self) -> bool {
        self.reason.is_some() || self.cause.is_some()
    }

    /// Whether it leaves nothing out.
    pub(super) fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a message is meant. `salt`: that of the hashes in the log.
    pub(super) fn takes(&self, entry: &Entry, now: Timestamp, salt: &str) -> bool {
        let Self { app, reason, cause, user, since, origin } = self;
        let is_since = |since: Since, at: Timestamp| match since {
            Since::At(time) => at >= time,
            Since::Ago(ago) => between(at, now) <= ago,
        };
        app.as_ref().is_none_or(|app| entry.application().as_deref() == Some(app))
            && reason.is_none_or(|reason| entry.reason() == Some(reason))
            && cause.is_none_or(|cause| entry.cause() == Some(cause))
            && since.is_none_or(|since| entry.since().is_some_and(|at| is_since(since, at)))
            && origin.as_ref().is_none_or(|origin| entry.is_known_as(origin))
            && user.as_ref().is_none_or(|user| is_about(entry, user, salt))
    }
}

/// Whether a message is about somebody: by id, or by its hash.
fn is_about(entry: &Entry, user: &str, salt: &str) -> bool {
    let about = entry.about();
    let mut ids = about.iter().flat_map(|about| [&about.user, &about.device]).flatten();
    ids.any(|id| id == user || hashed_with(salt, id) == user)
}

fn reason(code: &str) -> Result<&'static str, String> {
    let found = Reason::ALL.iter().map(|reason| reason.code()).find(|known| *known == code);
    found.ok_or_else(|| {
        let known: Vec<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        format!("there is no such reason; one of these is expected: {}", known.join(", "))
    })
}

fn cause(code: &str) -> Result<Cause, String> {
    match code.parse() {
        Ok(cause) if cause != Cause::Unknown => Ok(cause),
        _ => Err("there is no such cause; one as in the log is expected, e.g. timeout, http_503, unauthorized, circuit_open".to_owned()),
    }
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(time) = text.parse() {
        return Ok(Since::At(time));
    }
    let unit = match text.chars().next_back() {
        Some('s') => Some(1),
        Some('m') => Some(60),
        Some('h') => Some(3_600),
        Some('d') => Some(86_400),
        _ => None,
    };
    let number = text.get(..text.len().saturating_sub(1)).and_then(|text| text.parse::<u32>().ok());
    unit.zip(number)
        .map(|(unit, number)| Since::Ago(Duration::from_secs(unit * u64::from(number))))
        .ok_or_else(|| {
            "a time is expected, such as 2026-01-31T12:00:00Z, or how long ago, such as 30m, 2h, 7d"
                .to_owned()
        })
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::types::Message;
    use mapping::{Item, ItemKind, Origin, Parked, Work};
    use platform::message::{self, Reject};
    use serde_json::value::RawValue;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_000_000).unwrap()
    }

    fn entry(body: Option<String>) -> Entry {
        let message = Message::builder().message_id("sqs-1").set_body(body).build();
        Entry::read(QueueName::Retry, &message)
    }

    /// Two Track calls that came in an hour ago.
    fn parked() -> Entry {
        let call = |user: &str| {
            RawValue::from_string(format!(r#"{{"userId":"{user}","event":"Push Sent"}}"#)).unwrap()
        };
        let accepted = Timestamp::from_second(1_000_000 - 3_600).unwrap();
        let work = Work::Segment(vec![call("u1"), call("u2")]);
        let parked = Parked::new("A", work, Cause::Http(503), accepted);
        let origins = vec!["t-0-1".to_owned(), "t-0-2".to_owned()];
        entry(message::encode(&Parked { origins, ..parked }))
    }

    fn reject() -> Entry {
        let record = br#"{"application_code":"A","hwid":"d1","event_name":"Push Sent"}"#;
        let origin = Origin::Record("t-0", 3);
        let item = Item { kind: ItemKind::Record, application: None, origin, bytes: record };
        entry(message::encode(&Reject::new(item, Reason::BadTimestamp, "", now())))
    }

    fn takes(entry: &Entry, filter: &Filter) -> bool {
        filter.takes(entry, now(), "salt")
    }

    #[test]
    fn a_message_is_found_by_everything_that_is_known_of_it() {
        let (parked, reject) = (parked(), reject());
        let text = |text: &str| Some(text.to_owned());
        let none = Filter::default;
        for (filter, found) in [
            (none(), [true, true]),
            (Filter { app: text("A"), ..none() }, [true, true]),
            (Filter { app: text("B"), ..none() }, [false, false]),
            (Filter { reason: Some("bad_timestamp"), ..none() }, [false, true]),
            (Filter { cause: Some(Cause::Http(503)), ..none() }, [true, false]),
            (Filter { cause: Some(Cause::Timeout), ..none() }, [false, false]),
            (Filter { user: text("u2"), ..none() }, [true, false]),
            (Filter { user: text("d1"), ..none() }, [false, true]),
            (Filter { user: Some(hashed_with("salt", "u2")), ..none() }, [true, false]),
            (Filter { user: Some(hashed_with("other", "u2")), ..none() }, [false, false]),
            (Filter { since: since("30m").ok(), ..none() }, [false, true]),
            (Filter { since: since("2h").ok(), ..none() }, [true, true]),
            (Filter::of_origin("t-0-2"), [true, false]),
            (Filter::of_origin("t-0-3"), [false, true]),
            (Filter::of_origin("sqs-1"), [true, true]),
        ] {
            assert_eq!([takes(&parked, &filter), takes(&reject, &filter)], found);
        }
    }

    #[test]
    fn what_no_message_can_have_is_refused() {
        let reason = || Filter { reason: Some("not_json"), ..Filter::default() };
        let cause = || Filter { cause: Some(Cause::Timeout), ..Filter::default() };
        assert!(reason().fits(QueueName::Rejects).is_ok() && cause().fits(QueueName::Dead).is_ok());
        for queue in [QueueName::Retry, QueueName::Dead] {
            assert!(reason().fits(queue).unwrap_err().0.contains("choose with --cause"));
        }
        let error = cause().fits(QueueName::Rejects).unwrap_err();
        assert!(error.0.contains("choose with --reason"), "{error}");
        let both = Filter { reason: Some("not_json"), ..cause() };
        assert!(QueueName::ALL.iter().all(|queue| both.fits(*queue).is_err()));
    }

    #[test]
    fn times_are_read_in_both_forms_and_others_are_refused() {
        assert_eq!(since("7d"), Ok(Since::Ago(Duration::from_hours(168))));
        assert_eq!(since("1970-01-12T13:46:40Z"), Ok(Since::At(now())));
        for text in ["", "d", "7", "7w", "-1h", "yesterday", "é"] {
            assert!(since(text).unwrap_err().contains("2h"), "{text}");
        }
        assert!(reason("nonsense").unwrap_err().contains("mapping_failed"));
        assert!(cause("nonsense").unwrap_err().contains("http_503"));
    }
}
