//! How many lookups a process makes for unknown codes. Anybody who can write to the topic or knows the
//! destination's address can make up codes and keys.

use std::time::Duration;

/// Lookups of codes that were never served that a new process may make at once. A start with 500 applications needs none of them in the
/// end: what is found is given back.
pub const UNKNOWN_BURST: u32 = 1_000;

/// One more lookup each time this has passed. With an absent code read once an hour this is enough for
/// 3,600 foreign codes on the topic, and at most 2.6 million calls a month (13 USD) for a process.
pub const UNKNOWN_INTERVAL: Duration = Duration::from_secs(1);

/// Reads of one secret, soon after the one before, that a process may make at once to prove keys wrong: more than a
/// wrong setting of a caller makes, and 0.01 USD for both versions. What comes beyond is answered with 503.
pub(super) const PROOFS_BURST: u32 = 1_000;

/// One more of these reads each time this has passed: no more than a secret that is read once a second.
pub(super) const PROOFS_INTERVAL: Duration = Duration::from_secs(1);
