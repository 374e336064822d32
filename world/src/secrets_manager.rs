//! Secrets Manager: secrets with versions, scheduled deletion, late reads.
//! <https://docs.aws.amazon.com/secretsmanager/latest/userguide/getting-started.html>
//!
//! A secret keeps what was done to it with the time, so that a late read can see it as it was.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::aws::{ACCOUNT, REGION, Service, ServiceError, text};
use crate::faults::Fault;
use crate::time::{after, between};

/// Changes of a secret that are kept: the stages need two versions, late reads a few more.
const KEPT_CHANGES: usize = 10;

/// Bytes of a secret's value.
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>
pub const MAX_VALUE: usize = 65_536;

/// How a secret that does not exist is answered.
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html>
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MissingSecret {
    /// `ResourceNotFoundException`.
    #[default]
    NotFound,
    /// `AccessDeniedException`: the caller's policy allows the known secrets only and no listing.
    AccessDenied,
}

/// Reads that do not see the newest change yet; none unless it is set.
#[derive(Debug, Clone, Copy, Default)]
pub struct LateReads {
    /// How old a change can be and still not be seen.
    pub window: Duration,
    /// Probability that a read is late, 0 to 1.
    pub probability: f64,
}

/// Which version of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// `AWSCURRENT`.
    Current,
    /// `AWSPREVIOUS`: the one before, until the next rotation.
    Previous,
}

/// A version of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// `VersionId`.
    pub id: String,
    /// `CreatedDate`.
    pub created_at: Timestamp,
    /// `SecretString`.
    pub value: String,
}

/// A change to a secret. The first is always a new version.
#[derive(Debug, Clone)]
enum Change {
    Version(Version),
    /// Deletion at a time, or at once.
    Deletion {
        at: Timestamp,
        scheduled: Timestamp,
    },
    Restored {
        at: Timestamp,
    },
}

impl Change {
    fn at(&self) -> Timestamp {
        match self {
            Self::Version(version) => version.created_at,
            Self::Deletion { at, .. } | Self::Restored { at } => *at,
        }
    }
}

/// The secrets of an account.
#[derive(Debug, Clone, Default)]
pub struct SecretsManager {
    /// An open rule: it depends on the caller's policy.
    pub missing: MissingSecret,
    /// Reads that do not see the newest change.
    pub late_reads: LateReads,
    secrets: BTreeMap<String, Vec<Change>>,
    next: u64,
}

/// What a secret looks like at a time.
#[derive(Debug, Default)]
struct View<'a> {
    current: Option<&'a Version>,
    previous: Option<&'a Version>,
    deletion: Option<Timestamp>,
}

impl SecretsManager {
    /// Writes a new version, as a rotation does: the one before becomes the previous one. A secret that
    /// was deleted begins anew.
    pub fn put(&mut self, name: &str, value: String, now: Timestamp) {
        let id = format!("00000000-0000-4000-9000-{:012x}", self.next);
        self.next += 1;
        let changes = self.secrets.entry(name.to_owned()).or_default();
        keep(changes, Change::Version(Version { id, created_at: now, value }));
    }

    /// Schedules the deletion. `recovery` is 7 to 30 days; zero deletes without recovery.
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html>
    pub fn delete(&mut self, name: &str, recovery: Duration, now: Timestamp) {
        if let Some(changes) = self.secrets.get_mut(name) {
            keep(changes, Change::Deletion { at: now, scheduled: after(now, recovery) });
        }
    }

    /// Cancels a scheduled deletion.
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RestoreSecret.html>
    pub fn restore(&mut self, name: &str, now: Timestamp) {
        if let Some(changes) = self.secrets.get_mut(name) {
            keep(changes, Change::Restored { at: now });
        }
    }

    /// The names of the secrets that can be read.
    pub fn names(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        self.secrets
            .iter()
            .filter(move |(_, changes)| {
                let view = view(changes, now);
                view.current.is_some() && view.deletion.is_none()
            })
            .map(|(name, _)| name.as_str())
    }

    /// A version as it is, not as a late read sees it.
    pub fn version(&self, name: &str, stage: Stage, now: Timestamp) -> Option<&Version> {
        let view = view(self.secrets.get(name)?, now);
        match stage {
            _ if view.deletion.is_some() => None,
            Stage::Current => view.current,
            Stage::Previous => view.previous,
        }
    }

