//! What an application is connected with: from flags, from standard input, or asked for at the terminal.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Context, Result};
use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::bad_input::BadInput;
use crate::target::code;

/// Random bytes of a shared secret that is made; its text has twice as many characters.
const MADE_BYTES: usize = 24;

/// The flags for single values. Other programs of the machine can see flags: keys are better asked for, or read from
/// standard input.
#[derive(Debug, Args)]
pub(super) struct Flags {
    /// Application code in Pushwoosh
    #[arg(long, value_name = "CODE")]
    app: Option<String>,
    /// Device API token of Pushwoosh; other programs of this machine can see flags
    #[arg(long, value_name = "KEY")]
    api_key: Option<SecretString>,
    /// Write key of the source in Segment; likewise
    #[arg(long, value_name = "KEY")]
    write_key: Option<SecretString>,
    /// Region of the workspace in Segment: us or eu
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Events that Segment receives, with commas between [default: all]
    #[arg(long, value_name = "NAMES")]
    events: Option<String>,
    /// Shared secret of the webhook; likewise
    #[arg(long, value_name = "SECRET", conflicts_with = "make_webhook_secret")]
    webhook_secret: Option<SecretString>,
    /// Make a shared secret, and print it once
    #[arg(long)]
    make_webhook_secret: bool,
    /// Host of Pushwoosh's API, where it is your own
    #[arg(long, value_name = "URL")]
    pushwoosh_url: Option<String>,
    /// Read a JSON object of these values from standard input; flags win
    #[arg(long)]
    stdin: bool,
}

/// The object on standard input.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    app: Option<String>,
    api_key: Option<SecretString>,
    write_key: Option<SecretString>,
    region: Option<String>,
    events: Option<String>,
    webhook_secret: Option<SecretString>,
    pushwoosh_url: Option<String>,
}

/// What was given. What is missing stays as the secret has it.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) app: String,
    api_key: Option<SecretString>,
    write_key: Option<SecretString>,
    region: Option<String>,
    events: Option<String>,
    webhook_secret: Option<SecretString>,
    /// The shared secret was made here: nobody else knows it.
    pub(super) made: bool,
    pushwoosh_url: Option<String>,
}

impl Answers {
    /// Collects the answers, and asks for what is missing where somebody can answer.
    pub(super) fn gather(flags: &Flags) -> Result<Self> {
        let wire = if flags.stdin { read()? } else { Wire::default() };
        let asks = !flags.stdin && std::io::stdin().is_terminal();
        let missing = |flag: &str| {
            BadInput(format!(
                "{flag} is missing: give the flag, or a JSON object with --stdin, or run it at a terminal"
            ))
        };
        let app = match flags.app.clone().or(wire.app) {
            Some(app) => app,
            None if asks => asked("Application code in Pushwoosh (XXXXX-XXXXX): ")?,
            None => return Err(missing("--app").into()),
        };
        let mut answers = Self {
            app: code(&app)?,
            api_key: flags.api_key.clone().or(wire.api_key),
            write_key: flags.write_key.clone().or(wire.write_key),
            region: flags.region.clone().or(wire.region),
            events: flags.events.clone().or(wire.events),
            webhook_secret: flags.webhook_secret.clone().or(wire.webhook_secret),
            made: flags.make_webhook_secret,
            pushwoosh_url: flags.pushwoosh_url.clone().or(wire.pushwoosh_url),
        };
        if asks {
            answers.ask()?;
        }
        if answers.made {
            answers.webhook_secret = Some(made()?);
        }
        Ok(answers)
    }

