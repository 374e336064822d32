"""Holds the translated template against what the code and AWS need. Fails with every problem."""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
# Properties of a Kafka event source mapping that AWS takes with provisioned pollers only.
PROVISIONED_ONLY = [
    "FunctionResponseTypes",
    "BisectBatchOnFunctionError",
    "MaximumRetryAttempts",
    "MaximumRecordAgeInSeconds",
    "LoggingConfig",
]
# What each function may do, and on what. Nothing else.
ALLOWED = {
    "Destination": {"secretsmanager:GetSecretValue", "sqs:SendMessage"},
    "Source": {
        "secretsmanager:GetSecretValue",
        "sqs:SendMessage",
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
    },
    "Retry": {"secretsmanager:GetSecretValue", "sqs:SendMessage", "sqs:ChangeMessageVisibility"},
}
# Managed policies that SAM adds by itself: logs, traces, and the queue that invokes a function.
MANAGED = {"AWSLambdaBasicExecutionRole", "AWSXrayWriteOnlyAccess", "AWSXRayDaemonWriteAccess", "AWSLambdaSQSQueueExecutionRole"}
# Statements that may name every resource, because the service allows nothing narrower.
ANY_RESOURCE = {"ReachClusterNetwork"}

problems = []


def check(condition, problem):
    if not condition:
        problems.append(problem)


def as_list(value):
    return value if isinstance(value, list) else [value]


def check_role(function, role):
    for policy in role["Properties"].get("Policies", []):
        for statement in policy["PolicyDocument"]["Statement"]:
            sid = statement.get("Sid", "?")
            for action in as_list(statement["Action"]):
                check(action in ALLOWED[function], f"{function} may {action} ({sid}), which it does not need")
            for resource in as_list(statement["Resource"]):
                check(resource != "*" or sid in ANY_RESOURCE, f"{function}: {sid} names every resource")
    for managed in role["Properties"].get("ManagedPolicyArns", []):
        name = json.dumps(managed).rstrip('"}]').split("/")[-1]
        check(name in MANAGED, f"{function} has the managed policy {name}")


def check_event_source(name, properties):
    for key in PROVISIONED_ONLY:
        value = properties.get(key)
        check(
            value is None or as_list(value.get("Fn::If"))[0] == "Provisioned",
            f"{name}: {key} must depend on the condition Provisioned",
        )
    poller = properties.get("ProvisionedPollerConfig", {})
    check(as_list(poller.get("Fn::If"))[0] == "Provisioned", f"{name} has no provisioned pollers")


resources = {}
for name in ("template", "observability"):
    resources |= json.loads(Path(sys.argv[1], f"{name}.json").read_text(encoding="utf-8"))["Resources"]
for function in ALLOWED:
    check_role(function, resources[f"{function}Role"])
for name, resource in resources.items():
    if resource["Type"] == "AWS::Lambda::EventSourceMapping" and "Topics" in resource["Properties"]:
        check_event_source(name, resource["Properties"])
    if resource["Type"] == "AWS::SQS::Queue":
        managed = as_list(resource["Properties"].get("SqsManagedSseEnabled", {}).get("Fn::If"))
        key = as_list(resource["Properties"].get("KmsMasterKeyId", {}).get("Fn::If"))
        check(managed[0] == key[0] == "HasKey" and managed[-1] is True, f"{name} is not encrypted")
        check(resource["Properties"].get("MessageRetentionPeriod") == 1209600, f"{name} keeps messages for less than 14 days")
check(resources["Source"]["Properties"]["Timeout"] <= 840, "Source: a Kafka event source mapping allows 14 minutes at most")

runbook = (ROOT / "docs/OPERATIONS.md").read_text(encoding="utf-8")
headings = {heading.lower() for heading in re.findall(r"^### (\w+)", runbook, re.M)}
alarms = [name for name, resource in resources.items() if resource["Type"] == "AWS::CloudWatch::Alarm"]
for name in alarms:
    anchor = f"docs/OPERATIONS.md#{name.lower()}"
    check(anchor in resources[name]["Properties"]["AlarmDescription"], f"the alarm {name} does not name {anchor}")
    check(name.lower() in headings, f"docs/OPERATIONS.md has no entry for the alarm {name}")
check(len(alarms) > 20, "alarms are missing")
body = json.dumps(resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::ToJsonString"])
own = set(re.findall(r'"SegmentPushwoosh", "(\w+)"', body))
for name in alarms:
    for metric in resources[name]["Properties"].get("Metrics", []):
        own.add(metric.get("MetricStat", {}).get("Metric", {}).get("MetricName"))
telemetry = (ROOT / "shared/platform/src/telemetry.rs").read_text(encoding="utf-8")
outcome = (ROOT / "shared/mapping/src/outcome.rs").read_text(encoding="utf-8")
written = set(re.findall(r'\("(\w+)", "(?:Count|Milliseconds)"\)', telemetry)) | set(re.findall(r'"(Items\w+)"', outcome))
check(own - {None} <= written, f"no function writes {sorted(own - {None} - written)}")

settings = (ROOT / "shared/platform/src/settings.rs").read_text(encoding="utf-8").split("#[cfg(test)]")[0]
read = set(re.findall(r'"(PWSEG_[A-Z_]+)"', settings))
given = {
    name
    for resource in resources.values()
    for name in resource["Properties"].get("Environment", {}).get("Variables", {})
}
check(read <= given, f"the template sets no {sorted(read - given)}")
check(given <= read, f"nobody reads {sorted(given - read)}")

for problem in problems:
    print(problem, file=sys.stderr)
sys.exit(1 if problems else 0)