    /// Reads a version as `GetSecretValue` does.
    pub fn get(
        &self,
        name: &str,
        stage: Stage,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Result<&Version, ServiceError> {
        let missing = || match self.missing {
            MissingSecret::NotFound => ServiceError::new(
                "ResourceNotFoundException",
                "Secrets Manager can't find the specified secret.",
            ),
            MissingSecret::AccessDenied => ServiceError::new(
                "AccessDeniedException",
                "User is not authorized to perform: secretsmanager:GetSecretValue because no \
                 identity-based policy allows the secretsmanager:GetSecretValue action",
            ),
        };
        let changes = self.secrets.get(name).ok_or_else(missing)?;
        let LateReads { window, probability } = self.late_reads;
        let newest = changes.iter().rev().find(|change| change.at() <= now).map(Change::at);
        let late = newest.filter(|newest| between(*newest, now) < window);
        let seen = match late {
            // Just before the newest change.
            Some(newest) if rng.f64() < probability => {
                newest.checked_sub(Duration::from_nanos(1)).unwrap_or(newest)
            }
            _ => now,
        };
        let view = view(changes, seen);
        if let Some(scheduled) = view.deletion {
            return Err(if scheduled <= now {
                missing()
            } else {
                ServiceError::new(
                    "InvalidRequestException",
                    "You can't perform this operation on the secret because it was marked for deletion.",
                )
            });
        }
        if view.current.is_none() {
            return Err(missing());
        }
        let version = match stage {
            Stage::Current => view.current,
            Stage::Previous => view.previous,
        };
        version.ok_or_else(|| {
            ServiceError::new(
                "ResourceNotFoundException",
                "Secrets Manager can't find the specified secret value for the staging label",
            )
        })
    }
}

impl SecretsManager {
    /// `CreateSecret` makes the first version, `PutSecretValue` each later one.
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html>
    fn write(
        &mut self,
        operation: &str,
        name: &str,
        input: &Value,
        now: Timestamp,
    ) -> Result<Value, ServiceError> {
        let view = self.secrets.get(name).map(|changes| view(changes, now)).unwrap_or_default();
        let exists =
            view.current.is_some() && view.deletion.is_none_or(|scheduled| scheduled > now);
        let error = |code, message: &str| Err(ServiceError::new(code, message));
        match (operation, exists) {
            (_, true) if view.deletion.is_some() => {
                return error(
                    "InvalidRequestException",
                    "You can't perform this operation on the secret because it was marked for deletion.",
                );
            }
            ("CreateSecret", true) => {
                return error("ResourceExistsException", "The secret already exists.");
            }
            ("PutSecretValue", false) => {
                return error(
                    "ResourceNotFoundException",
                    "Secrets Manager can't find the specified secret.",
                );
            }
            _ => {}
        }
        let value = text(input, "SecretString");
        if value.is_empty() || value.len() > MAX_VALUE {
            return error(
                "InvalidParameterException",
                "You must provide a SecretString of 1 to 65536 bytes.",
            );
        }
        self.put(name, value.to_owned(), now);
        let version = self.version(name, Stage::Current, now).map(|version| version.id.clone());
        Ok(json!({
            "ARN": format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}"), "Name": name,
            "VersionId": version, "VersionStages": ["AWSCURRENT"],
        }))
    }
}

fn keep(changes: &mut Vec<Change>, change: Change) {
    if changes.len() == KEPT_CHANGES {
        changes.remove(0);
    }
    changes.push(change);
}

fn view(changes: &[Change], now: Timestamp) -> View<'_> {
    let mut view = View::default();
    for change in changes.iter().filter(|change| change.at() <= now) {
        match change {
            Change::Version(version) => {
                let began_anew = view.deletion.take().is_some();
                view.previous = view.current.filter(|_| !began_anew);
                view.current = Some(version);
            }
            Change::Deletion { scheduled, .. } => view.deletion = Some(*scheduled),
            // What was deleted without recovery stays deleted.
            Change::Restored { at } => {
                view.deletion = view.deletion.filter(|scheduled| scheduled <= at);
            }
        }
    }
    view
}

