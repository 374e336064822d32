//! Redrives: sends items of the rejects queue again, and batches that ended in the failure bucket.
//!
//! Invariants: nothing is sent from here; what can be sent now goes to the retry queue, and from
//! there the same way as everything else. A Track call keeps its `messageId`, work that was parked before its
//! bytes. What still cannot be sent stays where it is.
//!
//! An item keeps the time when it came in, so that the retries drop what a deletion or a newer value has
//! overtaken since; it has as long to live as a new item. It gets a new id: an item that was corrected and
//! is redriven once more is not taken for one that is done.
//!
//! Batches of the failure bucket go the same way, and `retry` asks the ledger about the user of every Track
//! call before it sends it: what came before a deletion is dropped there. A record's own time is when
//! its message was sent, and not when Lambda read it. So a batch counts as accepted when Lambda gave it up
//! (`timestamp` of the object), or now where the object does not say: a deletion between the two, or
//! before now, does not reach it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::Message;
use clap::Args;
use jiff::Timestamp;
use mapping::tracking_log::{OptionalProperty, Record};
use mapping::{About, Cause, Item, ItemKind, Origin, Parked, Rules, Work};
use platform::Application;
use platform::application::Section;
use platform::clock::Clock;
use platform::message::{self, Reject};
use platform::secrets::Secrets;
use platform::settings;
use serde_json::Value;
use source::event::{MskEvent, RecordValue};

use crate::connection::{Connection, DEFAULT_SANDBOX};
use crate::terminal::{print, say};
use crate::track_properties::TrackProperties;

/// Rejects stay invisible to others for this long while they are worked on.
const VISIBILITY: Duration = Duration::from_mins(2);

/// Longer than a redrive takes.
const SECRETS_ARE_FRESH: Duration = Duration::from_hours(1);

/// Longest wait for a secret.
const LOOKUP: Duration = Duration::from_secs(10);

/// Messages of one receive.
const BATCH: i32 = 10;

/// Flags of `redrive`.
#[derive(Debug, Args)]
pub struct Redrive {
    /// Show per item what would be sent, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// A batch that Lambda gave up (the object in the failure bucket), in place of the rejects queue
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// A running sandbox
    #[arg(long, value_name = "URL", default_value = DEFAULT_SANDBOX, conflicts_with_all = ["rejects_queue_url", "retry_queue_url"])]
    sandbox: String,
    /// The rejects queue in AWS; credentials and region are found as every AWS tool finds them
    #[arg(long, value_name = "URL", requires = "retry_queue_url")]
    rejects_queue_url: Option<String>,
    /// The retry queue in AWS
    #[arg(long, value_name = "URL", requires = "rejects_queue_url")]
    retry_queue_url: Option<String>,
    /// Id of the applications' secrets, whose mappings raw Segment events go through
    #[arg(long, value_name = "ID", default_value = settings::DEFAULT_SECRET_ID)]
    secret_id: String,
    #[command(flatten)]
    track_properties: TrackProperties,
    /// Name of the stack whose records they are: the `messageId` of Track calls depends on it. A running
    /// sandbox says its own
    #[arg(long, value_name = "NAME", env = "PWSEG_STACK_NAME")]
    stack_name: Option<String>,
}

/// What a redrive works with.
struct Job {
    client: Client,
    rejects: String,
    retry: String,
    secrets: Secrets,
    track_properties: Vec<OptionalProperty>,
    /// Without it no record is sent: under another `messageId` Segment would take it for a new event.
    stack_name: Option<String>,
    clock: Clock,
    dry_run: bool,
}

/// Redrives, and says how many items were moved and how many stay.
pub async fn redrive(flags: Redrive) -> Result<()> {
    let job = job(&flags).await?;
    let (moved, stay) = match &flags.file {
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("{} cannot be read", file.display()))?;
            given_up(&job, &text).await?
        }
        None => rejects(&job).await?,
    };
    let moved_word = if flags.dry_run { "would be sent again" } else { "on the retry queue" };
    say(&format!("{moved} {moved_word}, {stay} cannot be sent as they are"));
    Ok(())
}

async fn job(flags: &Redrive) -> Result<Job> {
    let connection = if flags.retry_queue_url.is_some() {
        Connection::to_aws().await?
    } else {
        let otherwise = "--rejects-queue-url and --retry-queue-url";
        Connection::to_sandbox(&flags.sandbox, otherwise).await?
    };
    let of_sandbox = |name: &str| connection.sandbox_text(&format!("/functions/source/{name}"));
    let track_properties = flags
        .track_properties
        .read()?
        .or_else(|| settings::track_properties(of_sandbox("track_properties")?));
    let sandbox_name =
        connection.is_sandbox().then(|| of_sandbox("stack_name").unwrap_or_default().to_owned());
    let (config, clock) = (&connection.config, connection.clock.clone());
    let secret_id = &flags.secret_id;
    ensure!(
        settings::is_secret_id(secret_id),
        "--secret-id must be as PWSEG_SECRET_ID of the functions"
    );
    Ok(Job {
        client: Client::new(config),
        rejects: connection.queue(flags.rejects_queue_url.as_deref(), "rejects")?,
        retry: connection.queue(flags.retry_queue_url.as_deref(), "retry")?,
        secrets: Secrets::new(config, secret_id, SECRETS_ARE_FRESH, Duration::ZERO, clock.clone()),
        track_properties: track_properties.unwrap_or_default(),
        stack_name: flags.stack_name.clone().or(sandbox_name),
        clock,
        dry_run: flags.dry_run,
    })
}

