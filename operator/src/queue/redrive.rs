//! `queue redrive`: sends rejected and dead items again, by way of the retry queue.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_sqs::types::Message;
use clap::Args;
use mapping::Parked;
use platform::message;
use serde_json::{Value, json};

use super::edit::edit;
use super::entry::Entry;
use super::filter::Filter;
use super::list::find;
use super::plan::{Planner, calls};
use super::{batch, preview};
use crate::bad_input::BadInput;
use crate::content::Content;
use crate::queues::browse::Fate;
use crate::queues::{Place, QueueName, Queues, failed};
use crate::terminal::{bad, print, say};
use crate::track_properties::TrackProperties;

/// Flags of `queue redrive`.
#[derive(Debug, Args)]
pub(super) struct Redrive {
    #[command(flatten)]
    place: Place,
    /// From this queue; the retry queue is tried by itself [default: rejects]
    #[arg(long, value_enum)]
    queue: Option<QueueName>,
    #[command(flatten)]
    filter: Filter,
    /// Show per item what would be sent, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Open the bytes of one reject in the editor, and send what it leaves
    #[arg(long, conflicts_with_all = ["mapping", "file"])]
    edit: bool,
    /// The editor
    #[arg(
        long,
        value_name = "COMMAND",
        env = "EDITOR",
        default_value = "vi",
        hide_env_values = true
    )]
    editor: String,
    /// A JSON file with mappings: show what they would make of the rejects, and send nothing
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    mapping: Option<PathBuf>,
    /// A batch that Lambda gave up (the object in the failure bucket), in place of a queue
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    track_properties: TrackProperties,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

impl Redrive {
    /// The queue, if all flags can be meant together.
    fn checked_queue(&self) -> Result<QueueName, BadInput> {
        let queue = self.queue.unwrap_or(QueueName::Rejects);
        let problem = match queue {
            QueueName::Retry => {
                "the retry queue is tried by itself: choose --queue rejects or --queue dead"
            }
            _ if self.file.is_some() && self.queue.is_some() => {
                "--file takes the place of a queue: leave --queue out"
            }
            _ if self.file.is_some() && self.filter.asks_why() => {
                "the records of --file have no reason and no cause: choose with --app, --user, --since or --origin"
            }
            QueueName::Dead if self.mapping.is_some() => {
                "--mapping shows what becomes of rejects: leave --queue out"
            }
            QueueName::Dead if self.edit => "--edit opens a reject: leave --queue out",
            _ => {
                self.filter.fits(queue)?;
                return Ok(queue);
            }
        };
        Err(BadInput(problem.to_owned()))
    }
}

/// What a redrive has done so far.
struct Done<'a> {
    flags: &'a Redrive,
    queues: &'a Queues,
    moved: Vec<Value>,
    stay: Vec<Value>,
}

/// Redrives, and says how many items were moved and how many stay.
pub(super) async fn redrive(flags: &Redrive) -> Result<()> {
    let queue = flags.checked_queue()?;
    let queues = flags.place.open().await?;
    let planner = Planner::new(&queues, &flags.track_properties)?;
    if let Some(file) = &flags.mapping {
        let planner = planner.with_mappings(preview::read(file)?);
        let rejects = find(&queues, &[QueueName::Rejects], &flags.filter).await?;
        return preview::preview(&planner, &rejects, flags.json).await;
    }
    let mut done = Done { flags, queues: &queues, moved: Vec::new(), stay: Vec::new() };
    if let Some(file) = &flags.file {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("{} cannot be read", file.display()))?;
        let now = queues.connection.clock.wall();
        let is_meant = |entry: &Entry| flags.filter.takes(entry, now, queues.salt());
        for (origin, parked) in batch::plan(&planner, &text, now, is_meant).await? {
            done.one(&origin, parked, "not sent").await?;
        }
    } else if flags.edit {
        edited(&mut done, &planner).await?;
    } else {
        let now = queues.connection.clock.wall();
        let visit = async |message: &Message| {
            let entry = Entry::read(queue, message);
            if !flags.filter.takes(&entry, now, queues.salt()) {
                return Ok(Fate::Stays);
            }
            done.entry(&entry, &planner).await
        };
        queues.browse(queue, visit).await?;
    }
    done.report()
}

