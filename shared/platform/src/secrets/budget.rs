//! How many lookups of application codes that were never served a process may make. Anybody who can
//! write to the topic or knows the destination's address can make up codes.

use std::time::Duration;

/// Lookups that a new process may make at once. A start with 500 applications needs none of them in the
/// end: what is found is given back.
pub const UNKNOWN_BURST: u32 = 1_000;

/// One more lookup each time this has passed. With an absent code read once an hour this is enough for
/// 3,600 foreign codes on the topic, and at most 2.6 million calls a month (13 USD) for a process.
pub const UNKNOWN_INTERVAL: Duration = Duration::from_secs(1);
