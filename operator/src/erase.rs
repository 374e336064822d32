//! Erases a person: removes what the retry, dead-letter and rejects queues keep of them.
//!
//! Invariants: the ledger learns of the erasure first, so that the retries drop what the queues do not show
//! now (delayed and in flight). A message that also holds other people's calls is replaced: the rest is sent
//! before the old message is deleted. A deletion of the person stays, since it has to reach Pushwoosh.
//! Everything else is put back; should that fail, SQS shows it again after ten minutes.
//!
//! # Layout
//! * `decide`: whether a message is about the person.

mod decide;

use std::time::Duration;

use anyhow::{Context, Result};
use aws_sdk_sqs::types::Message;
use clap::Args;
use jiff::Timestamp;
use platform::ledger::{Ledger, Person};
use serde::Serialize;
use serde_json::{Map, json};

use self::decide::{Decision, Erased};
use crate::queues::browse::{Fate, Hidden};
use crate::queues::{Place, QueueName, Queues, failed};
use crate::target::code;
use crate::terminal::print;

/// Longest wait for the ledger.
const LEDGER_WAIT: Duration = Duration::from_secs(10);

/// Only for marks, which are not written here.
const NO_DELAY: Duration = Duration::ZERO;

/// Flags of `erase`.
#[derive(Debug, Args)]
#[command(after_help = "Example: what would be removed in a deployed stack
  segment-pushwoosh erase --stack segment-pushwoosh --app XXXXX-XXXXX --user-id u1 --dry-run

It ends with 0 if everything was looked through, with 1 if something could not be read or
changed, and with 2 if a flag cannot be used.")]
pub struct Erase {
    /// Code of the application
    #[arg(long, value_name = "CODE", value_parser = code)]
    app: String,
    /// The user's id, as Segment sends it
    #[arg(long, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    user_id: String,
    /// Id of the user's device, for what names no user
    #[arg(long, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    device_id: Option<String>,
    /// Say what would be removed, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// What was found on a queue.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Found {
    looked_at: usize,
    removed: usize,
    shortened: usize,
    deletions: usize,
    unclear: usize,
    /// More messages than can be held at once: some were not looked at.
    too_many: bool,
}

/// A queue that is looked through.
struct Search<'a> {
    queues: &'a Queues,
    queue: QueueName,
    erased: Erased<'a>,
    dry_run: bool,
}

/// Erases, and says what was found.
pub async fn erase(flags: Erase) -> Result<()> {
    let queues = flags.place.open().await?;
    let (app, user, device) = (&flags.app, &flags.user_id, flags.device_id.as_deref());
    let (clock, table) = (&queues.connection.clock, queues.ledger_table()?);
    let ledger = Ledger::new(&queues.connection.config, table, NO_DELAY, clock.clone());
    if !flags.dry_run {
        let now = clock.wall();
        for id in [Some(user.as_str()), device].into_iter().flatten() {
            let noted = ledger.erased(app, id, now, clock.now() + LEDGER_WAIT).await;
            noted.with_context(|| {
                format!("nothing was erased: check the table {table} and the permission dynamodb:UpdateItem, and run the command again")
            })?;
        }
    }
    let erased = Erased { application: app, user, device };
    let mut on_queues = Map::new();
    for queue in QueueName::ALL {
        let search = Search { queues: &queues, queue, erased, dry_run: flags.dry_run };
        let looked =
            async { Ok::<_, anyhow::Error>((queues.hidden(queue).await?, search.run().await?)) };
        let (hidden, found) = looked.await.with_context(|| {
            format!("the {queue} queue was not looked through to its end: run the command again")
        })?;
        if flags.json {
            on_queues.insert(queue.name().to_owned(), json!({"found": found, "hidden": hidden}));
        } else {
            report(queue, &found, &hidden, flags.dry_run);
        }
    }
    let person = ledger.person(app, user, clock.now() + LEDGER_WAIT).await;
    let person = person.context("the ledger cannot be read: run the command again")?;
    if !flags.json {
        receipt(&person);
        return Ok(());
    }
    let Person { deleted, delivered, pending, erased, .. } = person;
    let ledger = json!({"deletion_accepted": deleted, "deletion_delivered": delivered,
        "deletion_pending_since": pending, "erased": erased});
    let done = json!({"dry_run": flags.dry_run, "queues": on_queues, "ledger": ledger});
    print(&serde_json::to_string_pretty(&done)?);
    Ok(())
}

impl Search<'_> {
    /// Looks through the queue.
    async fn run(&self) -> Result<Found> {
        let mut found = Found::default();
        let visit = async |message: &Message| {
            found.looked_at += 1;
            self.message(message, &mut found).await
        };
        let all = self.queues.browse(self.queue, visit).await?;
        Ok(Found { too_many: !all, ..found })
    }

    /// Decides about a message, and sends what is left of it.
    async fn message(&self, message: &Message, found: &mut Found) -> Result<Fate> {
        let (number, fate) = match self.erased.decide(message.body().unwrap_or_default()) {
            Decision::Keep => return Ok(Fate::Stays),
            Decision::KeepDeletion => (&mut found.deletions, None),
            Decision::Unclear => (&mut found.unclear, None),
            Decision::Remove => (&mut found.removed, Some(None)),
            Decision::Shorten(rest) => (&mut found.shortened, Some(Some(rest))),
        };
        *number += 1;
        match fate.filter(|_| !self.dry_run) {
            None => Ok(Fate::Stays),
            Some(None) => Ok(Fate::Goes),
            Some(Some(rest)) => {
                let request =
                    self.queues.client.send_message().queue_url(self.queues.url(self.queue)?);
                let group = self.queue.group(self.erased.application);
                let request = request.message_body(rest).set_message_group_id(group);
                let sent = request.send().await;
                let sent = sent.map_err(|error| failed(self.queue, &error, "SendMessage"))?;
                Ok(Fate::Replaced(sent.message_id.unwrap_or_default()))
            }
        }
    }
}

fn report(queue: QueueName, found: &Found, hidden: &Hidden, dry_run: bool) {
    let Found { looked_at, removed, shortened, deletions, unclear, .. } = *found;
    let would = if dry_run { "would be " } else { "" };
    print(&format!(
        "{queue}: {looked_at} looked at, {removed} {would}removed, {shortened} {would}shortened"
    ));
    if deletions > 0 {
        print(&format!(
            "{queue}: {deletions} deletions of the person stay: they have to reach Pushwoosh"
        ));
    }
    if unclear > 0 {
        print(&format!(
            "{queue}: {unclear} stay that were cut or cannot be read, and do not name the person: look at them yourself"
        ));
    }
    let Hidden { delayed, in_flight } = *hidden;
    if delayed + in_flight > 0 {
        print(&format!(
            "{queue}: about {delayed} delayed and {in_flight} in flight could not be looked at{}",
            match (queue, dry_run) {
                (_, true) => "",
                (QueueName::Retry, false) =>
                    ": when they are next tried, what is the person's is dropped",
                _ => ": run the command again in 15 minutes",
            }
        ));
    }
}

/// Prints what the ledger knows.
fn receipt(person: &Person) {
    let at = |moment: Option<Timestamp>| moment.map_or("never".to_owned(), |at| at.to_string());
    print(&format!("ledger: last deletion accepted: {}", at(person.deleted)));
    print(&format!("ledger: last deletion delivered: {}", at(person.delivered)));
    let pending = person.pending.map_or("no".to_owned(), |since| format!("since {since}"));
    print(&format!("ledger: deletion pending: {pending}"));
    print(&format!("ledger: last erased: {}", at(person.erased)));
}
