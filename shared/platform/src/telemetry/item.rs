//! The line of an item that was not delivered: the same in all functions.
//!
//! Invariants: a line holds no payload and no id, only hashes, also where an upstream quotes an id; an
//! invocation writes no more than [`MAX_LINES`] of them, then one with the counts of the rest. What is
//! left out costs no allocation.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use mapping::{About, Cause, Item, ItemKind, Outcome, Parked, Reason};
use serde_json::{Map, Value};
use tracing::Level;

use super::hash::hashed;
use crate::message::Reject;
use crate::settings::LogItems;
use crate::upstream::one_line;

/// Lines of an invocation. At 400 bytes each they cost 0.002 US cents at 0.57 USD per GB
/// (<https://aws.amazon.com/cloudwatch/pricing/>).
const MAX_LINES: u32 = 100;

/// Of these, so many may be about records that their application does not export: there can be any number
/// of them, and what follows may be worth more.
const MAX_NOT_EXPORTED: u32 = 50;

/// What a line says of an item, beside its outcome.
#[derive(Debug, Clone, Default)]
pub struct ItemLine<'a> {
    /// What it was when it came in.
    pub kind: Option<ItemKind>,
    /// Application code, where it is known.
    pub application: Option<Cow<'a, str>>,
    /// Where it came in: the same however often it is tried.
    pub origin: String,
    /// What it is known by.
    pub about: About,
    /// HTTP status of the upstream's answer.
    pub status: Option<u16>,
    /// The upstream's own words.
    pub words: &'a str,
    /// What is wrong with it, in our words.
    pub detail: &'a str,
    /// How often it was tried.
    pub attempts: u32,
    /// Of an item that was delivered in part: why the rest was not.
    pub missing: Option<Reason>,
    /// Of an item that was given up: why it was not delivered before.
    pub last_cause: Option<Cause>,
}

impl<'a> ItemLine<'a> {
    /// The line of an item whose bytes are at hand.
    pub fn item(item: &Item<'a>) -> Self {
        Self {
            kind: Some(item.kind),
            application: item.application_code(),
            origin: item.origin.to_string(),
            about: About::item(item.kind, item.bytes),
            ..Self::default()
        }
    }

    /// The line of the item at this place in parked work.
    pub fn parked(parked: &'a Parked, index: usize) -> Self {
        Self {
            kind: Some(parked.item_kind()),
            application: Some(Cow::Borrowed(&parked.application)),
            origin: parked.origin(index).to_owned(),
            about: parked.about(index),
            status: parked.status,
            words: &parked.words,
            attempts: parked.attempts,
            last_cause: parked.dead_since.map(|_| parked.cause),
            ..Self::default()
        }
    }

    /// The line of a rejected item.
    pub fn reject(reject: &'a Reject) -> Self {
        let raw = reject.raw();
        let parked = match reject.kind {
            ItemKind::Parked => Parked::read(&raw).ok(),
            _ => None,
        };
        let (kind, about) = match &parked {
            Some(parked) => (parked.item_kind(), parked.about(0)),
            None => (reject.kind, About::item(reject.kind, &raw)),
        };
        Self {
            kind: Some(kind),
            application: reject.application.as_deref().map(Cow::Borrowed),
            origin: reject.origin.clone(),
            about,
            status: reject.status,
            words: &reject.words,
            detail: &reject.message,
            attempts: reject.attempts,
            ..Self::default()
        }
    }

