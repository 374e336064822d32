//! The id by which Segment removes repeats.

use std::fmt;

use sha2::{Digest, Sha256};

/// Bytes of the hash that the id keeps. With the prefix it stays far below Segment's 100 characters.
const MESSAGE_ID_BYTES: usize = 20;

/// What the hash of most records is made of fits in here. Gathered first, it is hashed in one go.
const GATHERED_BYTES: usize = 512;

/// An id: `pw-` and the hash of some parts, each with its length before it so that no two lists collide.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageId([u8; MESSAGE_ID_BYTES]);

impl MessageId {
    pub(super) fn of(parts: &[&str]) -> Self {
        let digest = if let Some((bytes, length)) = gathered(parts) {
            Sha256::digest(bytes.get(..length).unwrap_or_default())
        } else {
            let mut hash = Sha256::new();
            for part in parts {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part.as_bytes());
            }
            hash.finalize()
        };
        let mut id = [0; MESSAGE_ID_BYTES];
        for (to, from) in id.iter_mut().zip(digest) {
            *to = from;
        }
        Self(id)
    }

    /// Appends the id as it is sent.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |index: u8| DIGITS.get(usize::from(index)).copied().unwrap_or_default();
        out.extend_from_slice(b"pw-");
        out.extend(self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::new();
        self.write(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The parts and their lengths in one piece, where they fit.
fn gathered(parts: &[&str]) -> Option<([u8; GATHERED_BYTES], usize)> {
    let mut bytes = [0; GATHERED_BYTES];
    let mut at = 0;
    for part in parts {
        let length = (part.len() as u64).to_be_bytes();
        for piece in [length.as_slice(), part.as_bytes()] {
            bytes.get_mut(at..at + piece.len())?.copy_from_slice(piece);
            at += piece.len();
        }
    }
    Some((bytes, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_lists_of_parts_share_an_id() {
        let ids = [["ab", "c"], ["a", "bc"], ["abc", ""], ["", "abc"]]
            .map(|parts| MessageId::of(&parts).to_string());
        for (index, id) in ids.iter().enumerate() {
            assert!(ids.iter().skip(index + 1).all(|other| other != id));
            assert_eq!(id.len(), "pw-".len() + 2 * MESSAGE_ID_BYTES);
        }
    }

    #[test]
    fn an_id_is_shown_as_segment_has_it() {
        let id = MessageId::of(&["A", "m"]);
        assert_eq!(format!("{id:?}"), id.to_string());
    }

    /// Segment has calls under these ids: a change would deliver records of the last days twice.
    #[test]
    fn ids_stay_what_they_were() {
        let id = MessageId::of(&["A", "m"]);
        assert_eq!(id.to_string(), "pw-51f0ccd2adef353f365daccd383c4c9c00d7dec8");
    }

    /// Parts that do not fit are hashed one by one.
    #[test]
    fn long_parts_give_the_same_ids() {
        for length in [GATHERED_BYTES - 17, GATHERED_BYTES - 16, GATHERED_BYTES, 5_000] {
            let long = "x".repeat(length);
            let mut hash = Sha256::new();
            for part in ["A", &long] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part.as_bytes());
            }
            let digest = hash.finalize();
            let id = MessageId::of(&["A", &long]);
            assert_eq!(Some(id.0.as_slice()), digest.get(..MESSAGE_ID_BYTES));
        }
    }
}
