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

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::{Context, Result};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, Message, QueueAttributeName};
use clap::Args;
use jiff::Timestamp;
use platform::ledger::{Ledger, Person};
use serde::Serialize;
use serde_json::{Map, json};

use self::decide::{Decision, Erased};
use crate::connection::{Connection, DEFAULT_SANDBOX};
use crate::terminal::{print, say};

/// Messages stay invisible to others for this long while a queue is looked through.
const VISIBILITY: Duration = Duration::from_mins(10);

/// A queue is looked through when so many receives in a row bring nothing new. A receive does not find every
/// message, even where it waits.
const EMPTY_RECEIVES: u32 = 3;

/// A receive that waits asks all of the queue's servers.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html>
const WAIT_SECONDS: i32 = 1;

/// Messages of one receive.
const BATCH: i32 = 10;

/// A queue may have 120,000 messages in flight, and its function needs some.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
const MAX_HELD: usize = 100_000;

/// Longest wait for the ledger.
const LEDGER_WAIT: Duration = Duration::from_secs(10);

/// Only for marks, which are not written here.
const NO_DELAY: Duration = Duration::ZERO;

/// Flags of `erase`.
#[derive(Debug, Args)]
#[command(after_help = "Example, against a running sandbox:
  segment-pushwoosh erase --app DEMO0-00001 --user-id u1 --dry-run

It ends with 0 if everything was looked through, and with 1 if something could not be read or changed.")]
pub struct Erase {
    /// Code of the application
    #[arg(long, value_name = "CODE")]
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
    /// A running sandbox
    #[arg(long, value_name = "URL", default_value = DEFAULT_SANDBOX, conflicts_with_all = ["retry_queue_url", "dead_queue_url", "rejects_queue_url", "ledger_table"])]
    sandbox: String,
    /// The retry queue in AWS; credentials and region are found as every AWS tool finds them
    #[arg(long, value_name = "URL", requires_all = ["dead_queue_url", "rejects_queue_url", "ledger_table"])]
    retry_queue_url: Option<String>,
    /// The dead-letter queue in AWS
    #[arg(long, value_name = "URL", requires = "retry_queue_url")]
    dead_queue_url: Option<String>,
    /// The rejects queue in AWS
    #[arg(long, value_name = "URL", requires = "retry_queue_url")]
    rejects_queue_url: Option<String>,
    /// The ledger's table in AWS
    #[arg(long, value_name = "NAME", requires = "retry_queue_url")]
    ledger_table: Option<String>,
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

/// What a queue does not show.
#[derive(Serialize)]
struct Hidden {
    delayed: u64,
    in_flight: u64,
}

/// A queue that is looked through.
struct Search<'a> {
    client: &'a Client,
    url: &'a str,
    erased: Erased<'a>,
    dry_run: bool,
}

