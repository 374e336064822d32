//! What is said at the end: what was checked and written, and what to enter in Segment.

use serde_json::{Value, json};

use super::answers::Answers;
use super::secret::Written;
use crate::target::Target;
use crate::terminal::{bad, good, title};
use crate::upstreams::KeyAnswer;

/// The result of `connect`. It holds no key but a shared secret that was made here.
pub(super) struct Report<'a> {
    code: &'a str,
    secret: String,
    webhook_url: Option<String>,
    made: Option<&'a str>,
    flag: String,
    /// The secret holds several applications.
    is_map: bool,
    pub(super) has_webhook: bool,
    pub(super) pushwoosh: Option<KeyAnswer>,
    pub(super) segment: Option<KeyAnswer>,
    pub(super) written: Option<Written>,
}

impl<'a> Report<'a> {
    pub(super) fn new(answers: &'a Answers, target: &Target, secret: String) -> Self {
        let code = answers.app.as_str();
        let webhook_url =
            target.endpoint.as_ref().map(|endpoint| format!("{endpoint}/webhook/{code}"));
        Self {
            code,
            secret,
            webhook_url,
            made: answers.made_secret(),
            flag: target.flag(),
            is_map: target.place.is_map(),
            has_webhook: false,
            pushwoosh: None,
            segment: None,
            written: None,
        }
    }

    /// What to do in Segment, in its order.
    fn steps(&self) -> Vec<String> {
        let mut steps = Vec::new();
        if let (true, Some(url)) = (self.has_webhook, &self.webhook_url) {
            steps.extend([
                "Connections, Destinations: add Webhooks (Actions), and connect it to the source whose events Pushwoosh should get".to_owned(),
                format!("Settings, Shared Secret: {}", if self.made.is_some() { "the one above" } else { "the one that you gave" }),
                format!("Mappings: URL {url}, method POST, data $. , batching off"),
                "Event Tester: send a track event with userId and context.device.type; the response is 200".to_owned(),
            ]);
        }
        if self.segment.is_some() {
            steps.push("The source of the write key: its debugger shows Push Sent after the next message, if this write key is right".to_owned());
        }
        let flag = if self.flag.is_empty() { String::new() } else { format!(" {}", self.flag) };
        steps.push(format!(
            "Here: segment-pushwoosh doctor{flag} --app {} finds what would be skipped",
            self.code
        ));
        steps
    }

    pub(super) fn text(&self, json: bool) -> String {
        if json {
            return self.json().to_string();
        }
        let mut lines = vec![title(self.code)];
        for (name, answer) in [("Pushwoosh", &self.pushwoosh), ("Segment", &self.segment)] {
            lines.push(match answer {
                Some(KeyAnswer::Taken) if name == "Segment" => format!(
                    "  {} Segment does not refuse the write key (it answers so to unknown keys, too)",
                    good("ok   ")
                ),
                Some(KeyAnswer::Taken) => format!("  {} {name} takes the key", good("ok   ")),
                Some(KeyAnswer::Refused { words } | KeyAnswer::Unclear { words }) => {
                    format!("  {} {name}: {words}", bad("WRONG"))
                }
                None => continue,
            });
        }
        let secret = &self.secret;
        lines.push(match self.written {
            Some(Written::Created) => format!("  {} the secret {secret} was created; a function that looked for it before sees it within a minute", good("ok   ")),
            Some(Written::NewVersion) => format!(
                "  {} the secret {secret} has a new version; the one before it stays as AWSPREVIOUS",
                good("ok   ")
            ),
            Some(Written::Unchanged) => format!("  {} the secret {secret} had these values already", good("ok   ")),
            None => format!("        nothing was written to the secret {secret}"),
        });
        if self.is_map && self.written == Some(Written::NewVersion) {
            lines.push("        functions that know this secret see the change when they read it again: after SecretTtlSeconds at most".to_owned());
        }
        if self.written.is_some() {
            if let (true, Some(url)) = (self.has_webhook, &self.webhook_url) {
                lines.push(format!("Webhook URL: {url}"));
            }
            if let Some(made) = self.made {
                lines.push(format!("Shared secret, shown this once: {made}"));
            }
            lines.push("Next:".to_owned());
            let steps = self.steps().into_iter().enumerate();
            lines.extend(steps.map(|(index, step)| format!("  {}. {step}", index + 1)));
        }
        lines.join("\n")
    }

    fn json(&self) -> Value {
        let connected = self.written.is_some();
        json!({
            "application": self.code,
            "connected": connected,
            "secret": {"id": self.secret, "written": self.written},
            "pushwoosh": self.pushwoosh,
            "segment": self.segment,
            "webhook_url": self.webhook_url.as_ref().filter(|_| self.has_webhook),
            "webhook_secret": self.made.filter(|_| connected),
            "steps": if connected { self.steps() } else { Vec::new() },
        })
    }
}
