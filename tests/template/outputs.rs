//! Outputs: every queue, bucket and table of the stack, so that a runbook can name it.

use std::collections::BTreeSet;

use serde_json::json;

use crate::Problems;
use crate::translated::{repository, template};

/// How a document names an output.
const OUTPUT: &str = "output `";

#[test]
fn every_place_that_holds_something_has_an_output() {
    let template = template();
    let mut problems = Problems::default();
    for kind in ["AWS::SQS::Queue", "AWS::S3::Bucket", "AWS::DynamoDB::Table"] {
        for (name, _) in template.of_type(kind) {
            let value = json!({"Ref": name});
            let named = template.outputs().values().any(|output| output["Value"] == value);
            problems.check(named, format!("no output names {name}"));
        }
    }
    problems.report();
}

/// A document that tells somebody to look at something says under which name the stack tells where it is.
#[test]
fn the_documents_and_the_outputs_name_each_other() {
    let template = template();
    let mut named = BTreeSet::new();
    for document in ["docs/OPERATIONS.md", "docs/DEPLOY.md", "docs/PRIVACY.md"] {
        let text = std::fs::read_to_string(repository(document)).unwrap();
        // A line may break between the words.
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let written = text.split(OUTPUT).skip(1).filter_map(|rest| rest.split('`').next());
        named.extend(written.map(str::to_owned));
    }
    let outputs: BTreeSet<String> = template.outputs().keys().cloned().collect();
    let mut problems = Problems::default();
    for name in named.difference(&outputs) {
        problems.check(false, format!("the stack has no output {name}"));
    }
    for name in outputs.difference(&named) {
        problems.check(false, format!("no document says what the output {name} is for"));
    }
    problems.report();
}

/// Tags of the stack, which every resource gets: they tell whom to ask, and whose costs they are.
#[test]
fn every_resource_has_an_owner_and_a_cost_center() {
    let options = std::fs::read_to_string(repository("samconfig.toml")).unwrap();
    let tags = options.lines().find_map(|line| line.strip_prefix("tags = "));
    let tags = tags.expect("samconfig.toml has no tags");
    for tag in ["application=", "owner=", "cost-center="] {
        assert!(tags.contains(tag), "samconfig.toml has no tag {tag}");
    }
}
