"""Runs many applications through a sandbox: memory of the functions, and reads of secrets. For docs/SCALE.md.

    cargo build --release
    python3 bench/applications.py [NUMBER]

Each application sends one event and has one record on the topic, twice. First each has a secret of its own, then a shard
holds those whose codes begin with the same two characters.
"""

import http.client
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TARGET = Path(__file__).parent.parent / "target"
# The debug build will do: memory differs little, and reads of secrets not at all.
BINARY = next(path for path in (TARGET / profile / "segment-pushwoosh" for profile in ("release", "debug")) if path.exists())
PREFIX = "segment-pushwoosh/"
CALLERS = 8


def code(number):
    """A code like Pushwoosh's, spread over its first characters."""
    digits = f"{number * 2654435761 % 2**32:08X}{number:02X}"
    return f"{digits[:5]}-{digits[5:10]}"


def secret(number):
    """As long as those of real applications."""
    return {
        "pushwoosh": {"api_token": f"{number:080d}"},
        "segment": {"write_key": f"{number:032d}"},
        "webhook": {"shared_secret": f"{number:032d}"},
    }


class Sandbox:
    def __init__(self, apps, template, directory):
        # The deployed settings rather than the sandbox's, which reads secrets every few seconds.
        environment = Path(directory, "environment.json")
        environment.write_text(json.dumps({name: self.variables(template) for name in ("destination", "source", "retry")}))
        flags = ["--listen", "127.0.0.1:0", "--apps", str(apps), "--environment", str(environment), "--secret-id", template]
        self.process = subprocess.Popen([BINARY, "serve", *flags], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.process.stdout:
            if line.startswith("ready "):
                self.host = line.split("//")[1].strip()
                return
        sys.exit("the sandbox did not start")

    @staticmethod
    def variables(template):
        queues = {f"PWSEG_{queue}_QUEUE_URL": "x" for queue in ("RETRY", "REJECTS", "DEAD")}
        return queues | {
            "PWSEG_SECRET_ID": template, "PWSEG_LEDGER_TABLE": "ledger", "PWSEG_STACK_NAME": "bench",
            "PWSEG_PARTIAL_BATCH_RESPONSE": "true",
        }

    def call(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.host, timeout=60)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, text

    def state(self):
        return json.loads(self.call("GET", "/_sandbox/state")[1])

    def memory(self):
        """Resident memory of each function in MiB."""
        def resident(pid):
            status = Path(f"/proc/{pid}/status").read_text()
            return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        functions = self.state()["functions"]
        return {name: round(sum(map(resident, functions[name]["pids"])) / 1024, 1) for name in ("destination", "source")}


def send(sandbox, number):
    event = {"user_id": "u", "attributes": {"a": 1}}
    headers = {"authorization": f"Token {number:080d}", "x-pw-appcode": code(number)}
    return sandbox.call("POST", "/integration-segment/v1/track-user", json.dumps(event), headers)[0]


def round_of(sandbox, numbers):
    """Everybody sends once; how many were accepted, and how long it took."""
    begin = time.monotonic()
    with ThreadPoolExecutor(CALLERS) as callers:
        statuses = list(callers.map(lambda number: send(sandbox, number), numbers))
    seconds = time.monotonic() - begin
    for first in range(0, len(numbers), 1000):
        records = [
            {"event_name": "Push Sent", "timestamp": "2026-01-31T12:00:00Z", "application_code": code(number),
             "message_code": "A444-AAABBBCC-00112233", "platform": 1, "hwid": "H1", "user_id": f"u{time.monotonic_ns()}"}
            for number in numbers[first:first + 1000]
        ]
        sandbox.call("POST", "/_sandbox/topics/channels-tracking-log", "\n".join(map(json.dumps, records)))
    while True:
        if sandbox.state()["topic"]["lag"] == 0:
            break
        time.sleep(0.2)
    return statuses.count(200), seconds


def run(count, length):
    numbers = list(range(1, count + 1))
    with tempfile.TemporaryDirectory() as directory:
        apps = Path(directory, "apps.json")
        apps.write_text(json.dumps({code(number): secret(number) for number in numbers}))
        sandbox = Sandbox(apps, f"{PREFIX}{{app_code:{length}}}" if length else f"{PREFIX}{{app_code}}", directory)
        try:
            if length:
                shards = {}
                for number in numbers:
                    shards.setdefault(code(number)[:length], {})[code(number)] = secret(number)
                largest = max(len(json.dumps(shard)) for shard in shards.values())
                print(f"{len(shards)} shards, the largest of {largest} bytes before the upstreams' addresses")
            before = sandbox.memory()
            for turn in (1, 2):
                reads = sandbox.state()["aws"]["calls"].get("GetSecretValue", 0)
                accepted, seconds = round_of(sandbox, numbers)
                reads = sandbox.state()["aws"]["calls"].get("GetSecretValue", 0) - reads
                print(f"round {turn}: {accepted} of {count} accepted in {seconds:.0f} s, {reads} reads of secrets")
            print(f"memory in MiB: before {before}, after {sandbox.memory()}; outcomes {sandbox.state()['outcomes']}")
        finally:
            sandbox.process.terminate()
            sandbox.process.wait()


def main(count="10000"):
    for length in (None, 2):
        print(f"{count} applications, " + (f"{{app_code:{length}}}" if length else "a secret each"))
        run(int(count), length)


main(*sys.argv[1:])