/// Erases, and says what was found.
pub async fn erase(flags: Erase) -> Result<()> {
    let connection = if flags.retry_queue_url.is_some() {
        Connection::to_aws().await?
    } else {
        let otherwise =
            "--retry-queue-url, --dead-queue-url, --rejects-queue-url and --ledger-table";
        Connection::to_sandbox(&flags.sandbox, otherwise).await?
    };
    let (app, user, device) = (&flags.app, &flags.user_id, flags.device_id.as_deref());
    let clock = &connection.clock;
    let table = connection.ledger_table(flags.ledger_table.as_deref())?;
    let ledger = Ledger::new(&connection.config, &table, NO_DELAY, clock.clone());
    if !flags.dry_run {
        let now = clock.wall();
        for id in [Some(user.as_str()), device].into_iter().flatten() {
            let noted = ledger.erased(app, id, now, clock.now() + LEDGER_WAIT).await;
            noted.with_context(|| {
                format!("nothing was erased: check the table {table} and the permission dynamodb:UpdateItem, and run the command again")
            })?;
        }
    }
    let client = Client::new(&connection.config);
    let erased = Erased { application: app, user, device };
    let mut queues = Map::new();
    for (name, url) in [
        ("retry", &flags.retry_queue_url),
        ("dead", &flags.dead_queue_url),
        ("rejects", &flags.rejects_queue_url),
    ] {
        let url = connection.queue(url.as_deref(), name)?;
        let search = Search { client: &client, url: &url, erased, dry_run: flags.dry_run };
        let hidden = search.hidden().await.with_context(|| failed(name))?;
        let found = search.run().await.with_context(|| failed(name))?;
        if flags.json {
            queues.insert(name.to_owned(), json!({"found": found, "hidden": hidden}));
        } else {
            report(name, &found, &hidden, flags.dry_run);
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
    let done = json!({"dry_run": flags.dry_run, "queues": queues, "ledger": ledger});
    print(&serde_json::to_string_pretty(&done)?);
    Ok(())
}

fn failed(queue: &str) -> String {
    format!("the {queue} queue was not looked through to its end: run the command again")
}

impl Search<'_> {
    /// What the queue does not show now.
    async fn hidden(&self) -> Result<Hidden> {
        let (delayed, in_flight) = (
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        );
        let request = self.client.get_queue_attributes().queue_url(self.url);
        let request = request.attribute_names(delayed.clone()).attribute_names(in_flight.clone());
        let attributes = request
            .send()
            .await
            .context("its attributes cannot be read")?
            .attributes
            .unwrap_or_default();
        let number =
            |name| attributes.get(&name).and_then(|number| number.parse().ok()).unwrap_or(0);
        Ok(Hidden { delayed: number(delayed), in_flight: number(in_flight) })
    }

    /// Looks through the queue, and puts back what stays.
    async fn run(&self) -> Result<Found> {
        let mut held = HashMap::new();
        let found = self.look(&mut held).await;
        let put_back = self.put_back(held).await;
        let found = found?;
        put_back?;
        Ok(found)
    }

    /// `held`: receipts of what stays, by the messages' ids.
    async fn look(&self, held: &mut HashMap<String, String>) -> Result<Found> {
        let mut found = Found::default();
        let (mut seen, mut ended, mut empty) = (HashSet::new(), HashSet::new(), 0);
        while empty < EMPTY_RECEIVES {
            if held.len() >= MAX_HELD {
                found.too_many = true;
                break;
            }
            let request = self.client.receive_message().queue_url(self.url);
            let request = request.max_number_of_messages(BATCH).wait_time_seconds(WAIT_SECONDS);
            let received =
                request.visibility_timeout(i32::try_from(VISIBILITY.as_secs())?).send().await;
            let messages = received.context("it cannot be read")?.messages.unwrap_or_default();
            empty += 1;
            for message in messages {
                let id = message.message_id.clone().unwrap_or_default();
                if ended.contains(&id) {
                    // SQS may show a message once more although it was deleted.
                    self.delete(&message).await?;
                    continue;
                }
                if seen.insert(id.clone()) {
                    empty = 0;
                    found.looked_at += 1;
                    if let Some(Ended { sent }) = self.message(&message, &mut found).await? {
                        seen.extend(sent);
                        ended.insert(id);
                        continue;
                    }
                }
                // Only the receipt of its last receive is valid.
                held.extend(message.receipt_handle.map(|receipt| (id, receipt)));
            }
        }
        Ok(found)
    }

    /// Decides about a message and does it. Nothing is returned for what stays as it is.
    async fn message(&self, message: &Message, found: &mut Found) -> Result<Option<Ended>> {
        let (number, rest) = match self.erased.decide(message.body().unwrap_or_default()) {
            Decision::Keep => return Ok(None),
            Decision::KeepDeletion => (&mut found.deletions, None),
            Decision::Unclear => (&mut found.unclear, None),
            Decision::Remove => (&mut found.removed, Some(None)),
            Decision::Shorten(rest) => (&mut found.shortened, Some(Some(rest))),
        };
        *number += 1;
        let Some(rest) = rest.filter(|_| !self.dry_run) else { return Ok(None) };
        let mut sent = None;
        if let Some(rest) = rest {
            let request = self.client.send_message().queue_url(self.url).message_body(rest);
            let answer = request.send().await;
            sent = answer
                .context(
                    "what other people have in a message was not sent again, and the message stays",
                )?
                .message_id;
        }
        self.delete(message).await?;
        Ok(Some(Ended { sent }))
    }

    async fn delete(&self, message: &Message) -> Result<()> {
        let delete = self.client.delete_message().queue_url(self.url);
        let delete = delete.set_receipt_handle(message.receipt_handle.clone());
        delete.send().await.context("a message could not be deleted")?;
        Ok(())
    }

    /// What stays is there for the next one who looks.
    async fn put_back(&self, held: HashMap<String, String>) -> Result<()> {
        let receipts: Vec<String> = held.into_values().collect();
        let mut refused = 0;
        for receipts in receipts.chunks(usize::try_from(BATCH)?) {
            let mut request = self.client.change_message_visibility_batch().queue_url(self.url);
            for (index, receipt) in receipts.iter().enumerate() {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(receipt)
                    .visibility_timeout(0);
                request = request.entries(entry.build()?);
            }
            let answer = request.send().await.context(
                "what stays could not be put back at once: SQS shows it again after 10 minutes",
            )?;
            refused += answer.failed().len();
        }
        if refused > 0 {
            say(&format!(
                "{refused} messages could not be put back at once: SQS shows them again after 10 minutes at most"
            ));
        }
        Ok(())
    }
}

/// A message that was removed.
struct Ended {
    /// The id of the message that has its rest.
    sent: Option<String>,
}

fn report(queue: &str, found: &Found, hidden: &Hidden, dry_run: bool) {
    let Found { looked_at, removed, shortened, deletions, unclear, too_many } = *found;
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
                ("retry", false) => ": when they are next tried, what is the person's is dropped",
                _ => ": run the command again in 15 minutes",
            }
        ));
    }
    if too_many {
        print(&format!(
            "{queue}: it has more messages, which were not looked at: run the command again when it is shorter"
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