impl Service for SecretsManager {
    fn call(
        &mut self,
        operation: &str,
        input: &Value,
        _fault: Option<&Fault>,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Result<Value, ServiceError> {
        let id = text(input, if operation == "CreateSecret" { "Name" } else { "SecretId" });
        let name = id.split_once(":secret:").map_or(id, |(_, name)| name);
        match operation {
            "GetSecretValue" => {}
            "CreateSecret" | "PutSecretValue" => return self.write(operation, name, input, now),
            _ => return Err(ServiceError::unknown_operation()),
        }
        let (stage, label) = match text(input, "VersionStage") {
            "" | "AWSCURRENT" => (Stage::Current, "AWSCURRENT"),
            "AWSPREVIOUS" => (Stage::Previous, "AWSPREVIOUS"),
            _ => {
                return Err(ServiceError::new(
                    "ResourceNotFoundException",
                    "Secrets Manager can't find the specified secret value for the staging label",
                ));
            }
        };
        let version = self.get(name, stage, now, rng)?;
        Ok(json!({
            "ARN": format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}"), "Name": name,
            "SecretString": version.value, "VersionId": version.id, "VersionStages": [label],
            "CreatedDate": seconds(version.created_at),
        }))
    }
}

/// Epoch seconds with milliseconds, as AWS writes times.
fn seconds(time: Timestamp) -> f64 {
    let milliseconds = u32::try_from(time.as_millisecond().rem_euclid(1_000)).unwrap_or_default();
    let seconds = i32::try_from(time.as_second()).unwrap_or(i32::MAX);
    f64::from(seconds) + f64::from(milliseconds) / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);
    const MINUTE: Duration = Duration::from_mins(1);

    fn start() -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_250).unwrap()
    }

    fn secrets() -> SecretsManager {
        let mut secrets = SecretsManager::default();
        secrets.put("a", "one".to_owned(), start());
        secrets
    }

    fn read(
        secrets: &SecretsManager,
        name: &str,
        stage: Stage,
        now: Timestamp,
    ) -> Result<String, &'static str> {
        let mut rng = Rng::with_seed(1);
        let version = secrets.get(name, stage, now, &mut rng);
        version.map(|version| version.value.clone()).map_err(|error| error.code)
    }

    // API_GetSecretValue, "AWSPREVIOUS".
    #[test]
    fn the_previous_version_stays_until_the_next_rotation() {
        let mut secrets = secrets();
        assert_eq!(read(&secrets, "a", Stage::Previous, start()), Err("ResourceNotFoundException"));
        let rotated = after(start(), DAY);
        secrets.put("a", "two".to_owned(), rotated);
        let later = after(start(), 300 * DAY);
        assert_eq!(read(&secrets, "a", Stage::Current, later), Ok("two".to_owned()));
        assert_eq!(read(&secrets, "a", Stage::Previous, later), Ok("one".to_owned()));
        let version = secrets.version("a", Stage::Previous, later).unwrap();
        assert_eq!(version.created_at, start(), "each version has its own date");
        secrets.put("a", "three".to_owned(), later);
        assert_eq!(read(&secrets, "a", Stage::Previous, later), Ok("two".to_owned()));
    }

    // API_CreateSecret, API_PutSecretValue, and the quota of a secret's value.
    #[test]
    fn a_secret_is_created_once_and_changed_by_new_versions() {
        let mut secrets = secrets();
        let mut call = |operation: &str, name: &str, value: &str, now: Timestamp| {
            let input = json!({"Name": name, "SecretId": name, "SecretString": value});
            let answer = secrets.call(operation, &input, None, now, &mut Rng::with_seed(1));
            answer.map(|_| ()).map_err(|error| error.code)
        };
        let later = after(start(), DAY);
        assert_eq!(call("CreateSecret", "a", "x", later), Err("ResourceExistsException"));
        assert_eq!(call("PutSecretValue", "b", "x", later), Err("ResourceNotFoundException"));
        assert_eq!(call("CreateSecret", "b", "x", later), Ok(()));
        let large = "x".repeat(MAX_VALUE + 1);
        assert_eq!(call("PutSecretValue", "b", &large, later), Err("InvalidParameterException"));
        assert_eq!(call("PutSecretValue", "a", "two", later), Ok(()));
        assert_eq!(read(&secrets, "a", Stage::Current, later), Ok("two".to_owned()));
        assert_eq!(read(&secrets, "a", Stage::Previous, later), Ok("one".to_owned()));
        secrets.delete("a", 7 * DAY, later);
        let input = json!({"SecretId": "a", "SecretString": "x"});
        let answer = secrets.call("PutSecretValue", &input, None, later, &mut Rng::with_seed(1));
        assert_eq!(answer.unwrap_err().code, "InvalidRequestException");
    }

    // troubleshoot: ResourceNotFoundException, or AccessDeniedException without the right to list.
    #[test]
    fn how_a_missing_secret_is_answered_is_an_option() {
        let mut secrets = secrets();
        assert_eq!(read(&secrets, "b", Stage::Current, start()), Err("ResourceNotFoundException"));
        secrets.missing = MissingSecret::AccessDenied;
        assert_eq!(read(&secrets, "b", Stage::Current, start()), Err("AccessDeniedException"));
        assert_eq!(read(&secrets, "a", Stage::Current, start()), Ok("one".to_owned()));
    }

    // API_DeleteSecret: "you can't access the encrypted information in any secret that is scheduled for
    // deletion"; API_RestoreSecret.
    #[test]
    fn a_secret_scheduled_for_deletion_is_an_invalid_request_until_it_is_gone() {
        let mut secrets = secrets();
        secrets.delete("a", 7 * DAY, start());
        let day = after(start(), DAY);
        assert_eq!(read(&secrets, "a", Stage::Current, day), Err("InvalidRequestException"));
        assert_eq!(secrets.names(day).count(), 0);
        let gone = after(start(), 8 * DAY);
        assert_eq!(read(&secrets, "a", Stage::Current, gone), Err("ResourceNotFoundException"));
        secrets.restore("a", day);
        assert_eq!(read(&secrets, "a", Stage::Current, day), Ok("one".to_owned()));
    }

    #[test]
    fn a_deletion_without_recovery_is_final_and_the_next_secret_begins_anew() {
        let mut secrets = secrets();
        secrets.delete("a", Duration::ZERO, start());
        secrets.restore("a", start());
        assert_eq!(read(&secrets, "a", Stage::Current, start()), Err("ResourceNotFoundException"));
        secrets.put("a", "two".to_owned(), start());
        assert_eq!(read(&secrets, "a", Stage::Current, start()), Ok("two".to_owned()));
        assert_eq!(read(&secrets, "a", Stage::Previous, start()), Err("ResourceNotFoundException"));
    }

    #[test]
    fn a_late_read_sees_the_secret_before_its_newest_change() {
        let mut secrets = secrets();
        secrets.late_reads = LateReads { window: MINUTE, probability: 1.0 };
        assert_eq!(read(&secrets, "a", Stage::Current, start()), Err("ResourceNotFoundException"));
        let rotated = after(start(), DAY);
        secrets.put("a", "two".to_owned(), rotated);
        let soon = after(rotated, MINUTE / 2);
        assert_eq!(read(&secrets, "a", Stage::Current, soon), Ok("one".to_owned()));
        assert_eq!(
            read(&secrets, "a", Stage::Current, after(rotated, MINUTE)),
            Ok("two".to_owned())
        );
        secrets.late_reads = LateReads::default();
        assert_eq!(read(&secrets, "a", Stage::Current, soon), Ok("two".to_owned()));
    }

    #[test]
    fn get_secret_value_answers_as_aws_writes_it() {
        let mut secrets = secrets();
        let input = json!({"SecretId": "a", "VersionStage": "AWSCURRENT"});
        let mut rng = Rng::with_seed(1);
        let answer = secrets.call("GetSecretValue", &input, None, start(), &mut rng).unwrap();
        assert_eq!(
            answer.to_string(),
            r#"{"ARN":"arn:aws:secretsmanager:eu-central-1:123456789012:secret:a","Name":"a","SecretString":"one","VersionId":"00000000-0000-4000-9000-000000000000","VersionStages":["AWSCURRENT"],"CreatedDate":1800000000.25}"#
        );
        let by_arn = json!({"SecretId": answer["ARN"]});
        assert_eq!(
            secrets.call("GetSecretValue", &by_arn, None, start(), &mut rng).unwrap(),
            answer
        );
    }

    #[test]
    fn old_versions_are_forgotten() {
        let mut secrets = secrets();
        for number in 0..1_000 {
            secrets.put("a", number.to_string(), start());
        }
        assert_eq!(secrets.secrets["a"].len(), KEPT_CHANGES);
        assert_eq!(read(&secrets, "a", Stage::Previous, start()), Ok("998".to_owned()));
    }
}
