//! Limits of the templates' files, and what the documents count.

use crate::Problems;
use crate::translated::{observability, repository};

/// What AWS takes as a template in a request
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>).
const MAX_BYTES: usize = 51_200;

/// What can be read without scrolling.
const MAX_COLUMNS: usize = 160;

#[test]
fn templates_are_small_enough_to_be_sent_and_read() {
    let mut problems = Problems::default();
    for name in ["template.yaml", "deploy/observability.yaml"] {
        let text = std::fs::read_to_string(repository(name)).unwrap();
        let bytes = text.len();
        problems.check(bytes <= MAX_BYTES, format!("{name} has {bytes} bytes"));
        for (number, line) in (1..).zip(text.lines()) {
            let columns = line.chars().count();
            problems
                .check(columns <= MAX_COLUMNS, format!("{name}:{number} has {columns} columns"));
        }
    }
    problems.report();
}

#[test]
fn the_costs_count_every_alarm() {
    let alarms = observability().of_type("AWS::CloudWatch::Alarm").count();
    let text = std::fs::read_to_string(repository("docs/DEPLOY.md")).unwrap();
    assert!(text.contains(&format!("; {alarms} alarms;")), "docs/DEPLOY.md: {alarms} alarms");
}