    fn write(self, outcome: Outcome) {
        let hash = |id: &Option<String>| id.as_deref().map(hashed);
        let (user, device) = (hash(&self.about.user), hash(&self.about.device));
        // An upstream may quote the ids.
        let ids = [(&self.about.user, &user), (&self.about.device, &device)];
        let ids = ids.map(|(id, hash)| id.as_deref().zip(hash.as_deref()));
        let (words, detail) = (without_ids(self.words, &ids), without_ids(self.detail, &ids));
        let name = self.about.name.as_deref().map(one_line);
        let message_id = self.about.message_id.as_deref().map(one_line);
        let kind = self.kind.map(ItemKind::name);
        let (reason, cause) = (outcome.reason().or(self.missing), outcome.cause());
        let attempts = Some(self.attempts).filter(|attempts| *attempts > 0);
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(
                    $level,
                    outcome = outcome.code(),
                    reason = reason.map(Reason::code),
                    cause = cause.map(tracing::field::display),
                    app.code = self.application.as_deref(),
                    kind,
                    name,
                    user,
                    device,
                    message_id,
                    origin = self.origin,
                    status = self.status,
                    words,
                    detail,
                    attempts,
                    last_cause = self.last_cause.map(tracing::field::display),
                    "item"
                )
            };
        }
        match level(outcome) {
            Level::ERROR => line!(Level::ERROR),
            Level::WARN => line!(Level::WARN),
            _ => line!(Level::INFO),
        }
    }
}

/// Text with hashes in place of ids; nothing where it is empty.
fn without_ids(text: &str, ids: &[Option<(&str, &str)>]) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    let ids = ids.iter().flatten();
    let text = ids.fold(text.to_owned(), |text, (id, hash)| replace_word(&text, id, hash));
    Some(one_line(&text)).filter(|text| !text.is_empty())
}

/// An error needs an operator, a warning should be looked at.
fn level(outcome: Outcome) -> Level {
    match outcome {
        Outcome::Failed(_) => Level::ERROR,
        Outcome::Rejected(_) => Level::WARN,
        Outcome::Delivered | Outcome::Disregarded(_) | Outcome::Parked(_) => Level::INFO,
    }
}

fn is_logged(outcome: Outcome) -> bool {
    match level(outcome) {
        Level::ERROR => tracing::enabled!(Level::ERROR),
        Level::WARN => tracing::enabled!(Level::WARN),
        _ => tracing::enabled!(Level::INFO),
    }
}

/// Replaces a word wherever it stands alone.
fn replace_word(text: &str, word: &str, by: &str) -> String {
    let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let (mut replaced, mut last) = (String::with_capacity(text.len()), 0);
    for (start, found) in text.match_indices(word) {
        let end = start + found.len();
        let before = text.get(..start).and_then(|text| text.chars().next_back());
        let after = text.get(end..).and_then(|text| text.chars().next());
        if !is_part(before) && !is_part(after) {
            replaced.push_str(text.get(last..start).unwrap_or_default());
            replaced.push_str(by);
            last = end;
        }
    }
    replaced.push_str(text.get(last..).unwrap_or_default());
    replaced
}

/// The lines of one invocation.
#[derive(Debug, Default)]
pub struct Lines {
    items: LogItems,
    written: AtomicU32,
    not_exported: AtomicU32,
    /// How many items have no line.
    left_out: Mutex<BTreeMap<Outcome, u64>>,
}

impl Lines {
    /// Lines for these items.
    pub fn new(items: LogItems) -> Self {
        Self { items, ..Self::default() }
    }

