//! The id by which Segment removes repeats.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// Bytes of the hash that the id keeps. With the prefix it stays far below Segment's 100 characters.
const MESSAGE_ID_BYTES: usize = 20;

/// `pw-` and the hash of the parts, each with its length before it so that no two lists collide.
pub(super) fn message_id(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(MESSAGE_ID_BYTES).fold("pw-".to_owned(), |mut id, byte| {
        // Writing to a String cannot fail.
        write!(id, "{byte:02x}").ok();
        id
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_lists_of_parts_share_an_id() {
        let ids =
            [["ab", "c"], ["a", "bc"], ["abc", ""], ["", "abc"]].map(|parts| message_id(&parts));
        for (index, id) in ids.iter().enumerate() {
            assert!(ids.iter().skip(index + 1).all(|other| other != id));
            assert_eq!(id.len(), "pw-".len() + 2 * MESSAGE_ID_BYTES);
        }
    }

    /// Segment has calls under these ids: a change would deliver records of the last days twice.
    #[test]
    fn ids_stay_what_they_were() {
        assert_eq!(message_id(&["A", "m"]), "pw-51f0ccd2adef353f365daccd383c4c9c00d7dec8");
    }
}
