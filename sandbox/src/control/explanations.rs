//! Routes: what an input would become, and the presets. Nothing is sent.

use mapping::tracking_log::OptionalProperty;
use operator::bad_input::BadInput;
use operator::explain::{self, Explained, Question};
use platform::settings;
use segment_language::subscription::preset_entries;
use serde_json::{Value, json};

use super::Control;
use crate::http::{self, Response};

impl Control {
    /// The presets, as mappings that can be edited.
    pub(super) fn presets() -> Response {
        http::json(200, &preset_entries().into())
    }

    /// `{"input", "mapping", "application"}`: the input is JSON, or the text of anything that `explain`
    /// knows; the mapping and the application may be missing. The answer names the stack and the optional
    /// properties too, so that `explain` gives the same; a refusal names the `part` that is wrong.
    pub(super) fn explain(&self, body: &[u8]) -> Response {
        let mut asked: Value = mapping::json::read(body).unwrap_or_default();
        let input = asked.get_mut("input").map(Value::take);
        let mapping = asked.get("mapping").filter(|mapping| !mapping.is_null());
        if let Some(Err(BadInput(message))) = mapping.map(explain::check_mapping) {
            return http::json(400, &json!({ "message": message, "part": "mapping" }));
        }
        let explained = self.with_question(|question| {
            let question = Question {
                code: asked.get("application").and_then(Value::as_str),
                mapping,
                ..*question
            };
            match input {
                Some(Value::String(text)) => explain::of_text(&text, &question),
                Some(input) => explain::of_json(input, &question),
                None => Err(BadInput("input is required".to_owned())),
            }
        });
        match explained {
            Ok(explained) => {
                let track_properties: Vec<&str> =
                    self.track_properties().iter().map(|property| property.name()).collect();
                let mut answer = json!(explained);
                if let Some(answer) = answer.as_object_mut() {
                    answer.insert("stack_name".to_owned(), self.stack_name().into());
                    answer.insert("track_properties".to_owned(), track_properties.into());
                }
                http::json(200, &answer)
            }
            Err(BadInput(message)) => {
                http::json(400, &json!({ "message": message, "part": "input" }))
            }
        }
    }

    /// Asks with what the sandbox knows: the applications' settings, and what the source is set to.
    pub(super) fn with_question(
        &self,
        ask: impl FnOnce(&Question<'_>) -> Result<Explained, BadInput>,
    ) -> Result<Explained, BadInput> {
        ask(&Question {
            kind: None,
            code: None,
            settings: &|code| self.standins.aws.apps.application(code),
            mapping: None,
            track_properties: &self.track_properties(),
            stack: self.stack_name(),
            has_tag: Some(&|code, tag| self.standins.pushwoosh.with(|it| it.has_tag(code, tag))),
        })
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
