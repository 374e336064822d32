"""Deploys the system in ministack and drives it from the outside.

    ministack_drive.py SANDBOX_URL TRANSLATED BOOTSTRAPS

Requests go to the HTTP API that the template makes, Kafka events to the source; what reaches Pushwoosh and Segment is
read from the sandbox's stand-ins. All AWS services are ministack's.
"""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import boto3

from ministack_deploy import deploy

PATIENCE_S = 60
EVENTS = 20
APPLICATION, TOKEN, WRITE_KEY, SHARED_SECRET = "DEMO0-00001", "demo-token", "demo-write-key", "demo-secret"
EVERY_QUEUE = ["RetryQueue", "DeadQueue", "RejectsQueue"]
# Longer delays would test no more.
PARAMETERS = {"RetryFirstDelaySeconds": "1", "RetryMaxDelaySeconds": "2"}

sandbox, translated, bootstraps = sys.argv[1:]
dynamodb, functions, logs, secrets, sqs = map(boto3.client, ["dynamodb", "lambda", "logs", "secretsmanager", "sqs"])


def http(url, method="GET", body=None, headers=None):
    """Status and text of an answer. A body that is not text is sent as JSON."""
    data = body.encode() if isinstance(body, str) else None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json", **(headers or {})}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def control(path, method="GET", body=None):
    status, text = http(f"{sandbox}/_sandbox/{path}", method, body)
    assert status < 300, f"{method} {path} of the sandbox: {status} {text}"
    return json.loads(text) if text else None


def calls(upstream="pushwoosh"):
    """What an upstream has answered with success: path and body."""
    return [(call["path"].rsplit("/", 1)[-1], call["body"]) for call in control(f"upstream/{upstream}") if call["status"] == 200]


def bodies(path):
    """What Pushwoosh accepted at this path."""
    return [body.get("request", body) for name, body in calls() if name == path]


def tracks():
    return [track for _, body in calls("segment") for track in body["batch"]]


def until(what, condition):
    """Waits for the condition; gives what it gave."""
    deadline = time.monotonic() + PATIENCE_S
    while not (met := condition()):
        if time.monotonic() > deadline:
            waiting = {queue: length(queue) for queue in EVERY_QUEUE}
            sys.exit(f"{what}: not so after {PATIENCE_S} s; calls: {calls()[-5:]}; {len(tracks())} tracks; queues: {waiting}")
        time.sleep(0.1)
    return met


outputs, resources = deploy("segment-pushwoosh", translated, bootstraps, PARAMETERS)
# The endpoint's own name resolves in AWS only.
HOST = {"host": f"{urlsplit(outputs['Endpoint']).hostname.split('.')[0]}.execute-api.localhost"}
upstreams = control("state")["upstream"]


def post(path, body, headers):
    """Segment sends a request to the endpoint that the stack made, and sends it again after a 503. Gives the status."""

    def send():
        status, text = http(os.environ["AWS_ENDPOINT_URL"] + path, "POST", body, {**HOST, **headers})
        if status not in (200, 503):
            print(f"{path}: {status} {text}")
        return status != 503 and status

    return until(f"{path} is answered for good", send)


def request(route, body, token=TOKEN, application=APPLICATION):
    return post(f"/integration-segment/v1/{route}", body, {"authorization": f"Token {token}", "x-pw-appcode": application})


def length(queue):
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]
    attributes = sqs.get_queue_attributes(QueueUrl=resources[queue], AttributeNames=names)["Attributes"]
    return sum(int(attributes[name]) for name in names)


def nothing_is_left():
    until("the retry queue is empty", lambda: length("RetryQueue") == 0)
    assert [length(queue) for queue in EVERY_QUEUE] == [0, 0, 0], "items were rejected or given up"


def secret(token):
    return json.dumps(
        {
            "pushwoosh": {"api_token": token, "base_url": upstreams["pushwoosh"]},
            "segment": {"write_key": WRITE_KEY, "base_url": upstreams["segment"]},
            "webhook": {"shared_secret": SHARED_SECRET},
        }
    )


def event(name, user="u1"):
    return {"user_id": user, "device_id": "d1", "device_platform": "ios", "name": name, "attributes": {}}


def profile(user, **attributes):
    return {"user_id": user, "attributes": attributes}


