//! Shows how a user or device id appears in logs.

use clap::Args;
use platform::telemetry::hashed_with;
use serde_json::json;

use crate::terminal::print;

/// Flags of `hash-id`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  segment-pushwoosh hash-id USER_ID --salt arn:aws:cloudformation:REGION:ACCOUNT:stack/NAME/ID

It ends with 0.")]
pub struct HashId {
    /// A user or device id
    id: String,
    /// The salt of the stack: its ARN, which `aws cloudformation describe-stacks --stack-name NAME --query
    /// 'Stacks[0].StackId' --output text` prints. A sandbox has none
    #[arg(long, value_name = "STACK_ARN", default_value = "")]
    salt: String,
    /// The result as JSON
    #[arg(long)]
    json: bool,
}

/// Prints the hash that stands for the id in logs.
pub fn hash_id(flags: &HashId) {
    let hash = hashed_with(flags.salt.trim(), flags.id.trim());
    print(&if flags.json { json!({ "hash": hash }).to_string() } else { hash });
}
