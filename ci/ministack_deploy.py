"""Deploys the translated templates in ministack, with the built functions, as `sam deploy` does in AWS.

What ministack's CloudFormation refuses is in REFUSED: it is left out of the templates, and `still_refused` fails
as soon as the list is longer than it must be. Where else it differs from AWS:

* It ignores an HTTP API's OpenAPI document: `routes` writes its routes out as resources.
* It asks for an action `sqs:SendMessageBatch`: `allow_batches` adds it. In AWS `sqs:SendMessage` is what allows batches:
  https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
* It takes a reference to a resource that a condition leaves out; cfn-lint finds those.
* It is reached without TLS, which the queues' policies deny: `taken` leaves them out.
* It does not split a text in a condition: `ThroughVpcConnection` is written out for the cluster below.
* It reads no Kafka topic, and checks nothing of the mapping. The source is invoked directly, with an event as Lambda
  writes it.
* The functions are processes of this machine, whatever Architecture says, and are not frozen.
* Alarms, metric filters and tracing are taken, and do nothing.
"""

import io
import json
import time
import zipfile
from pathlib import Path

import boto3
from botocore.exceptions import ClientError

BUCKET = "artifacts"
CLUSTER = "arn:aws:kafka:us-east-1:123456789012:cluster/demo/00000000-0000-0000-0000-000000000000-1"
PATIENCE_S = 60
# In AWS, SAM CLI asks for the same ones: see samconfig.toml.
CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]

# Other choices that the parameters offer: each must become a stack too.
VARIANTS = {
    "without-source": {"ClusterArn": ""},
    "without-destination": {"DeployDestination": "false"},
    "provisioned-pollers": {"PollerMode": "provisioned", "FilterEvents": "true", "PollerGroupName": "group"},
    "reserved-concurrency": {"ReservedConcurrency": "5"},
    "own-key": {"KmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"},
    "own-domain": {
        "DomainName": "segment.example.com",
        "CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-0000-0000-000000000000",
    },
    "scram": {
        "ScramSecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:AmazonMSK_demo-000000",
        "ScramKmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000",
    },
}

# What it refuses: how to recognize it among the resources, and a resource that it must refuse for this reason.
REFUSED = [
    (
        lambda resource: resource["Type"] == "AWS::Logs::QueryDefinition",
        {"Type": "AWS::Logs::QueryDefinition", "Properties": {"Name": "lines", "QueryString": "fields @message"}},
        "Unrecognized resource types: [AWS::Logs::QueryDefinition]",
    ),
    (
        lambda resource: resource["Type"].startswith("AWS::CodeDeploy::"),
        {"Type": "AWS::CodeDeploy::Application", "Properties": {"ComputePlatform": "Lambda"}},
        "Unrecognized resource types: [AWS::CodeDeploy::Application]",
    ),
    (
        lambda resource: "Metrics" in resource["Properties"],
        {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "ComparisonOperator": "GreaterThanThreshold",
                "EvaluationPeriods": 1,
                "Threshold": 1,
                "Metrics": [{"Id": "all", "Expression": "TIME_SERIES(1)"}],
            },
        },
        "metric math) is not supported",
    ),
]

aws = {name: boto3.client(name) for name in ["cloudformation", "s3"]}


