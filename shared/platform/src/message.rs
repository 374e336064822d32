//! The messages of the queues: complete enough to be sent again later, by another process.
//!
//! Invariants: a message holds no key. A message of an older version of this code stays readable:
//! fields are only ever added, with a default.

mod cut;

use std::io::{Read, Write};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use mapping::{Cause, Item, ItemKind, Origin, Parked, Reason};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use self::cut::{Cut, encode_reject};
use crate::upstream::Answer;

/// Largest message that every queue takes; queues made since August 2025 may take 1 MiB.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub const MAX_BYTES: usize = 262_144;

/// Bound on a decompressed message: more than the 6 MB that an invocation can bring in.
const MAX_DECOMPRESSED: u64 = 16 * 1024 * 1024;

/// Something for a queue.
#[derive(Debug)]
pub enum Message {
    /// To the retry queue, where it becomes visible after the delay.
    Park(Parked, Duration),
    /// To the rejects queue.
    Reject(Reject),
    /// To the dead-letter queue.
    Bury(Parked),
}

/// Something that can never be delivered as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// Application code, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// What the bytes are.
    pub kind: ItemKind,
    /// Where they came from: `topic-partition-offset`, or request id and index.
    pub origin: String,
    /// Code of the [`mapping::Reason`].
    pub reason: String,
    /// What a person needs to correct it.
    pub message: String,
    /// HTTP status of the upstream's answer, where it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The upstream's own words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub words: String,
    /// How often it was tried.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: u32,
    /// When it was rejected.
    pub at: Timestamp,
    /// The bytes as they came, where they are text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// The bytes as they came, where they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_base64: Option<String>,
    /// Where the bytes are not all: what identifies the whole. It cannot be sent again from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
}

impl Reject {
    /// A reject of an item, with its bytes.
    pub fn new(item: Item<'_>, reason: Reason, message: impl Into<String>, now: Timestamp) -> Self {
        let reject = Self {
            application: item.application.map(str::to_owned),
            kind: item.kind,
            origin: item.origin.to_string(),
            reason: reason.code().to_owned(),
            message: message.into(),
            status: None,
            words: String::new(),
            attempts: 0,
            at: now,
            raw: None,
            raw_base64: None,
            cut: None,
        };
        reject.with_raw(item.bytes)
    }

    /// Work that the upstream refused: one plan, or one Track call. Sent again it is the same work.
    pub fn of_work(parked: Parked, reason: Reason, message: impl Into<String>) -> Self {
        let parked = Parked { cause: Cause::Refused, ..parked };
        let bytes = serde_json::to_vec(&parked).unwrap_or_default();
        let (kind, application) = (ItemKind::Parked, Some(parked.application.as_str()));
        let origin = Origin::First(parked.origin(0));
        let item = Item { kind, application, origin, bytes: &bytes };
        let reject = Self::new(item, reason, message, parked.first_seen);
        Self { attempts: parked.attempts, ..reject }
    }

    /// The same with what the upstream answered.
    #[must_use]
    pub fn answered(self, answer: &Answer) -> Self {
        Self { status: answer.status, words: answer.words.clone(), ..self }
    }

    /// The same after so many attempts.
    #[must_use]
    pub fn tried(self, attempts: u32) -> Self {
        Self { attempts, ..self }
    }

    /// The bytes, kept as text where they are.
    #[must_use]
    fn with_raw(mut self, raw: &[u8]) -> Self {
        match std::str::from_utf8(raw) {
            Ok(text) => self.raw = Some(text.to_owned()),
            Err(_) => self.raw_base64 = Some(STANDARD.encode(raw)),
        }
        self
    }

