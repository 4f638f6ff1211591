"""From an event to the people who are told, and what a hundred rules cost the doors; with the real program on embedded parts.

The latency of an alert begins when the client has the answer to the event that moved the watermark past the end of a window in
which the rule's condition is true, and ends when a webhook on this machine has received the whole request. The watermark's own
delay is no part of it: event times are chosen so that each event closes the window of the one before. One alert at a time, at
random distances, so that nothing can be in step with a timer.

Under load one process takes batches, stores them and answers a hundred rules; lag is what the log says of each group.
"""

import http.server
import json
import queue
import random
import shutil
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx
import psutil

from bench.ingest import BATCH, batches
from bench.load import Load, finish, start, write_script
from tests.system.deployment import FreshProcess, wait_until

NOTIFICATIONS: Final = 240
RULES: Final = 100
LOAD_S: Final = 30.0
IDLE_S: Final = 20.0
TOPIC: Final = "bench"
"""One of its own: the host source moves the time of the common topic on."""
GROUPS: Final = ("store", "stream", "alerts")
TOLD_WITHIN_S: Final = 30.0
CAUGHT_UP_WITHIN_S: Final = 300.0
_WARM: Final = 10
_SETTLED_S: Final = 15.0
"""The first seconds of a process are no measure of an idle one."""
_WINDOW: Final = timedelta(seconds=2)
"""Each event stands in the middle of its window, so that it is ahead of the window before by the second in which events may be
out of order: it closes that window."""
_ENVIRONMENT: Final = {
    "WEFT_INGEST__HOST_SOURCE": "true",
    "WEFT_INGEST__OTHER_TOPICS": "true",
    "WEFT_ALERTS__FLAPS": "1000",
    "WEFT_ALERTS__NOTIFY__GROUP_INTERVAL_S": "0",
    "WEFT_ALERTS__NOTIFY__MESSAGES_PER_MINUTE": "10000",
}
Row = dict[str, float]


class Sink:
    """A webhook's other side: what each notification says the alert became, and when it was there by the monotonic clock."""

    def __init__(self) -> None:
        self.told: queue.SimpleQueue[tuple[str, float]] = queue.SimpleQueue()
        sink = self

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sink.take(body, time.perf_counter())
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where to post to."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    def take(self, body: bytes, at_s: float) -> None:
        """Note what a request tells."""
        for notification in json.loads(body)["notifications"]:
            self.told.put((notification["state"], at_s))

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()


def run(notifications: int = NOTIFICATIONS, seconds: float = LOAD_S) -> dict[str, Any]:
    """Each scenario once, on a fresh process and an empty folder."""
    rows: dict[str, Row] = {}
    left_out: dict[str, str] = {}
    with _serving() as process:
        with _sink() as sink:
            rows["event to notification"] = measure_latency(process, sink, notifications)
        rows["the same process, idle"] = measure_idle(process)
    loaded = f"{RULES} rules and the store under load"
    if shutil.which("wrk") is None:
        left_out[loaded] = "wrk is not installed"
    else:
        with _serving() as process:
            rows[loaded] = measure_load(process, seconds)
    ratios = {
        "event to notification, p99 in ms": {"is": rows["event to notification"]["p99_ms"], "target": 250.0, "at_most": True}
    }
    if loaded in rows:
        row = rows[loaded]
        ratios[f"{loaded}, thousand events a second"] = {"is": row["events_per_s"] / 1000, "target": 300.0}
        ratios |= {
            f"{loaded}, lag of {group}, last third ÷ first": {
                "is": row[f"{group}_lag_end"] / max(row[f"{group}_lag_start"], BATCH),
                "target": 1.1,
                "at_most": True,
            }
            for group in GROUPS
        }
    return {"how": "each scenario once", "rows": rows, "ratios": ratios, "left_out": left_out}


