"""Draws docs/dashboard.svg: the dashboard of deploy/observability.yaml with the metrics of a sandbox under load.

    ci/template && cargo build && target/venv/bin/python ci/render_dashboard.py target/translated/observability.json

One second of the sandbox is drawn as one minute. Metrics that the sandbox does not have (AWS's metrics of pollers,
throttles and concurrency) are drawn as 0; so is the age of the oldest item. Metrics by application are left out.
"""

import json
import subprocess
import sys
import time
import urllib.request
from html import escape
from pathlib import Path

ROOT = Path(__file__).parent.parent
SECONDS = 60
UNIT = 46  # pixels of a dashboard's column and row
COLUMNS = 24  # of a dashboard
COLORS = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"]


def call(url, path, body=None, method=None, **headers):
    data = body.encode() if isinstance(body, str) else body
    request = urllib.request.Request(url + path, data=data, method=method or ("POST" if data is not None else "GET"), headers=headers)
    try:
        with urllib.request.urlopen(request) as response:
            return response.read()
    except urllib.error.HTTPError as error:
        return error.read()


def load(url, second):
    """One second of traffic: events, some of them without a platform, and records. Pushwoosh fails for a while."""
    if second in (25, 38):
        faults = [{"status": 503}] if second == 25 else []
        call(url, "/_sandbox/upstream/pushwoosh/faults", json.dumps(faults), "PUT")
    amount = 20 + 10 * (second % 7)
    events = [{"user_id": f"u{n}", "device_platform": "ios" if n % 9 else None, "name": "E", "timestamp": "soon" if n % 23 == 0 else None} for n in range(amount)]
    auth = {"authorization": "Token demo-token", "x-pw-appcode": "DEMO0-00001"}
    call(url, "/integration-segment/v1/post-events", json.dumps({"events": events}), **auth)
    if second % 11 == 0:
        call(url, "/integration-segment/v1/ping", "{}", **{**auth, "authorization": "Token wrong"})
    records = [
        {"event_name": ["Push Sent", "Email Sent", "Push Opened"][n % 3], "timestamp": 1767323045 + second, "application_code": "DEMO0-00001", "message_code": f"m{second}", "platform": 1, "hwid": f"H{n}"}
        for n in range(4 * amount)
    ]
    call(url, "/_sandbox/topics/channels-tracking-log", "\n".join(map(json.dumps, records)))


