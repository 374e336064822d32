//! What a rejected item would send now.
//!
//! Invariant: a redriven item keeps the time when it came in, so that what came since is not undone.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use mapping::tracking_log::{OptionalProperty, Record};
use mapping::{Item, ItemKind, Origin, Parked, Rules, Work};
use platform::Application;
use platform::application::Section;
use platform::clock::Clock;
use platform::message::Reject;
use platform::settings;
use segment_language::subscription::Subscription;

use crate::application_settings::SettingsReader;
use crate::queues::Queues;
use crate::resend;
use crate::track_properties::TrackProperties;

/// Plans the items of a redrive.
pub(super) struct Planner {
    settings: SettingsReader,
    track_properties: Vec<OptionalProperty>,
    stack_name: String,
    clock: Clock,
    /// Mappings in place of the applications' own.
    mappings: Option<Vec<Subscription>>,
}

impl Planner {
    /// Plans as the functions of these queues would.
    pub(super) fn new(queues: &Queues, track_properties: &TrackProperties) -> Result<Self> {
        let connection = &queues.connection;
        let of_sandbox = || {
            let names = connection.sandbox_text("/functions/source/track_properties")?;
            settings::track_properties(names)
        };
        let clock = connection.clock.clone();
        Ok(Self {
            settings: SettingsReader::new(connection, &queues.secrets()?),
            track_properties: track_properties.read()?.or_else(of_sandbox).unwrap_or_default(),
            stack_name: queues.stack_name().to_owned(),
            clock,
            mappings: None,
        })
    }

    /// The same with these mappings in place of the applications' own.
    pub(super) fn with_mappings(self, mappings: Vec<Subscription>) -> Self {
        Self { mappings: Some(mappings), ..self }
    }

    /// What a reject would send if it came in now.
    pub(super) async fn reject(&self, reject: &Reject) -> Result<Parked> {
        let bytes = resend::whole(reject)?;
        self.bytes(reject, &bytes).await
    }

    /// What other bytes in place of a reject's would send.
    pub(super) async fn bytes(&self, reject: &Reject, bytes: &[u8]) -> Result<Parked> {
        if reject.kind == ItemKind::Parked {
            return resend::of_work(reject, bytes, self.clock.wall());
        }
        let (kind, application) = (reject.kind, reject.application.as_deref());
        let origin = Origin::First(&reject.origin);
        self.item(Item { kind, application, origin, bytes }, reject.at).await
    }

    /// What an item would send. It counts as received at `at`, when it came in first.
    pub(super) async fn item(&self, item: Item<'_>, at: Timestamp) -> Result<Parked> {
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
        let needs_settings = item.kind == ItemKind::RawEvent && self.mappings.is_none();
        let application = if needs_settings { Some(self.settings(&code).await?) } else { None };
        let presets =
            Rules { track_properties: &self.track_properties, now: at, ..Rules::of_presets(&code) };
        let rules = match (&application, &self.mappings) {
            (Some(application), _) => application.rules(&self.track_properties, at),
            (None, Some(mappings)) => Rules { subscriptions: mappings, ..presets },
            (None, None) => presets,
        };
        let rules = Rules { stack: &self.stack_name, ..rules };
        resend::of_item(&item, &rules, at, self.clock.wall())
    }

    async fn settings(&self, code: &str) -> Result<Arc<Application>> {
        let application = self.settings.read(code).await;
        let application = application.context("its application's mappings are not known")?;
        let disabled = application.is_disabled(Section::Mappings);
        ensure!(!disabled, "its application's mappings are not usable");
        Ok(application)
    }
}

/// A line per call that an item would make.
pub(super) fn calls(origin: &str, parked: &Parked) -> Vec<String> {
    let application = &parked.application;
    let line = |call: String| format!("{origin}: {application} {call}");
    match &parked.work {
        Work::Pushwoosh(plan) => {
            let calls = plan.calls().map(|call| {
                let request = serde_json::Value::Object(call.request.clone());
                line(format!("{} {request}", call.method.path()))
            });
            calls.collect()
        }
        Work::Segment(calls) => {
            calls.iter().map(|call| line(format!("/v1/batch {call}"))).collect()
        }
    }
}
