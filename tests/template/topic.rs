//! The event source mapping of the topic.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::Problems;
use crate::code::{deployed, event_names};
use crate::translated::{Template, list, only_if, template, text};

/// Properties of a Kafka event source mapping that AWS accepts with provisioned pollers only.
const PROVISIONED_ONLY: [&str; 7] = [
    "BisectBatchOnFunctionError",
    "FunctionResponseTypes",
    "LoggingConfig",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "MetricsConfig",
    "ProvisionedPollerConfig",
];

/// What a function may take with a Kafka event source mapping at most: 14 minutes
/// (<https://docs.aws.amazon.com/lambda/latest/dg/with-msk-configure.html>).
const MAX_TIMEOUT_S: u64 = 840;

fn mapping(template: &Template) -> &Value {
    let properties = template.properties("SourceTopic");
    assert!(properties.is_object(), "SourceTopic, the topic's event source mapping, is missing");
    properties
}

#[test]
fn what_needs_provisioned_pollers_is_absent_without_them() {
    let template = template();
    let mapping = mapping(&template);
    let mut problems = Problems::default();
    for name in PROVISIONED_ONLY {
        let value = &mapping[name];
        let conditional = value.is_null() || only_if("Provisioned", value).is_some();
        problems.check(conditional, format!("{name} must depend on the condition Provisioned"));
    }
    let pollers = mapping["ProvisionedPollerConfig"].is_object();
    problems.check(pollers, "SourceTopic has no provisioned pollers");
    // The function reports failed records one by one exactly if the mapping reads that.
    let reported = only_if("Provisioned", &mapping["FunctionResponseTypes"])
        == Some(&json!(["ReportBatchItemFailures"]));
    problems.check(reported, "provisioned pollers do not read the partial-batch response");
    let variables = &template.properties("Source")["Environment"]["Variables"];
    let follows = variables["PWSEG_PARTIAL_BATCH_RESPONSE"]
        == json!({"Fn::If": ["Provisioned", "true", "false"]});
    problems.check(follows, "PWSEG_PARTIAL_BATCH_RESPONSE does not follow PollerMode");
    problems.report();
}

#[test]
fn the_topic_is_read_as_in_the_sandbox() {
    let template = template();
    let mapping = mapping(&template);
    let mut problems = Problems::default();
    problems.equal("Topics of SourceTopic", &mapping["Topics"], &json!([deployed::TOPIC]));
    let batch = text(template.default_of(&mapping["BatchSize"]));
    problems.equal("BatchSize of SourceTopic", &batch, &deployed::TOPIC_BATCH_SIZE.to_string());
    let retries = only_if("Provisioned", &mapping["MaximumRetryAttempts"]).map(text);
    problems.equal(
        "MaximumRetryAttempts of SourceTopic",
        &retries,
        &Some(deployed::TOPIC_MAX_RETRIES.to_string()),
    );
    // `LATEST` misses what is written while the mapping is made.
    let start = text(template.default_of(&mapping["StartingPosition"]));
    problems.equal("StartingPosition of SourceTopic", &start, &"TRIM_HORIZON".to_owned());
    let timestamp = only_if("FromTimestamp", &mapping["StartingPositionTimestamp"]);
    problems.check(timestamp.is_some(), "StartingPositionTimestamp is for AT_TIMESTAMP only");
    // Without it, on-demand pollers repeat a batch until the topic forgets it.
    let kept = json!({"OnFailure": {"Destination": {"Fn::GetAtt": ["FailureBucket", "Arn"]}}});
    problems.equal("DestinationConfig of SourceTopic", &mapping["DestinationConfig"], &kept);
    let timeout = template.properties("Source")["Timeout"].as_u64();
    let allowed = timeout.is_some_and(|timeout| timeout <= MAX_TIMEOUT_S);
    problems.check(allowed, "Source: a Kafka event source mapping allows 14 minutes at most");
    problems.report();
}

/// A name that the filter lacks would never reach the function, and nothing would count it.
#[test]
fn the_filter_passes_exactly_the_exported_events() {
    let template = template();
    let criteria = only_if("Filtered", &mapping(&template)["FilterCriteria"]);
    let filters = list(&criteria.expect("FilterCriteria must depend on Filtered")["Filters"]);
    let [filter] = filters.as_slice() else { panic!("one filter is expected: {filters:?}") };
    let pattern: Value = serde_json::from_str(filter["Pattern"].as_str().unwrap()).unwrap();
    let names = &pattern["value"]["event_name"];
    let passed: BTreeSet<&str> = list(names).into_iter().filter_map(Value::as_str).collect();
    let mut problems = Problems::default();
    problems.equal(
        "the pattern's only condition",
        &pattern,
        &json!({"value": {"event_name": names}}),
    );
    let exported = event_names();
    for name in exported.difference(&passed) {
        problems.check(false, format!("FilterEvents withholds the event {name}"));
    }
    for name in passed.difference(&exported) {
        problems.check(false, format!("FilterEvents passes {name}, which is not exported"));
    }
    problems.report();
}
