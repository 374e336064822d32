//! What is found, and how it is shown.

use anyhow::Result;
use serde::Serialize;

use crate::terminal::{bad, good, title, warning};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Severity {
    /// Something is not delivered.
    Wrong,
    /// It is delivered, and may not do what its sender expects.
    Warning,
    /// To know.
    Note,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    /// Stable code.
    pub(super) code: String,
    /// The tag, event or mapping that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
    /// In how many items or log lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) number: Option<usize>,
    /// Where it first was: places in the sample, or origins of the log.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) places: Vec<String>,
    /// What it means, and what to do.
    pub(super) message: String,
    /// The call that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mend: Option<String>,
}

impl Finding {
    fn new(severity: Severity, code: impl Into<String>, message: impl Into<String>) -> Self {
        let (code, message) = (code.into(), message.into());
        Self {
            severity,
            code,
            subject: None,
            number: None,
            places: Vec::new(),
            message,
            mend: None,
        }
    }

    pub(super) fn wrong(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Wrong, code, message)
    }

    pub(super) fn warning(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message)
    }

    pub(super) fn note(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, code, message)
    }

    pub(super) fn about(self, subject: impl Into<String>) -> Self {
        Self { subject: Some(subject.into()), ..self }
    }

    /// So often, and where it first was.
    pub(super) fn at(self, places: &Places) -> Self {
        Self { number: Some(places.number), places: places.first.clone(), ..self }
    }

    pub(super) fn mended_by(self, call: String) -> Self {
        Self { mend: Some(call), ..self }
    }
}

/// Places of a finding that are shown.
const SHOWN_PLACES: usize = 3;

/// How often something is found, and where first.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    pub(super) number: usize,
    first: Vec<String>,
}

impl Places {
    /// Once more. `place`: nothing where there is only one item.
    pub(super) fn add(&mut self, place: Option<&str>) {
        self.number += 1;
        if let Some(place) = place.filter(|_| self.first.len() < SHOWN_PLACES) {
            self.first.push(place.to_owned());
        }
    }
}

/// Everything that was found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    application: String,
    /// What was looked at beside the secret.
    pub(super) looked_at: String,
    /// Why there was nothing to look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nothing: Option<String>,
    findings: Vec<Finding>,
}

impl Report {
    pub(super) fn new(code: &str) -> Self {
        Self {
            application: code.to_owned(),
            looked_at: String::new(),
            nothing: None,
            findings: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// How much is wrong.
    pub(super) fn wrong(&self) -> usize {
        self.findings.iter().filter(|finding| finding.severity == Severity::Wrong).count()
    }

    /// For people, the worst first; or as JSON.
    pub(super) fn text(&mut self, json: bool) -> Result<String> {
        self.findings.sort_by_key(|finding| finding.severity);
        if json {
            return Ok(serde_json::to_string(self)?);
        }
        let mut lines = vec![format!("{}: {}", title(&self.application), self.looked_at)];
        for finding in &self.findings {
            let severity = match finding.severity {
                Severity::Wrong => bad("WRONG  "),
                Severity::Warning => warning("warning"),
                Severity::Note => "note   ".to_owned(),
            };
            let number = finding.number.map(|number| format!(" ×{number}")).unwrap_or_default();
            let more = finding.number.is_some_and(|number| number > finding.places.len());
            let places = match finding.places.join(", ") {
                none if none.is_empty() => none,
                places => format!(" ({places}{})", if more { ", …" } else { "" }),
            };
            let subject = finding.subject.as_ref().map(|subject| format!(" {subject:?}"));
            lines.push(format!(
                "{severity} {}{}{number}{places}: {}",
                finding.code,
                subject.unwrap_or_default(),
                finding.message
            ));
            lines.extend(finding.mend.iter().map(|call| format!("          {call}")));
        }
        if let Some(why) = &self.nothing {
            lines.push(format!("{} nothing to look at: {why}", warning("none   ")));
        } else if self.wrong() == 0 {
            lines.push(format!("{} nothing of it would be skipped", good("ok     ")));
        }
        Ok(lines.join("\n"))
    }
}
