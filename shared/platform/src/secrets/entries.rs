//! The applications of a secret's text, and what is wrong with them.

use serde_json::Value;

use crate::application::{self, Application, Problems};
use crate::secret_place::SecretPlace;

/// The applications of a secret's text. What is wrong with a new text is reported.
pub(super) fn of(
    place: Option<&SecretPlace>,
    code: &str,
    text: &str,
    is_new: bool,
) -> Result<Vec<(String, Value)>, Problems> {
    let value = serde_json::from_str(text).unwrap_or(Value::Null);
    let Some(place) = place.filter(|place| place.is_map()) else {
        if is_new {
            report(code, &value);
        }
        return Ok(vec![(code.to_owned(), value)]);
    };
    let entries = applications(place, value).map_err(|problem| {
        if is_new {
            tracing::error!(
                app.code = code,
                error = problem,
                "the secret of several applications cannot be used: correct it"
            );
        }
        Problems(vec![problem.to_owned()])
    })?;
    if is_new {
        for (entry, secret) in &entries {
            report(entry, secret);
            if !place.is_same(entry, code) {
                tracing::warn!(
                    app.code = entry,
                    "the application is in a secret where nobody looks for it: move it to that of its first characters"
                );
            }
        }
    }
    Ok(entries)
}

/// The entries of a map of applications, or what is wrong with it as a whole.
fn applications(place: &SecretPlace, map: Value) -> Result<Vec<(String, Value)>, &'static str> {
    let Value::Object(map) = map else {
        return Err("the secret must be a JSON object of applications by their codes");
    };
    if map.is_empty() && !place.may_be_empty() {
        return Err("the secret must hold an application: delete it to remove the last one");
    }
    let reads = |(code, secret): (&String, &Value)| {
        Application::read_over(code, secret, None).is_ok_and(|read| read.has_usable())
    };
    if !map.is_empty() && !map.iter().any(reads) {
        return Err(
            "no entry of the secret is an application: it must be a JSON object of applications by their codes",
        );
    }
    Ok(map.into_iter().collect())
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
