"""Records as Track calls."""

import hashlib
import os
from datetime import datetime

EXPORTED = {
    "Email Sent": "Email", "Push Sent": "Push", "SMS Sent": "SMS", "Email Delivered": "Email",
    "Push Delivered": "Push", "SMS Delivered": "SMS", "Email Bounced": "Email",
}
PLATFORMS = {
    1: "iOS", 3: "Android", 7: "macOS", 8: "Windows", 9: "Amazon", 10: "Safari", 11: "Chrome", 12: "Firefox",
    14: "Email", 17: "Huawei", 18: "SMS", 19: "Xiaomi", 21: "WhatsApp", 22: "LINE",
}
TYPES = {"Push", "Email", "SMS", "In-App"}
CONTEXT = {"library": {"name": "peer", "version": "1"}, "integration": {"name": "pushwoosh", "version": "1"}}
STACK = os.environ["PWSEG_STACK_NAME"]


def message_id(*parts):
    data = bytearray()
    for part in parts:
        text = part.encode()
        data += len(text).to_bytes(8, "big") + text
    return "pw-" + hashlib.sha256(data).hexdigest()[:40]


def to_track(record):
    """The Track call of a record; None where it cannot become one."""
    event, timestamp = record["event_name"], record["timestamp"]
    hwid, user = record.get("hwid"), record.get("user_id")
    try:
        datetime.fromisoformat(timestamp)
    except ValueError:
        return None
    if not (user or hwid):
        return None
    message = record.get("message_code") or str(record.get("message_id"))
    campaign = record.get("campaign_code") or ""
    kind, platform = record.get("message_type"), record.get("platform")
    properties = {
        "message_type": kind if kind in TYPES else EXPORTED[event],
        "device_type": PLATFORMS.get(platform, platform),
    }
    if campaign:
        properties["campaign_code"] = campaign
    identity = {"userId": user} if user and user != hwid else {"anonymousId": hwid}
    return {
        "type": "track",
        "messageId": message_id(
            STACK, record["application_code"], campaign, str(record.get("campaign_id") or ""), message, hwid or user, event, timestamp
        ),
        **identity,
        "event": event,
        "timestamp": timestamp,
        "properties": properties,
        "context": CONTEXT,
        "integrations": {"Pushwoosh": False},
    }
