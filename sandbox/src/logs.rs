//! What the functions write: passed on line by line, and read for the page and the state.
//!
//! EMF lines become totals, as CloudWatch would make metrics of them; the last log lines are kept.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use operator::terminal::say;
use serde_json::{Value, json};

use crate::items::Items;
use crate::recent::{self, Recent};

/// Log lines that are kept for the page.
const KEPT: usize = 500;

/// Metrics with this prefix count the outcomes of items.
const ITEMS: &str = "Items";

/// Totals and the last lines.
#[derive(Debug)]
pub(crate) struct Logs {
    inner: Mutex<Inner>,
    items: Arc<Items>,
}

#[derive(Debug)]
struct Inner {
    totals: BTreeMap<String, BTreeMap<String, u64>>,
    lines: Recent,
}

impl Logs {
    /// Lines about items go to these too.
    pub(crate) fn new(items: Arc<Items>) -> Self {
        let inner = Inner { totals: BTreeMap::new(), lines: Recent::new(KEPT) };
        Self { inner: Mutex::new(inner), items }
    }

    /// Takes one line of a function.
    pub(crate) fn line(&self, function: &str, line: &str) {
        say(line);
        let Ok(Value::Object(mut line)) = serde_json::from_str::<Value>(line) else {
            return;
        };
        self.items.line(function, &line);
        let mut inner = self.lock();
        let Some(emf) = line.get("_aws") else {
            line.insert("function".to_owned(), function.into());
            inner.lines.push(recent::text(&line));
            return;
        };
        let metrics = emf.pointer("/CloudWatchMetrics/0/Metrics").and_then(Value::as_array);
        let names = metrics.into_iter().flatten().filter_map(|metric| metric.get("Name")?.as_str());
        let totals = inner.totals.entry(function.to_owned()).or_default();
        for name in names {
            let value = line.get(name).and_then(Value::as_u64).unwrap_or_default();
            *totals.entry(name.to_owned()).or_default() += value;
        }
    }

    /// The last lines, oldest first, as a JSON list.
    pub(crate) fn lines(&self) -> String {
        self.lock().lines.list()
    }

    /// All metrics per function.
    pub(crate) fn metrics(&self) -> Value {
        json!(self.lock().totals)
    }

    /// Items per function and outcome.
    pub(crate) fn outcomes(&self) -> Value {
        let inner = self.lock();
        let outcomes = inner.totals.iter().map(|(function, totals)| {
            let outcomes: BTreeMap<String, u64> = totals
                .iter()
                .filter_map(|(name, number)| {
                    Some((name.strip_prefix(ITEMS)?.to_lowercase(), *number))
                })
                .filter(|(outcome, _)| !outcome.is_empty())
                .collect();
            (function.clone(), json!(outcomes))
        });
        Value::Object(outcomes.collect())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