def measure_latency(process: FreshProcess, sink: Sink, notifications: int) -> Row:
    """Percentiles over notifications that came one after the other: an alert that fires and resolves in turn."""
    rule = {"name": "too much", "from": TOPIC, "condition": "max(data.value) > 5", "window": "2s"}
    pick = random.Random(1)
    took_ms: list[float] = []
    with process.client() as client:
        _made(client.post("/api/v1/channels", json={"name": "sink", "kind": "webhook", "settings": {"url": sink.url}}))
        _made(client.post("/api/v1/rules", json={**rule, "channels": ["sink"], "suppression_minutes": 0}))
        moment = _until_judged(client, sink, _first_moment(notifications))
        for number in range(_WARM + notifications):
            time.sleep(pick.uniform(0.1, 0.4))
            moment += _WINDOW
            _send(client, moment, is_too_much=number % 2 == 0)
            acknowledged_s = time.perf_counter()
            state, told_s = sink.told.get(timeout=TOLD_WITHIN_S)
            expected = "firing" if number % 2 else "resolved"
            if state != expected:
                raise RuntimeError(f"{state} was told where {expected} was due")
            took_ms.append(1000 * (told_s - acknowledged_s))
    took_ms = sorted(took_ms[_WARM:])
    return {
        "notifications": len(took_ms),
        "p50_ms": statistics.median(took_ms),
        "p99_ms": took_ms[len(took_ms) * 99 // 100],
        "worst_ms": took_ms[-1],
    }


def _first_moment(notifications: int) -> datetime:
    """The middle of a window so long ago that none of those to come is ahead of the clock."""
    now_s = int(time.time() / _WINDOW.total_seconds()) * _WINDOW.total_seconds() + _WINDOW.total_seconds() / 2
    return datetime.fromtimestamp(now_s, UTC) - (notifications + 200) * _WINDOW


def _until_judged(client: httpx.Client, sink: Sink, moment: datetime) -> datetime:
    """Let the rule begin: too much in every window until somebody is told, then a window in which all is well, still open."""
    for _ in range(60):
        _send(client, moment, is_too_much=True)
        moment += _WINDOW
        try:
            sink.told.get(timeout=0.5)
        except queue.Empty:
            continue
        _send(client, moment, is_too_much=False)
        return moment
    raise RuntimeError("the rule never answered")


def _send(client: httpx.Client, moment: datetime, *, is_too_much: bool) -> None:
    event = {"topic": TOPIC, "type": "custom", "source": "bench", "timestamp": moment.isoformat()}
    _made(client.post("/events", json={**event, "data": {"value": 9 if is_too_much else 1}}))


def measure_idle(process: FreshProcess) -> Row:
    """Processor time of a process that nobody asks anything; its own host source goes on."""
    time.sleep(_SETTLED_S)
    before_s = _cpu_s(process.pid)
    time.sleep(IDLE_S)
    return {"cpu_ms_per_s": 1000 * (_cpu_s(process.pid) - before_s) / IDLE_S}


def measure_load(process: FreshProcess, seconds: float) -> Row:
    """Events acknowledged for each second, and lag in events (mean of the first and of the last third of the time)."""
    load = _load()
    with process.client() as client, TemporaryDirectory(prefix="weft-bench-") as folder:
        for number in range(RULES):
            _made(client.post("/api/v1/rules", json=_rule(number)))
        script = Path(folder) / "load.lua"
        write_script(load, script)
        port = httpx.URL(process.url()).port or 80
        finish(start(script, port, load.connections, 5, 1))  # every query has begun
        _caught_up_s(client)
        before_s = _cpu_s(process.pid)
        sending = start(script, port, load.connections, seconds, 100)
        samples: list[dict[str, int]] = []
        while sending.poll() is None:
            time.sleep(0.5)
            samples.append(_lags(client))
        seen = finish(sending)
        events = seen.requests_per_s * BATCH * seconds
        row = {
            "events_per_s": seen.requests_per_s * BATCH,
            "p50_ms": seen.p50_ms,
            "p99_ms": seen.p99_ms,
            "cpu_us_per_event": (_cpu_s(process.pid) - before_s) / events * 1e6,
        }
        part = max(len(samples) // 3, 1)
        for group in GROUPS:
            row[f"{group}_lag_start"] = statistics.mean(sample[group] for sample in samples[:part])
            row[f"{group}_lag_end"] = statistics.mean(sample[group] for sample in samples[-part:])
        row["caught_up_s"] = _caught_up_s(client)
    return row


def _load() -> Load:
    """Batches as the doors are measured with, without times: each event happens when it arrives, so that windows close."""
    load = batches(with_ids=False)
    bodies = [json.loads(body) for body in load.bodies]
    for body in bodies:
        for event in body["events"]:
            del event["timestamp"]
    return replace(load, bodies=tuple(json.dumps(body, separators=(",", ":")) for body in bodies), headers=())


def _rule(number: int) -> dict[str, Any]:
    """One of a hundred that are all different, of four shapes. Now and then one fires."""
    shapes: tuple[dict[str, Any], ...] = (
        {"condition": f"error_rate > {0.2 + number / 200:g}", "window": "10s", "group_by": ["source"]},
        {"condition": f"p95(data.response_time) > {0.9 + number / 1000:g}", "window": "1m", "group_by": ["type"]},
        {"condition": f"avg(data.response_time) > {0.4 + number / 500:g}", "window": "1m", "slide": "10s"},
        {"condition": "count < 1", "where": f"data.status >= 500 and data.response_time > {number / 100:g}", "window": "10s"},
    )
    return {"name": f"rule {number}", **shapes[number % len(shapes)]}


def _lags(client: httpx.Client) -> dict[str, int]:
    """How far behind each group is, over all topics (events)."""
    topics = client.get("/api/v1/topics").raise_for_status().json()["data"]
    return {group: sum(topic["lag"].get(group, 0) for topic in topics) for group in GROUPS}


def _caught_up_s(client: httpx.Client) -> float:
    """How long it takes until nothing of what was sent is still to be read (seconds)."""
    began_s = time.perf_counter()
    wait_until(lambda: max(_lags(client).values()) < BATCH or None, "it never caught up", within_s=CAUGHT_UP_WITHIN_S)
    return time.perf_counter() - began_s


def _cpu_s(pid: int) -> float:
    spent = psutil.Process(pid).cpu_times()
    return spent.user + spent.system


def _made(answer: httpx.Response) -> None:
    if answer.status_code != 201:
        raise RuntimeError(answer.text)


@contextmanager
def _serving() -> Iterator[FreshProcess]:
    with TemporaryDirectory(prefix="weft-bench-") as folder:
        process = FreshProcess(Path(folder), environment=_ENVIRONMENT)
        try:
            process.url()
            yield process
        finally:
            process.kill()


@contextmanager
def _sink() -> Iterator[Sink]:
    sink = Sink()
    try:
        yield sink
    finally:
        sink.close()
