//! Alarms, dashboard and runbook: every alarm has an entry in `docs/OPERATIONS.md`, and every
//! metric of the functions' own is one that they write.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::Problems;
use crate::code::{APPLICATION, DIMENSION, METRICS, WAITING, deployed, metrics};
use crate::queues::logical_id;
use crate::translated::{Template, list, observability, repository, text};

/// An alarm that a function is slow is raised at this part of its time limit, in percent.
const SLOW_PERCENT: u64 = 70;

fn alarms(template: &Template) -> Vec<(&str, &Value)> {
    let alarms = template.of_type("AWS::CloudWatch::Alarm");
    alarms.map(|(name, alarm)| (name, &alarm["Properties"])).collect()
}

#[test]
fn every_alarm_names_its_entry_in_the_runbook() {
    let template = observability();
    let runbook = std::fs::read_to_string(repository("docs/OPERATIONS.md")).unwrap();
    let (_, entries) = runbook.split_once("\n## Alarms\n").expect("a section for the alarms");
    let mut entries: BTreeSet<&str> =
        entries.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let mut problems = Problems::default();
    for (name, alarm) in alarms(&template) {
        let anchor = format!("docs/OPERATIONS.md#{}", name.to_lowercase());
        let named = text(&alarm["AlarmDescription"]).ends_with(&anchor);
        problems.check(named, format!("the alarm {name} does not name {anchor}"));
        let entry = entries.remove(name);
        problems.check(entry, format!("docs/OPERATIONS.md has no entry for the alarm {name}"));
    }
    for entry in entries {
        problems.check(false, format!("docs/OPERATIONS.md: there is no alarm {entry}"));
    }
    problems.report();
}

