//! Route: what an input would become. Nothing is sent.

use mapping::tracking_log::OptionalProperty;
use operator::explain::{self, DEMO_APPLICATION, Question};
use platform::settings;
use serde_json::{Value, json};

use super::Control;
use crate::http::{self, Response};

/// The presets, as a list of mappings that can be edited.
pub(super) const PRESETS: &str = include_str!("../../../shared/segment_language/src/presets.json");

impl Control {
    /// `{"input", "mapping", "application"}`: the input may be text of one item per line; the mapping
    /// and the application may be missing.
    pub(super) fn explain(&self, body: &[u8]) -> Response {
        let asked: Value = mapping::json::read(body).unwrap_or_default();
        let code = asked.get("application").and_then(Value::as_str).unwrap_or(DEMO_APPLICATION);
        let application = self.standins.aws.apps.application(code);
        let mapping = asked.get("mapping").filter(|mapping| !mapping.is_null());
        let items = match asked.get("input") {
            Some(Value::String(text)) => explain::items(text),
            Some(input) => Ok(mapping::explain::items(input.clone())),
            None => Err(anyhow::anyhow!("input is required")),
        };
        let question = Question {
            kind: None,
            code,
            application: application.as_ref(),
            mapping,
            track_properties: &self.track_properties(),
            stack: self.stack_name(),
        };
        let explained = items.and_then(|items| explain::all(&items, &question));
        match explained {
            Ok(explained) => http::json(200, &json!(explained)),
            Err(error) => super::bad_request(&error),
        }
    }

    /// What the source's setting asks for.
    pub(super) fn track_properties(&self) -> Vec<OptionalProperty> {
        let names = self.functions.iter().find_map(|function| function.track_properties.as_deref());
        names.and_then(settings::track_properties).unwrap_or_default()
    }

    /// Likewise.
    pub(super) fn stack_name(&self) -> &str {
        let names = self.functions.iter().find_map(|function| function.stack_name.as_deref());
        names.unwrap_or_default()
    }
}
