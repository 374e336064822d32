//! Logs and metrics.
//!
//! Logs are JSON lines with an RFC 3339 timestamp: without one Lambda takes every line for INFO
//! (<https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>), and
//! the runtime's own subscriber has none. Metrics are EMF lines, one per invocation, written here
//! rather than with `metrics_cloudwatch_embedded`: that crate replaces `lambda_runtime::run` and
//! with it the tracing layer. Invariants: no payload and no id is ever logged, only
//! [`hashed`] ids; a metric's only dimension is the function.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use mapping::Outcome;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Namespace of every metric.
pub const NAMESPACE: &str = "SegmentPushwoosh";

/// Starts logging at the level that the function's configuration asks for.
pub fn init() {
    // Lambda sets it from the function's LoggingConfig.
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").ok().filter(|level| !level.is_empty());
    let level = level.and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    let logs = tracing_subscriber::fmt::layer()
        .with_target(false)
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_filter(level);
    let subscriber = tracing_subscriber::registry().with(logs);
    #[cfg(feature = "otel")]
    let subscriber = subscriber.with(crate::otel::layer());
    subscriber.init();
}

/// Bytes of the hash that stand for an id in logs.
const HASH_BYTES: usize = 8;

/// How an id appears in logs: the same id always the same way, and not to be read back.
pub fn hashed(id: &str) -> String {
    Sha256::digest(id.as_bytes()).iter().take(HASH_BYTES).fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

/// What is counted beside the outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Count {
    /// Invocations.
    Invocations,
    /// Invocations that started the process.
    ColdStarts,
    /// Wall time of the invocation, milliseconds.
    DurationMs,
    /// Wall time of calls to Pushwoosh or Segment, milliseconds, summed over calls.
    UpstreamMs,
    /// Calls that the upstream refused for their key.
    UpstreamUnauthorized,
    /// Calls that the upstream refused for their rate.
    UpstreamThrottled,
    /// Tags that Pushwoosh did not save (spec D7).
    SkippedTags,
    /// Settings served after their time because Secrets Manager gave no answer.
    SecretsStale,
}

impl Count {
    /// Name and unit in CloudWatch.
    pub fn metric(self) -> (&'static str, &'static str) {
        match self {
            Self::Invocations => ("Invocations", "Count"),
            Self::ColdStarts => ("ColdStarts", "Count"),
            Self::DurationMs => ("DurationMs", "Milliseconds"),
            Self::UpstreamMs => ("UpstreamMs", "Milliseconds"),
            Self::UpstreamUnauthorized => ("UpstreamUnauthorized", "Count"),
            Self::UpstreamThrottled => ("UpstreamThrottled", "Count"),
            Self::SkippedTags => ("SkippedTags", "Count"),
            Self::SecretsStale => ("SecretsStale", "Count"),
        }
    }
}

/// Outcomes and counts of one invocation. Shared by the items that are worked on together.
#[derive(Debug, Default)]
pub struct Tally {
    inner: Mutex<Totals>,
}

#[derive(Debug, Default)]
struct Totals {
    outcomes: BTreeMap<Outcome, u64>,
    counts: BTreeMap<Count, u64>,
    /// Applications whose calls an upstream refused.
    refused: BTreeSet<(Count, String)>,
}

impl Tally {
    /// One item ended in this outcome.
    pub fn item(&self, outcome: Outcome) {
        self.items(outcome, 1);
    }

    /// Several items ended in this outcome.
    pub fn items(&self, outcome: Outcome, number: u64) {
        if number == 0 {
            return;
        }
        *self.lock().outcomes.entry(outcome).or_default() += number;
    }

    /// Adds to a count.
    pub fn add(&self, count: Count, number: u64) {
        if number == 0 {
            return;
        }
        *self.lock().counts.entry(count).or_default() += number;
    }

    /// An upstream refused an application's call, for its key or its rate. The log names the
    /// application once an invocation, however many calls there were.
    pub fn refused(&self, count: Count, code: &str) {
        self.add(count, 1);
        self.lock().refused.insert((count, code.to_owned()));
    }