def code(bootstrap):
    """The archive of a function."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        zipped.writestr(entry, bootstrap.read_bytes(), zipfile.ZIP_DEFLATED)
    return archive.getvalue()


def create(stack, template, parameters):
    """Creates a stack. Returns its outputs, or the reasons why it was not created."""
    aws["s3"].put_object(Bucket=BUCKET, Key=f"{stack}.json", Body=json.dumps(template))
    try:
        aws["cloudformation"].create_stack(
            StackName=stack,
            TemplateURL=f"{aws['s3'].meta.endpoint_url}/{BUCKET}/{stack}.json",
            Capabilities=CAPABILITIES,
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        )
    except ClientError as error:
        return {}, [str(error)]
    deadline = time.monotonic() + PATIENCE_S
    while (state := aws["cloudformation"].describe_stacks(StackName=stack)["Stacks"][0])["StackStatus"].endswith("_IN_PROGRESS"):
        if time.monotonic() > deadline:
            raise SystemExit(f"{stack} is {state['StackStatus']} after {PATIENCE_S} s")
        time.sleep(0.1)
    if state["StackStatus"] == "CREATE_COMPLETE":
        return {output["OutputKey"]: output["OutputValue"] for output in state.get("Outputs", [])}, []
    events = aws["cloudformation"].describe_stack_events(StackName=stack)["StackEvents"]
    reasons = [
        f"{event['LogicalResourceId']} ({event['ResourceType']}): {event.get('ResourceStatusReason', 'no reason given')}"
        for event in events
        if event["ResourceStatus"] == "CREATE_FAILED"
    ]
    return {}, reasons or [state["StackStatus"]]


def taken(resources):
    """The resources that it can use. New versions take over at once: nothing deploys them bit by bit."""
    kept = {
        name: resource
        for name, resource in resources.items()
        if resource["Type"] != "AWS::SQS::QueuePolicy" and not any(matches(resource) for matches, _, _ in REFUSED)
    }
    for resource in kept.values():
        resource.pop("UpdatePolicy", None)
    return kept


def still_refused():
    """Fails if ministack takes what REFUSED says it refuses, or refuses it for another reason."""
    for number, (_, resource, expected) in enumerate(REFUSED):
        _, reasons = create(f"refused-{number}", {"Resources": {"It": resource}}, {})
        if expected not in "".join(reasons):
            raise SystemExit(f"ministack was to refuse {resource['Type']} with \"{expected}\", and said {reasons}: mend REFUSED")


def then(expression):
    """What a condition chooses if it holds: this deployment has a destination."""
    return then(expression["Fn::If"][1]) if isinstance(expression, dict) and "Fn::If" in expression else expression


def routes(api):
    """The routes in the OpenAPI document of this API, as resources."""
    resources = {}
    paths = api["Properties"].pop("Body")["paths"]
    for number, (path, operations) in enumerate(paths.items()):
        [(method, operation)] = then(operations).items()
        method = "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
        integration = then(operation)["x-amazon-apigateway-integration"]
        resources[f"Integration{number}"] = {
            "Type": "AWS::ApiGatewayV2::Integration",
            "Condition": api["Condition"],
            "Properties": {
                "ApiId": {"Ref": "Api"},
                "IntegrationType": integration["type"].upper(),
                "IntegrationUri": then(integration["uri"]),
                "IntegrationMethod": integration["httpMethod"],
                "PayloadFormatVersion": integration["payloadFormatVersion"],
            },
        }
        resources[f"Route{number}"] = {
            "Type": "AWS::ApiGatewayV2::Route",
            "Condition": api["Condition"],
            "Properties": {
                "ApiId": {"Ref": "Api"},
                "RouteKey": f"{method} {path}",
                "Target": {"Fn::Sub": f"integrations/${{Integration{number}}}"},
            },
        }
    return resources


def allow_batches(role):
    """Adds the action that ministack asks for to what a role may do."""
    for policy in role["Properties"].get("Policies", []):
        for statement in map(then, policy["PolicyDocument"]["Statement"]):
            if statement["Action"] == "sqs:SendMessage":
                statement["Action"] = ["sqs:SendMessage", "sqs:SendMessageBatch"]


def deploy(stack, translated, bootstraps, parameters):
    """Creates the variants and the stack. Returns the stack's outputs, and its resources' names by logical id."""
    template, nested = (json.loads(Path(translated, name).read_text(encoding="utf-8")) for name in ["template.json", "observability.json"])
    aws["s3"].create_bucket(Bucket=BUCKET)
    still_refused()
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Lambda::Function":
            bootstrap = Path(bootstraps, name.lower(), "bootstrap")
            aws["s3"].put_object(Bucket=BUCKET, Key=f"{name}.zip", Body=code(bootstrap))
            resource["Properties"]["Code"] = {"S3Bucket": BUCKET, "S3Key": f"{name}.zip"}
        if resource["Type"] == "AWS::IAM::Role":
            allow_batches(resource)
    template["Conditions"]["ThroughVpcConnection"] = {"Fn::Equals": ["cluster", "vpc-connection"]}
    for part in [template, nested]:
        part["Resources"] = taken(part["Resources"])
    aws["s3"].put_object(Bucket=BUCKET, Key="observability.json", Body=json.dumps(nested))
    template["Resources"]["Observability"]["Properties"]["TemplateURL"] = f"{aws['s3'].meta.endpoint_url}/{BUCKET}/observability.json"
    template["Resources"] |= routes(template["Resources"]["Api"])
    for name, values in {**VARIANTS, stack: parameters}.items():
        outputs, reasons = create(name, template, {"ClusterArn": CLUSTER, **values})
        if reasons:
            raise SystemExit("\n".join([f"ministack did not create the stack {name}:", *reasons]))
    resources = aws["cloudformation"].list_stack_resources(StackName=stack)["StackResourceSummaries"]
    print(f"deployed: {len(resources)} resources, and {len(nested['Resources'])} nested; variants: {', '.join(VARIANTS)}")
    return outputs, {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources}
