//! The applications of a secret as they are used: the newest good value of each section.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::SecretError;
use super::time::passed;
use crate::application::{Application, Problems};

/// The applications of a secret by their codes; one where every application has its own.
#[derive(Debug, Default)]
pub(super) struct Snapshot(HashMap<String, Held>);

#[derive(Debug)]
struct Held {
    /// Its settings, or what is wrong with the only ones that were seen.
    application: Result<Arc<Application>, Problems>,
    /// Since when it is missing from the secret, or the secret itself is.
    missing_since: Option<Timestamp>,
    /// Since when its sections `pushwoosh` and `segment` are missing. They are used for one TTL more too: without them,
    /// requests are refused, and records are disregarded.
    sections_missing_since: [Option<Timestamp>; 2],
}

/// An application's settings.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) application: Arc<Application>,
    /// The secret does not have it any more, which may be a mistake: it is served for one TTL more.
    pub(super) is_missing: bool,
}

/// Keeps the last value of a section that is missing, for one TTL; returns since when it is.
fn miss_section<T: Clone>(
    section: &mut Option<T>,
    last: Option<&T>,
    since: Option<Timestamp>,
    ttl: Duration,
    now: Timestamp,
) -> Option<Timestamp> {
    let since = since.unwrap_or(now);
    let kept = last.filter(|_| section.is_none() && passed(since, now) < ttl)?;
    *section = Some(kept.clone());
    Some(since)
}

impl Snapshot {
    /// What a newer text makes of the last snapshot, and the applications that are kept although the
    /// text does not have them: while another of its entries cannot be read, they may be inside of that.
    pub(super) fn over(
        last: Option<Self>,
        entries: Vec<(String, Value)>,
        ttl: Duration,
        now: Timestamp,
    ) -> (Self, Vec<String>) {
        let mut missing = last.unwrap_or_default().0;
        let newer = entries.into_iter().map(|(code, secret)| {
            let last = missing.remove(&code);
            let since = last.as_ref().map(|held| held.sections_missing_since).unwrap_or_default();
            let last = last.and_then(|held| held.application.ok());
            let mut application = Application::read_over(&code, &secret, last.as_deref());
            let mut sections_missing_since = [None; 2];
            if let (Ok(application), Some(last)) = (&mut application, last) {
                let (new, [pushwoosh, segment]) = (application, since);
                sections_missing_since = [
                    miss_section(&mut new.pushwoosh, last.pushwoosh.as_ref(), pushwoosh, ttl, now),
                    miss_section(&mut new.segment, last.segment.as_ref(), segment, ttl, now),
                ];
            }
            let application = application.map(Arc::new);
            (code, Held { application, missing_since: None, sections_missing_since })
        });
        let mut snapshot = Self(newer.collect());
        let is_readable = |held: &Held| {
            held.application.as_ref().is_ok_and(|application| application.has_usable())
        };
        let mut kept = Self::default();
        if !snapshot.0.values().all(is_readable) {
            let served = |_: &String, held: &mut Held| {
                held.missing_since.is_none() && held.application.is_ok()
            };
            kept = Self(missing.extract_if(served).collect());
            kept.keep_whole();
        }
        let mut codes: Vec<String> = kept.0.keys().cloned().collect();
        codes.sort_unstable();
        let mut missing = Self(missing);
        missing.miss(ttl, now);
        snapshot.0.extend(missing.0);
        snapshot.0.extend(kept.0);
        (snapshot, codes)
    }

    /// The secret is missing, and with it every application. Those that were so for a TTL are gone.
    pub(super) fn miss(&mut self, ttl: Duration, now: Timestamp) {
        self.0.retain(|_, held| {
            let since = *held.missing_since.get_or_insert(now);
            held.application.is_ok() && passed(since, now) < ttl
        });
    }

    /// The newest text cannot be used at all.
    pub(super) fn keep_whole(&mut self) {
        for held in self.0.values_mut() {
            if let Ok(application) = &mut held.application {
                *application = Arc::new(application.kept_whole());
            }
        }
    }

    pub(super) fn has(&self, code: &str) -> bool {
        self.0.contains_key(code)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether everything in it is missing.
    pub(super) fn is_missing(&self) -> bool {
        self.0.values().all(|held| held.missing_since.is_some())
    }

    pub(super) fn application(&self, code: &str) -> Result<Found, SecretError> {
        let held = self.0.get(code).ok_or(SecretError::Unknown)?;
        let application = held.application.clone().map_err(SecretError::Malformed)?;
        Ok(Found { application, is_missing: held.missing_since.is_some() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TTL: Duration = Duration::from_mins(5);

    /// The applications of a newer text: those with a token can be used.
    fn over(last: Option<Snapshot>, codes: &[(&str, bool)]) -> (Snapshot, Vec<String>) {
        let secret = |usable: bool| {
            if usable { json!({"pushwoosh": {"api_token": "t"}}) } else { json!({}) }
        };
        let entries = codes.iter().map(|(code, usable)| ((*code).to_owned(), secret(*usable)));
        Snapshot::over(last, entries.collect(), TTL, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_missing_secret_is_served_for_a_ttl() {
        let (mut snapshot, _) = over(None, &[("A", true)]);
        assert!(snapshot.has("A") && !snapshot.has("B"));
        assert!(!snapshot.is_empty() && !snapshot.is_missing());
        snapshot.miss(TTL, Timestamp::UNIX_EPOCH);
        assert!(snapshot.has("A") && snapshot.is_missing() && !snapshot.is_empty());
        snapshot.miss(TTL, Timestamp::UNIX_EPOCH + TTL);
        assert!(!snapshot.has("A") && snapshot.is_empty());
    }

    /// A text with an entry that cannot be read may have lost others by the same mistake.
    #[test]
    fn beside_an_unreadable_entry_what_was_served_is_kept() {
        let (last, kept) = over(None, &[("A", true), ("B", false)]);
        assert!(kept.is_empty());
        let (snapshot, kept) = over(Some(last), &[("C", false)]);
        assert_eq!(kept, ["A"]);
        assert!(snapshot.application("A").is_ok() && snapshot.application("B").is_err());
    }
}
