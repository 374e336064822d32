//! Shows how a user or device id appears in logs.

use clap::Args;
use platform::telemetry::hashed;

use crate::terminal::print;

/// Flags of `hash-id`.
#[derive(Debug, Args)]
pub struct HashId {
    /// A user or device id
    id: String,
}

/// Prints the hash that stands for the id in logs.
pub fn hash_id(flags: &HashId) {
    print(&hashed(flags.id.trim()));
}
