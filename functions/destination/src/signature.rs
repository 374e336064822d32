//! The `x-signature` of Segment's webhooks: HMAC-SHA1 of the body in hexadecimal digits, keyed with
//! the shared secret.
//!
//! A single event is signed as a whole. Of a list Segment signs the first element only, which leaves the
//! others unsigned; a signature over the whole body, as is proposed there, is told apart from it.
//! Facts: `packages/destination-actions/src/destinations/webhook` of Segment's action-destinations.
//!
//! Invariants: the bytes are those that came, never serialized anew; the comparison takes the same
//! time whatever differs.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;

/// Bytes of a signature.
const DIGEST_BYTES: usize = 20;

/// What of a request is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// All of it.
    Whole,
    /// The first element of its list.
    FirstElement,
}

/// What a signature covers that was made with one of the secrets; nothing where it is none. `first` is the
/// first element of a list.
pub fn coverage(
    secrets: &[SecretString],
    signature: &str,
    body: &[u8],
    first: Option<&[u8]>,
) -> Option<Coverage> {
    let mut digest = [0; DIGEST_BYTES];
    hex::decode_to_slice(signature, &mut digest).ok()?;
    let signs = |secret: &SecretString, message: &[u8]| {
        let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret.expose_secret().as_bytes()) else {
            return false;
        };
        mac.update(message);
        mac.verify_slice(&digest).is_ok()
    };
    secrets.iter().find_map(|secret| {
        // Both are always computed: the time taken must not depend on the input.
        let whole = signs(secret, body);
        let element = first.is_some_and(|first| signs(secret, first));
        match (whole, element) {
            (true, _) => Some(Coverage::Whole),
            (false, true) => Some(Coverage::FirstElement),
            (false, false) => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf '{"a":1}' | openssl dgst -sha1 -hmac key`
    const OF_ELEMENT: &str = "b5557a4b8f3cc308d19eb4f69f336392a31eef7b";

    fn sign(secret: &str, message: &[u8]) -> String {
        let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(message);
        hex::encode(mac.finalize().into_bytes())
    }

    #[test]
    fn the_body_or_the_first_element_is_signed_with_any_of_the_secrets() {
        let secrets = ["new".into(), "key".into()];
        let (body, first): (&[u8], &[u8]) = (br#"[{"a":1},{"b":2}]"#, br#"{"a":1}"#);
        assert_eq!(sign("key", first), OF_ELEMENT);
        for (signature, covered) in [
            (sign("key", body), Coverage::Whole),
            (sign("new", body), Coverage::Whole),
            (sign("key", first), Coverage::FirstElement),
        ] {
            assert_eq!(coverage(&secrets, &signature, body, Some(first)), Some(covered));
        }
        let wrong = [
            String::new(),
            sign("old", body),
            sign("key", br#"{"b":2}"#),
            sign("key", first).chars().skip(2).collect(),
            format!("{}0", sign("key", first)),
            format!("sha1={}", sign("key", first)),
            "zz".repeat(20),
        ];
        for signature in wrong {
            assert_eq!(coverage(&secrets, &signature, body, Some(first)), None, "{signature}");
        }
        assert_eq!(coverage(&[], &sign("key", body), body, None), None);
        assert_eq!(coverage(&secrets, &sign("key", first), body, None), None);
    }
}
