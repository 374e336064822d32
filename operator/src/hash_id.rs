//! Shows how a user or device id appears in logs.

use clap::Args;
use platform::telemetry::hashed_with;

use crate::terminal::print;

/// Flags of `hash-id`.
#[derive(Debug, Args)]
pub struct HashId {
    /// A user or device id
    id: String,
    /// The salt of the stack: its ARN, which `aws cloudformation describe-stacks --stack-name NAME --query
    /// 'Stacks[0].StackId' --output text` prints. A sandbox has none
    #[arg(long, value_name = "STACK_ARN", default_value = "")]
    salt: String,
}

/// Prints the hash that stands for the id in logs.
pub fn hash_id(flags: &HashId) {
    print(&hashed_with(flags.salt.trim(), flags.id.trim()));
}
