//! The ledger: what must not be forgotten while something is undelivered. A DynamoDB table, shared by all
//! processes; docs/adr/0011 has the reasons.
//!
//! Per application it holds until when something is *unsettled* (parked, dead, or rejected and able to come
//! again); per person when they were deleted or erased, which deletion is still pending, and of each thing that a
//! profile sets the time of the newest value that was accepted; per item of the retry queue whether it
//! is worked on or done; per request that failed which of its items need not be sent again.
//!
//! Invariants: every write only raises a time or repeats what is there, so that repeating and reordering
//! writes changes nothing; only the list of a failed request is removed, by its first repetition. Nothing in it names a person: ids are hashed. Live traffic never waits for it
//! longer than [`LIVE_WAIT`]; while it cannot be reached live traffic goes on, and what waits on the
//! retry queue keeps waiting.
//!
//! # Layout
//! * `table`: how the ledger calls DynamoDB, and what happens when it cannot.
//! * `mark`: which applications are unsettled.
//! * `person`: deletions and the times of values.
//! * `once`: items that were worked on, requests that failed.

mod mark;
mod once;
mod person;
mod table;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

pub use self::once::Claim;
pub use self::person::Person;
use crate::clock::Clock;
use crate::settings::Settings;

/// Longest that live traffic waits for the ledger before a call: a read takes a few milliseconds, and the
/// callers have seconds.
pub const LIVE_WAIT: Duration = Duration::from_millis(250);

/// The ledger cannot be read or written now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ledger cannot be reached")]
pub struct Unavailable;

/// Access to the ledger. The client is made on first use, so that start-up does not pay for it.
pub struct Ledger {
    config: SdkConfig,
    client: OnceCell<Client>,
    clock: Clock,
    table: String,
    /// How long an item waits between two attempts, at most.
    longest_delay: Duration,
    marks: Mutex<HashMap<String, mark::Mark>>,
    paused_until: Mutex<Option<Timestamp>>,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("table", &self.table).finish_non_exhaustive()
    }
}

impl Ledger {
    /// The ledger that the settings name.
    pub fn from_settings(config: &SdkConfig, settings: &Settings, clock: Clock) -> Self {
        Self::new(config, &settings.ledger_table, settings.retry_max_delay, clock)
    }

    /// The ledger in a table. `longest_delay`: how long an item waits between two attempts, at most.
    pub fn new(config: &SdkConfig, table: &str, longest_delay: Duration, clock: Clock) -> Self {
        Self {
            config: config.clone(),
            client: OnceCell::new(),
            clock,
            table: table.to_owned(),
            longest_delay,
            marks: Mutex::default(),
            paused_until: Mutex::default(),
        }
    }
}

/// Bytes of a hash that stand for an id: enough that no two meet.
const ID_BYTES: usize = 16;

/// What stands for an id in the ledger.
fn hashed(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut text = hex::encode(hash.finalize());
    text.truncate(2 * ID_BYTES);
    text
}
