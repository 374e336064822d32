//! A circuit per application: after repeated failures calls are not tried for a while, so that a
//! failing upstream delays no request.
//!
//! Invariants: an open circuit lets one call through as a probe when its pause is over; its success
//! closes the circuit, its failure doubles the pause. An upstream that names a time (`Retry-After`)
//! is not called for that long. Circuits of different applications are independent. Pauses are counted by
//! the wall clock: the monotonic one may stand still while Lambda freezes the environment, and a circuit
//! would outlive its outage.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::after;

/// Failures in a row that open a circuit.
const FAILURES: u32 = 5;

/// First pause of an open circuit.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Longest pause of an open circuit.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// A probe without an answer after this long is dropped: its invocation ended before it.
const MAX_PROBE: Duration = Duration::from_secs(10);

/// The circuits towards one upstream.
#[derive(Debug, Default)]
pub struct Circuits {
    circuits: Mutex<HashMap<String, Circuit>>,
}

#[derive(Debug, Default)]
struct Circuit {
    failures: u32,
    pause: Duration,
    open_until: Option<Timestamp>,
    /// A probe is under way, at most until then.
    probe_until: Option<Timestamp>,
}

impl Circuits {
    /// Whether a call may be tried now. Of the calls that ask after a pause, the first is the
    /// probe; the others are refused until it is answered.
    pub fn allows(&self, application: &str, now: Timestamp) -> bool {
        let mut circuits = self.lock();
        let Some(circuit) = circuits.get_mut(application) else {
            return true;
        };
        match (circuit.open_until, circuit.probe_until) {
            (None, _) => true,
            (Some(until), _) | (_, Some(until)) if now < until => false,
            _ => {
                circuit.probe_until = Some(after(now, MAX_PROBE));
                true
            }
        }
    }

    /// Whether a call would be refused now. Asking makes nobody the probe.
    pub fn is_open(&self, application: &str, now: Timestamp) -> bool {
        self.lock().get(application).is_some_and(|circuit| {
            circuit.open_until.is_some_and(|until| now < until)
                || circuit.probe_until.is_some_and(|until| now < until)
        })
    }

    /// A call was answered, with success or with a refusal that is the call's own fault.
    pub fn succeeded(&self, application: &str) {
        self.lock().remove(application);
    }

    /// A call failed and may succeed later.
    pub fn failed(&self, application: &str, retry_after: Option<Duration>, now: Timestamp) {
        let mut circuits = self.lock();
        let circuit = circuits.entry(application.to_owned()).or_default();
        circuit.failures = circuit.failures.saturating_add(1);
        let asked = after(now, retry_after.unwrap_or_default());
        if circuit.probe_until.take().is_some() {
            circuit.pause = (circuit.pause * 2).clamp(FIRST_PAUSE, MAX_PAUSE);
            circuit.open_until = Some(asked.max(after(now, circuit.pause)));
        } else if retry_after.is_some() {
            circuit.open_until = circuit.open_until.max(Some(asked));
        } else if circuit.failures >= FAILURES && circuit.open_until.is_none() {
            // Failures of calls that were under way when it opened change nothing.
            circuit.pause = FIRST_PAUSE;
            circuit.open_until = Some(after(now, circuit.pause));
        }
    }

    /// A call was not answered in time. That costs the callers so much that once is enough.
    pub fn timed_out(&self, application: &str, now: Timestamp) {
        self.lock().entry(application.to_owned()).or_default().failures = FAILURES;
        self.failed(application, None, now);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Circuit>> {
        self.circuits.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn repeated_failures_open_it_and_a_probe_closes_it() {
        let (circuits, now) = (Circuits::default(), Timestamp::UNIX_EPOCH);
        for _ in 0..FAILURES {
            assert!(!circuits.is_open("failing", now) && circuits.allows("failing", now));
            circuits.failed("failing", None, now);
        }
        assert!(circuits.is_open("failing", now) && !circuits.is_open("other", now));
        assert!(!circuits.allows("failing", now));
        assert!(circuits.allows("other", now));
        let later = now + FIRST_PAUSE;
        assert!(!circuits.is_open("failing", later));
        assert!(circuits.allows("failing", later), "the probe");
        assert!(circuits.is_open("failing", later));
        assert!(!circuits.allows("failing", later), "only one");
        circuits.failed("failing", None, later);
        assert!(!circuits.allows("failing", later + FIRST_PAUSE), "the pause has doubled");
        let probe = later + FIRST_PAUSE * 2;
        assert!(circuits.allows("failing", probe));
        circuits.succeeded("failing");
        assert!(circuits.allows("failing", probe) && circuits.allows("failing", probe));
    }

    #[test]
    fn a_named_time_is_kept_at_once() {
        let (circuits, now) = (Circuits::default(), Timestamp::UNIX_EPOCH);
        circuits.failed("A", Some(Duration::from_secs(7)), now);
        assert!(!circuits.allows("A", now + Duration::from_secs(7) - MS));
        assert!(circuits.allows("A", now + Duration::from_secs(7)));
    }

    #[test]
    fn a_probe_without_an_answer_does_not_keep_it_open_for_good() {
        let (circuits, now) = (Circuits::default(), Timestamp::UNIX_EPOCH);
        circuits.failed("A", Some(MS), now);
        assert!(circuits.allows("A", now + MS));
        assert!(!circuits.allows("A", now + MS));
        assert!(!circuits.is_open("A", now + MS + MAX_PROBE));
        assert!(circuits.allows("A", now + MS + MAX_PROBE));
    }
}