    /// Writes the line of an item that ended, unless there are enough.
    pub fn write<'l>(&self, outcome: Outcome, line: impl FnOnce() -> ItemLine<'l>) {
        if self.items == LogItems::All || outcome != Outcome::Delivered {
            self.write_any(outcome, line);
        }
    }

    /// The same whatever the outcome.
    pub fn write_any<'l>(&self, outcome: Outcome, line: impl FnOnce() -> ItemLine<'l>) {
        if !is_logged(outcome) {
            return;
        }
        if self.takes(outcome) { line().write(outcome) } else { self.leave_out(outcome, 1) }
    }

    /// Writes the line of an item that had one before, unless there are enough: also where all items have
    /// lines, since a backlog is tried again and again.
    pub fn write_again<'l>(&self, outcome: Outcome, line: impl FnOnce() -> ItemLine<'l>) {
        if !is_logged(outcome) {
            return;
        }
        if self.is_within_limit(outcome) {
            line().write(outcome);
        } else {
            self.leave_out(outcome, 1);
        }
    }

    /// Writes the lines of items that ended alike: as many as there is room for. The others cost nothing.
    pub fn write_all<'l>(
        &self,
        outcome: Outcome,
        number: usize,
        mut line: impl FnMut(usize) -> ItemLine<'l>,
    ) {
        let is_wanted = self.items == LogItems::All || outcome != Outcome::Delivered;
        if !is_wanted || !is_logged(outcome) {
            return;
        }
        let written =
            (0..number).take_while(|_| self.takes(outcome)).map(|index| line(index).write(outcome));
        self.leave_out(outcome, number - written.count());
    }

    /// The same for items that have no lines unless all have.
    pub fn pass_over<'l>(
        &self,
        outcome: Outcome,
        number: usize,
        line: impl FnMut(usize) -> ItemLine<'l>,
    ) {
        match self.items {
            LogItems::All => self.write_all(outcome, number, line),
            LogItems::Undelivered if is_logged(outcome) => self.leave_out(outcome, number),
            LogItems::Undelivered => {}
        }
    }

    /// Writes how many items have no line, where there are any.
    pub fn finish(&self) {
        let left_out = std::mem::take(&mut *self.lock());
        let items: u64 = left_out.values().sum();
        if items == 0 {
            return;
        }
        let mut counts: Map<String, Value> = Map::new();
        for (outcome, number) in left_out {
            let why = outcome.reason().map(|reason| reason.code().to_owned());
            let why = why.or_else(|| outcome.cause().map(|cause| cause.to_string()));
            counts.insert(why.unwrap_or_else(|| outcome.code().to_owned()), number.into());
        }
        let reasons = Value::Object(counts).to_string();
        tracing::info!(items, reasons, "further items");
    }

    fn takes(&self, outcome: Outcome) -> bool {
        self.items == LogItems::All || self.is_within_limit(outcome)
    }

    fn is_within_limit(&self, outcome: Outcome) -> bool {
        let takes = |lines: &AtomicU32, limit| {
            let more = |lines: u32| (lines < limit).then_some(lines + 1);
            lines.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
        };
        let routine = outcome == Outcome::Disregarded(Reason::EventNotExported);
        (!routine || takes(&self.not_exported, MAX_NOT_EXPORTED)) && takes(&self.written, MAX_LINES)
    }

    fn leave_out(&self, outcome: Outcome, number: usize) {
        if number > 0 {
            *self.lock().entry(outcome).or_default() += number as u64;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Outcome, u64>> {
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use mapping::{Origin, Work};
    use serde_json::json;

    use super::*;
    use crate::testing::Logs;
    use crate::upstream::Answer;

    const EVENT: &[u8] = br#"{"user_id":"u-1","device_id":"d-1","name":"Purchase"}"#;

    fn item(index: usize) -> Item<'static> {
        let origin = Origin::Request("r", index);
        Item { kind: ItemKind::Event, application: Some("A"), origin, bytes: EVENT }
    }

    fn keys(line: &Value) -> Vec<&str> {
        line.as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[test]
    fn a_line_says_everything_about_an_item_but_its_ids() {
        let (logs, _guard) = Logs::capture();
        let words = "user u-1: event Purchase\n does not exist".to_owned();
        let answer = Answer { status: Some(400), words };
        let now = jiff::Timestamp::UNIX_EPOCH;
        let reject = Reject::new(item(3), Reason::RefusedByPushwoosh, "refused for d-1", now);
        let reject = reject.answered(&answer).tried(1);
        let lines = Lines::default();
        lines.write(Reason::RefusedByPushwoosh.into(), || ItemLine::reject(&reject));
        let [line] = logs.with_message("item").try_into().unwrap();
        let words = format!("user {}: event Purchase does not exist", hashed("u-1"));
        let expected = json!({"timestamp": line["timestamp"], "level": "WARN", "message": "item",
            "target": line["target"], "outcome": "rejected", "reason": "refused_by_pushwoosh", "app.code": "A",
            "kind": "event", "name": "Purchase", "user": hashed("u-1"), "device": hashed("d-1"),
            "origin": "r 3", "status": 400, "words": words, "attempts": 1,
            "detail": format!("refused for {}", hashed("d-1"))});
        assert_eq!(line, expected);
    }

    #[test]
    fn a_track_call_is_known_by_its_record() {
        let (logs, _guard) = Logs::capture();
        let call = r#"{"userId":"u","event":"Push Sent","messageId":"m"}"#.to_owned();
        let call = serde_json::value::RawValue::from_string(call).unwrap();
        let now = jiff::Timestamp::UNIX_EPOCH;
        let parked = Parked::new("A", Work::Segment(vec![call]), Cause::Http(503), now);
        let origins = vec!["t-0-7".to_owned()];
        let parked = Parked { origins, status: Some(503), words: "no".to_owned(), ..parked };
        let dead = Parked { dead_since: Some(now), ..parked.clone() };
        let lines = Lines::default();
        lines.write(Outcome::Parked(Cause::Http(503)), || ItemLine::parked(&parked, 0));
        lines.write(Outcome::Failed(Cause::Expired), || ItemLine::parked(&dead, 0));
        let [parked, dead] = logs.with_message("item").try_into().unwrap();
        for (field, value) in [
            ("kind", json!("record")),
            ("app.code", json!("A")),
            ("attempts", json!(1)),
            ("origin", json!("t-0-7")),
            ("user", json!(hashed("u"))),
            ("name", json!("Push Sent")),
            ("message_id", json!("m")),
            ("status", json!(503)),
            ("words", json!("no")),
        ] {
            assert_eq!((&parked[field], &dead[field]), (&value, &value), "{field}");
        }
        assert_eq!((&parked["cause"], &parked["level"]), (&json!("http_503"), &json!("INFO")));
        assert_eq!((&dead["cause"], &dead["level"]), (&json!("expired"), &json!("ERROR")));
        assert_eq!(dead["last_cause"], "http_503");
    }

    /// A field that an item does not have is not there.
    #[test]
    fn bytes_that_cannot_be_read_have_an_origin_and_no_person() {
        let (logs, _guard) = Logs::capture();
        let bytes = Item { bytes: b"no json", ..item(0) };
        Lines::default().write(Reason::NotJson.into(), || ItemLine::item(&bytes));
        let [line] = logs.with_message("item").try_into().unwrap();
        let expected = "timestamp level message outcome reason app.code kind origin target";
        assert_eq!(keys(&line).join(" "), expected);
        assert_eq!((&line["origin"], &line["app.code"]), (&json!("r 0"), &json!("A")));
    }

    #[test]
    fn an_item_is_known_by_its_bytes() {
        let (logs, _guard) = Logs::capture();
        Lines::default().write(Outcome::Parked(Cause::Timeout), || ItemLine::item(&item(2)));
        let [line] = logs.with_message("item").try_into().unwrap();
        for (field, value) in [
            ("origin", json!("r 2")),
            ("kind", json!("event")),
            ("user", json!(hashed("u-1"))),
            ("device", json!(hashed("d-1"))),
            ("name", json!("Purchase")),
        ] {
            assert_eq!(line[field], value, "{field}");
        }
    }

    #[test]
    fn an_invocation_has_so_many_lines_and_counts_the_others() {
        let (logs, _guard) = Logs::capture();
        let lines = Lines::default();
        let write = |number, outcome: Outcome| {
            for index in 0..number {
                lines.write(outcome, || ItemLine::item(&item(index)));
            }
        };
        write(1_000, Outcome::Delivered);
        write(60, Reason::EventNotExported.into());
        write(60, Outcome::Parked(Cause::Timeout));
        lines.pass_over(Reason::NotConfigured.into(), 1, |_| unreachable!("it has no line"));
        lines.write(Reason::NotJson.into(), || unreachable!("there are enough"));
        let written = logs.with_message("item");
        let of =
            |field: &str, value: &str| written.iter().filter(|line| line[field] == value).count();
        assert_eq!((of("reason", "event_not_exported"), of("cause", "timeout")), (50, 50));
        lines.finish();
        lines.finish();
        let [further] = logs.with_message("further items").try_into().unwrap();
        assert_eq!(further["items"], 22);
        let reasons: Value = serde_json::from_str(further["reasons"].as_str().unwrap()).unwrap();
        let expected =
            json!({"event_not_exported": 10, "timeout": 10, "not_configured": 1, "not_json": 1});
        assert_eq!(reasons, expected);
    }

    #[test]
    fn all_items_have_a_line_where_that_is_asked_for() {
        let (logs, _guard) = Logs::capture();
        let lines = Lines::new(LogItems::All);
        for index in 0..200 {
            lines.write(Outcome::Delivered, || ItemLine::item(&item(index)));
        }
        lines.pass_over(Reason::NotConfigured.into(), 1, |_| ItemLine::item(&item(0)));
        lines.finish();
        assert_eq!(logs.with_message("item").len(), 201);
        assert_eq!(logs.with_message("further items"), Vec::<Value>::new());
    }

    #[test]
    fn what_is_tried_again_and_again_has_so_many_lines_even_where_all_items_have_one() {
        let (logs, _guard) = Logs::capture();
        let lines = Lines::new(LogItems::All);
        for index in 0..200 {
            lines.write_again(Outcome::Parked(Cause::Timeout), || ItemLine::item(&item(index)));
        }
        assert_eq!(logs.with_message("item").len(), 100);
    }

    #[test]
    fn a_line_below_the_level_is_not_made() {
        let subscriber = tracing_subscriber::fmt().with_max_level(Level::WARN);
        let subscriber = subscriber.with_writer(std::io::sink).finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let is_made = |outcome: Outcome| {
            let made = std::cell::Cell::new(false);
            Lines::default().write(outcome, || {
                made.set(true);
                ItemLine::item(&item(0))
            });
            made.get()
        };
        assert!(is_made(Outcome::Failed(Cause::QueueUnavailable)));
        assert!(is_made(Reason::NotJson.into()));
        assert!(!is_made(Outcome::Parked(Cause::Timeout)));
        let lines = Lines::default();
        lines.write_all(Outcome::Parked(Cause::Timeout), 3, |_| unreachable!("it is not written"));
        lines.pass_over(Reason::NotConfigured.into(), 3, |_| unreachable!("it is not written"));
        assert!(lines.lock().is_empty(), "nor counted");
    }

    #[test]
    fn items_that_ended_alike_have_lines_as_each_alone() {
        let written = |items, outcome| {
            let (logs, _guard) = Logs::capture();
            let lines = Lines::new(items);
            lines.write_all(outcome, 3, |index| ItemLine::item(&item(index)));
            assert!(lines.lock().is_empty(), "there is room for all");
            logs.with_message("item").len()
        };
        assert_eq!(written(LogItems::Undelivered, Outcome::Delivered), 0);
        assert_eq!(written(LogItems::All, Outcome::Delivered), 3);
        assert_eq!(written(LogItems::Undelivered, Outcome::Parked(Cause::Timeout)), 3);
    }

    #[test]
    fn only_whole_words_are_replaced() {
        assert_eq!(replace_word("u, user u: u1 (u)", "u", "#"), "#, user #: u1 (#)");
        assert_eq!(replace_word("no id", "u", "#"), "no id");
    }
}
