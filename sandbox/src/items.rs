//! Every item that came in, with what became of it: for the page and `/_sandbox/items`.
//!
//! The sandbox sees each invocation, so it knows what came in; the functions log one line per item, which
//! says how it ended. Both name the item's origin, and are joined by it.
//!
//! Invariants: memory is bounded by [`store::KEPT`] and [`store::MAX_BYTES`]; a row that was forgotten still
//! counts. The counts by outcome add up to what came in.
//!
//! # Layout
//! * `arrival`: what an invocation brings.
//! * `row`: an item as it is shown.
//! * `line`: what a function logs of an item.
//! * `store`: the rows, bounded.
//! * `filter`: which rows are asked for.
//! * `detail`: a row with its input, its mapping and its calls.
//! * `remedy`: what to do.
//! * `stream`: rows as server-sent events.

mod arrival;
pub(crate) mod detail;
mod filter;
mod line;
mod remedy;
mod row;
mod store;
pub(crate) mod stream;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;

use self::arrival::Arrivals;
pub(crate) use self::filter::{Filter, pairs};
use self::line::ItemLine;
use self::row::{REFUSED, Refused};
use self::store::{Kept, Store};
use crate::function_error::FunctionError;
use crate::recent::Recent;

/// Samples for the plots: one a second.
const KEPT_SAMPLES: usize = 300;

/// The items, shared by everything that sees them.
#[derive(Debug)]
pub(crate) struct Items {
    inner: Mutex<Inner>,
    /// When the sandbox was started, in milliseconds: numbers of rows and changes begin again with it.
    run: i64,
    /// Counts changes of rows and samples.
    changed: watch::Sender<u64>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    /// Invocations that run: what they brought, by their ids.
    running: HashMap<String, Arrivals>,
    samples: Recent,
}

impl Default for Items {
    fn default() -> Self {
        let samples = Recent::new(KEPT_SAMPLES);
        let inner = Inner { store: Store::default(), running: HashMap::new(), samples };
        let run = Timestamp::now().as_millisecond();
        Self { inner: Mutex::new(inner), run, changed: watch::Sender::new(0) }
    }
}

impl Items {
    /// A function is invoked.
    pub(crate) fn invoked(&self, function: &'static str, id: &str, payload: &[u8]) {
        let Some(arrivals) = Arrivals::read(function, id, payload, Timestamp::now()) else {
            return;
        };
        self.change(|inner| {
            if arrivals.is_known_to_be_taken() {
                inner.store.arrive(&arrivals);
            }
            inner.running.insert(id.to_owned(), arrivals);
        });
    }

    /// Its invocation ended.
    pub(crate) fn answered(&self, id: &str, answer: &Result<Bytes, FunctionError>) {
        self.change(|inner| {
            let Some(arrivals) = inner.running.remove(id) else { return };
            match arrivals.refused(answer) {
                Some(refused) => inner.store.refuse(&refused),
                None => inner.store.arrive(&arrivals),
            }
            if let Err(error) = answer {
                inner.store.fail(&arrivals, &error.to_string());
            }
        });
    }

    /// Nobody waits for the answer of its invocation any more. Without an effect where it was answered.
    pub(crate) fn unanswered(&self, id: &str) {
        if self.lock().running.contains_key(id) {
            self.change(|inner| {
                if let Some(arrivals) = inner.running.remove(id) {
                    inner.store.arrive(&arrivals);
                }
            });
        }
    }

    /// The gateway refused a request, so that no function saw it.
    pub(crate) fn refused_by_gateway(&self, path: &str, app: &str, status: u16) {
        let refused = Refused::by_gateway(path, app, status, Timestamp::now());
        self.change(|inner| inner.store.refuse(&refused));
    }

    /// Takes a log line of a function, if it is one about an item.
    pub(crate) fn line(&self, function: &str, line: &serde_json::Map<String, Value>) {
        let Some(line) = ItemLine::read(function, line) else { return };
        self.change(|inner| {
            // The line of an item may come before the answer to its request.
            let invocation = line.origin.split(' ').next().unwrap_or_default();
            match inner.running.get_mut(invocation) {
                Some(arrivals) if line.step.outcome == REFUSED => {
                    arrivals.reason_of_refusal = line.step.reason;
                    return;
                }
                Some(arrivals) => inner.store.arrive(arrivals),
                None => {}
            }
            if line.step.outcome == REFUSED {
                inner.store.refused_because(&line);
            } else {
                inner.store.line(line);
            }
        });
    }

    /// Items were discarded from a queue: nobody sends them any more.
    pub(crate) fn discarded(&self, origins: &[&str], queue: &str) {
        self.change(|inner| {
            for origin in origins {
                inner.store.discard(origin, queue);
            }
        });
    }

    /// The newest rows that a filter lets through, newest first, as a JSON list.
    pub(crate) fn list(&self, filter: &Filter) -> String {
        self.lock().store.list(filter)
    }

    /// A row with what is kept of it.
    pub(crate) fn find(&self, id: u64) -> Option<Kept> {
        self.lock().store.find(id)
    }

    /// Items by outcome, the transitions into each outcome, and since when the oldest is undelivered.
    pub(crate) fn counts(&self) -> store::Counts {
        self.lock().store.counts()
    }

    /// Adds a sample for the plots.
    pub(crate) fn sample(&self, sample: &Value) {
        self.change(|inner| inner.samples.push(sample.to_string()));
    }

    fn change(&self, act: impl FnOnce(&mut Inner)) {
        act(&mut self.lock());
        self.changed.send_modify(|number| *number += 1);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
