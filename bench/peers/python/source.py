"""The source as one would write it for Python, without packages."""

import base64
import json
from datetime import datetime, timezone

from runtime import Connection, serve, settings_of
from tracks import EXPORTED, to_track

MAX_BATCH_BYTES = 475_000
MAX_BATCH_CALLS = 1_000
_connections = {}


def send(account, calls):
    key, url = account["write_key"], account["base_url"]
    connection = _connections.get(url)
    if not connection:
        connection = _connections[url] = Connection(url)
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    body = b'{"batch":[' + b",".join(calls) + f'],"writeKey":{json.dumps(key)},"sentAt":"{now}"}}'.encode()
    authorization = "Basic " + base64.b64encode(f"{key}:".encode()).decode()
    headers = {"content-type": "application/json", "authorization": authorization}
    status, _, _ = connection.request("POST", "/v1/batch", body, headers)
    if status >= 300:
        raise RuntimeError(f"Segment answered {status}")


def handler(event):
    groups, seen = {}, set()
    for records in event["records"].values():
        for one in records:
            try:
                record = json.loads(base64.b64decode(one["value"]))
            except ValueError:
                continue
            code = record.get("application_code")
            settings = settings_of(code)
            if not settings or "segment" not in settings or record.get("event_name") not in EXPORTED:
                continue
            track = to_track(record)
            if not track or track["messageId"] in seen:
                continue
            seen.add(track["messageId"])
            groups.setdefault(code, (settings["segment"], []))[1].append(json.dumps(track, separators=(",", ":")).encode())
    for account, calls in groups.values():
        batch, size = [], 512
        for call in calls:
            if len(batch) == MAX_BATCH_CALLS or size + len(call) + 1 > MAX_BATCH_BYTES:
                send(account, batch)
                batch, size = [], 512
            batch.append(call)
            size += len(call) + 1
        if batch:
            send(account, batch)
    return {"batchItemFailures": []}


serve(handler)
