"""Makes the queues, the table and the secret that tests/moto.rs uses; prints their names for the shell."""

import json

import boto3

sqs = boto3.client("sqs")
for name in ["RETRY", "REJECTS", "DEAD"]:
    print(f"export MOTO_{name}={sqs.create_queue(QueueName=name.lower())['QueueUrl']}")
boto3.client("dynamodb").create_table(
    TableName="ledger",
    AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    BillingMode="PAY_PER_REQUEST",
)
print("export MOTO_LEDGER=ledger")
secrets = boto3.client("secretsmanager")
secret = "segment-pushwoosh/MOTO0-00001"
for token in ["old", "new"]:
    text = json.dumps({"pushwoosh": {"api_token": token}})
    if token == "old":
        secrets.create_secret(Name=secret, SecretString=text)
    else:
        secrets.put_secret_value(SecretId=secret, SecretString=text)
