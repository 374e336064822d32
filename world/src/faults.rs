//! Faults: what a service does wrong, as a list that calls take from.

use std::time::Duration;

use fastrand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::reply::{Connection, Exchange, Reply};

/// One entry of the list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// Only calls of this path, or of this operation of AWS; without it every call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Only calls of this application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// Only calls on a kept connection that was idle for this long before: a peer or a NAT gateway has given
    /// it up meanwhile (see [`crate::connection`]). 0 concerns every connection that is used again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_ms: Option<u64>,
    /// HTTP status that is answered; without it the call is answered normally.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Error code of AWS beside `status`, e.g. `ThrottlingException`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// `Retry-After`, seconds or a date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Value>,
    /// The answer is this much later.
    pub delay_ms: u64,
    /// The connection is closed without an answer.
    pub reset: bool,
    /// The connection stays open without an answer.
    pub hang: bool,
    /// With `status`, `reset` or `hang`: the call takes effect all the same.
    pub processed: bool,
    /// Body that is answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// Garbage of this size is answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<usize>,
    /// In a batch of SQS: so many entries, chosen by chance, are answered as `Failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_entries: Option<usize>,
    /// Applies to a call with this probability, 0 to 1; without it always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// Makes the choices of `probability` the same each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Applies to this many calls; without it until the list is replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

impl Fault {
    /// This reply, delivered as the fault says.
    pub fn exchange(&self, reply: Reply) -> Exchange {
        Exchange { reply, delay: self.delay(), connection: self.connection() }
    }

    /// How much later the answer comes.
    pub fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }

    /// What becomes of the connection.
    pub fn connection(&self) -> Connection {
        if self.reset {
            Connection::Reset
        } else if self.hang {
            Connection::Hangs
        } else {
            Connection::Answered
        }
    }

    /// Whether the call has its effect on the service.
    pub fn takes_effect(&self) -> bool {
        self.processed || (self.status.is_none() && self.connection() == Connection::Answered)
    }

    /// The reply of an upstream with what the fault changes in it.
    pub fn change(&self, mut reply: Reply) -> Reply {
        if let Some(status) = self.status {
            reply = Reply::json(status, &json!({"message": "a fault of the sandbox"}));
        }
        match &self.body {
            Some(Value::String(text)) => {
                reply = Reply::new(reply.status, "text/plain", text.as_str());
            }
            Some(body) => reply = Reply::json(reply.status, body),
            None => {}
        }
        if let Some(size) = self.body_bytes {
            reply = Reply::new(reply.status, "application/json", vec![b'x'; size]);
        }
        if let Some(after) = &self.retry_after {
            let after = after.as_str().map_or_else(|| after.to_string(), str::to_owned);
            reply.headers.push(("retry-after", after));
        }
        reply
    }
}

/// The faults of a service, in order.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    entries: Vec<Entry>,
    /// How long the connection of the next call was idle; nothing where it is new, or where nobody knows.
    idle: Option<Duration>,
}

#[derive(Debug, Clone)]
struct Entry {
    fault: Fault,
    /// The entry's own choices, where it has a seed.
    choices: Option<Rng>,
}

impl Faults {
    /// Replaces the list.
    pub fn set(&mut self, faults: Vec<Fault>) {
        let entries = faults
            .into_iter()
            .map(|fault| Entry { choices: fault.seed.map(Rng::with_seed), fault });
        self.entries = entries.collect();
    }

    /// The list, with the `times` that are left.
    pub fn list(&self) -> Vec<Fault> {
        let left = self.entries.iter().filter(|entry| entry.fault.times != Some(0));
        left.map(|entry| entry.fault.clone()).collect()
    }

    /// The next call comes on a kept connection that was idle for this long, or on a new one.
    pub fn on_connection(&mut self, idle: Option<Duration>) {
        self.idle = idle;
    }