def records(names):
    """An event of the Kafka event source mapping."""
    values = [
        {
            "event_name": "Push Sent",
            "timestamp": "2026-01-31T12:00:00Z",
            "application_code": APPLICATION,
            "message_code": "A444-AAABBBCC-00112233",
            "platform": 1,
            "hwid": f"H-{name}",
            "user_id": name,
        }
        for name in names
    ]
    encoded = [
        {
            "topic": "channels-tracking-log",
            "partition": 0,
            "offset": offset,
            "timestamp": 1769860800000,
            "timestampType": "CREATE_TIME",
            "value": base64.b64encode(json.dumps(value).encode()).decode(),
            "headers": [],
        }
        for offset, value in enumerate(values)
    ]
    return {"eventSource": "aws:kafka", "records": {"channels-tracking-log-0": encoded}}


def invoke_source(event):
    response = functions.invoke(FunctionName=resources["Source"], Payload=json.dumps(event))
    answer = response["Payload"].read().decode()
    assert "FunctionError" not in response, answer
    assert json.loads(answer) == {"batchItemFailures": []}, answer


def keys_are_checked():
    assert request("ping", {}) == 200
    assert request("ping", {}, application="OTHER-00001") == 400
    assert request("ping", {}, token="wrong") == 401


def segment_reaches_pushwoosh():
    assert request("track-user", profile("u1", searched_product="shoes")) == 200
    assert request("post-events", {"events": [event("SubscribedToOffers")]}) == 200
    assert request("delete-user", {"external_id": "u1"}) == 200
    until("the deletion arrived", lambda: bodies("deleteUser"))
    names = [name for name, _ in calls()]
    assert names == ["setTags", "postEvent", "deleteUser"], names
    assert bodies("setTags")[0]["tags"] == {"searched_product": "shoes"}
    assert bodies("postEvent")[0]["event"] == "SubscribedToOffers"
    assert bodies("deleteUser")[0]["user_id"] == "u1"


def raw_events_reach_pushwoosh():
    body = Path("events/segment/track.json").read_text(encoding="utf-8")
    signature = hmac.new(SHARED_SECRET.encode(), body.encode(), hashlib.sha1).hexdigest()
    assert post(f"/webhook/{APPLICATION}", body, {"x-signature": signature}) == 200
    assert [body["event"] for body in bodies("postEvent")] == [json.loads(body)["event"]]


def pushwoosh_reaches_segment():
    invoke_source(json.loads(Path("events/source/msk-partitions.json").read_text(encoding="utf-8")))
    names = sorted(track["event"] for track in tracks())
    assert names == ["Email Bounced", "Push Delivered", "Push Sent", "SMS Sent"], names


def an_outage_is_parked_and_delivered():
    names = [f"outage-{number}" for number in range(EVENTS)]
    for upstream in ["pushwoosh", "segment"]:
        control(f"upstream/{upstream}/faults", "PUT", [{"status": 503}])
    for name in names:
        assert request("post-events", {"events": [event(name)]}) == 200
    assert request("track-user", profile("u2", searched_product="hats")) == 200
    invoke_source(records(names))
    assert not calls() and not tracks()
    # The events and the profile, and the records, which share messages.
    assert length("RetryQueue") > EVENTS + 1, "what was accepted is on the retry queue"
    for upstream in ["pushwoosh", "segment"]:
        control(f"upstream/{upstream}/faults", "PUT", [])
    until("the events arrived", lambda: len(bodies("postEvent")) >= EVENTS)
    until("the profile arrived", lambda: bodies("setTags"))
    until("the records arrived", lambda: len(tracks()) >= EVENTS)
    nothing_is_left()
    assert sorted(body["event"] for body in bodies("postEvent")) == sorted(names), "an event arrived twice"
    assert sorted(track["userId"] for track in tracks()) == sorted(names), "a record arrived twice"


def a_parked_profile_does_not_undo_a_deletion():
    control("upstream/pushwoosh/faults", "PUT", [{"path": "/json/1.3/setTags", "status": 503}])
    for user in ["gone", "stays"]:
        assert request("track-user", profile(user, searched_product="old")) == 200
    assert request("delete-user", {"external_id": "gone"}) == 200
    until("the deletion arrived", lambda: [body["user_id"] for body in bodies("deleteUser")] == ["gone"])
    noted = dynamodb.scan(TableName=outputs["LedgerTable"])["Items"]
    assert any("deleted" in item for item in noted), f"the ledger knows of no deletion: {noted}"
    control("upstream/pushwoosh/faults", "PUT", [])
    nothing_is_left()
    assert [body["userId"] for body in bodies("setTags")] == ["stays"], "who was deleted came back"


