//! Segment: [`caller`] is how it sends to a destination; the rest is what it takes.
//!
//! Segment's Tracking API as it is documented: 400 for what is not JSON or too large, 200 for nearly
//! everything else, and removal of repeats by `messageId`.
//! <https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/>

pub mod caller;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fastrand::Rng;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::reply::Reply;
use crate::time::between;
use crate::upstream::{Call, Upstream};

/// Events of a batch. More are answered with 200 and dropped.
/// <https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/#errors>
const MAX_EVENTS: usize = 2_500;

/// What Segment answers to a wrong write key; the documentation promises 200 for everything but sizes and
/// JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WrongKey {
    /// 401: the strictest reading, it finds mistakes.
    #[default]
    Unauthorized,
    /// 200, and nothing is kept.
    Discarded,
}

/// What a `messageId` must be unique in. The documentation names all events that Segment receives.
/// <https://segment.com/docs/guides/duplicate-data/>
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RepeatScope {
    /// All events.
    #[default]
    Everything,
    /// The events of one source.
    Source,
}

/// Open rules and limits.
#[derive(Debug, Clone)]
pub struct Options {
    /// What a wrong write key is answered.
    pub wrong_key: WrongKey,
    /// What a `messageId` must be unique in.
    pub repeats: RepeatScope,
    /// How long a `messageId` is remembered: 24 hours at least.
    pub repeat_window: Duration,
    /// Bytes of a request: "500 KB", of 1,000 or 1,024 bytes.
    pub max_batch: usize,
    /// Bytes of an event: "32 KB".
    pub max_event: usize,
    /// Ids that are kept; older ones are forgotten.
    pub kept: usize,
    /// Records that are kept for whoever looks at them; older ones are forgotten.
    pub kept_records: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            wrong_key: WrongKey::default(),
            repeats: RepeatScope::default(),
            repeat_window: Duration::from_hours(24),
            max_batch: 500_000,
            max_event: 32 * 1024,
            kept: usize::MAX,
            kept_records: usize::MAX,
        }
    }
}

/// An event that was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// When it came.
    pub received_at: Timestamp,
    /// The application whose write key was used.
    pub application: String,
    /// The event.
    pub event: Value,
}

/// What became of all events so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Kept.
    pub taken: u64,
    /// Removed as a repeat.
    pub repeated: u64,
    /// Answered with 200 and not kept.
    pub dropped: u64,
}

/// Segment.
#[derive(Debug, Clone, Default)]
pub struct Segment {
    /// Open rules and limits.
    pub options: Options,
    /// Write keys by application.
    keys: BTreeMap<String, String>,
    seen: HashSet<String>,
    /// The ids in `seen`, oldest first.
    seen_at: VecDeque<(Timestamp, String)>,
    records: VecDeque<Record>,
    totals: Totals,
}

impl Segment {
    /// Segment without sources.
    pub fn new(options: Options) -> Self {
        Self { options, ..Self::default() }
    }

    /// Sets or removes the write key of an application's source.
    pub fn set_key(&mut self, application: &str, key: Option<String>) {
        match key {
            Some(key) => self.keys.insert(application.to_owned(), key),
            None => self.keys.remove(application),
        };
    }

    /// The events that were taken, oldest first.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.iter()
    }

    /// What became of all events so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    fn take(&mut self, application: &str, events: &[Value], now: Timestamp) {
        while let Some((at, _)) = self.seen_at.front()
            && (between(*at, now) >= self.options.repeat_window
                || self.seen_at.len() > self.options.kept)
        {
            if let Some((_, id)) = self.seen_at.pop_front() {
                self.seen.remove(&id);
            }
        }
        for event in events {
            let text = |name: &str| event.get(name).and_then(Value::as_str);
            let somebody = text("userId").or(text("anonymousId")).is_some();
            if events.len() > MAX_EVENTS || text("type").is_none() || !somebody {
                self.totals.dropped += 1;
                continue;
            }
            if let Some(id) = text("messageId") {
                let id = match self.options.repeats {
                    RepeatScope::Everything => id.to_owned(),
                    RepeatScope::Source => format!("{application} {id}"),
                };
                if !self.seen.insert(id.clone()) {
                    self.totals.repeated += 1;
                    continue;
                }
                self.seen_at.push_back((now, id));
            }
            self.totals.taken += 1;
            let application = application.to_owned();
            self.records.push_back(Record { received_at: now, application, event: event.clone() });
            while self.records.len() > self.options.kept_records {
                self.records.pop_front();
            }
        }
    }
}

impl Upstream for Segment {
    fn application(&self, call: &Call<'_>) -> Option<String> {
        let basic = call.authorization.strip_prefix("Basic ");
        let basic =
            basic.and_then(|encoded| String::from_utf8(STANDARD.decode(encoded).ok()?).ok());
        let key = basic.as_deref().map(|pair| pair.trim_end_matches(':'));
        let key = key.or_else(|| call.body.get("writeKey")?.as_str())?;
        let mut owners = self.keys.iter().filter(|(_, own)| *own == key);
        owners.next().map(|(application, _)| application.clone())
    }

