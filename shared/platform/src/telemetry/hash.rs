//! How an id appears in logs.

use std::fmt::Write as _;
use std::sync::OnceLock;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of the hash that stand for an id in logs.
const HASH_BYTES: usize = 8;

/// Keyed with the salt of the stack that this process belongs to: half of the work for a short id.
static KEYED: OnceLock<Option<Hmac<Sha256>>> = OnceLock::new();

/// Sets the salt of this process's hashes, once. Until then they have none.
pub fn salt_hashes(salt: &str) {
    KEYED.get_or_init(|| keyed(salt));
}

/// The hash that stands for an id in the logs of this process.
pub fn hashed(id: &str) -> String {
    digits(KEYED.get().cloned().unwrap_or_else(|| keyed("")), id)
}

/// The hash that stands for an id in the logs of the stack with this salt: the same id has the same hash there,
/// and another one elsewhere. HMAC-SHA256, so that operators can compute it by hand too.
pub fn hashed_with(salt: &str, id: &str) -> String {
    digits(keyed(salt), id)
}

fn keyed(salt: &str) -> Option<Hmac<Sha256>> {
    // A key of any length is taken.
    Hmac::new_from_slice(salt.as_bytes()).ok()
}

fn digits(keyed: Option<Hmac<Sha256>>, id: &str) -> String {
    let Some(mut mac) = keyed else { return String::new() };
    mac.update(id.as_bytes());
    let digest = mac.finalize().into_bytes();
    digest.iter().take(HASH_BYTES).fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_of_a_process_have_hashes_of_one_length() {
        assert_eq!(hashed("u1"), hashed("u1"));
        assert_ne!(hashed("u1"), hashed("u2"));
        assert_eq!(hashed("u1").len(), 2 * HASH_BYTES);
    }

    #[test]
    fn an_id_has_its_own_hash_in_every_stack() {
        assert_eq!(hashed_with("s", "u1"), hashed_with("s", "u1"));
        assert_ne!(hashed_with("s", "u1"), hashed_with("s", "u2"));
        assert_ne!(hashed_with("s", "u1"), hashed_with("t", "u1"));
        // `printf u1 | openssl dgst -sha256 -hmac SALT`, the first 16 digits.
        assert_eq!(
            hashed_with("arn:aws:cloudformation:eu-central-1:123456789012:stack/s/1", "u1"),
            "d93c7ed32525dd6c"
        );
    }
}
