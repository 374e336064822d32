"""The source with Segment's own library, and with Powertools for the event."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.data_classes import KafkaEvent
from segment.analytics.client import Client

from runtime import serve, settings_of
from tracks import EXPORTED, to_track

logger = Logger()
_clients = {}


def client_of(account):
    key = account["write_key"]
    if key not in _clients:
        host = account["base_url"].removesuffix("/v1")
        _clients[key] = Client(key, host=host, upload_size=1_000, max_queue_size=100_000)
    return _clients[key]


def handler(event):
    seen, used = set(), set()
    for one in KafkaEvent(event).records:
        record = one.json_value
        settings = settings_of(record.get("application_code"))
        if not settings or "segment" not in settings or record.get("event_name") not in EXPORTED:
            continue
        track = to_track(record)
        if not track or track["messageId"] in seen:
            continue
        seen.add(track["messageId"])
        client = client_of(settings["segment"])
        used.add(client)
        client.track(
            user_id=track.get("userId"), anonymous_id=track.get("anonymousId"), event=track["event"],
            properties=track["properties"], context=dict(track["context"]), integrations=track["integrations"],
            timestamp=one_time(track["timestamp"]), message_id=track["messageId"],
        )
    for client in used:
        client.flush()
    return {"batchItemFailures": []}


def one_time(text):
    from datetime import datetime

    return datetime.fromisoformat(text)


serve(handler)
