//! Finds what of an application's data Pushwoosh would skip, and why, with the calls that mend it. Sends and changes
//! nothing.
//!
//! It looks at the application's secret, at Pushwoosh's list of tags, and at a sample: a file with anything that `explain`
//! knows, or what the functions logged in the last hour.
//!
//! # Layout
//! * `finding`: what is found, and how it is shown.
//! * `sample`: what the items of a sample would become.
//! * `tags`: Pushwoosh's list of tags, and the values that are sent for them.
//! * `mend`: the calls of Pushwoosh's API that make a tag or an event.
//! * `logged`: what the functions logged; `overview`: what of it is undelivered, of all applications of a stack.

mod finding;
mod logged;
mod mend;
mod overview;
mod sample;
mod tags;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use platform::Application;
use platform::application::PUSHWOOSH_BASE_URL;
use secrecy::SecretString;

use self::finding::{Finding, Report};
use self::sample::Sample;
use self::tags::Tags;
use crate::bad_input::BadInput;
use crate::explain::{self, Question, read_input};
use crate::target::{Target, TargetFlags, code};
use crate::terminal::print;
use crate::upstreams::{KeyAnswer, pushwoosh_takes};

/// Flags of `doctor`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  segment-pushwoosh doctor events.json                # against a running sandbox, its demo application
  segment-pushwoosh doctor --stack segment-pushwoosh                  # what of all applications waits or is refused
  segment-pushwoosh doctor --stack segment-pushwoosh --app XXXXX-XXXXX      # what was logged in the last hour
  PUSHWOOSH_SERVER_TOKEN=… segment-pushwoosh doctor --stack segment-pushwoosh --app XXXXX-XXXXX events.json

It ends with 0 if nothing would be skipped; with 1 if something would, if it cannot look, or if a sample has nothing of the
application; with 2 if the input is not known.")]
pub struct Doctor {
    /// A sample: anything that `explain` knows; `-` reads from standard input [default: the log of the last hour]
    file: Option<PathBuf>,
    #[command(flatten)]
    target: TargetFlags,
    /// Application code; with --stack and without it, what of all applications waits or is refused [default in a sandbox:
    /// DEMO0-00001]
    #[arg(long, value_name = "CODE")]
    app: Option<String>,
    /// Server API token of Pushwoosh, which lists the tags: the key in the secret is a Device token, and cannot. Other
    /// programs of this machine can see flags: prefer the variable
    #[arg(long, value_name = "TOKEN", env = "PUSHWOOSH_SERVER_TOKEN", hide_env_values = true)]
    server_token: Option<SecretString>,
    /// The result as JSON
    #[arg(long)]
    json: bool,
}

/// Looks, and fails if something would be skipped.
pub async fn doctor(flags: Doctor) -> Result<()> {
    let code = match (flags.app.as_deref(), &flags.target.stack) {
        (Some(app), _) => code(app)?,
        (None, None) => explain::DEMO_APPLICATION.to_owned(),
        (None, Some(_)) if flags.file.is_some() => {
            return Err(BadInput("--app is required with --stack and a sample".to_owned()).into());
        }
        (None, Some(stack)) => return everything(&flags, stack).await,
    };
    // Before anything is asked of others.
    let text = flags.file.as_deref().map(read_input).transpose()?;
    let target = Target::open(&flags.target).await?;
    let application = target.application(&code).await?;
    let mut report = Report::new(&code);
    about_secret(&target, &application, &mut report).await;
    let base_url = target
        .pushwoosh(&application)
        .map_or(PUSHWOOSH_BASE_URL.to_owned(), |account| account.base_url);
    let tags = tags(&target, &base_url, flags.server_token.as_ref(), &mut report).await;
    let mender = mend::Mender { base_url: &base_url, code: &code };
    if let Some(text) = text {
        let explained = explained(&text, &code, &application).map_err(|BadInput(line)| {
            let file = flags.file.as_deref().unwrap_or_else(|| "-".as_ref());
            BadInput(format!("{}: {line}", file.display()))
        })?;
        report.looked_at = format!("{} in a sample", explained.input.text);
        let sample = Sample::of(&explained.explained, &code);
        if sample.items == 0 {
            report.nothing = Some(format!("the sample has no item of {code}"));
        }
        sample.look(&application, tags.as_ref(), &mender, &mut report);
    } else {
        let lines = logged::lines(&target, Some(&code)).await?;
        report.looked_at = format!("{} of the last hour", counted(lines.len(), "log line"));
        if lines.is_empty() {
            report.nothing = Some(format!(
                "the log of the last hour has no line on {code}: nothing came, or all of it was delivered"
            ));
        }
        logged::look(&lines, tags.as_ref(), &mender, &mut report);
    }
    print(&report.text(flags.json)?);
    let wrong = report.wrong();
    if wrong > 0 {
        bail!("{} found: see above", counted(wrong, "kind of trouble"));
    }
    if flags.file.is_some() && report.nothing.is_some() {
        bail!("there was nothing to look at");
    }
    Ok(())
}

