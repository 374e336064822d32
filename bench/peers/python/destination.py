"""The destination as one would write it for Python, without packages: the route post-events."""

import hmac
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from runtime import Connection, serve, settings_of

DEVICES = {"ios": 1, "android": 3, "web": 11}
_local = threading.local()
_pool = ThreadPoolExecutor(max_workers=16)


def call_of(code, event):
    user, hwid, device = event.get("user_id"), event.get("device_id"), DEVICES.get(event.get("device_platform"))
    if not (user or hwid) or not device or not event.get("name"):
        return None
    time = int(datetime.fromisoformat(event["timestamp"]).timestamp())
    request = {
        "application": code, "hwid": hwid, "userId": user, "event": event["name"], "device_type": device,
        "timestampUTC": time, "timestampCurrent": time, "attributes": event.get("attributes") or {},
    }
    return json.dumps({"request": request})


def send(url, headers, body):
    if not hasattr(_local, "connection"):
        _local.connection = Connection(url)
    status, _, answer = _local.connection.request("POST", "/json/1.3/postEvent", body, headers)
    return status == 200 and json.loads(answer)["status_code"] == 200


def handler(event):
    code = event["headers"].get("x-pw-appcode")
    settings = settings_of(code)
    if not settings:
        return {"statusCode": 400, "body": '{"message":"application not found"}'}
    token, url = settings["pushwoosh"]["api_token"], settings["pushwoosh"]["base_url"]
    if not hmac.compare_digest(event["headers"].get("authorization", ""), f"Token {token}"):
        return {"statusCode": 401, "body": '{"message":"unauthorized"}'}
    headers = {"content-type": "application/json", "authorization": f"Token {token}", "no-auto-tags": "true"}
    calls = filter(None, (call_of(code, one) for one in json.loads(event["body"])["events"]))
    ok = all(list(_pool.map(lambda body: send(url, headers, body), calls)))
    return {"statusCode": 200 if ok else 503, "body": ""}


serve(handler)
