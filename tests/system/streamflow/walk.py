"""What the tests of StreamFlow's documents share: who asks, what is sent, and how answers are waited for."""

import json
import re
import time
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from tests.system.deployment import Process, wait_until

EMAIL, PASSWORD = "ada@example.org", "correct horse battery"
SECRET = "a-secret-of-the-tests-that-is-long-enough-0123456789"
CLICK: dict[str, Any] = {
    "type": "web.click",
    "source": "website",
    "data": {"page": "/dashboard", "user_id": "123", "element": "button.submit"},
    "severity": "medium",
    "correlation_id": "walk-1",
    "session_id": "session-9",
    "user_id": "user123",
    "tags": ["frontend", "user-interaction"],
}
ISO_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def data_dir_of(process: Process) -> tuple[str, str]:
    return ("--data-dir", str(process.data_dir))


def open_socket(process: Process, path: str) -> ClientConnection:
    return connect(process.url().replace("http://", "ws://") + path)


def wait_for_event(client: httpx.Client, event_id: str) -> dict[str, Any]:
    """The answer with an event, once it is stored."""

    def look() -> dict[str, Any] | None:
        answer = client.get(f"/events/{event_id}")
        return answer.json() if answer.status_code == 200 else None

    return wait_until(look, f"{event_id} was acknowledged and never found")


def next_frame(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """The next frame of a kind; others, such as the answer to the sign-in, are stepped over."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        frame: dict[str, Any] = json.loads(socket.recv(timeout=10))
        if frame["type"] == kind:
            return frame
    raise AssertionError(f"no frame of type {kind} came")


def log_lines(process: Process) -> list[dict[str, Any]]:
    welcome = process.text.split("Weft ")[0], process.text.partition("Ctrl-C stops it.\n")[2]
    return [json.loads(line) for part in welcome for line in part.splitlines() if line.strip()]