/// Works through the rejects queue once.
async fn rejects(job: &Job) -> Result<(usize, usize)> {
    let (mut moved, mut stay) = (0, 0);
    let mut seen = Vec::new();
    loop {
        let request =
            job.client.receive_message().queue_url(&job.rejects).max_number_of_messages(BATCH);
        let received =
            request.visibility_timeout(i32::try_from(VISIBILITY.as_secs())?).send().await;
        let messages =
            received.context("the rejects queue cannot be read")?.messages.unwrap_or_default();
        if messages.is_empty() {
            break;
        }
        for message in messages {
            let done = reject(job, &message).await?;
            if done {
                moved += 1;
            } else {
                stay += 1;
            }
            if job.dry_run || !done {
                seen.extend(message.receipt_handle);
            }
        }
    }
    // What stays is there for the next one who looks.
    for receipt in seen {
        let request = job.client.change_message_visibility().queue_url(&job.rejects);
        request
            .receipt_handle(receipt)
            .visibility_timeout(0)
            .send()
            .await
            .context("a message could not be put back")?;
    }
    Ok((moved, stay))
}

/// Redrives one message of the rejects queue. Returns whether it can be sent.
async fn reject(job: &Job, message: &Message) -> Result<bool> {
    let body = message.body().unwrap_or_default();
    let Some(reject) = message::decode::<Reject>(body) else {
        print("a message that is not a reject: it stays");
        return Ok(false);
    };
    match plan_reject(job, &reject).await {
        Ok(parked) => {
            show(&reject.origin, &parked)?;
            if !job.dry_run {
                park(job, &parked).await?;
                let delete = job.client.delete_message().queue_url(&job.rejects);
                delete
                    .set_receipt_handle(message.receipt_handle.clone())
                    .send()
                    .await
                    .context("a message was sent, but not deleted")?;
            }
            Ok(true)
        }
        Err(why) => {
            print(&format!("{}: stays, {why:#}", reject.origin));
            Ok(false)
        }
    }
}

/// What a reject would send if it came in now.
async fn plan_reject(job: &Job, reject: &Reject) -> Result<Parked> {
    let bytes = reject.raw();
    if let Some(cut) = &reject.cut {
        bail!(
            "it was too large for the queue: only the first {} of its {} bytes were kept (SHA-256 of the whole: {}). Send it again from where it came from",
            bytes.len(),
            cut.bytes,
            cut.sha256
        );
    }
    if reject.kind == ItemKind::Parked {
        let Parked { application, work, kind, message_id, .. } = Parked::read(&bytes)?;
        let parked = redriven(&application, work, &reject.origin, reject.at, job.clock.wall());
        return Ok(Parked { kind, message_id, ..parked });
    }
    let (kind, application) = (reject.kind, reject.application.as_deref());
    let origin = Origin::Message(&reject.origin);
    plan(job, Item { kind, application, origin, bytes: &bytes }, reject.at).await
}

/// An item on its way back, that came in at `accepted`.
fn redriven(
    application: &str,
    work: Work,
    origin: &str,
    accepted: Timestamp,
    now: Timestamp,
) -> Parked {
    let parked = Parked::new(application, work, Cause::Redriven, accepted);
    let origins = vec![origin.to_owned()];
    let parked = Parked { attempts: 0, redriven: Some(now), origins, ..parked };
    parked.known_as(format!("redrive {now} {origin}"))
}

/// What an item would send. It counts as received at `at`, when it came in first.
async fn plan(job: &Job, item: Item<'_>, at: Timestamp) -> Result<Parked> {
    let named = match item.kind {
        ItemKind::Record => {
            let record = Record::read(item.bytes).map_err(mapping::Refusal::from)?;
            record.application().ok().map(str::to_owned)
        }
        _ => item.application.map(str::to_owned),
    };
    let code = named.context("its application is not known")?;
    // Only raw events are mapped by the application's own rules. Which events it exports is asked when
    // its Track calls are retried.
    let application = match item.kind {
        ItemKind::RawEvent => Some(
            job.secrets
                .application(&code, job.clock.now() + LOOKUP)
                .await
                .context("its application's mappings cannot be read")?,
        ),
        _ => None,
    };
    let stack = match (item.kind, &job.stack_name) {
        (_, Some(name)) => name.as_str(),
        (ItemKind::Record, None) => {
            bail!("its messageId depends on the stack: name it with --stack-name")
        }
        (_, None) => "",
    };
    let disabled = |application: &Arc<Application>| application.is_disabled(Section::Mappings);
    ensure!(
        !application.as_ref().is_some_and(disabled),
        "its application's mappings are not usable"
    );
    let presets =
        Rules { track_properties: &job.track_properties, now: at, ..Rules::of_presets(&code) };
    let rules = match &application {
        Some(application) => application.rules(&job.track_properties, at),
        None => presets,
    };
    let rules = Rules { stack, ..rules };
    let planned = item.plan(&rules)?;
    let parked = redriven(&code, planned.work, &item.origin.to_string(), at, job.clock.wall());
    let message_id = match item.kind {
        ItemKind::RawEvent => About::item(item.kind, item.bytes).message_id,
        _ => None,
    };
    Ok(Parked { kind: Some(item.kind), message_id, ..parked })
}

