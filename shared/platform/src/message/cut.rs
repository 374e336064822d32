//! Rejects that are too large for their queue, even compressed. They are kept cut: a record that could
//! not be kept at all would stop its partition for good.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{MAX_BYTES, Reject, encode};

/// Bytes of an item that are tried first: half a message, since base64 and JSON make them longer.
const FIRST_TRY_BYTES: usize = MAX_BYTES / 2;

/// Bytes that are kept of what a person reads about the reject: an upstream's answer can be long too.
const MESSAGE_BYTES: usize = 4_096;

/// Says that a reject holds the first bytes of its item only, and what identifies the whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// Length of the whole.
    pub bytes: usize,
    /// SHA-256 of the whole, in hexadecimal digits.
    pub sha256: String,
}

impl Cut {
    fn of(whole: &[u8]) -> Self {
        let digits = Sha256::digest(whole).iter().fold(String::new(), |mut digits, byte| {
            // Writing to a String cannot fail.
            write!(digits, "{byte:02x}").ok();
            digits
        });
        Self { bytes: whole.len(), sha256: digits }
    }
}

/// A reject's body: whole where it fits, cut where it does not.
pub fn encode_reject(reject: &Reject) -> Option<String> {
    encode(reject).or_else(|| {
        let whole = reject.raw();
        let mut kept = whole.len().min(FIRST_TRY_BYTES);
        let mut cut = Reject {
            message: beginning(&reject.message, MESSAGE_BYTES).to_owned(),
            cut: Some(reject.cut.clone().unwrap_or_else(|| Cut::of(&whole))),
            ..reject.clone()
        };
        loop {
            (cut.raw, cut.raw_base64) = (None, None);
            cut = match &reject.raw {
                Some(text) => cut.with_raw(beginning(text, kept).as_bytes()),
                None => cut.with_raw(whole.get(..kept)?),
            };
            match encode(&cut) {
                None if kept > 0 => kept /= 2,
                body => return body,
            }
        }
    })
}

/// The beginning of a text: at most so many bytes, and whole characters.
fn beginning(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use mapping::{Item, ItemKind, Origin, Reason};

    use super::*;
    use crate::message::decode;

    fn reject(bytes: &[u8], message: &str) -> Reject {
        let origin = Origin::Record("t-0", 7);
        let item = Item { kind: ItemKind::Record, application: None, origin, bytes };
        Reject::new(item, Reason::NotJson, message, Timestamp::UNIX_EPOCH)
    }

    fn kept(reject: &Reject) -> Reject {
        let body = encode_reject(reject).unwrap();
        assert!(body.len() <= MAX_BYTES);
        decode(&body).unwrap()
    }

    #[test]
    fn what_fits_is_not_cut() {
        for bytes in [b"x".to_vec(), b"\xff".repeat(1_000_000)] {
            let reject = reject(&bytes, "m");
            assert_eq!(kept(&reject), reject);
        }
    }

    #[test]
    fn what_does_not_fit_keeps_its_beginning_its_length_its_hash_and_its_origin() {
        let text: String =
            std::iter::repeat_with(|| fastrand::char('Ā'..'𐀀')).take(400_000).collect();
        let bytes: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(4_000_000).collect();
        for whole in [text.as_bytes(), &bytes] {
            let kept = kept(&reject(whole, "m"));
            assert_eq!((kept.origin.as_str(), kept.reason.as_str()), ("t-0-7", "not_json"));
            assert!(whole.starts_with(&kept.raw()));
            assert!(kept.raw().len() > 50_000, "{}", kept.raw().len());
            let cut = kept.cut.unwrap();
            assert_eq!((cut.bytes, cut.sha256), (whole.len(), Cut::of(whole).sha256));
        }
        // `printf abc | sha256sum`: operators compute it by hand.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Cut::of(b"abc").sha256, expected);
    }

    #[test]
    fn a_long_answer_of_an_upstream_is_cut_too() {
        let answer: String = std::iter::repeat_with(fastrand::alphanumeric).take(600_000).collect();
        let kept = kept(&reject(b"whole", &answer));
        assert_eq!((kept.raw(), kept.message.len()), (b"whole".to_vec(), MESSAGE_BYTES));
    }

    #[test]
    fn what_was_cut_before_keeps_what_identifies_the_whole() {
        let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(400_000).collect();
        let cut = Cut { bytes: 5, sha256: "s".to_owned() };
        let reject = Reject { cut: Some(cut.clone()), ..reject(&noise, "m") };
        assert_eq!(kept(&reject).cut, Some(cut));
    }
}