def a_rotated_key_is_accepted():
    # Pushwoosh knows the new key from now on; the function must find it in ministack.
    control(f"secrets/{APPLICATION}", "PUT", json.loads(secret("new-token")))
    secrets.put_secret_value(SecretId=f"segment-pushwoosh/{APPLICATION}", SecretString=secret("new-token"))
    for token in ["new-token", TOKEN]:
        assert request("post-events", {"events": [event(f"with {token}")]}, token=token) == 200
    nothing_is_left()
    assert [body["event"] for body in bodies("postEvent")] == ["with new-token", f"with {TOKEN}"]


def operator(*arguments, text="", status=0):
    """What an operator's command prints as JSON; `check` prints a line for each thing that it looks at."""
    command = ["target/debug/segment-pushwoosh", *arguments, "--stack", "segment-pushwoosh", "--json"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == status, f"{command} ended with {done.returncode}: {done.stderr or done.stdout}"
    return [json.loads(line) for line in done.stdout.splitlines()] if arguments[0] == "check" else json.loads(done.stdout)


class Front(BaseHTTPRequestHandler):
    """Stands before the endpoint that the stack made."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "content-length")}
        status, text = http(os.environ["AWS_ENDPOINT_URL"] + self.path, "POST", body, {**headers, **HOST})
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


def the_deployment_is_checked():
    with HTTPServer(("127.0.0.1", 0), Front) as front:
        threading.Thread(target=front.serve_forever, daemon=True).start()
        lines = operator("check", "--app", APPLICATION, "--endpoint", f"http://127.0.0.1:{front.server_port}")
        wrong = operator("check", "--app", "OTHER-00001", "--endpoint", f"http://127.0.0.1:{front.server_port}", status=1)
        front.shutdown()
    assert all(line["well"] for line in lines), lines
    assert any(f"{APPLICATION}: the route takes its key" in line["found"] for line in lines), lines
    assert [line for line in wrong if not line["well"]], wrong
    assert {name for name, _ in calls()} <= {"checkDevice"}, "check asks Pushwoosh of a device that nobody has, and nothing else"


def an_operator_works_on_the_stack():
    code, token, write_key = "CONN0-00001", "connected-token-0001", "connected-write-key-1"
    control(f"secrets/{code}", "PUT", {"sandbox": {"api_token": token}})
    values = {"app": code, "api_key": token, "write_key": write_key, "pushwoosh_url": upstreams["pushwoosh"]}
    # Segment's own host cannot be reached from here.
    operator("connect", "--stdin", "--unchecked", text=json.dumps(values))
    assert request("track-user", profile("u3", searched_product="caps"), token=token, application=code) == 200
    until("the profile of a connected application arrived", lambda: bodies("setTags"))
    late = {**event("Late"), "timestamp": "yesterday"}
    assert request("post-events", {"events": [late, event("OnTime")]}) == 200
    found = until("the reject is listed", lambda: operator("queue", "list", "--queue", "rejects"))
    assert "bad_timestamp" in json.dumps(found), found
    late_user = late["user_id"]
    erased = operator("erase", "--app", APPLICATION, "--user-id", late_user, "--dry-run")
    assert erased["queues"]["rejects"]["found"]["removed"] == 1, erased
    operator("queue", "discard", "--queue", "rejects", "--reason", "bad_timestamp")
    nothing_is_left()
    # What Lambda would write.
    line = {"level": "WARN", "app.code": code, "tag.name": "plan", "reason": "skipped_tag", "detail": "Not found"}
    stream = {"logGroupName": resources["DestinationLogs"], "logStreamName": "one"}
    logs.create_log_stream(**stream)
    logs.put_log_events(**stream, logEvents=[{"timestamp": int(time.time() * 1000), "message": json.dumps(line)}])
    found = operator("doctor", "--app", code, status=1)
    assert "plan" in json.dumps(found), found


secrets.create_secret(Name=f"segment-pushwoosh/{APPLICATION}", SecretString=secret(TOKEN))
for step in [
    the_deployment_is_checked,
    segment_reaches_pushwoosh,
    raw_events_reach_pushwoosh,
    pushwoosh_reaches_segment,
    an_outage_is_parked_and_delivered,
    keys_are_checked,
    a_parked_profile_does_not_undo_a_deletion,
    a_rotated_key_is_accepted,
    an_operator_works_on_the_stack,
]:
    for upstream in ["pushwoosh", "segment"]:
        control(f"upstream/{upstream}", "DELETE")
    step()
    print(f"ok {step.__name__}")
