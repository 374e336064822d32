//! Reads and writes an application's part of a secret: all of it, or one entry of a map.
//!
//! Invariant: nobody else's change is lost. A version that was written between our reading and our writing is found
//! afterwards, as the version before ours, and the application is put into that one.

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use serde::Serialize;
use serde_json::{Map, Value};

use super::answers::Answers;
use crate::bad_input::BadInput;
use crate::target::Target;

/// Largest secret.
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>
const MAX_BYTES: usize = 65_536;

/// Others who write the same secret meanwhile are waited for so often.
const ATTEMPTS: u32 = 5;

/// How a secret was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Written {
    /// There was none.
    Created,
    /// The version before is still there, as `AWSPREVIOUS`.
    NewVersion,
    /// It held these values already.
    Unchanged,
}

/// The secrets of a stack or a sandbox.
pub(super) struct Store<'t> {
    client: Client,
    target: &'t Target,
    kms_key_id: Option<String>,
}

/// A version of a secret, as it was read.
struct Version {
    id: Option<String>,
    content: Value,
}

impl<'t> Store<'t> {
    pub(super) fn new(target: &'t Target, kms_key_id: Option<String>) -> Self {
        Self { client: Client::new(&target.connection.config), target, kms_key_id }
    }

    /// Name of the secret that holds an application.
    pub(super) fn name(&self, code: &str) -> String {
        self.target.place.of(code)
    }

    /// An application's settings; nothing where there are none.
    pub(super) async fn read(&self, code: &str) -> Result<Option<Value>> {
        let version = self.version(&self.name(code), "AWSCURRENT").await?;
        Ok(version.and_then(|version| self.part(version.content, code)))
    }

    fn part(&self, content: Value, code: &str) -> Option<Value> {
        if self.target.place.is_map() { content.get(code).cloned() } else { Some(content) }
    }

    /// Writes the answers into the application's settings.
    pub(super) async fn write(&self, code: &str, answers: &Answers) -> Result<Written> {
        let name = self.name(code);
        let mut base = self.version(&name, "AWSCURRENT").await?;
        for _ in 0..ATTEMPTS {
            let Some(version) = base else {
                let text = self.with(Value::Object(Map::new()), code, answers)?;
                let request = self.client.create_secret().name(&name).secret_string(text);
                let request = request.set_kms_key_id(self.kms_key_id.clone());
                let request = request.description("Keys of an application: Segment and Pushwoosh");
                return match request.send().await {
                    Ok(_) => Ok(Written::Created),
                    Err(error) if error.code() == Some("ResourceExistsException") => {
                        bail!("{name} was created by somebody else just now: run it again")
                    }
                    Err(error) => Err(told(&name, "secretsmanager:CreateSecret", &error)),
                };
            };
            let before = version.content.clone();
            let text = self.with(version.content, code, answers)?;
            if serde_json::from_str::<Value>(&text).is_ok_and(|after| after == before) {
                return Ok(Written::Unchanged);
            }
            let request = self.client.put_secret_value().secret_id(&name).secret_string(text);
            request
                .send()
                .await
                .map_err(|error| told(&name, "secretsmanager:PutSecretValue", &error))?;
            let previous = self.version(&name, "AWSPREVIOUS").await?;
            if previous.as_ref().is_none_or(|previous| previous.id == version.id) {
                return Ok(Written::NewVersion);
            }
            // Somebody wrote in between: our version has not what they wrote.
            base = previous;
        }
        bail!("{name} is being written by somebody else: run it again when they are done")
    }

    /// The secret's text with the answers in it.
    fn with(&self, content: Value, code: &str, answers: &Answers) -> Result<String> {
        let Value::Object(mut content) = content else {
            return Err(BadInput(format!(
                "the secret {} is no JSON object: correct or delete it first",
                self.name(code)
            ))
            .into());
        };
        if self.target.place.is_map() {
            let application = content.entry(code).or_insert_with(|| Map::new().into());
            answers.write_into(application);
        } else {
            let mut application = Value::Object(content);
            answers.write_into(&mut application);
            content = application.as_object().cloned().unwrap_or_default();
        }
        let text = Value::Object(content).to_string();
        ensure!(
            text.len() <= MAX_BYTES,
            "the secret {} would have {} bytes, and Secrets Manager takes {MAX_BYTES}: divide it (docs/SCALE.md#secrets)",
            self.name(code),
            text.len()
        );
        Ok(text)
    }

    async fn version(&self, name: &str, stage: &str) -> Result<Option<Version>> {
        let request = self.client.get_secret_value().secret_id(name).version_stage(stage);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if error.code() == Some("ResourceNotFoundException") => return Ok(None),
            Err(error) => return Err(told(name, "secretsmanager:GetSecretValue", &error)),
        };
        let text = answer.secret_string().unwrap_or_default();
        // The parser's words could quote a key.
        let content = serde_json::from_str(text).ok().with_context(|| {
            format!("the secret {name} is not JSON: correct or delete it first")
        })?;
        Ok(Some(Version { id: answer.version_id().map(str::to_owned), content }))
    }
}

/// One line for an error of Secrets Manager: which secret, and what to do.
fn told<E: ProvideErrorMetadata, R>(
    name: &str,
    permission: &str,
    error: &SdkError<E, R>,
) -> anyhow::Error {
    let remedy = match error.code() {
        Some("AccessDeniedException") => format!("give yourself {permission} on it"),
        Some("InvalidRequestException") => format!(
            "if it is scheduled for deletion: aws secretsmanager restore-secret --secret-id {name}"
        ),
        Some(_) => "see the message".to_owned(),
        None => {
            "Secrets Manager does not answer: look at the credentials, the region and the network"
                .to_owned()
        }
    };
    let code = error.code().unwrap_or("no answer");
    let message = error.message().unwrap_or_default();
    anyhow::anyhow!("the secret {name}: {code} {message}: {remedy}")
}
