//! Least privilege: each function may do what is listed here and nothing else.

use serde_json::Value;

use crate::Problems;
use crate::code::deployed;
use crate::translated::{list, template, text};

const READ_SECRETS: &str = "secretsmanager:GetSecretValue";
const SEND: &str = "sqs:SendMessage";
const READ_LEDGER: &str = "dynamodb:GetItem";
const BATCH_READ_LEDGER: &str = "dynamodb:BatchGetItem";
const CHANGE_LEDGER: &str = "dynamodb:UpdateItem";

/// What a function may do.
fn allowed(function: &str) -> &'static [&'static str] {
    match function {
        "Destination" => &[READ_SECRETS, SEND, READ_LEDGER, CHANGE_LEDGER],
        "Source" => &[
            READ_SECRETS,
            SEND,
            "s3:PutObject",
            "s3:ListBucket",
            "kafka:DescribeCluster",
            "kafka:DescribeClusterV2",
            "kafka:GetBootstrapBrokers",
            "kafka:DescribeVpcConnection",
            "kafka:ListScramSecrets",
            "kafka-cluster:Connect",
            "kafka-cluster:DescribeGroup",
            "kafka-cluster:AlterGroup",
            "kafka-cluster:DescribeTopic",
            "kafka-cluster:ReadData",
            "kafka-cluster:DescribeClusterDynamicConfiguration",
            "ec2:CreateNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DeleteNetworkInterface",
            "ec2:DescribeVpcs",
            "ec2:DescribeSubnets",
            "ec2:DescribeSecurityGroups",
        ],
        "Retry" => &[READ_SECRETS, SEND, READ_LEDGER, BATCH_READ_LEDGER, CHANGE_LEDGER],
        _ => &[],
    }
}

/// Managed policies that SAM adds: logs, traces, and the queue that invokes a function.
const MANAGED: [&str; 4] = [
    "AWSLambdaBasicExecutionRole",
    "AWSXrayWriteOnlyAccess",
    "AWSXRayDaemonWriteAccess",
    "AWSLambdaSQSQueueExecutionRole",
];

/// Statements that may name every resource, because the service supports nothing narrower.
const ANY_RESOURCE: [&str; 1] = ["ReachClusterNetwork"];

/// Policies beside the roles, and what each allows.
const EXTRA_POLICIES: [(&str, &[&str]); 2] = [
    ("KeyAccess", &["kms:Decrypt", "kms:GenerateDataKey"]),
    ("SourceScramAccess", &[READ_SECRETS]),
];

fn check_statements(problems: &mut Problems, owner: &str, document: &Value, allowed: &[&str]) {
    for statement in list(&document["Statement"]) {
        let sid = statement["Sid"].as_str().unwrap_or("?");
        for action in list(&statement["Action"]) {
            let needed = allowed.iter().any(|allowed| action == allowed);
            problems.check(needed, format!("{owner} may {action} ({sid}), which it does not need"));
        }
        for resource in list(&statement["Resource"]) {
            let narrow = resource != "*" || ANY_RESOURCE.contains(&sid);
            problems.check(narrow, format!("{owner}: {sid} names every resource"));
        }
    }
}

#[test]
fn every_function_may_do_what_it_needs_and_no_more() {
    let template = template();
    let mut problems = Problems::default();
    let mut roles = 0;
    for (name, role) in template.of_type("AWS::IAM::Role") {
        let function = name.strip_suffix("Role").unwrap_or(name);
        roles += 1;
        for policy in list(&role["Properties"]["Policies"]) {
            check_statements(&mut problems, function, &policy["PolicyDocument"], allowed(function));
        }
        for managed in list(&role["Properties"]["ManagedPolicyArns"]) {
            let arn = match &managed["Fn::Join"][1] {
                Value::Array(parts) => parts.iter().map(text).collect(),
                _ => text(managed),
            };
            let policy = arn.rsplit('/').next().unwrap_or_default();
            let known = MANAGED.contains(&policy);
            problems.check(known, format!("{function} has the managed policy {arn}"));
        }
    }
    problems.equal("the number of roles", &roles, &deployed::FUNCTIONS.len());
    for (name, policy) in template.of_type("AWS::IAM::Policy") {
        let known = EXTRA_POLICIES.iter().find(|(policy, _)| *policy == name);
        let allowed = known.map_or(&[][..], |(_, allowed)| allowed);
        check_statements(&mut problems, name, &policy["Properties"]["PolicyDocument"], allowed);
    }
    problems.report();
}
