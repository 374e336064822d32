"""Makes the queues and the secret that tests/moto.rs uses; prints the queues' URLs for the shell."""

import json

import boto3

sqs = boto3.client("sqs")
for name in ["RETRY", "REJECTS"]:
    print(f"export MOTO_{name}={sqs.create_queue(QueueName=name.lower())['QueueUrl']}")
secrets = boto3.client("secretsmanager")
secret = "segment-pushwoosh/MOTO0-00001"
for token in ["old", "new"]:
    text = json.dumps({"pushwoosh": {"api_token": token}})
    if token == "old":
        secrets.create_secret(Name=secret, SecretString=text)
    else:
        secrets.put_secret_value(SecretId=secret, SecretString=text)
