//! The counters of an invocation as CloudWatch metrics: one line in the embedded metric format.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
//!
//! Written here rather than with `metrics_cloudwatch_embedded`: that crate replaces
//! `lambda_runtime::run` and with it the tracing layer.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::tally::Tally;

/// Namespace of every metric.
pub const NAMESPACE: &str = "SegmentPushwoosh";

/// The invocation's EMF line.
pub(super) fn emf(function: &str, tally: &Tally, now: Timestamp) -> Value {
    let (outcomes, counts) = (tally.outcomes(), tally.counts());
    let mut metrics: BTreeMap<&str, (&str, u64)> = BTreeMap::new();
    let mut items = 0;
    for (outcome, number) in &outcomes {
        items += number;
        metrics.entry(outcome.metric()).or_insert(("Count", 0)).1 += number;
    }
    metrics.insert("Items", ("Count", items));
    for (count, number) in &counts {
        let (name, unit) = count.metric();
        metrics.insert(name, (unit, *number));
    }
    // A metric per reason and per kind of denial, of which there are few, rather than a dimension.
    let reasons = outcomes
        .iter()
        .filter_map(|(outcome, number)| Some((format!("Reason.{}", outcome.reason()?), *number)));
    let denials = tally.denials();
    let denials = denials
        .iter()
        .map(|((door, kind), number)| (format!("Denied.{}.{kind}", door.name()), *number));
    let named: Vec<(String, u64)> = reasons.chain(denials).collect();
    metrics.extend(named.iter().map(|(name, number)| (name.as_str(), ("Count", *number))));
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

/// Metrics of what waits on, by application: their names and units.
pub const WAITING: [(&str, &str); 2] =
    [("Undelivered", "Count"), ("OldestUndeliveredS", "Seconds")];

/// An EMF line per application with items that were tried again and wait on. Each counts for the function as a
/// whole and for the application: an alarm is set on the whole, a dashboard shows who it is.
pub(super) fn emf_of_waiting(function: &str, tally: &Tally, now: Timestamp) -> Vec<Value> {
    let declared = WAITING.map(|(name, unit)| json!({"Name": name, "Unit": unit}));
    let lines = tally.waiting().into_iter().map(|(code, waiting)| {
        json!({
            "_aws": {"Timestamp": now.as_millisecond(), "CloudWatchMetrics": [
                {"Namespace": NAMESPACE, "Dimensions": [["Function"], ["Function", "Application"]],
                 "Metrics": declared}]},
            "Function": function,
            "Application": code,
            (WAITING[0].0): waiting.items,
            (WAITING[1].0): waiting.oldest.as_secs(),
        })
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use mapping::{Cause, Outcome, Reason};

    use super::*;
    use crate::telemetry::{Count, Door};

    #[test]
    fn what_waits_is_counted_by_application_with_the_age_of_the_oldest() {
        let tally = Tally::default();
        for (code, age) in [("A", 5), ("B", 7), ("A", 3)] {
            tally.waits(code, 2, std::time::Duration::from_secs(age));
        }
        let lines = emf_of_waiting("retry", &tally, Timestamp::UNIX_EPOCH);
        let found: Vec<_> = lines
            .iter()
            .map(|line| (&line["Application"], &line["Undelivered"], &line["OldestUndeliveredS"]))
            .collect();
        let (a, b) = (json!("A"), json!("B"));
        assert_eq!(found, [(&a, &json!(4), &json!(5)), (&b, &json!(2), &json!(7))]);
    }

    #[test]
    fn the_metrics_of_an_invocation_add_up() {
        let tally = Tally::default();
        tally.items(Outcome::Delivered, 3);
        tally.item(Reason::NoIdentity.into());
        tally.item(Reason::NoPlatform.into());
        tally.item(Outcome::Parked(Cause::Timeout));
        tally.item(Outcome::Parked(Cause::Http(503)));
        tally.add(Count::UpstreamMs, 12);
        tally.denied(Door::Webhook, "wrong_signature", Count::DeniedKey, 1);
        tally.denied(Door::Api, "wrong_key", Count::DeniedKey, 2);
        let line = emf("destination", &tally, Timestamp::UNIX_EPOCH);
        for (metric, number) in [
            ("Items", 7),
            ("ItemsDelivered", 3),
            ("ItemsDisregarded", 2),
            ("ItemsParked", 2),
            ("UpstreamMs", 12),
            ("Reason.no_platform", 1),
            ("DeniedKey", 3),
            ("Denied.webhook.wrong_signature", 1),
            ("Denied.api.wrong_key", 2),
        ] {
            assert_eq!(line[metric], number, "{metric}");
        }
        let metrics = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap();
        assert_eq!(metrics.len(), 10);
        assert!(metrics.contains(&json!({"Name": "UpstreamMs", "Unit": "Milliseconds"})));
        assert_eq!(
            (&line["Function"], &line["_aws"]["Timestamp"]),
            (&json!("destination"), &json!(0))
        );
    }
}
