//! What lies on the queues: messages complete enough to be sent again later, by another process.
//!
//! Invariants: a message holds no key; it keeps the item's idempotency (a Track call its
//! `messageId`, a plan the calls that are still missing). A message of an older version of this
//! code stays readable: fields are only ever added, with a default.

use std::io::{Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use mapping::{Plan, Reason};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Largest message that every queue takes; queues made since August 2025 may take 1 MiB.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub const MAX_BYTES: usize = 262_144;

/// Bound on a decompressed message: more than the 6 MB that an invocation can bring in.
const MAX_DECOMPRESSED: u64 = 16 * 1024 * 1024;

/// Something that could not be delivered yet.
#[derive(Debug, Serialize, Deserialize)]
pub struct Parked {
    /// Application code.
    pub application: String,
    /// What is to be sent.
    pub work: Work,
    /// When it came in.
    pub first_seen: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it is here: `http_503`, `timeout`, `circuit_open` …
    pub cause: String,
}

impl Parked {
    /// Work that was tried once, just now.
    pub fn new(application: &str, work: Work, cause: impl Into<String>) -> Self {
        Self {
            application: application.to_owned(),
            work,
            first_seen: Timestamp::now(),
            attempts: 1,
            cause: cause.into(),
        }
    }
}

/// What is to be sent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Calls of Pushwoosh.
    Pushwoosh(Plan),
    /// Track calls of Segment, each with its `messageId`.
    Segment(Vec<Box<RawValue>>),
}

/// Something that can never be delivered as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// Application code, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// What the bytes are.
    pub kind: Kind,
    /// Where they came from: `topic-partition-offset`, or request id and index.
    pub origin: String,
    /// Code of the [`mapping::Reason`].
    pub reason: String,
    /// What a person needs to cure it.
    pub message: String,
    /// When it was rejected.
    pub at: Timestamp,
    /// The bytes as they came, where they are text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// The bytes as they came, where they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_base64: Option<String>,
}

/// What a reject's bytes are, and so how they can be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One event of a post-events body.
    Event,
    /// A track-user body.
    Profile,
    /// A delete-user body.
    Deletion,
    /// A raw Segment event.
    SegmentEvent,
    /// A record of the tracking log.
    Record,
    /// A [`Parked`] message.
    Parked,
}

impl Reject {
    /// A reject of now, still without its bytes.
    pub fn new(
        application: Option<&str>,
        kind: Kind,
        origin: impl Into<String>,
        reason: Reason,
        message: impl Into<String>,
    ) -> Self {
        Self {
            application: application.map(str::to_owned),
            kind,
            origin: origin.into(),
            reason: reason.code().to_owned(),
            message: message.into(),
            at: Timestamp::now(),
            raw: None,
            raw_base64: None,
        }
    }

    /// Work that the upstream refused; sent again it is the same work.
    pub fn of_work(
        application: &str,
        work: Work,
        origin: impl Into<String>,
        reason: Reason,
        message: impl Into<String>,
    ) -> Self {
        let raw =
            serde_json::to_vec(&Parked::new(application, work, reason.code())).unwrap_or_default();
        Self::new(Some(application), Kind::Parked, origin, reason, message).with_raw(&raw)
    }

    /// The bytes, kept as text where they are.
    #[must_use]
    pub fn with_raw(mut self, raw: &[u8]) -> Self {
        match std::str::from_utf8(raw) {
            Ok(text) => self.raw = Some(text.to_owned()),
            Err(_) => self.raw_base64 = Some(STANDARD.encode(raw)),
        }
        self
    }

    /// The bytes as they came.
    pub fn raw(&self) -> Vec<u8> {
        match (&self.raw, &self.raw_base64) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(encoded)) => STANDARD.decode(encoded).unwrap_or_default(),
            (None, None) => Vec::new(),
        }
    }
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
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn reject(raw: &[u8]) -> Reject {
        Reject::new(Some("A"), Kind::Record, "t-0-1", Reason::NotJson, "JSON is expected")
            .with_raw(raw)
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
    fn a_track_call_is_parked_byte_for_byte() {
        let track = "{\"b\":1,\"a\":1.50}";
        let parked = Parked {
            application: "A".into(),
            work: Work::Segment(vec![RawValue::from_string(track.into()).unwrap()]),
            first_seen: Timestamp::UNIX_EPOCH,
            attempts: 1,
            cause: "timeout".into(),
        };
        let body = encode(&parked).unwrap();
        let value: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(value["application"], json!("A"));
        let Work::Segment(tracks) = decode::<Parked>(&body).unwrap().work else {
            panic!("not for Segment")
        };
        assert_eq!(tracks[0].get(), track);
    }
}
