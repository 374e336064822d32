//! Whose mappings raw events are explained with: a file's, an application's, or the presets.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use mapping::ItemKind;
use platform::Application;
use platform::application::Section;
use segment_language::subscription;

use super::input::Input;
use super::{Explain, code_of};
use crate::bad_input::BadInput;
use crate::target::{Target, TargetFlags};

/// Whose they are.
pub(super) enum MappingSource {
    /// A file's.
    File(String),
    /// The presets. The application whose own were not asked for, where one is named.
    Presets(Option<String>),
    /// Those of applications of a stack or a sandbox.
    Applications(BTreeMap<String, Application>),
}

impl MappingSource {
    /// Reads the applications' settings where a stack or a sandbox is named.
    pub(super) async fn find(flags: &Explain, input: &Input, code: Option<&str>) -> Result<Self> {
        if let Some(file) = &flags.mapping {
            return Ok(Self::File(file.display().to_string()));
        }
        let sandbox = match (&flags.stack, &flags.sandbox) {
            (None, None) => return Ok(Self::Presets(code.map(str::to_owned))),
            (_, sandbox) => sandbox.clone().unwrap_or_default(),
        };
        let mut codes: Vec<&str> = Vec::new();
        for item in input.items.iter().filter(|item| item.kind == ItemKind::RawEvent) {
            let (own, of_all) = (item.application.as_deref(), input.application.as_deref());
            let is_named = code.or(own).or(of_all).is_some();
            // The demo application is the sandbox's.
            if !is_named && flags.stack.is_some() {
                return Err(BadInput(
                    "--app is required with --stack: the input names no application".to_owned(),
                )
                .into());
            }
            codes.push(code_of(code, own, of_all));
        }
        codes.sort_unstable();
        codes.dedup();
        if codes.is_empty() {
            return Ok(Self::Presets(None));
        }
        let target = Target::open(&TargetFlags { stack: flags.stack.clone(), sandbox }).await?;
        let mut known = BTreeMap::new();
        for code in codes {
            let application = target.application(code).await?;
            ensure!(
                !application.is_disabled(Section::Mappings),
                "the mappings of {code} cannot be used: `check-secret` says why"
            );
            known.insert(code.to_owned(), application.as_ref().clone());
        }
        Ok(Self::Applications(known))
    }

    /// An application's settings, where they were read.
    pub(super) fn settings(&self, code: &str) -> Option<Application> {
        match self {
            Self::Applications(known) => known.get(code).cloned(),
            Self::File(_) | Self::Presets(_) => None,
        }
    }

    /// For programs: whose mappings an application's events are explained with.
    pub(super) fn name<'c>(&self, code: &'c str) -> &'c str {
        match self {
            Self::File(_) => "file",
            Self::Applications(known) if !known.get(code).is_none_or(has_presets) => code,
            Self::Presets(_) | Self::Applications(_) => "presets",
        }
    }

    /// For people.
    pub(super) fn line(&self) -> String {
        match self {
            Self::File(file) => format!("with the mappings of {file}"),
            Self::Presets(None) => "with the presets".to_owned(),
            Self::Presets(Some(code)) => format!(
                "with the presets: --stack NAME or --sandbox URL reads the mappings that {code} has"
            ),
            Self::Applications(known) => {
                let whose = known.iter().map(|(code, application)| {
                    if has_presets(application) {
                        format!("the presets, since {code} has no mappings of its own")
                    } else {
                        format!("the mappings of {code}")
                    }
                });
                format!("with {}", whose.collect::<Vec<_>>().join("; "))
            }
        }
    }
}

fn has_presets(application: &Application) -> bool {
    std::ptr::eq(application.subscriptions(), subscription::presets())
}