/// Edits one reject, then sends it and deletes the old message.
async fn edited(done: &mut Done<'_>, planner: &Planner) -> Result<()> {
    let Redrive { filter, editor, .. } = done.flags;
    let found = find(done.queues, &[QueueName::Rejects], filter).await?;
    let [entry] = found.as_slice() else {
        let number = found.len();
        return Err(BadInput(format!(
            "--edit takes one reject, and {number} are meant: name it with --origin"
        ))
        .into());
    };
    let Some(reject) = entry.reject() else {
        bail!("the message {} is not a reject that can be read", entry.id);
    };
    ensure!(reject.cut.is_none(), "the reject was cut: send it again from where it came from");
    let bytes = edit(editor, &reject.raw())?;
    let parked = planner.bytes(reject, &bytes).await;
    let parked = parked.context("what the editor left cannot be sent, and the reject stays")?;
    if done.one(&reject.origin, Ok(parked), "stays").await? == Fate::Stays {
        return Ok(());
    }
    // The editor may have taken longer than a receipt is valid.
    let id = entry.id.clone();
    let visit = async |message: &Message| {
        let same = message.message_id() == Some(id.as_str());
        Ok(if same { Fate::Goes } else { Fate::Stays })
    };
    done.queues.browse(QueueName::Rejects, visit).await?;
    Ok(())
}

impl Done<'_> {
    /// Redrives one message.
    async fn entry(&mut self, entry: &Entry, planner: &Planner) -> Result<Fate> {
        let parked = match &entry.content {
            Content::Reject(reject, _) => planner.reject(reject).await,
            // `retry` sees that it was dead, and gives it a new life.
            Content::Parked(parked) => Ok(parked.as_ref().clone()),
            Content::Unreadable(_) => Err(anyhow::anyhow!("this version cannot read it")),
        };
        self.one(entry.origin(), parked, "stays").await
    }

    /// Sends one item, unless this only shows what would be sent.
    async fn one(&mut self, origin: &str, parked: Result<Parked>, otherwise: &str) -> Result<Fate> {
        match parked {
            Ok(parked) => {
                let lines = calls(origin, &parked);
                if !self.flags.json {
                    for line in &lines {
                        print(line);
                    }
                }
                if !self.flags.dry_run {
                    self.queues.park(&parked).await?;
                }
                self.moved.push(
                    json!({"origin": origin, "application": parked.application, "calls": lines}),
                );
                Ok(if self.flags.dry_run { Fate::Stays } else { Fate::Goes })
            }
            Err(why) => {
                if !self.flags.json {
                    print(&format!("{origin}: {}, {why:#}", bad(otherwise)));
                }
                self.stay.push(json!({"origin": origin, "why": format!("{why:#}")}));
                Ok(Fate::Stays)
            }
        }
    }

    fn report(&self) -> Result<()> {
        let Self { flags, moved, stay, .. } = self;
        if flags.json {
            let done = json!({"dry_run": flags.dry_run, "moved": moved, "stay": stay});
            print(&serde_json::to_string_pretty(&done)?);
        }
        let moved_word = if flags.dry_run { "would be sent again" } else { "on the retry queue" };
        say(&format!("{} {moved_word}, {} cannot be sent as they are", moved.len(), stay.len()));
        Ok(())
    }
}

impl Queues {
    /// Puts an item on the retry queue.
    async fn park(&self, parked: &Parked) -> Result<()> {
        let body = message::encode(parked).context("it is larger than a message may be")?;
        let request = self.client.send_message().queue_url(self.url(QueueName::Retry)?);
        let request = request.message_body(body).message_group_id(&parked.application);
        let answer = request.send().await;
        answer.map_err(|error| failed(QueueName::Retry, &error, "SendMessage"))?;
        Ok(())
    }
}