#[test]
fn every_alarm_notifies_the_topic() {
    let template = observability();
    let mut problems = Problems::default();
    let notifies =
        json!({"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]});
    for (name, alarm) in alarms(&template) {
        for actions in ["AlarmActions", "OKActions"] {
            let complete = alarm[actions] == notifies;
            problems.check(complete, format!("the alarm {name} has no {actions}"));
        }
    }
    problems.report();
}

/// On-demand pollers write no metrics: an alarm on one could never be raised.
#[test]
fn alarms_on_the_topics_mapping_are_for_provisioned_pollers() {
    let template = observability();
    let mut problems = Problems::default();
    let mut found = 0;
    for (name, resource) in template.of_type("AWS::CloudWatch::Alarm") {
        let metrics = of_alarm(&resource["Properties"]);
        let of_mapping = |metric: &Metric| metric.2.concat().starts_with("EventSourceMappingUUID");
        if metrics.iter().any(of_mapping) {
            found += 1;
            let provisioned = resource["Condition"] == "SourceProvisioned";
            problems.check(provisioned, format!("{name} can never be raised on demand"));
        }
    }
    problems.equal("the number of alarms on the mapping", &found, &3);
    problems.report();
}

#[test]
fn slow_alarms_follow_the_time_limits() {
    let template = observability();
    let mut problems = Problems::default();
    for function in deployed::FUNCTIONS {
        let name = format!("{}Slow", logical_id(function.name));
        let milliseconds = function.timeout.as_secs() * 1000 * SLOW_PERCENT / 100;
        let threshold = text(&template.properties(&name)["Threshold"]);
        problems.equal(format!("the threshold of {name}"), &threshold, &milliseconds.to_string());
    }
    problems.report();
}

/// Namespace, name and dimensions, such as `Function=retry`.
type Metric = (String, String, Vec<String>);

/// The metrics of an alarm.
fn of_alarm(alarm: &Value) -> Vec<Metric> {
    let metric = |metric: &Value| {
        let dimensions = list(&metric["Dimensions"]).into_iter();
        let dimensions = dimensions
            .map(|dimension| format!("{}={}", text(&dimension["Name"]), text(&dimension["Value"])));
        (text(&metric["Namespace"]), text(&metric["MetricName"]), dimensions.collect())
    };
    if alarm["Metrics"].is_null() {
        return vec![metric(alarm)];
    }
    let metrics = list(&alarm["Metrics"]).into_iter().map(|entry| &entry["MetricStat"]["Metric"]);
    metrics.filter(|entry| !entry.is_null()).map(metric).collect()
}

/// The metrics of the dashboard: `[namespace, name, dimension, value, …, options]`.
fn of_dashboard(widgets: &[&Value]) -> Vec<Metric> {
    let metrics = widgets.iter().flat_map(|widget| list(&widget["properties"]["metrics"]));
    let metrics =
        metrics.map(list).filter(|metric| metric.first().is_some_and(|first| first.is_string()));
    metrics
        .map(|metric| {
            let words: Vec<String> = metric.iter().map(|word| text(word)).collect();
            let dimensions = words.iter().skip(2).zip(words.iter().skip(3)).step_by(2);
            let dimensions = dimensions.map(|(name, value)| format!("{name}={value}")).collect();
            (words[0].clone(), words[1].clone(), dimensions)
        })
        .collect()
}

#[test]
fn alarms_and_dashboard_show_metrics_that_the_functions_write() {
    let template = observability();
    let body = &template.properties("Dashboard")["DashboardBody"]["Fn::ToJsonString"];
    let widgets = list(&body["widgets"]);
    let mut problems = Problems::default();
    problems.check(!widgets.is_empty(), "the dashboard has no widgets");
    let written = metrics();
    let of_functions: Vec<String> =
        deployed::FUNCTIONS.map(|function| format!("{DIMENSION}={}", function.name)).to_vec();
    let filtered = of_filters(&template);
    let shown = alarms(&template).into_iter().flat_map(|(_, alarm)| of_alarm(alarm));
    for (namespace, name, dimensions) in shown.chain(of_dashboard(&widgets)) {
        if namespace.starts_with("AWS/") {
            continue;
        }
        problems.check(namespace == METRICS, format!("no function writes to {namespace}"));
        if dimensions.is_empty() && filtered.contains(&name) {
            continue;
        }
        problems.check(written.contains(name.as_str()), format!("no function writes {name}"));
        let [dimension] = dimensions.as_slice() else {
            problems.check(false, format!("{name} has the dimensions {dimensions:?}"));
            continue;
        };
        let known = of_functions.contains(dimension);
        problems.check(known, format!("{name} is not written with {dimension}"));
    }
    let body = text(body);
    let searches = body.matches("SEARCH(").count();
    let schema = format!("SEARCH('{{{METRICS},{DIMENSION}}} Reason'");
    let mut known = body.matches(&schema).count();
    for (name, _) in WAITING {
        let named = format!(r#"MetricName=\"{name}\"'"#);
        let schema = format!("SEARCH('{{{METRICS},{DIMENSION},{APPLICATION}}} {named}");
        known += body.matches(&schema).count();
    }
    problems.equal("searches for the functions' metrics", &searches, &known);
    problems.report();
}

/// Names of the metrics that are made from lines of the functions' logs.
fn of_filters(template: &Template) -> BTreeSet<String> {
    let filters = template.of_type("AWS::Logs::MetricFilter");
    let made = filters
        .flat_map(|(_, filter)| list(&filter["Properties"]["MetricTransformations"]))
        .filter(|made| made["MetricNamespace"] == METRICS);
    made.map(|made| text(&made["MetricName"])).collect()
}

/// The alarm for the ledger follows its log lines.
#[test]
fn the_filters_find_the_errors_of_the_ledger() {
    let template = observability();
    let code = std::fs::read_to_string(repository("shared/platform/src/ledger/table.rs")).unwrap();
    let (errors, found) =
        (code.matches("tracing::error!(").count(), code.matches("\"DynamoDB ").count());
    let mut problems = Problems::default();
    problems.check(errors > 0, "the ledger logs no errors");
    problems.equal("errors of the ledger that the filters find", &found, &errors);
    for (name, filter) in template.of_type("AWS::Logs::MetricFilter") {
        let pattern = text(&filter["Properties"]["FilterPattern"]);
        let expected = r#"{ $.level = "ERROR" && $.message = "DynamoDB*" }"#;
        problems.check(pattern == expected, format!("{name} has the pattern {pattern}"));
    }
    problems.report();
}