    fn handle(&mut self, call: &Call<'_>, now: Timestamp, _rng: &mut Rng) -> Reply {
        let bad = |message: &str| Reply::json(400, &json!({"success": false, "message": message}));
        if call.path != "/v1/batch" {
            return Reply::json(404, &json!({"message": "Not Found"}));
        }
        let application = self.application(call);
        if application.is_none() && self.options.wrong_key == WrongKey::Unauthorized {
            return Reply::json(401, &json!({"message": "unauthorized"}));
        }
        if call.size > self.options.max_batch {
            return bad("the request is larger than 500 KB");
        }
        let Some(batch) = call.body.get("batch").and_then(Value::as_array) else {
            return bad("malformed JSON");
        };
        if batch.iter().any(|event| event.to_string().len() > self.options.max_event) {
            return bad("an event is larger than 32 KB");
        }
        match application {
            Some(application) => self.take(&application, batch, now),
            None => self.totals.dropped += batch.len() as u64,
        }
        Reply::json(200, &json!({"success": true}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::after;

    fn start() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn segment(options: Options) -> Segment {
        let mut segment = Segment { options, ..Segment::default() };
        segment.set_key("A", Some("key-a".to_owned()));
        segment.set_key("B", Some("key-b".to_owned()));
        segment
    }

    fn track(id: &str) -> Value {
        json!({"type": "track", "userId": "u", "event": "Push Sent", "messageId": id})
    }

    fn post(segment: &mut Segment, key: &str, events: &[Value], now: Timestamp) -> u16 {
        let body = json!({ "batch": events });
        let authorization = format!("Basic {}", STANDARD.encode(format!("{key}:")));
        let size = body.to_string().len();
        let call = Call { path: "/v1/batch", authorization: &authorization, size, body: &body };
        segment.handle(&call, now, &mut Rng::with_seed(1)).status
    }

    fn taken(segment: &Segment) -> Vec<(&str, &str)> {
        segment
            .records()
            .map(|record| {
                (record.application.as_str(), record.event["messageId"].as_str().unwrap())
            })
            .collect()
    }

    // guides/duplicate-data: at least 24 hours, by messageId alone.
    #[test]
    fn a_repeat_is_removed_for_a_day() {
        let mut segment = segment(Options::default());
        assert_eq!(
            post(&mut segment, "key-a", &[track("1"), track("1"), track("2")], start()),
            200
        );
        let soon = after(start(), Duration::from_hours(23));
        post(&mut segment, "key-a", &[track("1")], soon);
        assert_eq!(taken(&segment), [("A", "1"), ("A", "2")]);
        assert_eq!(segment.totals().repeated, 2);
        post(&mut segment, "key-a", &[track("1")], after(start(), Duration::from_hours(24)));
        assert_eq!(taken(&segment).len(), 3);
    }

    #[test]
    fn what_an_id_must_be_unique_in_is_an_option() {
        for (repeats, number) in [(RepeatScope::Everything, 1), (RepeatScope::Source, 2)] {
            let mut segment = segment(Options { repeats, ..Options::default() });
            post(&mut segment, "key-a", &[track("1")], start());
            post(&mut segment, "key-b", &[track("1")], start());
            assert_eq!(taken(&segment).len(), number, "{repeats:?}");
        }
    }

    // The answer to a wrong key is not documented.
    #[test]
    fn what_a_wrong_key_is_answered_is_an_option() {
        for (wrong_key, status) in [(WrongKey::Unauthorized, 401), (WrongKey::Discarded, 200)] {
            let mut segment = segment(Options { wrong_key, ..Options::default() });
            assert_eq!(post(&mut segment, "other", &[track("1")], start()), status);
            assert!(taken(&segment).is_empty());
        }
        let mut segment = segment(Options::default());
        segment.set_key("A", None);
        assert_eq!(post(&mut segment, "key-a", &[track("1")], start()), 401);
    }

    // http-api: 500 KB for a request, 32 KB for an event: 400. 2,500 events: 200 and nothing is kept.
    #[test]
    fn sizes_have_limits() {
        let mut segment = segment(Options::default());
        let large = |bytes: usize| {
            let mut event = track("1");
            event["properties"] = json!({"x": "x".repeat(bytes)});
            event
        };
        assert_eq!(post(&mut segment, "key-a", &[large(33_000)], start()), 400);
        let many: Vec<Value> = std::iter::repeat_n(large(30_000), 17).collect();
        assert_eq!(post(&mut segment, "key-a", &many, start()), 400);
        assert!(taken(&segment).is_empty());
        segment.options.max_batch = usize::MAX;
        let many: Vec<Value> = (0..2_501).map(|number| track(&number.to_string())).collect();
        assert_eq!(post(&mut segment, "key-a", &many, start()), 200);
        assert_eq!((taken(&segment).len(), segment.totals().dropped), (0, 2_501));
    }

    // http-api, "Errors": 200 for events without a type or an identity, which are not kept.
    #[test]
    fn events_of_nobody_are_answered_with_200_and_dropped() {
        let mut segment = segment(Options::default());
        let nobody = json!({"type": "track", "event": "E", "messageId": "1"});
        assert_eq!(post(&mut segment, "key-a", &[nobody, json!({"userId": "u"})], start()), 200);
        assert_eq!(segment.totals(), Totals { dropped: 2, ..Totals::default() });
    }

    #[test]
    fn memory_is_bounded() {
        let mut segment = segment(Options { kept: 10, kept_records: 5, ..Options::default() });
        for number in 0..1_000 {
            post(&mut segment, "key-a", &[track(&number.to_string())], start());
        }
        assert_eq!(segment.records.len(), 5);
        assert!(segment.seen.len() <= 12 && segment.seen_at.len() <= 12);
    }
}