    /// The bytes as they came; their beginning where the reject is [`Reject::cut`].
    pub fn raw(&self) -> Vec<u8> {
        match (&self.raw, &self.raw_base64) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(encoded)) => STANDARD.decode(encoded).unwrap_or_default(),
            (None, None) => Vec::new(),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A message whose JSON is too large or holds characters that SQS refuses.
#[derive(Serialize, Deserialize)]
struct Compressed {
    gzip: String,
}

/// A message's body, or nothing where it is too large even compressed.
pub fn encode(message: &impl Serialize) -> Option<String> {
    let json = serde_json::to_string(message).ok()?;
    if json.len() <= MAX_BYTES && json.chars().all(allowed) {
        return Some(json);
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(json.as_bytes()).ok()?;
    let gzip = STANDARD.encode(encoder.finish().ok()?);
    let body = serde_json::to_string(&Compressed { gzip }).ok()?;
    (body.len() <= MAX_BYTES).then_some(body)
}

/// Reads what [`encode`] wrote.
pub fn decode<T: DeserializeOwned>(body: &str) -> Option<T> {
    if let Ok(Compressed { gzip }) = serde_json::from_str(body) {
        let bytes = STANDARD.decode(gzip).ok()?;
        let mut json = String::new();
        GzDecoder::new(bytes.as_slice()).take(MAX_DECOMPRESSED).read_to_string(&mut json).ok()?;
        return serde_json::from_str(&json).ok();
    }
    serde_json::from_str(body).ok()
}

/// The characters that SQS takes (those of XML 1.0).
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
fn allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
}

#[cfg(test)]
mod tests {
    use mapping::Work;
    use proptest::prelude::*;
    use serde_json::json;
    use serde_json::value::RawValue;

    use super::*;

    fn reject(raw: &[u8]) -> Reject {
        let item = Item {
            kind: ItemKind::Record,
            application: Some("A"),
            origin: Origin::Record("t-0", 1),
            bytes: raw,
        };
        Reject::new(item, Reason::NotJson, "JSON is expected", Timestamp::UNIX_EPOCH)
    }

    proptest! {
        #[test]
        fn any_bytes_come_back_as_they_were(raw in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            let body = encode(&reject(&raw)).unwrap();
            prop_assert!(body.chars().all(allowed));
            prop_assert_eq!(decode::<Reject>(&body).unwrap().raw(), raw);
        }
    }

    #[test]
    fn large_messages_are_compressed_and_too_large_ones_are_refused() {
        let body = encode(&reject("{\"a\":1}".repeat(100_000).as_bytes())).unwrap();
        assert!(body.len() < MAX_BYTES);
        assert_eq!(decode::<Reject>(&body).unwrap().raw().len(), 700_000);
        let mut noise = 1_u64;
        let random: Vec<u8> = std::iter::repeat_with(|| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            noise.to_be_bytes()[0]
        })
        .take(400_000)
        .collect();
        assert_eq!(encode(&reject(&random)), None);
        let character = encode(&reject("\u{FFFF}".as_bytes())).unwrap();
        assert!(character.starts_with("{\"gzip\""));
    }

    #[test]
    fn what_was_never_tried_says_nothing_of_attempts() {
        let value = |attempts| serde_json::to_value(reject(b"{}").tried(attempts)).unwrap();
        assert_eq!(value(0).get("attempts"), None);
        assert_eq!(value(2)["attempts"], 2);
    }

    #[test]
    fn refused_work_keeps_how_often_it_was_tried_and_why_it_ended() {
        let work = Work::Segment(vec![RawValue::from_string("{}".into()).unwrap()]);
        let parked = Parked::new("A", work, Cause::Timeout, Timestamp::UNIX_EPOCH);
        let parked = Parked { attempts: 3, ..parked }.known_as("origin");
        let reject = Reject::of_work(parked, Reason::RefusedBySegment, "no");
        assert_eq!((reject.attempts, reject.origin.as_str()), (3, "origin"));
        assert_eq!(Parked::read(&reject.raw()).unwrap().cause, Cause::Refused);
    }

    #[test]
    fn a_track_call_is_parked_byte_for_byte() {
        let track = "{\"b\":1,\"a\":1.50}";
        let work = Work::Segment(vec![RawValue::from_string(track.into()).unwrap()]);
        let parked = Parked::new("A", work, Cause::Timeout, Timestamp::UNIX_EPOCH);
        let body = encode(&parked).unwrap();
        let value: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(value["application"], json!("A"));
        let Work::Segment(tracks) = decode::<Parked>(&body).unwrap().work else {
            panic!("not for Segment")
        };
        assert_eq!(tracks[0].get(), track);
    }
}
