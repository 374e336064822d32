//! The applications of a secret's text, and what is wrong with them.

use serde_json::Value;

use super::place::Place;
use crate::application::{self, Application, Problems};

/// The applications of a secret's text. What is wrong with a new text is reported.
pub(super) fn of(
    place: Option<&Place>,
    code: &str,
    text: &str,
    is_new: bool,
) -> Result<Vec<(String, Value)>, Problems> {
    let value = serde_json::from_str(text).unwrap_or(Value::Null);
    let is_map = place.is_some_and(Place::is_map);
    let entries: Vec<(String, Value)> = match value {
        value if !is_map => vec![(code.to_owned(), value)],
        Value::Object(applications) => applications.into_iter().collect(),
        _ => {
            let problem = "the secret must be a JSON object of applications by their codes";
            if is_new {
                tracing::error!(
                    app.code = code,
                    error = problem,
                    "the secret of several applications cannot be used: correct it"
                );
            }
            return Err(Problems(vec![problem.to_owned()]));
        }
    };
    if is_new {
        for (entry, secret) in &entries {
            report(entry, secret);
            if !place.is_some_and(|place| place.is_same(entry, code)) {
                tracing::warn!(
                    app.code = entry,
                    "the application is in a secret where nobody looks for it: move it to that of its first characters"
                );
            }
        }
    }
    Ok(entries)
}

/// Logs what is wrong with a secret.
fn report(code: &str, secret: &Value) {
    for warning in application::warnings(secret) {
        tracing::warn!(
            app.code = code,
            detail = warning,
            "the application's secret has ignored or suspicious entries"
        );
    }
    if let Err(problems) = Application::read(code, secret) {
        tracing::error!(app.code = code, error = %problems, "the application's secret cannot be used: correct it");
    }
}
