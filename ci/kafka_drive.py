"""Produces numbered records to a broker, or waits until Segment's stand-in has received exactly those.

    kafka_drive.py produce BROKERS FROM TO
    kafka_drive.py expect SANDBOX_URL FROM TO
"""

import json
import sys
import time
import urllib.request

from confluent_kafka import Producer

TOPIC = "channels-tracking-log"
PATIENCE_S = 60

verb, where, first, end = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])


def record(number):
    return {
        "event_name": "Push Sent",
        "timestamp": 1769860800 + number,
        "application_code": "DEMO0-00001",
        "message_code": "A444-AAABBBCC-00112233",
        "platform": 1,
        "hwid": f"H{number}",
        "user_id": f"u{number}",
    }


def received():
    with urllib.request.urlopen(f"{where}/_sandbox/upstream/segment") as response:
        calls = json.load(response)
    return [track["userId"] for call in calls for track in call["body"]["batch"]]


if verb == "produce":
    producer = Producer({"bootstrap.servers": where})
    for number in range(first, end):
        producer.produce(TOPIC, value=json.dumps(record(number)), key=f"H{number}", headers={"h": b"\xff"})
    if producer.flush(PATIENCE_S):
        sys.exit("the broker did not take the records")
else:
    expected = [f"u{number}" for number in range(first, end)]
    deadline = time.monotonic() + PATIENCE_S
    while sorted(received()) != sorted(expected):
        if time.monotonic() > deadline:
            sys.exit(f"expected {len(expected)} records, received {len(received())}")
        time.sleep(0.2)
