//! `queue list` and `queue show`: what is on the queues. Nothing is changed.

use anyhow::{Result, bail};
use clap::Args;
use serde_json::Value;

use super::entry::Entry;
use super::filter::Filter;
use crate::queues::browse::{Fate, Hidden};
use crate::queues::{Place, QueueName, Queues};
use crate::terminal::{print, say};

/// Flags of `queue list`.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    place: Place,
    /// Only this queue
    #[arg(long, value_enum)]
    queue: Option<QueueName>,
    #[command(flatten)]
    filter: Filter,
    /// Print a JSON list
    #[arg(long)]
    json: bool,
}

/// Flags of `queue show`.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Origin of the item, as it is in the log and in `queue list`, or the message's id in SQS
    origin: String,
    #[command(flatten)]
    place: Place,
    /// Print a JSON list
    #[arg(long)]
    json: bool,
}

/// Lists messages, oldest first.
pub(super) async fn list(flags: &List) -> Result<()> {
    let of_all = QueueName::ALL.as_slice();
    let asked = flags.queue.as_ref().map_or(of_all, std::slice::from_ref);
    let fits = |queue: &&QueueName| flags.filter.fits(**queue).is_ok();
    let names: Vec<QueueName> = asked.iter().filter(fits).copied().collect();
    if let (true, Some(queue)) = (names.is_empty(), asked.first()) {
        flags.filter.fits(*queue)?;
    }
    let queues = flags.place.open().await?;
    let found = find(&queues, &names, &flags.filter).await?;
    if flags.json {
        let facts: Vec<Value> = found.iter().map(Entry::facts).collect();
        print(&serde_json::to_string_pretty(&facts)?);
    } else {
        for entry in &found {
            print(&entry.line());
        }
    }
    let mut hidden_number = 0;
    for name in names {
        let number = found.iter().filter(|entry| entry.queue == name).count();
        let Hidden { delayed, in_flight } = queues.hidden(name).await?;
        let hidden = if delayed + in_flight > 0 {
            hidden_number += delayed + in_flight;
            format!("; about {delayed} delayed and {in_flight} in flight are not shown")
        } else {
            String::new()
        };
        say(&format!("{}: {number} shown{hidden}", name.name()));
    }
    if hidden_number > 0 {
        say(&queues.where_the_hidden_are());
    }
    Ok(())
}

/// Shows messages whole.
pub(super) async fn show(flags: &Show) -> Result<()> {
    let queues = flags.place.open().await?;
    let found = find(&queues, &QueueName::ALL, &Filter::of_origin(&flags.origin)).await?;
    if found.is_empty() {
        bail!(
            "no message that can be seen has the origin or id {}: `queue list` shows those that are there",
            flags.origin
        );
    }
    if flags.json {
        let whole: Vec<Value> = found.iter().map(Entry::whole).collect();
        print(&serde_json::to_string_pretty(&whole)?);
        return Ok(());
    }
    for entry in &found {
        print(&entry.line());
        if let Some(remedy) = entry.remedy() {
            print(&format!("what to do: {remedy}"));
        }
        print(&serde_json::to_string_pretty(&entry.message())?);
        if let Some(reject) = entry.reject() {
            print("the bytes as they came:");
            print(&String::from_utf8_lossy(&reject.raw()));
        }
    }
    Ok(())
}

/// The messages that are meant, oldest first.
pub(super) async fn find(
    queues: &Queues,
    names: &[QueueName],
    filter: &Filter,
) -> Result<Vec<Entry>> {
    let now = queues.connection.clock.wall();
    let mut found = Vec::new();
    for name in names {
        let entries = &mut found;
        let visit = async |message: &_| {
            let entry = Entry::read(*name, message);
            if filter.takes(&entry, now, queues.salt()) {
                entries.push(entry);
            }
            Ok(Fate::Stays)
        };
        queues.browse(*name, visit).await?;
    }
    found.sort_by_key(Entry::since);
    Ok(found)
}