/// The records of a batch that Lambda gave up.
async fn given_up(job: &Job, text: &str) -> Result<(usize, usize)> {
    let object: Value = serde_json::from_str(text).context("the file is not JSON")?;
    let given_up = given_up_at(&object).unwrap_or_else(|| job.clock.wall());
    // S3 holds the event as text, a Kafka destination as an object.
    let event: Value = match object
        .get("payload")
        .context("the file has no payload: is it from the failure bucket?")?
    {
        Value::String(event) => serde_json::from_str(event).context("the payload is not JSON")?,
        event => event.clone(),
    };
    let event: MskEvent =
        serde_json::from_value(event).context("the payload is not a Kafka event")?;
    let (mut moved, mut stay) = (0, 0);
    for (partition, records) in event.records {
        for one in records {
            let origin = Origin::Record(&partition, one.offset);
            let planned = match &one.value {
                RecordValue::Bytes(bytes) => {
                    let (kind, application) = (ItemKind::Record, None);
                    let item = Item { kind, application, origin, bytes };
                    plan(job, item, given_up).await
                }
                RecordValue::Tombstone => Err(anyhow::anyhow!("it has no value")),
                RecordValue::NotBase64(_) => Err(anyhow::anyhow!("its value is not base64")),
            };
            match planned {
                Ok(parked) => {
                    show(&origin.to_string(), &parked)?;
                    if !job.dry_run {
                        park(job, &parked).await?;
                    }
                    moved += 1;
                }
                Err(why) => {
                    print(&format!("{origin}: not sent, {why:#}"));
                    stay += 1;
                }
            }
        }
    }
    Ok((moved, stay))
}

/// When Lambda gave a batch up.
fn given_up_at(object: &Value) -> Option<Timestamp> {
    object.get("timestamp")?.as_str()?.parse().ok()
}

async fn park(job: &Job, parked: &Parked) -> Result<()> {
    let body = message::encode(parked).context("it is larger than a message may be")?;
    job.client
        .send_message()
        .queue_url(&job.retry)
        .message_body(body)
        .message_group_id(&parked.application)
        .send()
        .await
        .context("the retry queue does not take it")?;
    Ok(())
}

/// A line per call.
fn show(origin: &str, parked: &Parked) -> Result<()> {
    let application = &parked.application;
    let calls: Vec<String> = match &parked.work {
        Work::Pushwoosh(plan) => {
            let calls = plan.stages.iter().flatten();
            calls
                .map(|call| {
                    Ok(format!("{} {}", call.method.path(), serde_json::to_string(&call.request)?))
                })
                .collect::<Result<_>>()?
        }
        Work::Segment(calls) => calls.iter().map(|call| format!("/v1/batch {call}")).collect(),
    };
    for call in calls {
        print(&format!("{origin}: {application} {call}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Otherwise the ledger would not know what came since, the age limit would end it at once, and an
    /// item that is redriven twice would count as done.
    #[test]
    fn an_item_comes_back_with_its_time_a_new_life_and_a_new_id() {
        let [accepted, first, second] =
            [1, 1_000_000, 1_000_001].map(|at| Timestamp::from_second(at).unwrap());
        let once = redriven("A", Work::Segment(Vec::new()), "r-1 3", accepted, first);
        let twice = redriven("A", Work::Segment(Vec::new()), "r-1 3", accepted, second);
        assert_eq!((once.first_seen, once.since(), once.attempts), (accepted, first, 0));
        assert_eq!((once.cause, twice.first_seen), (Cause::Redriven, accepted));
        assert_eq!(once.id, "redrive 1970-01-12T13:46:40Z r-1 3");
        assert_ne!(once.id, twice.id);
    }

    #[test]
    fn a_batch_counts_as_accepted_when_it_was_given_up() {
        let at = given_up_at(&json!({"timestamp": "2026-01-31T12:00:02.000Z"}));
        assert_eq!(at, "2026-01-31T12:00:02Z".parse().ok());
        assert_eq!(given_up_at(&json!({"timestamp": 5})), None);
        assert_eq!(given_up_at(&json!({})), None);
    }
}
