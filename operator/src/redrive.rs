//! Sends again what was set aside: items of the rejects queue, and batches that Lambda gave up.
//!
//! Invariants: nothing is sent from here; what can be sent now goes to the retry queue, and from
//! there the same way as everything else. An item keeps its idempotency: a Track call its
//! `messageId`, work that was parked before its bytes. What still cannot be sent stays where it is.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use aws_config::{Region, SdkConfig};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_sqs::types::Message;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use jiff::Timestamp;
use mapping::tracking_log::Record;
use mapping::{deletion, event, profile, segment_event};
use platform::message::{self, Kind, Parked, Reject, Work};
use platform::secrets::Secrets;
use platform::settings;
use serde_json::Value;

use crate::terminal::{print, say};

/// Rejects stay invisible to others for this long while they are worked on.
const VISIBILITY: Duration = Duration::from_mins(2);

/// A redrive is over sooner.
const SECRETS_ARE_FRESH: Duration = Duration::from_hours(1);

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
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8787", conflicts_with_all = ["rejects_queue_url", "retry_queue_url"])]
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
}

/// Where the queues are.
struct Queues {
    client: Client,
    rejects: String,
    retry: String,
    secrets: Secrets,
}

/// Redrives, and tells how many items were moved and how many stay.
pub async fn redrive(flags: Redrive) -> Result<()> {
    let queues = queues(&flags).await?;
    let (moved, stay) = match &flags.file {
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("{} cannot be read", file.display()))?;
            given_up(&queues, &text, flags.dry_run).await?
        }
        None => rejects(&queues, flags.dry_run).await?,
    };
    let moved_word = if flags.dry_run { "would be sent again" } else { "on the retry queue" };
    say(&format!("{moved} {moved_word}, {stay} cannot be sent as they are"));
    Ok(())
}

