//! What a stand-in is told to do wrong.

use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One entry of the list; the first that applies is used.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Fault {
    /// Only calls of this path, or operation of AWS; without it every call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    /// Only calls of this application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) application: Option<String>,
    /// HTTP status that is answered; without it the call is answered as ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// `Retry-After`, seconds or a date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after: Option<Value>,
    /// Answered this much later.
    pub(crate) delay_ms: u64,
    /// The connection is dropped without an answer.
    pub(crate) reset: bool,
    /// Body that is answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<Value>,
    /// Garbage of this size is answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body_bytes: Option<usize>,
    /// Applies to this many calls; without it until it is cleared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) times: Option<u32>,
}

impl Fault {
    /// How much later the answer comes.
    pub(crate) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }
}

/// The list of a stand-in.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    /// Replaces the list.
    pub(crate) fn set(&self, faults: Vec<Fault>) {
        *self.lock() = faults;
    }

    /// The first fault that applies to a call, counted down.
    pub(crate) fn take(&self, path: &str, application: Option<&str>) -> Option<Fault> {
        let mut faults = self.lock();
        let applies = |fault: &&mut Fault| {
            fault.path.as_deref().is_none_or(|wanted| wanted == path)
                && fault.application.as_deref().is_none_or(|wanted| Some(wanted) == application)
                && fault.times != Some(0)
        };
        let fault = faults.iter_mut().find(applies)?;
        fault.times = fault.times.map(|times| times - 1);
        Some(fault.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Fault>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_entry_with_times_left_applies() {
        let faults = Faults::default();
        let list = r#"[{"path":"/a","status":503,"times":2},{"path":"/a","status":500},{"application":"B","reset":true}]"#;
        faults.set(serde_json::from_str(list).unwrap());
        let status = |path, application| faults.take(path, application).map(|fault| fault.status);
        assert_eq!(status("/a", None), Some(Some(503)));
        assert_eq!(status("/a", None), Some(Some(503)));
        assert_eq!(status("/a", None), Some(Some(500)));
        assert_eq!(status("/b", Some("B")), Some(None));
        assert_eq!(status("/b", None), None);
        faults.set(Vec::new());
        assert_eq!(status("/a", None), None);
    }
}
