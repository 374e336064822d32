//! How log lines are written: JSON with an RFC 3339 timestamp. Without one Lambda takes every line for
//! INFO (<https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>), and
//! the runtime's own subscriber has none.
//!
//! Invariant: whatever the level, other people's crates write nothing below INFO. At TRACE the Lambda runtime
//! prints whole events, and the HTTP stack and the AWS SDK print headers and bodies: keys and personal data.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
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
        .with_filter(capped(level));
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

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

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
    fn a_higher_level_is_everybodys() {
        let filter = capped(LevelFilter::ERROR);
        for target in ["platform", "hyper"] {
            assert!(filter.would_enable(target, &Level::ERROR));
            assert!(!filter.would_enable(target, &Level::WARN));
        }
    }
}