    /// The first fault that applies to a call, counted down. An entry that does not apply by chance is
    /// passed over and keeps its `times`.
    pub fn take(&mut self, path: &str, application: Option<&str>, rng: &mut Rng) -> Option<Fault> {
        let idle = self.idle.take();
        let entry = self.entries.iter_mut().find_map(|entry| {
            let fault = &entry.fault;
            let given_up = fault
                .idle_ms
                .is_none_or(|limit| idle.is_some_and(|idle| idle >= Duration::from_millis(limit)));
            let meant = fault.path.as_deref().is_none_or(|wanted| wanted == path)
                && fault.application.as_deref().is_none_or(|wanted| Some(wanted) == application)
                && fault.times != Some(0)
                && given_up;
            let strikes = meant
                && fault.probability.is_none_or(|probability| {
                    entry.choices.as_mut().unwrap_or(&mut *rng).f64() < probability
                });
            strikes.then_some(entry)
        })?;
        entry.fault.times = entry.fault.times.map(|times| times - 1);
        Some(entry.fault.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Faults {
        let mut faults = Faults::default();
        faults.set(serde_json::from_str(text).unwrap());
        faults
    }

    #[test]
    fn the_first_entry_with_times_left_applies() {
        let mut faults = list(
            r#"[{"path":"/a","status":503,"times":2},{"path":"/a","status":500},{"application":"B","reset":true}]"#,
        );
        let mut rng = Rng::with_seed(1);
        let mut status =
            |path, application| faults.take(path, application, &mut rng).map(|fault| fault.status);
        assert_eq!(status("/a", None), Some(Some(503)));
        assert_eq!(status("/a", None), Some(Some(503)));
        assert_eq!(status("/a", None), Some(Some(500)));
        assert_eq!(status("/b", Some("B")), Some(None));
        assert_eq!(status("/b", None), None);
        assert_eq!(faults.list().len(), 2, "the first entry is used up");
        faults.set(Vec::new());
        assert!(faults.take("/a", None, &mut rng).is_none());
    }

    #[test]
    fn a_seed_fixes_which_calls_a_probability_concerns() {
        let strikes = |seed| {
            let mut faults = list(r#"[{"status":503,"probability":0.3,"seed":7,"times":1000}]"#);
            let mut rng = Rng::with_seed(seed);
            (0..1_000).map(|_| faults.take("/", None, &mut rng).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(strikes(1), strikes(2));
        let number = strikes(1).iter().filter(|struck| **struck).count();
        assert!((250..350).contains(&number), "{number}");
    }

    #[test]
    fn an_entry_that_does_not_strike_leaves_the_call_to_the_next() {
        let mut faults = list(r#"[{"status":503,"probability":0.0,"times":1},{"status":500}]"#);
        let fault = faults.take("/", None, &mut Rng::with_seed(1)).unwrap();
        assert_eq!(fault.status, Some(500));
    }

    #[test]
    fn a_fault_of_idle_connections_spares_new_ones_and_those_in_use() {
        let mut faults = list(r#"[{"idle_ms":60000,"reset":true}]"#);
        let mut rng = Rng::with_seed(1);
        let mut strikes = |idle: Option<u64>| {
            faults.on_connection(idle.map(Duration::from_secs));
            faults.take("/", None, &mut rng).is_some()
        };
        assert_eq!([None, Some(59), Some(60)].map(&mut strikes), [false, false, true]);
        assert!(faults.take("/", None, &mut rng).is_none(), "it is told for one call");
    }

    #[test]
    fn a_broken_connection_leaves_it_open_whether_the_call_took_effect() {
        for (fault, takes_effect) in [
            (r#"{"delay_ms":5}"#, true),
            (r#"{"status":503}"#, false),
            (r#"{"reset":true}"#, false),
            (r#"{"hang":true,"processed":true}"#, true),
        ] {
            let fault: Fault = serde_json::from_str(fault).unwrap();
            assert_eq!(fault.takes_effect(), takes_effect, "{fault:?}");
        }
    }
}
