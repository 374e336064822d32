//! The sandbox in numbers: as Prometheus reads them, and once a second for the page's plots.
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Control;

/// Between two samples.
const EVERY: Duration = Duration::from_secs(1);

/// Takes a sample every second, until the process ends.
pub(crate) async fn sample(control: Arc<Control>) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tick.tick().await;
        control.items.sample(&numbers(&control, Timestamp::now()));
    }
}

/// What the page's plots show.
fn numbers(control: &Control, now: Timestamp) -> Value {
    let counts = control.items.counts();
    let topic = control.topic.state();
    json!({
        "at": format!("{now:.3}"),
        "now": counts.now,
        "entered": counts.entered,
        "lag": topic.get("lag"),
        "oldest_s": oldest(counts.oldest_undelivered.as_deref(), now),
        "queues": control.standins.aws.queues.lengths(),
        "faults": control.standins.number_of_faults(),
    })
}

/// Age of the oldest item that is pending or parked, in seconds.
fn oldest(since: Option<&str>, now: Timestamp) -> i64 {
    let since = since.and_then(|since| since.parse::<Timestamp>().ok());
    since.map_or(0, |since| now.duration_since(since).as_secs().max(0))
}

/// The same as text for Prometheus, with what the functions count.
pub(crate) fn text(control: &Control) -> String {
    let mut text = String::new();
    let counts = control.items.counts();
    let rows = counts.now.iter().map(|(outcome, number)| (outcome.as_str(), json!(number)));
    family(
        &mut text,
        "pwseg_items",
        "gauge",
        "Items that came in, by the outcome that they have now.",
        "outcome",
        rows,
    );
    let entered = counts.entered.iter().map(|(outcome, number)| (outcome.as_str(), json!(number)));
    family(
        &mut text,
        "pwseg_item_outcomes_total",
        "counter",
        "How often an item came to an outcome.",
        "outcome",
        entered,
    );
    let queues = control.standins.aws.queues.lengths();
    let queues = queues.iter().map(|(queue, length)| (queue.as_str(), length.clone()));
    family(&mut text, "pwseg_queue_messages", "gauge", "Messages on a queue.", "queue", queues);
    let states: Vec<(&str, Value)> =
        control.functions.iter().map(|function| (function.name, function.state())).collect();
    for (name, key, help) in [
        ("pwseg_invocations_total", "invocations", "Invocations of a function."),
        ("pwseg_cold_starts_total", "cold_starts", "Processes that were started for a function."),
    ] {
        let numbers =
            states.iter().filter_map(|(name, state)| Some((*name, state.get(key)?.clone())));
        family(&mut text, name, "counter", help, "function", numbers);
    }
    let aws = control.standins.aws.state();
    let calls = aws.get("calls").and_then(Value::as_object);
    let calls = calls.into_iter().flatten().map(|(name, number)| (name.as_str(), number.clone()));
    family(
        &mut text,
        "pwseg_aws_calls_total",
        "counter",
        "Calls of the functions to AWS.",
        "operation",
        calls,
    );
    let lag = control.topic.state().get("lag").cloned().unwrap_or_default();
    let age = oldest(counts.oldest_undelivered.as_deref(), Timestamp::now());
    for (name, help, value) in [
        ("pwseg_topic_lag", "Records on the topic that are not read yet.", lag),
        (
            "pwseg_oldest_undelivered_seconds",
            "Age of the oldest item that is pending or parked.",
            json!(age),
        ),
    ] {
        // Writing to a text cannot fail.
        write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n").ok();
    }
    function_metrics(&mut text, control.logs.metrics().as_object());
    text
}

/// What the functions count themselves, as CloudWatch has it.
fn function_metrics(text: &mut String, metrics: Option<&Map<String, Value>>) {
    let name = "pwseg_function_metric_total";
    write!(text, "# HELP {name} Sums of the functions' own metrics.\n# TYPE {name} counter\n").ok();
    for (function, metrics) in metrics.into_iter().flatten() {
        for (metric, number) in metrics.as_object().into_iter().flatten() {
            writeln!(text, r#"{name}{{function="{function}",metric="{metric}"}} {number}"#).ok();
        }
    }
}

/// One metric with a label.
fn family<'a>(
    text: &mut String,
    name: &str,
    kind: &str,
    help: &str,
    label: &str,
    rows: impl Iterator<Item = (&'a str, Value)>,
) {
    write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n").ok();
    for (value, number) in rows {
        // Quotation marks and backslashes are escaped, as the format wants it.
        writeln!(text, "{name}{{{label}={value:?}}} {number}").ok();
    }
}