def measure():
    """The state of a sandbox under load, once per second."""
    command = [ROOT / "target/debug/segment-pushwoosh", "serve", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as sandbox:
        url = sandbox.stdout.readline().split()[1]
        samples = []
        started = time.monotonic()
        for second in range(SECONDS):
            load(url, second)
            time.sleep(max(0, started + second + 1 - time.monotonic()))
            samples.append(json.loads(call(url, "/_sandbox/state")))
        sandbox.terminate()
    return samples


def series(samples, metric):
    """The values of a dashboard's metric, one per second."""
    options = metric[-1]
    namespace, name, _, dimension = metric[:4]
    # Where the dashboard refers to a parameter of the template, the parameter's name.
    if isinstance(dimension, dict):
        dimension = dimension["Ref"]

    def growth(function, counter):
        totals = [sample["metrics"].get(function, {}).get(counter, 0) for sample in samples]
        return [now - before for before, now in zip([0, *totals], totals)]

    if name == "OldestUndeliveredS":
        # The sandbox adds up what the functions write: there is no age in that.
        return [0] * len(samples)
    if namespace == "SegmentPushwoosh":
        values = growth(dimension, name)
        if options.get("stat") == "Average":
            values = [value / max(1, count) for value, count in zip(values, growth(dimension, "Invocations"))]
        return values
    function = dimension.lower()
    if name == "Duration":
        counts = growth(function, "Invocations")
        return [value / max(1, count) for value, count in zip(growth(function, "DurationMs"), counts)]
    if name == "Invocations":
        return growth(function, name)
    if name == "Count":
        return growth("destination", "Invocations")
    if name == "OffsetLag":
        return [sample["topic"]["lag"] for sample in samples]
    if name == "ApproximateNumberOfMessagesVisible":
        queue = dimension.removesuffix("Queue").lower()
        return [sample["queues"][queue] for sample in samples]
    return [0] * len(samples)


def reasons(samples):
    names = sorted({name for sample in samples for metrics in sample["metrics"].values() for name in metrics if name.startswith("Reason.")})
    found = []
    for name in names:
        totals = [sum(metrics.get(name, 0) for metrics in sample["metrics"].values()) for sample in samples]
        found.append((name, [now - before for before, now in zip([0, *totals], totals)]))
    return found


def place(widgets):
    """The widgets' columns and rows: each at the next free place, as CloudWatch does without x and y."""
    places = []
    column = row = 0
    for widget in widgets:
        if column + widget["width"] > COLUMNS:
            column, row = 0, row + height
        places.append((column, row))
        column, height = column + widget["width"], widget["height"]
    return places


def draw(widget, column, row, samples):
    """A widget as SVG: title, lines or stacked areas, legend."""
    x, y, width, height = (cells * UNIT for cells in (column, row, widget["width"], widget["height"]))
    out = [f'<g transform="translate({x + 4} {y + 4})"><rect width="{width - 8}" height="{height - 8}" rx="6" fill="#fff" stroke="#d5dbdb"/>']
    properties = widget["properties"]
    if widget["type"] == "text":
        text = properties["markdown"].replace("**", "")
        return "".join([*out, f'<text x="12" y="24" font-size="13">{escape(text)}</text></g>'])
    lines = []
    for metric in properties["metrics"]:
        options = metric[-1]
        expression = options.get("expression", "")
        if " Reason" in expression:
            lines += [(name, values, None) for name, values in reasons(samples)]
        elif options.get("id") == "parked":
            lines.append((options["label"], [sample["queues"]["retry"] for sample in samples], None))
        elif not expression and options.get("visible", True):
            lines.append((options["label"], series(samples, metric), options.get("color")))
    legend = 1 + sum(24 + 6.2 * len(label) for label, _, _ in lines) // (width - 60)
    left, top, wide, high = 44, 34, width - 66, height - 66 - 15 * legend
    stacked = properties.get("stacked")
    sums = [sum(values) for values in zip(*(values for _, values, _ in lines))] if lines else [0]
    most = max(max(sums) if stacked else max((max(values) for _, values, _ in lines), default=0), 1)
    out.append(f'<text x="12" y="22" font-size="13" font-weight="bold">{escape(properties["title"])}</text>')
    for part in (0, 0.5, 1):
        level = top + high * (1 - part)
        out.append(f'<line x1="{left}" x2="{left + wide}" y1="{level:.0f}" y2="{level:.0f}" stroke="#eaeded"/><text x="{left - 6}" y="{level + 4:.0f}" font-size="10" text-anchor="end">{most * part:.0f}</text>')
    floor = [0.0] * len(samples)
    for index, (_, values, color) in enumerate(lines):
        color = color or COLORS[index % len(COLORS)]
        tops = [below + value for below, value in zip(floor, values)] if stacked else values
        point = lambda index, value: f"{left + wide * index / (len(samples) - 1):.1f},{top + high * (1 - value / most):.1f}"
        points = [point(at, value) for at, value in enumerate(tops)]
        if stacked:
            back = [point(at, value) for at, value in reversed(list(enumerate(floor)))]
            out.append(f'<polygon points="{" ".join(points + back)}" fill="{color}" fill-opacity="0.75"/>')
            floor = tops
        else:
            out.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{color}" stroke-width="1.5"/>')
    at, row = 12, top + high + 22
    for index, (label, _, color) in enumerate(lines):
        length = 24 + 6.2 * len(label)
        if at + length > width - 16:
            at, row = 12, row + 15
        out.append(f'<rect x="{at}" y="{row - 8}" width="9" height="9" fill="{color or COLORS[index % len(COLORS)]}"/><text x="{at + 13}" y="{row}" font-size="10">{escape(label)}</text>')
        at += length
    return "".join([*out, "</g>"])


template = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
widgets = template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::ToJsonString"]["widgets"]
places = place(widgets)
samples = measure()
right = COLUMNS * UNIT
bottom = max(row + widget["height"] for (_, row), widget in zip(places, widgets)) * UNIT
drawn = "\n".join(draw(widget, *cell, samples) for widget, cell in zip(widgets, places))
svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right} {bottom}" font-family="system-ui, sans-serif" fill="#16191f"><rect width="{right}" height="{bottom}" fill="#f2f3f3"/>\n{drawn}\n</svg>\n'
(ROOT / "docs/dashboard.svg").write_text(svg, encoding="utf-8")