    /// Asks for what is missing. An empty answer leaves the secret as it is.
    fn ask(&mut self) -> Result<()> {
        if self.api_key.is_none() {
            self.api_key = hidden("Device API token of Pushwoosh (not shown; Enter: as it is): ")?;
        }
        if self.write_key.is_none() {
            self.write_key =
                hidden("Write key of the source in Segment (not shown; Enter: as it is): ")?;
            if self.write_key.is_some() && self.region.is_none() {
                self.region =
                    given(&asked("Region of the workspace in Segment, us or eu (Enter: us): ")?);
            }
            if self.write_key.is_some() && self.events.is_none() {
                self.events =
                    given(&asked("Events for Segment, with commas between (Enter: all): ")?);
            }
        }
        if self.webhook_secret.is_none() && !self.made {
            let secret = hidden(
                "Shared secret of the webhook (not shown; Enter: as it is; make: one is made): ",
            )?;
            self.made = secret.as_ref().is_some_and(|secret| secret.expose_secret() == "make");
            self.webhook_secret = secret.filter(|_| !self.made);
        }
        Ok(())
    }

    /// Puts the values into an application's settings.
    pub(super) fn write_into(&self, secret: &mut Value) {
        let key = |key: &Option<SecretString>| {
            key.as_ref().map(|key| Value::from(key.expose_secret().trim()))
        };
        let text = |text: &Option<String>| text.as_deref().map(|text| Value::from(text.trim()));
        for (section, name, value) in [
            ("pushwoosh", "api_token", key(&self.api_key)),
            ("pushwoosh", "base_url", text(&self.pushwoosh_url)),
            ("segment", "write_key", key(&self.write_key)),
            ("segment", "region", text(&self.region)),
            ("segment", "events", text(&self.events)),
            ("webhook", "shared_secret", key(&self.webhook_secret)),
        ] {
            let (Some(value), Value::Object(sections)) = (value, &mut *secret) else { continue };
            let section = sections.entry(section).or_insert_with(|| Map::new().into());
            if let Value::Object(fields) = section {
                fields.insert(name.to_owned(), value);
            }
        }
    }

    /// The shared secret, where it was made here.
    pub(super) fn made_secret(&self) -> Option<&str> {
        self.webhook_secret.as_ref().filter(|_| self.made).map(SecretString::expose_secret)
    }
}

fn read() -> Result<Wire> {
    let text =
        std::io::read_to_string(std::io::stdin()).context("standard input cannot be read")?;
    // serde's message would quote a value.
    serde_json::from_str(&text).map_err(|_| {
        BadInput("standard input must be a JSON object of app, api_key, write_key, region, events, webhook_secret and pushwoosh_url, each a text".to_owned()).into()
    })
}

fn asked(question: &str) -> Result<String> {
    let mut terminal = std::io::stderr();
    write!(terminal, "{question}")
        .and_then(|()| terminal.flush())
        .context("the terminal cannot be written to")?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("the terminal cannot be read")?;
    Ok(line.trim().to_owned())
}

fn hidden(question: &str) -> Result<Option<SecretString>> {
    let answer = rpassword::prompt_password(question).context("the terminal cannot be read")?;
    Ok(given(&answer).map(SecretString::from))
}

fn given(answer: &str) -> Option<String> {
    Some(answer.trim().to_owned()).filter(|answer| !answer.is_empty())
}

/// A shared secret that nobody can guess.
fn made() -> Result<SecretString> {
    let mut bytes = [0; MADE_BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow::anyhow!("no random bytes for a shared secret: {error}"))?;
    Ok(hex::encode(bytes).into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn given_values_replace_and_the_others_stay() {
        let answers = Answers {
            app: "A".to_owned(),
            api_key: Some(" new ".to_owned().into()),
            write_key: None,
            region: Some("eu".to_owned()),
            events: None,
            webhook_secret: None,
            made: false,
            pushwoosh_url: None,
        };
        let mut secret =
            json!({"pushwoosh": {"api_token": "old", "base_url": "u"}, "mappings": []});
        answers.write_into(&mut secret);
        let expected = json!({"pushwoosh": {"api_token": "new", "base_url": "u"}, "mappings": [], "segment": {"region": "eu"}});
        assert_eq!(secret, expected);
    }

    #[test]
    fn a_made_secret_is_long_and_new_each_time() {
        let (one, other) = (made().unwrap(), made().unwrap());
        assert_eq!(one.expose_secret().len(), 2 * MADE_BYTES);
        assert_ne!(one.expose_secret(), other.expose_secret());
    }
}
