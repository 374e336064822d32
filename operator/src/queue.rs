//! What is on the queues: looked at, sent again, discarded. Against AWS, or a running sandbox.
//!
//! Invariants: a message is deleted only once what becomes of it is on another queue, or because it is to be
//! discarded; everything else is put back. A deletion is never discarded: it has to reach Pushwoosh.
//!
//! # Layout
//! * `entry`: a message, and what is known of it; `filter`: which of them.
//! * `list`: `queue list` and `queue show`; `discard`; `redrive`.
//! * `plan`: what a reject would send now; `preview`: what a corrected mapping would make of the rejects.
//! * `edit`: a reject in the editor; `batch`: a batch that Lambda gave up.

mod batch;
mod discard;
mod edit;
mod entry;
mod filter;
mod list;
mod plan;
mod preview;
mod redrive;

use anyhow::Result;
use clap::{Args, Subcommand};

/// Flags of `queue`.
#[derive(Debug, Args)]
#[command(after_help = "Example: what is on the queues of a deployed stack
  segment-pushwoosh queue list --stack segment-pushwoosh

It ends with 0 if it did what it was told; with 1 if a queue cannot be looked at; with 2 if a flag cannot be used.")]
pub struct Queue {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what is on the queues, a line for each message; nothing is changed
    #[command(
        after_help = "Example: what of one user is still undelivered, in a deployed stack\n  \
        segment-pushwoosh queue list --stack segment-pushwoosh --user u-123 --since 2d\n\n\
        It ends with 0, also where nothing is found; with 1 if a queue cannot be looked at; with 2 if a flag cannot be used."
    )]
    List(list::List),
    /// Show messages whole: bytes, calls, what the upstream said, what to do
    #[command(
        after_help = "Example: the item with this origin, from a log line or from `queue list`\n  \
        segment-pushwoosh queue show 'channels-tracking-log-0-17'\n\n\
        It ends with 0 if it shows a message; with 1 if there is none that can be seen, or a queue cannot be looked at."
    )]
    Show(list::Show),
    /// Send rejected or dead items again
    #[command(
        after_help = "Examples: what would be sent; the same, sent; what a corrected mapping would make of the rejects\n  \
        segment-pushwoosh queue redrive --app DEMO0-00001 --reason refused_by_pushwoosh --dry-run\n  \
        segment-pushwoosh queue redrive --app DEMO0-00001 --reason refused_by_pushwoosh\n  \
        segment-pushwoosh queue redrive --reason mapping_failed --mapping mappings.json\n\n\
        It ends with 0 if everything that is meant was looked at, also what cannot be sent as it is; with 1 if something could not be read or sent; \
        with 2 if a flag or a file cannot be used."
    )]
    Redrive(redrive::Redrive),
    /// Delete rejected or dead items for good
    #[command(after_help = "Example: records of a test run\n  \
        segment-pushwoosh queue discard --queue rejects --reason not_json --since 1h\n\n\
        It ends with 0 if everything that is meant was discarded or kept; with 1 if a queue cannot be changed; with 2 if a flag cannot be used.")]
    Discard(discard::Discard),
}

/// Runs the command to its end.
pub async fn queue(flags: Queue) -> Result<()> {
    match flags.command {
        Command::List(flags) => list::list(&flags).await,
        Command::Show(flags) => list::show(&flags).await,
        Command::Redrive(flags) => redrive::redrive(&flags).await,
        Command::Discard(flags) => discard::discard(&flags).await,
    }
}