/// What of all applications of a stack is undelivered.
async fn everything(flags: &Doctor, stack: &str) -> Result<()> {
    let target = Target::open(&flags.target).await?;
    let lines = logged::lines(&target, None).await?;
    let rows = overview::rows(&lines);
    print(&overview::shown(&rows, stack, lines.len(), flags.json)?);
    if !rows.is_empty() {
        bail!("{} found: see above", counted(rows.len(), "kind of trouble"));
    }
    Ok(())
}

/// `1 kind of trouble`, `2 kinds of trouble`.
fn counted(number: usize, name: &str) -> String {
    match (number, name.split_once(' ')) {
        (1, _) => format!("1 {name}"),
        (_, Some(("kind", rest))) => format!("{number} kinds {rest}"),
        _ => format!("{number} {name}s"),
    }
}

/// The tags that Pushwoosh lists; why there are none is in the report.
async fn tags(
    target: &Target,
    base_url: &str,
    token: Option<&SecretString>,
    report: &mut Report,
) -> Option<Tags> {
    let Some(token) = token else {
        report.add(Finding::note(
            "tags_not_listed",
            "without --server-token (PUSHWOOSH_SERVER_TOKEN) the tags of Pushwoosh are not looked at",
        ));
        return None;
    };
    let listed = tags::list(&target.connection, base_url, token).await;
    listed.map_err(|error| report.add(Finding::wrong("tags_not_listed", format!("{error:#}")))).ok()
}

async fn about_secret(target: &Target, application: &Application, report: &mut Report) {
    if let Some(account) = target.pushwoosh(application) {
        match pushwoosh_takes(&target.connection, &application.code, &account).await {
            KeyAnswer::Taken => {}
            KeyAnswer::Refused { words } => report.add(Finding::wrong(
                "key_refused",
                format!("Pushwoosh refuses the key in the secret, or does not know the application ({words}): give the right ones with `connect`"),
            )),
            KeyAnswer::Unclear { words } => report.add(Finding::note(
                "key_not_tried",
                format!("Pushwoosh did not say whether it takes the key: {words}"),
            )),
        }
    } else {
        report.add(Finding::warning(
            "no_destination",
            "the secret has no pushwoosh.api_token: nothing goes to Pushwoosh",
        ));
    }
    if application.segment.is_none() {
        report.add(Finding::note(
            "no_source",
            "the secret has no segment.write_key: nothing goes to Segment",
        ));
    }
    if application.has_unusable() {
        report.add(Finding::wrong(
            "secret_unusable",
            "a section of the secret cannot be used: `check-secret` says which",
        ));
    }
}

fn explained(
    text: &str,
    code: &str,
    application: &Application,
) -> Result<explain::Explained, BadInput> {
    let question = Question {
        kind: None,
        code: Some(code),
        settings: &|_| Some(application.clone()),
        mapping: None,
        track_properties: &[],
        stack: "",
        // The doctor looks at tags with their types.
        has_tag: None,
    };
    explain::of_text(text, &question)
}
