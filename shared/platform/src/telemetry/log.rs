//! How log lines are written: JSON with an RFC 3339 timestamp. Without one Lambda takes every line for
//! INFO (<https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>), and
//! the runtime's own subscriber has none.
//!
//! Invariant: whatever the level, other people's crates write nothing below INFO. At TRACE the Lambda runtime
//! prints whole events, and the HTTP stack and the AWS SDK print headers and bodies: keys and personal data.

use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterExt, FilterFn, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The most that crates that are not ours may write.
const OTHERS: LevelFilter = LevelFilter::INFO;

/// Our crates, which print neither payloads nor keys at any level.
const OURS: [&str; 8] = [
    "destination",
    "mapping",
    "platform",
    "pushwoosh",
    "retry",
    "segment",
    "segment_language",
    "source",
];

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
        .with_filter(capped(level).and(once()));
    let subscriber = tracing_subscriber::registry().with(logs);
    #[cfg(feature = "otel")]
    let subscriber = subscriber.with(crate::otel::layer());
    subscriber.init();
}

/// Our crates at this level, and others no lower than theirs.
fn capped(level: LevelFilter) -> Targets {
    let ours = OURS.map(|name| (name, level));
    Targets::new().with_default(level.min(OTHERS)).with_targets(ours)
}

/// Where Lambda's runtime logs what an invocation failed with.
const FAILED: &str = "lambda_runtime::layers::panic";

/// Leaves out what an invocation failed with: the function logs that itself, with the application and what to do, and Lambda
/// has it in its report. A panic, which has a field `error`, is logged nowhere else.
fn once() -> FilterFn<impl Fn(&Metadata<'_>) -> bool> {
    filter_fn(|metadata| metadata.target() != FAILED || metadata.fields().field("error").is_some())
        .with_max_level_hint(LevelFilter::TRACE)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;
    use crate::testing::Logs;

    #[test]
    fn other_crates_write_nothing_below_info_whatever_the_level() {
        let filter = capped(LevelFilter::TRACE);
        for other in ["lambda_runtime::layers::api_client", "hyper::proto", "aws_smithy_runtime"] {
            assert!(filter.would_enable(other, &Level::INFO), "{other}");
            assert!(!filter.would_enable(other, &Level::DEBUG), "{other}");
            assert!(!filter.would_enable(other, &Level::TRACE), "{other}");
        }
        for ours in ["platform::secrets", "destination", "segment::delivery"] {
            assert!(filter.would_enable(ours, &Level::TRACE), "{ours}");
        }
    }

    #[test]
    fn what_an_invocation_failed_with_is_logged_once() {
        let logs = Logs::default();
        let writer = logs.clone();
        let layer = tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(move || writer.clone())
            .with_filter(capped(LevelFilter::INFO).and(once()));
        let _guard = tracing_subscriber::registry().with(layer).set_default();
        tracing::error!(target: FAILED, "{:?}", "Diagnostic");
        tracing::error!(target: FAILED, error = "why", "user handler panicked");
        tracing::error!(target: "platform::queues", "SQS did not take a batch");
        tracing::debug!(target: "hyper", "a header");
        let messages: Vec<_> =
            logs.errors().into_iter().map(|line| line["message"].clone()).collect();
        assert_eq!(messages, ["user handler panicked", "SQS did not take a batch"]);
    }

    #[test]
    fn a_higher_level_is_everybodys() {
        let filter = capped(LevelFilter::ERROR);
        for target in ["platform", "hyper"] {
            assert!(filter.would_enable(target, &Level::ERROR));
            assert!(!filter.would_enable(target, &Level::WARN));
        }
    }
}
