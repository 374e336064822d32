//! `queue discard`: deletes messages for good. Deletions stay: they have to reach Pushwoosh.

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use super::entry::Entry;
use super::filter::Filter;
use crate::bad_input::BadInput;
use crate::queues::browse::Fate;
use crate::queues::{Place, QueueName};
use crate::terminal::{print, say};

/// Flags of `queue discard`.
#[derive(Debug, Args)]
pub(super) struct Discard {
    #[command(flatten)]
    place: Place,
    /// From this queue
    #[arg(long, value_enum)]
    queue: QueueName,
    #[command(flatten)]
    filter: Filter,
    /// Discard everything that is on the queue
    #[arg(long)]
    all: bool,
    /// Show what would be discarded, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Discards, and says how many messages.
pub(super) async fn discard(flags: &Discard) -> Result<()> {
    if !flags.all && flags.filter.is_everything() {
        return Err(BadInput(
            "say what to discard with --app, --reason, --cause, --user, --since or --origin, or --all"
                .to_owned(),
        )
        .into());
    }
    flags.filter.fits(flags.queue)?;
    let queues = flags.place.open().await?;
    let now = queues.connection.clock.wall();
    let (mut discarded, mut deletions): (Vec<Value>, usize) = (Vec::new(), 0);
    let visit = async |message: &_| {
        let entry = Entry::read(flags.queue, message);
        if !flags.filter.takes(&entry, now, queues.salt()) {
            return Ok(Fate::Stays);
        }
        if entry.deletes() {
            deletions += 1;
            return Ok(Fate::Stays);
        }
        if !flags.json {
            print(&entry.line());
        }
        discarded.push(entry.facts());
        Ok(if flags.dry_run { Fate::Stays } else { Fate::Goes })
    };
    queues.browse(flags.queue, visit).await?;
    if flags.json {
        let done =
            json!({"dry_run": flags.dry_run, "discarded": discarded, "deletions_kept": deletions});
        print(&serde_json::to_string_pretty(&done)?);
    }
    let would = if flags.dry_run { "would be " } else { "" };
    say(&format!("{} {would}discarded", discarded.len()));
    if deletions > 0 {
        say(&format!("{deletions} deletions of people stay: they have to reach Pushwoosh"));
    }
    Ok(())
}
