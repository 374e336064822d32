//! Least privilege: each function may do what is listed here and nothing else.

use serde_json::{Value, json};

use crate::Problems;
use crate::code::deployed;
use crate::translated::{Template, list, list_with_conditional, template, text};

const READ_SECRETS: &str = "secretsmanager:GetSecretValue";
const SEND: &str = "sqs:SendMessage";
const READ_LEDGER: &str = "dynamodb:GetItem";
const BATCH_READ_LEDGER: &str = "dynamodb:BatchGetItem";
const CHANGE_LEDGER: &str = "dynamodb:UpdateItem";
/// Only with the key of `KmsKeyArn` or `ScramKmsKeyArn`.
const DECRYPT: &str = "kms:Decrypt";
const ENCRYPT: &str = "kms:GenerateDataKey";

/// What a function may do.
fn allowed(function: &str) -> &'static [&'static str] {
    match function {
        "Destination" => &[READ_SECRETS, SEND, READ_LEDGER, CHANGE_LEDGER, DECRYPT, ENCRYPT],
        "Source" => &[
            READ_SECRETS,
            SEND,
            DECRYPT,
            ENCRYPT,
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
        "Retry" => &[
            READ_SECRETS,
            SEND,
            "sqs:ReceiveMessage",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            BATCH_READ_LEDGER,
            CHANGE_LEDGER,
            DECRYPT,
            ENCRYPT,
        ],
        _ => &[],
    }
}

/// Managed policies that SAM adds: logs and traces.
const MANAGED: [&str; 3] =
    ["AWSLambdaBasicExecutionRole", "AWSXrayWriteOnlyAccess", "AWSXRayDaemonWriteAccess"];

/// The role with which CodeDeploy shifts requests from one version to the next, and its policy.
const ROLLOUT: (&str, &str) = ("CodeDeployServiceRole", "AWSCodeDeployRoleForLambda");

/// Statements that may name every resource, because the service supports nothing narrower.
const ANY_RESOURCE: [&str; 1] = ["ReachClusterNetwork"];

/// Actions of one statement, and what it may name at most.
const NARROW: [(&str, &str); 3] = [
    ("ReceiveParked", r#"{"Fn::GetAtt":["RetryQueue","Arn"]}"#),
    ("ReadScramSecret", r#"{"Ref":"ScramSecretArn"}"#),
    ("UseScramKey", r#"{"Ref":"ScramKmsKeyArn"}"#),
];

fn check_statements(problems: &mut Problems, owner: &str, document: &Value, allowed: &[&str]) {
    for (statement, condition) in list_with_conditional(&document["Statement"]) {
        let sid = statement["Sid"].as_str().unwrap_or("?");
        for (narrow, resource) in NARROW.iter().filter(|(narrow, _)| *narrow == sid) {
            let named = statement["Resource"].to_string();
            problems.check(named == *resource, format!("{owner}: {narrow} names {named}"));
        }
        if list(&statement["Action"]).into_iter().any(|action| text(action).starts_with("kms:")) {
            let through = &statement["Condition"]["StringEquals"]["kms:ViaService"];
            problems.check(!through.is_null(), format!("{owner}: {sid} is not bound to a service"));
            let optional = matches!(condition, Some("HasKey" | "HasScram"));
            problems.check(optional, format!("{owner}: {sid} needs no condition"));
        }
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
        if name == ROLLOUT.0 {
            let policies = text(&role["Properties"]["ManagedPolicyArns"]);
            problems.check(policies.contains(ROLLOUT.1), format!("{name} may {policies}"));
            problems.check(role["Properties"]["Policies"].is_null(), format!("{name} may more"));
            continue;
        }
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
    // A policy beside a role may be attached after the function was started or the mapping made.
    for (name, _) in template.of_type("AWS::IAM::Policy") {
        problems.check(false, format!("{name} is a policy beside a role"));
    }
    problems.report();
}

/// The statement of a function's role.
fn statement<'a>(template: &'a Template, role: &str, sid: &str) -> &'a Value {
    let policies = list(&template.properties(role)["Policies"]).into_iter();
    let mut statements =
        policies.flat_map(|policy| list_with_conditional(&policy["PolicyDocument"]["Statement"]));
    let found = statements.find(|(statement, _)| statement["Sid"] == sid);
    found.unwrap_or_else(|| panic!("{role} has no statement {sid}")).0
}

/// A name of the cluster, the topic or the group in which only the cluster's id may be open, and only where
/// the cluster is in another account.
#[test]
fn the_source_reads_one_topic_of_one_cluster() {
    let template = template();
    let resource = &statement(&template, "SourceRole", "ReadTopic")["Resource"];
    let [name, foreign, own] = resource["Fn::If"].as_array().unwrap().as_slice() else {
        panic!("ReadTopic must depend on the kind of ClusterArn: {resource}");
    };
    let mut problems = Problems::default();
    problems.equal("the condition of ReadTopic", name, &json!("ThroughVpcConnection"));
    let pattern = |resource: &Value| text(&resource["Fn::Sub"][0]);
    let foreign: Vec<String> = list(foreign).into_iter().map(pattern).collect();
    let owner = "arn:${AWS::Partition}:kafka:${AWS::Region}:${Owner}";
    let expected = [
        format!("{owner}:cluster/${{Cluster}}/*"),
        format!("{owner}:topic/${{Cluster}}/*/{}", deployed::TOPIC),
        format!("{owner}:group/${{Cluster}}/*/${{AWS::StackName}}"),
    ];
    problems.equal("what is read through a VPC connection", &foreign, &expected.to_vec());
    let own = list(own);
    problems.equal("the cluster", own[0], &json!({"Ref": "ClusterArn"}));
    let own: Vec<String> = own.into_iter().skip(1).map(pattern).collect();
    let expected = [
        format!("${{Account}}:topic/${{Cluster}}/{}", deployed::TOPIC),
        "${Account}:group/${Cluster}/${AWS::StackName}".to_owned(),
    ];
    problems.equal("what is read of a cluster of one's own", &own, &expected.to_vec());
    problems.report();
}

/// There is one name to choose: what may be read follows from it.
#[test]
fn the_functions_may_read_the_secrets_that_they_look_for() {
    let template = template();
    let mut problems = Problems::default();
    for role in ["DestinationRole", "SourceRole", "RetryRole"] {
        let resource = &statement(&template, role, "ReadSecrets")["Resource"]["Fn::Sub"];
        let ends = text(&resource[0]).ends_with(":secret:${Prefix}*");
        problems.check(ends, format!("{role} reads {resource}"));
        let prefix = json!({"Fn::Select": [0, {"Fn::Split": ["{", {"Ref": "SecretId"}]}]});
        problems.equal(format!("what {role} reads"), &resource[1]["Prefix"], &prefix);
    }
    problems.report();
}
