//! The queues and the functions' time limits: as the sandbox repeats them, encrypted, and long
//! enough for each other.

use serde_json::{Value, json};

use crate::Problems;
use crate::code::{deployed, settings};
use crate::translated::{Template, template, text};

/// What an HTTP API waits for a function at most, in seconds
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>).
const HTTP_API_TIMEOUT_S: u64 = 30;

/// Visibility timeout over time limit, as AWS recommends
/// (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>).
const VISIBILITY_FACTOR: u64 = 6;

/// Logical id of a function: its name with a capital.
pub(crate) fn logical_id(function: &str) -> String {
    let mut name = function.to_owned();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    name
}

fn timeout(template: &Template, function: &str) -> Option<u64> {
    template.properties(&logical_id(function))["Timeout"].as_u64()
}

#[test]
fn functions_have_the_time_limits_of_the_sandbox() {
    let template = template();
    let mut problems = Problems::default();
    for function in deployed::FUNCTIONS {
        problems.equal(
            format!("the time limit of {}", function.name),
            &timeout(&template, function.name),
            &Some(function.timeout.as_secs()),
        );
    }
    let functions = template.of_type("AWS::Lambda::Function").count();
    problems.equal("the number of functions", &functions, &deployed::FUNCTIONS.len());
    let limit = timeout(&template, "destination").unwrap();
    let within = limit < HTTP_API_TIMEOUT_S;
    problems.check(within, format!("destination: the HTTP API times out before {limit} s"));
    let (_, budget) = settings()["PWSEG_TIME_BUDGET_MS"].range().unwrap();
    let answered = budget < limit * 1000;
    problems.check(answered, format!("destination: {budget} ms are more than its {limit} s"));
    problems.report();
}

#[test]
fn queues_are_encrypted_and_keep_messages_for_as_long_as_sqs_can() {
    let template = template();
    let mut problems = Problems::default();
    let no_value = json!({"Ref": "AWS::NoValue"});
    for (name, queue) in template.of_type("AWS::SQS::Queue") {
        let properties = &queue["Properties"];
        let managed = json!({"Fn::If": ["HasKey", no_value, true]});
        let key = json!({"Fn::If": ["HasKey", {"Ref": "KmsKeyArn"}, no_value]});
        let encrypted =
            properties["SqsManagedSseEnabled"] == managed && properties["KmsMasterKeyId"] == key;
        problems.check(encrypted, format!("{name} is not encrypted"));
        let longest = properties["MessageRetentionPeriod"] == deployed::QUEUE_RETENTION.as_secs();
        problems.check(longest, format!("{name} keeps messages for less than 14 days"));
    }
    problems.report();
}

/// `retry` moves an item at its age limit. Were SQS to delete it before, it would be lost in silence.
#[test]
fn items_reach_their_age_limit_before_sqs_deletes_them() {
    let template = template();
    let mut problems = Problems::default();
    let retention = |queue: &str| template.properties(queue)["MessageRetentionPeriod"].as_u64();
    let longest = |name: &str| settings()[name].range().unwrap().1;
    let (age, delay) = (longest("PWSEG_RETRY_MAX_AGE_S"), longest("PWSEG_RETRY_MAX_DELAY_S"));
    let moved = retention("RetryQueue").is_some_and(|kept| age + delay < kept);
    problems.check(moved, format!("SQS deletes items before they are {age} s + {delay} s old"));
    let all = Some(deployed::QUEUE_RETENTION.as_secs());
    problems.equal("the retention of DeadQueue", &retention("DeadQueue"), &all);
    problems.report();
}

/// What holds undelivered items and why they are, what must not be undone, and the receipts of deletions.
const KEPT: [&str; 8] = [
    "DeadQueue",
    "DestinationLogs",
    "FailureBucket",
    "Ledger",
    "RejectsQueue",
    "RetryLogs",
    "RetryQueue",
    "SourceLogs",
];

#[test]
fn what_must_not_be_lost_outlives_the_stack() {
    let template = template();
    let mut problems = Problems::default();
    for name in KEPT {
        let resource = template.resource(name);
        // A first deployment that fails leaves nothing behind.
        for (policy, value) in
            [("DeletionPolicy", "RetainExceptOnCreate"), ("UpdateReplacePolicy", "Retain")]
        {
            problems.check(resource[policy] == value, format!("{name} has no {policy} {value}"));
        }
    }
    for kind in ["AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SQS::Queue"] {
        for (name, _) in template.of_type(kind) {
            problems.check(KEPT.contains(&name), format!("{name} goes with the stack"));
        }
    }
    problems.report();
}

