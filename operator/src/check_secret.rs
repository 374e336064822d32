//! Looks at an application's secret, before or after it is deployed.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use platform::Application;
use platform::application::{KEYS, Signed, warnings};
use serde_json::{Value, json};

use crate::bad_input::BadInput;
use crate::explain::read_input;
use crate::terminal::{bad, print, warning};
use crate::unsafe_secret::refusals;

/// Largest secret
/// (<https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>).
const MAX_BYTES: usize = 65_536;

/// Flags of `check-secret`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  aws secretsmanager get-secret-value --secret-id NAME --query SecretString --output text | segment-pushwoosh check-secret -

It ends with 0 if the secret can be used, with 1 if it cannot, and with 2 if it is not JSON.")]
pub struct CheckSecret {
    /// JSON file with the content of a secret: one application's, or a map of them by their codes; `-`
    /// reads from standard input
    file: PathBuf,
    /// One line of JSON per finding
    #[arg(long)]
    json: bool,
}

/// Something to say about an application.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Does,
    Wrong,
    Refused,
    Warning,
}

impl Kind {
    fn code(self) -> &'static str {
        match self {
            Self::Does => "does",
            Self::Wrong => "wrong",
            Self::Refused => "refused",
            Self::Warning => "warning",
        }
    }
}

impl CheckSecret {
    fn tell(&self, code: &str, kind: Kind, text: &str) {
        if self.json {
            print(&json!({"application": code, "kind": kind.code(), "text": text}).to_string());
            return;
        }
        let label = format!("{}:", kind.code());
        let label = match kind {
            Kind::Does => return print(&format!("{code}: {text}")),
            Kind::Wrong | Kind::Refused => bad(&label),
            Kind::Warning => warning(&label),
        };
        print(&format!("{code}: {label} {text}"));
    }
}

/// Tells what is wrong with a secret, and what each function will do with it.
pub fn check(flags: &CheckSecret) -> Result<()> {
    let file = if flags.file.as_os_str() == "-" {
        "standard input".into()
    } else {
        flags.file.to_string_lossy()
    };
    let text = read_input(&flags.file)?;
    // The parser's words could quote a key.
    let secret: Value = serde_json::from_str(&text)
        .map_err(|_| BadInput(format!("{file} is not JSON: the secret must be a JSON object")))?;
    let mut wrong = 0;
    if text.len() > MAX_BYTES {
        wrong += 1;
        let bytes = text.len();
        let text = format!(
            "it has {bytes} bytes, and a secret {MAX_BYTES} at most: divide it, docs/SCALE.md#secrets"
        );
        flags.tell("the secret", Kind::Wrong, &text);
    }
    for (code, secret) in applications(&secret) {
        wrong += usize::from(!check_one(flags, code, secret));
    }
    if wrong > 0 {
        bail!("{file} cannot be used: correct what is named above");
    }
    Ok(())
}

/// One application, or those of a map. A map has none of an application's own keys.
fn applications(secret: &Value) -> Vec<(&str, &Value)> {
    match secret {
        Value::Object(fields)
            if !fields.is_empty()
                && fields
                    .iter()
                    .all(|(key, value)| !KEYS.contains(&key.as_str()) && value.is_object()) =>
        {
            fields.iter().map(|(code, secret)| (code.as_str(), secret)).collect()
        }
        one => vec![("the application", one)],
    }
}

fn check_one(flags: &CheckSecret, code: &str, secret: &Value) -> bool {
    let application = Application::read(code, secret);
    match &application {
        Ok(application) => {
            for line in abilities(application, secret) {
                flags.tell(code, Kind::Does, &line);
            }
        }
        Err(problems) => {
            for problem in &problems.0 {
                flags.tell(code, Kind::Wrong, problem);
            }
        }
    }
    let refusals = refusals(secret);
    for refusal in &refusals {
        flags.tell(code, Kind::Refused, refusal);
    }
    for warning in warnings(secret) {
        // What is refused needs no warning.
        if !refusals.iter().any(|refusal| refusal.starts_with(&warning)) {
            flags.tell(code, Kind::Warning, &warning);
        }
    }
    application.is_ok() && refusals.is_empty()
}

fn abilities(application: &Application, secret: &Value) -> Vec<String> {
    let destination = match &application.pushwoosh {
        Some(pushwoosh) => format!(
            "destination and retry send to {} what comes with this api_token",
            pushwoosh.base_url
        ),
        None => "destination answers 400 application not found: pushwoosh.api_token is missing"
            .to_owned(),
    };
    let access = &application.webhook;
    let webhook = match (access.secrets.len(), &application.pushwoosh) {
        (0, _) => "webhook is closed: webhook.shared_secret is missing".to_owned(),
        (_, None) => "webhook is closed: pushwoosh.api_token is missing".to_owned(),
        (secrets, _) => {
            let mappings = application.subscriptions().len();
            let whose =
                if secret.get("mappings").is_some_and(Value::is_array) { "own" } else { "preset" };
            let signed = match access.signed {
                Signed::Body => "the whole body must be signed",
                Signed::FirstElement => {
                    "the first event of a list must be signed, the others may be anybody's"
                }
            };
            let age = access.max_age.map_or_else(
                || "of any time".to_owned(),
                |age| format!("up to {} s from now", age.as_secs()),
            );
            format!(
                "webhook is open to {secrets} shared secret(s), with {mappings} {whose} mapping(s); {signed}, {age}"
            )
        }
    };
    let source = match &application.segment {
        Some(segment) => {
            let events = segment.events.as_ref().map_or_else(
                || "all events".to_owned(),
                |events| {
                    let names: Vec<&str> = events.iter().map(|event| event.name()).collect();
                    names.join(", ")
                },
            );
            format!("source and retry send to {}: {events}", segment.base_url)
        }
        None => "source disregards its records: segment.write_key is missing".to_owned(),
    };
    vec![destination, webhook, source]
}