async fn queues(flags: &Redrive) -> Result<Queues> {
    let config = platform::aws::config().await;
    if let (Some(rejects), Some(retry)) = (&flags.rejects_queue_url, &flags.retry_queue_url) {
        return Ok(Queues {
            client: Client::new(&config),
            rejects: rejects.clone(),
            retry: retry.clone(),
            secrets: secrets(&config, flags),
        });
    }
    let url = format!("{}/_sandbox/state", flags.sandbox.trim_end_matches('/'));
    let state = reqwest::get(&url).await.with_context(|| format!("no sandbox answers at {}: start one with `cargo run`, or give --rejects-queue-url and --retry-queue-url", flags.sandbox))?;
    let state: Value = serde_json::from_slice(&state.bytes().await?)?;
    let endpoint =
        state.pointer("/aws/endpoint").and_then(Value::as_str).context("this is no sandbox")?;
    let credentials = Credentials::new("sandbox", "sandbox", None, None, "sandbox");
    let config = config
        .into_builder()
        .endpoint_url(endpoint)
        .region(Region::new("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let queue = |name: &str| format!("{endpoint}/123456789012/{name}");
    Ok(Queues {
        client: Client::new(&config),
        rejects: queue("rejects"),
        retry: queue("retry"),
        secrets: secrets(&config, flags),
    })
}

fn secrets(config: &SdkConfig, flags: &Redrive) -> Secrets {
    Secrets::new(aws_sdk_secretsmanager::Client::new(config), &flags.secret_id, SECRETS_ARE_FRESH)
}

/// Works through the rejects queue once.
async fn rejects(queues: &Queues, dry_run: bool) -> Result<(usize, usize)> {
    let (mut moved, mut stay) = (0, 0);
    let mut seen = Vec::new();
    loop {
        let request = queues
            .client
            .receive_message()
            .queue_url(&queues.rejects)
            .max_number_of_messages(BATCH);
        let received =
            request.visibility_timeout(i32::try_from(VISIBILITY.as_secs())?).send().await;
        let messages =
            received.context("the rejects queue cannot be read")?.messages.unwrap_or_default();
        if messages.is_empty() {
            break;
        }
        for message in messages {
            let done = reject(queues, &message, dry_run).await?;
            if done {
                moved += 1;
            } else {
                stay += 1;
            }
            if dry_run || !done {
                seen.extend(message.receipt_handle);
            }
        }
    }
    // What stays is there for the next one who looks.
    for receipt in seen {
        let request = queues.client.change_message_visibility().queue_url(&queues.rejects);
        request
            .receipt_handle(receipt)
            .visibility_timeout(0)
            .send()
            .await
            .context("a message could not be put back")?;
    }
    Ok((moved, stay))
}

/// One message of the rejects queue; tells whether it can be sent.
async fn reject(queues: &Queues, message: &Message, dry_run: bool) -> Result<bool> {
    let body = message.body().unwrap_or_default();
    let Some(reject) = message::decode::<Reject>(body) else {
        print("a message that is no reject: it stays");
        return Ok(false);
    };
    match work(queues, &reject).await {
        Ok(parked) => {
            show(&reject.origin, &parked)?;
            if !dry_run {
                park(queues, &parked).await?;
                let delete = queues.client.delete_message().queue_url(&queues.rejects);
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
async fn work(queues: &Queues, reject: &Reject) -> Result<Parked> {
    let raw = reject.raw();
    let application = reject.application.as_deref();
    let code = || application.context("its application is not known");
    match reject.kind {
        Kind::Parked => {
            let parked: Parked = serde_json::from_slice(&raw).context("it cannot be read")?;
            Ok(Parked { first_seen: Timestamp::now(), ..parked })
        }
        Kind::Event => Ok(again(code()?, Work::Pushwoosh(event::plan(code()?, &raw, reject.at)?))),
        Kind::Profile => {
            Ok(again(code()?, Work::Pushwoosh(profile::plan(code()?, &raw, reject.at)?)))
        }
        Kind::Deletion => Ok(again(code()?, Work::Pushwoosh(deletion::plan(code()?, &raw)?))),
        Kind::Record => record(&raw),
        Kind::SegmentEvent => {
            let application = queues.secrets.application(code()?).await;
            let application = application.context("its application's mappings cannot be read")?;
            let mapped =
                segment_event::plan(code()?, application.subscriptions(), &raw, reject.at)?;
            Ok(again(code()?, Work::Pushwoosh(mapped.plan)))
        }
    }
}

fn record(raw: &[u8]) -> Result<Parked> {
    let record =
        Record::read(raw).map_err(|reason| anyhow::anyhow!("{reason}: {}", reason.cure()))?;
    let track =
        record.to_track(&[]).map_err(|reason| anyhow::anyhow!("{reason}: {}", reason.cure()))?;
    let application = record.application().unwrap_or_default();
    Ok(again(application, Work::Segment(vec![serde_json::value::to_raw_value(&track)?])))
}

fn again(application: &str, work: Work) -> Parked {
    Parked { attempts: 0, ..Parked::new(application, work, "redrive") }
}

/// The records of a batch that Lambda gave up.
async fn given_up(queues: &Queues, text: &str, dry_run: bool) -> Result<(usize, usize)> {
    let object: Value = serde_json::from_str(text).context("the file is not JSON")?;
    // S3 holds the event as text, a Kafka destination as an object.
    let event: Value = match object
        .get("payload")
        .context("the file has no payload: is it from the failure bucket?")?
    {
        Value::String(event) => serde_json::from_str(event).context("the payload is not JSON")?,
        event => event.clone(),
    };
    let event: source::msk::Event =
        serde_json::from_value(event).context("the payload is no Kafka event")?;
    let (mut moved, mut stay) = (0, 0);
    for (partition, records) in event.records {
        for one in records {
            let origin = format!("{partition}-{}", one.offset);
            let value = one.value.and_then(|value| STANDARD.decode(value).ok());
            match value.context("it has no value").and_then(|value| record(&value)) {
                Ok(parked) => {
                    show(&origin, &parked)?;
                    if !dry_run {
                        park(queues, &parked).await?;
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

async fn park(queues: &Queues, parked: &Parked) -> Result<()> {
    let body = message::encode(parked).context("it is larger than a message may be")?;
    queues
        .client
        .send_message()
        .queue_url(&queues.retry)
        .message_body(body)
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