#[test]
fn queues_and_bucket_are_reached_with_tls_only() {
    let template = template();
    let mut problems = Problems::default();
    let policies = ["AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy"];
    let policies: Vec<&Value> = policies
        .into_iter()
        .flat_map(|kind| template.of_type(kind))
        .map(|(_, policy)| &policy["Properties"])
        .collect();
    for kind in ["AWS::SQS::Queue", "AWS::S3::Bucket"] {
        for (name, _) in template.of_type(kind) {
            let of_it = json!({"Ref": name});
            let denies = policies.iter().any(|policy| {
                let statement = &policy["PolicyDocument"]["Statement"][0];
                (policy["Bucket"] == of_it || policy["Queues"] == json!([of_it]))
                    && statement["Effect"] == "Deny"
                    && statement["Condition"]["Bool"]["aws:SecureTransport"] == "false"
                    && statement["Resource"].to_string().contains(name)
            });
            problems.check(denies, format!("{name} is reached without TLS"));
        }
    }
    problems.report();
}

#[test]
fn the_ledger_forgets_by_itself() {
    let template = template();
    let mut problems = Problems::default();
    let ledger = template.properties("Ledger");
    let key = json!([{"AttributeName": "pk", "KeyType": "HASH"}]);
    problems.equal("the key of Ledger", &ledger["KeySchema"], &key);
    let ttl = json!({"AttributeName": "expires_at", "Enabled": true});
    problems.equal("the TTL of Ledger", &ledger["TimeToLiveSpecification"], &ttl);
    let encrypted = json!({"Fn::If": ["HasKey",
        {"SSEEnabled": true, "SSEType": "KMS", "KMSMasterKeyId": {"Ref": "KmsKeyArn"}},
        {"Ref": "AWS::NoValue"}]});
    problems.equal("the encryption of Ledger", &ledger["SSESpecification"], &encrypted);
    let recovery = &ledger["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"];
    problems.check(recovery == true, "Ledger has no point-in-time recovery");
    problems.report();
}

#[test]
fn the_retry_queue_behaves_as_in_the_sandbox() {
    let template = template();
    let mut problems = Problems::default();
    let queue = template.properties("RetryQueue");
    let visibility = queue["VisibilityTimeout"].as_u64();
    problems.equal(
        "VisibilityTimeout of RetryQueue",
        &visibility,
        &Some(deployed::RETRY_VISIBILITY.as_secs()),
    );
    let advised = timeout(&template, "retry").map(|limit| VISIBILITY_FACTOR * limit);
    let follows = visibility >= advised;
    problems.check(follows, "VisibilityTimeout of RetryQueue is too short for retry's time limit");
    let redrive = &queue["RedrivePolicy"];
    problems.equal(
        "maxReceiveCount of RetryQueue",
        &redrive["maxReceiveCount"],
        &json!(deployed::RETRY_MAX_RECEIVES),
    );
    let dead = redrive["deadLetterTargetArn"] == json!({"Fn::GetAtt": ["DeadQueue", "Arn"]});
    problems.check(dead, "RetryQueue has no dead-letter queue");

    let retry = json!({"Ref": "RetryAliaslive"});
    let mappings: Vec<&Value> = template
        .of_type("AWS::Lambda::EventSourceMapping")
        .map(|(_, mapping)| &mapping["Properties"])
        .filter(|properties| properties["FunctionName"] == retry)
        .collect();
    let [mapping] = mappings.as_slice() else {
        panic!("retry must have one event source mapping");
    };
    let batch = text(&mapping["BatchSize"]);
    problems.equal("BatchSize of retry", &batch, &deployed::RETRY_BATCH_SIZE.to_string());
    problems.equal(
        "MaximumConcurrency of retry",
        &mapping["ScalingConfig"]["MaximumConcurrency"],
        &json!(deployed::RETRY_CONCURRENCY),
    );
    let partial = mapping["FunctionResponseTypes"] == json!(["ReportBatchItemFailures"]);
    problems.check(partial, "retry's failed items are not reported one by one");
    problems.report();
}
