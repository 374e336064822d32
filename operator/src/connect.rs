//! Connects an application: asks for its keys, tries each with a call that changes nothing, writes them into its
//! secret, and says what to enter in Segment.
//!
//! Invariants: no key is shown, logged, or left in a file. What is wrong is found before anything is written. What the
//! secret holds beside the given values stays: mappings, other applications of a shard, sections that were not asked
//! for.
//!
//! # Layout
//! * `answers`: what was given by flags, on standard input, or at the terminal.
//! * `secret`: reads and writes the application's part of a secret.
//! * `report`: what is said at the end.

mod answers;
mod report;
mod secret;

use anyhow::{Result, bail};
use clap::Args;
use platform::Application;
use platform::application::warnings;
use serde_json::Value;

use self::answers::Answers;
use self::report::Report;
use crate::bad_input::BadInput;
use crate::target::{Target, TargetFlags};
use crate::terminal::{print, say, warning};
use crate::unsafe_secret::{is_in_the_clear, only_in_a_sandbox, refusals_anywhere, short_keys};
use crate::upstreams::{KeyAnswer, pushwoosh_takes, segment_takes};

/// Flags of `connect`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  segment-pushwoosh connect                                      # asks for everything; keys are not shown
  segment-pushwoosh connect --stack segment-pushwoosh --app XXXXX-XXXXX
  pass show keys.json | segment-pushwoosh connect --stack segment-pushwoosh --stdin --json

--stdin takes an object of app, api_key, write_key, region, events, webhook_secret and pushwoosh_url; each may be missing.

It ends with 0 if the application is connected; with 1 if a key is refused or the secret cannot be written; with 2 if
something that was given cannot be used.")]
pub struct Connect {
    #[command(flatten)]
    target: TargetFlags,
    #[command(flatten)]
    answers: answers::Flags,
    /// Do not try the keys at Pushwoosh and Segment
    #[arg(long)]
    unchecked: bool,
    /// Check everything, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// KMS key for a secret that is created [default: Secrets Manager's own]
    #[arg(long, value_name = "ARN")]
    kms_key_id: Option<String>,
    /// The result as JSON
    #[arg(long)]
    json: bool,
}

/// Connects an application.
pub async fn connect(flags: Connect) -> Result<()> {
    let answers = Answers::gather(&flags.answers)?;
    let target = Target::open(&flags.target).await?;
    let store = secret::Store::new(&target, flags.kms_key_id.clone());
    let before = store.read(&answers.app).await?;
    let mut wanted = before.clone().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    answers.write_into(&mut wanted);
    let deployed = target.stack.is_some() && !aws_is_on_this_machine();
    let application = checked(&answers.app, &wanted, deployed)?;
    for line in warnings(&wanted) {
        say(&format!("{} {line}", warning("warning:")));
    }
    let mut report = Report::new(&answers, &target, store.name(&answers.app));
    if !flags.unchecked {
        if let Some(account) = target.pushwoosh(&application) {
            let answer = pushwoosh_takes(&target.connection, &answers.app, &account).await;
            report.pushwoosh = Some(answer);
        }
        if let Some(account) = target.segment(&application) {
            report.segment = Some(segment_takes(&target.connection, &account).await);
        }
    }
    report.has_webhook = !application.webhook.secrets.is_empty();
    if let Some(problem) = untaken(&report) {
        print(&report.text(flags.json));
        bail!(problem);
    }
    if !flags.dry_run {
        report.written = Some(store.write(&answers.app, &answers).await?);
    }
    print(&report.text(flags.json));
    Ok(())
}

/// Whether AWS is a stand-in on this machine, whose upstreams may be there as well. The SDK reads the same variable.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>
fn aws_is_on_this_machine() -> bool {
    let endpoint = std::env::var("AWS_ENDPOINT_URL").unwrap_or_default();
    endpoint.starts_with("http://") && !is_in_the_clear(&endpoint)
}

/// The settings that the functions would read, or why they could not.
fn checked(code: &str, secret: &Value, deployed: bool) -> Result<Application, BadInput> {
    let application = Application::read(code, secret)
        .map_err(|problems| BadInput(format!("{code}: {problems}")))?;
    let (short, others) = (short_keys(secret), refusals_anywhere(secret));
    if !others.is_empty() {
        return Err(BadInput(format!("{code}: {}", others.join("; "))));
    }
    let of_sandbox = only_in_a_sandbox(secret);
    if deployed && !of_sandbox.is_empty() {
        return Err(BadInput(format!("{code}: {}", of_sandbox.join("; "))));
    }
    for line in short {
        say(&format!("{} {line}", warning("a stack would refuse:")));
    }
    Ok(application)
}

/// Why nothing is written.
fn untaken(report: &Report<'_>) -> Option<String> {
    for (name, answer) in [("Pushwoosh", &report.pushwoosh), ("Segment", &report.segment)] {
        match answer {
            Some(KeyAnswer::Refused { words }) => {
                return Some(format!(
                    "{name} refuses the key or the application, so nothing was written: {words}. Look at the key and the code; --unchecked writes them all the same"
                ));
            }
            Some(KeyAnswer::Unclear { words }) => {
                return Some(format!(
                    "{name} could not be asked, so nothing was written: {words}. Try again; --unchecked does not ask"
                ));
            }
            Some(KeyAnswer::Taken) | None => {}
        }
    }
    None
}
