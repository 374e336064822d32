"""What Lambda's own runtime does around a handler, at its shortest: fetch an event, parse it, post the answer. Also what all
handlers here share: secrets, kept for five minutes."""

import http.client
import json
import os
import time
from urllib.parse import urlsplit

TTL_S = 300
_secrets = {}


class Connection:
    """A kept connection to one host."""

    def __init__(self, url):
        to = urlsplit(url)
        kind = http.client.HTTPSConnection if to.scheme == "https" else http.client.HTTPConnection
        self.connection = kind(to.netloc)

    def request(self, method, path, body=None, headers=()):
        self.connection.request(method, path, body, dict(headers))
        response = self.connection.getresponse()
        return response.status, response.headers, response.read()


_secrets_manager = None


def settings_of(code):
    """The settings of an application; None where it has none."""
    global _secrets_manager
    known = _secrets.get(code)
    if known and time.monotonic() - known[1] < TTL_S:
        return known[0]
    _secrets_manager = _secrets_manager or Connection(os.environ["AWS_ENDPOINT_URL_SECRETS_MANAGER"])
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "secretsmanager.GetSecretValue"}
    asked = json.dumps({"SecretId": f"segment-pushwoosh/{code}"})
    status, _, body = _secrets_manager.request("POST", "/", asked, headers)
    found = json.loads(body)
    if status != 200 and found.get("__type") != "ResourceNotFoundException":
        raise RuntimeError(f"Secrets Manager answered {status}")
    settings = json.loads(found["SecretString"]) if status == 200 else None
    _secrets[code] = (settings, time.monotonic())
    return settings


def serve(handler):
    api = Connection("http://" + os.environ["AWS_LAMBDA_RUNTIME_API"])
    base = "/2018-06-01/runtime/invocation"
    while True:
        _, headers, body = api.request("GET", f"{base}/next")
        request_id = headers["lambda-runtime-aws-request-id"]
        try:
            path, answer = "response", handler(json.loads(body))
        except Exception as error:  # As Lambda's runtime does.
            path, answer = "error", {"errorMessage": repr(error)}
        api.request("POST", f"{base}/{request_id}/{path}", json.dumps(answer))