    /// Adds a time to a count of milliseconds.
    pub fn time(&self, count: Count, time: Duration) {
        self.add(count, u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }

    /// How many items ended in an outcome that passes.
    pub fn count(&self, passes: impl Fn(Outcome) -> bool) -> u64 {
        self.lock()
            .outcomes
            .iter()
            .filter(|(outcome, _)| passes(**outcome))
            .map(|(_, number)| number)
            .sum()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Totals> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The invocation's EMF line.
    fn emf(&self, function: &str, now: Timestamp) -> Value {
        let counts = self.lock();
        let mut metrics: BTreeMap<&str, (&str, u64)> = BTreeMap::new();
        let mut items = 0;
        for (outcome, number) in &counts.outcomes {
            items += number;
            metrics.entry(outcome.metric()).or_insert(("Count", 0)).1 += number;
        }
        metrics.insert("Items", ("Count", items));
        for (count, number) in &counts.counts {
            let (name, unit) = count.metric();
            metrics.insert(name, (unit, *number));
        }
        // A metric per reason, of which there are few, rather than a dimension.
        let reasons: Vec<(String, u64)> = counts
            .outcomes
            .iter()
            .filter_map(|(outcome, number)| {
                Some((format!("Reason.{}", outcome.reason()?), *number))
            })
            .collect();
        let reasons = reasons.iter().map(|(name, number)| (name.as_str(), ("Count", *number)));
        metrics.extend(reasons);
        let declared: Vec<Value> =
            metrics.iter().map(|(name, (unit, _))| json!({"Name": name, "Unit": unit})).collect();
        let mut line = json!({
            "_aws": {"Timestamp": now.as_millisecond(), "CloudWatchMetrics": [
                {"Namespace": NAMESPACE, "Dimensions": [["Function"]], "Metrics": declared}]},
            "Function": function,
        });
        if let Value::Object(line) = &mut line {
            line.extend(
                metrics.iter().map(|(name, (_, number))| ((*name).to_owned(), (*number).into())),
            );
        }
        line
    }

    /// Reasons and how many items ended with each, for the log.
    fn reasons(&self) -> Map<String, Value> {
        let counts = self.lock();
        let reasons = counts
            .outcomes
            .iter()
            .filter_map(|(outcome, number)| Some((outcome.reason()?, *number)));
        reasons.map(|(reason, number)| (reason.code().to_owned(), number.into())).collect()
    }

    /// Writes the invocation's one log line and its metrics.
    pub fn report(&self, function: &'static str) {
        static WARM: AtomicBool = AtomicBool::new(false);
        let cold_start = !WARM.swap(true, Ordering::Relaxed);
        self.add(Count::Invocations, 1);
        self.add(Count::ColdStarts, u64::from(cold_start));
        for (count, code) in std::mem::take(&mut self.lock().refused) {
            let (metric, _) = count.metric();
            tracing::warn!(app.code = code, metric, "an upstream refuses an application's calls");
        }
        let of = |kind: &'static str| self.count(|outcome| outcome.code() == kind);
        let counts = self.lock().counts.clone();
        let reasons = Value::Object(self.reasons()).to_string();
        let get = |count| counts.get(&count).copied().unwrap_or_default();
        tracing::info!(
            function,
            items.delivered = of(Outcome::DELIVERED),
            items.disregarded = of(Outcome::DISREGARDED),
            items.parked = of(Outcome::PARKED),
            items.rejected = of(Outcome::REJECTED),
            items.failed = of(Outcome::FAILED),
            reasons,
            duration_ms = get(Count::DurationMs),
            upstream_ms = get(Count::UpstreamMs),
            cold_start,
            "invocation"
        );
        let mut line = self.emf(function, Timestamp::now()).to_string();
        line.push('\n');
        // A metric that cannot be written is no reason to fail the invocation.
        std::io::stdout().lock().write_all(line.as_bytes()).ok();
        #[cfg(feature = "otel")]
        crate::otel::flush();
    }
}

#[cfg(test)]
mod tests {
    use mapping::Reason;

    use super::*;

    #[test]
    fn the_metrics_of_an_invocation_add_up() {
        let tally = Tally::default();
        tally.items(Outcome::Delivered, 3);
        tally.item(Outcome::Disregarded(Reason::NoIdentity));
        tally.item(Outcome::Disregarded(Reason::NoPlatform));
        tally.add(Count::UpstreamMs, 12);
        let line = tally.emf("destination", Timestamp::UNIX_EPOCH);
        assert_eq!(line["Items"], 5);
        assert_eq!(line["ItemsDelivered"], 3);
        assert_eq!(line["ItemsDisregarded"], 2);
        assert_eq!(line["UpstreamMs"], 12);
        let metrics = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap();
        assert_eq!(line["Reason.no_platform"], 1);
        assert_eq!(metrics.len(), 6);
        assert_eq!(tally.reasons()["no_platform"], 1);
    }

    #[test]
    fn an_id_is_hashed_the_same_way_each_time() {
        assert_eq!(hashed("u1"), hashed("u1"));
        assert_ne!(hashed("u1"), hashed("u2"));
        assert_eq!(hashed("u1").len(), 16);
    }
}
