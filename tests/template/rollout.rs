//! New versions: what is invoked is the alias, a changed setting publishes a version, and the alarms that
//! bring the version before back exist.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::Problems;
use crate::code::deployed;
use crate::queues::logical_id;
use crate::translated::{Template, list, observability, template, text};

/// Longest description of a version
/// (<https://docs.aws.amazon.com/lambda/latest/api/API_PublishVersion.html>).
const MAX_DESCRIPTION: usize = 256;

/// Everything that a value refers to by `Ref`, conditions included.
fn references<'a>(template: &'a Template, value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("Ref", Value::String(name)) => {
                        found.insert(name);
                    }
                    ("Fn::If", Value::Array(branches)) => {
                        let condition = branches[0].as_str().unwrap();
                        references(template, &template.conditions()[condition], found);
                        for branch in branches.iter().skip(1) {
                            references(template, branch, found);
                        }
                    }
                    _ => references(template, value, found),
                }
            }
        }
        Value::Array(values) => {
            for value in values {
                references(template, value, found);
            }
        }
        _ => {}
    }
}

/// SAM publishes no version when a parameter's value changes, and the alias would keep the old settings.
/// CloudFormation does when the version's description changes.
#[test]
fn a_changed_setting_publishes_a_version() {
    let template = template();
    let mut problems = Problems::default();
    for function in deployed::FUNCTIONS.map(|function| logical_id(function.name)) {
        let mut versions = template
            .of_type("AWS::Lambda::Version")
            .map(|(_, version)| &version["Properties"])
            .filter(|version| version["FunctionName"] == json!({"Ref": function}));
        let version = versions.next().unwrap_or_else(|| panic!("{function} has no version"));
        let description = text(&version["Description"]["Fn::Sub"]);
        let mut used = BTreeSet::new();
        references(&template, &template.properties(&function)["Environment"], &mut used);
        let parameters = template.parameters();
        for name in used.iter().filter(|name| parameters.contains_key(**name)) {
            let named = description.contains(&format!("${{{name}}}"));
            problems.check(named, format!("{function} keeps its settings when {name} changes"));
        }
        let mut longest = description;
        for (name, parameter) in parameters {
            let bound = ["MaxLength", "MaxValue"].map(|bound| parameter[bound].as_u64());
            let length = match bound {
                [Some(length), _] => usize::try_from(length).unwrap(),
                [None, Some(value)] => value.to_string().len(),
                _ => list(&parameter["AllowedValues"])
                    .iter()
                    .map(|one| text(one).len())
                    .max()
                    .unwrap_or(32),
            };
            longest = longest.replace(&format!("${{{name}}}"), &"x".repeat(length));
        }
        let length = longest.len();
        problems.check(length <= MAX_DESCRIPTION, format!("{function}: {length} characters"));
    }
    problems.report();
}

#[test]
fn what_is_invoked_is_the_alias() {
    let template = template();
    let mut problems = Problems::default();
    for kind in ["AWS::Lambda::EventSourceMapping", "AWS::Lambda::Permission"] {
        for (name, resource) in template.of_type(kind) {
            let function = text(&resource["Properties"]["FunctionName"]["Ref"]);
            problems.check(function.ends_with("Aliaslive"), format!("{name} invokes {function}"));
        }
    }
    let api = template.properties("Api")["Body"]["paths"].to_string();
    for part in api.split(":function:").skip(1).chain(api.split("FunctionName").skip(1)) {
        problems.check(false, format!("the HTTP API invokes a function by name: {part:.60}"));
    }
    problems.check(api.contains("DestinationAliaslive"), "the HTTP API does not invoke the alias");
    problems.report();
}

#[test]
fn the_alarms_that_stop_a_rollout_exist() {
    let template = template();
    let nested = observability();
    let names: BTreeSet<String> = nested
        .of_type("AWS::CloudWatch::Alarm")
        .filter_map(|(name, alarm)| {
            let full = text(&alarm["Properties"]["AlarmName"]["Fn::Sub"]);
            (full == format!("${{StackName}}-{name}")).then(|| name.to_owned())
        })
        .collect();
    let mut problems = Problems::default();
    for function in deployed::FUNCTIONS.map(|function| logical_id(function.name)) {
        let group = template.properties(&format!("{function}DeploymentGroup"));
        let watched = &group["AlarmConfiguration"]["Fn::If"][1]["Alarms"];
        problems.check(!list(watched).is_empty(), format!("{function} is rolled out unwatched"));
        for alarm in list(watched) {
            let name = text(&alarm["Name"]["Fn::Sub"]);
            let known =
                name.strip_prefix("${AWS::StackName}-").is_some_and(|name| names.contains(name));
            problems.check(known, format!("{function}: there is no alarm of the name {name}"));
        }
        let events = &group["AutoRollbackConfiguration"]["Events"];
        let back = list(events).iter().any(|event| **event == "DEPLOYMENT_STOP_ON_ALARM");
        problems.check(back, format!("an alarm does not bring {function} back"));
    }
    problems.report();
}
