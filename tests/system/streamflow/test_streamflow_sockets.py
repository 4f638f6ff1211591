"""Sockets speak the documented frames."""

import json
import time
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.system.deployment import Process, wait_until
from tests.system.streamflow.walk import (
    ISO_UTC,
    next_frame,
    open_socket,
    wait_for_event,
)

pytestmark = pytest.mark.xdist_group("streamflow")  # one Weft serves them all


@pytest.mark.contract("SF-44", "SF-285")
def test_open_sockets_are_counted(client: httpx.Client, process: Process, token: str) -> None:
    def count() -> int:
        number: int = client.get("/health").json()["checks"]["websocket_connections"]
        return number

    before = count()
    with open_socket(process, "/ws") as socket:
        socket.send(json.dumps({"type": "auth", "token": token}))
        wait_until(lambda: True if count() == before + 1 else None, "an open socket was not counted")
        assert f"streamflow_active_connections {before + 1}" in client.get("/metrics").text
    wait_until(lambda: True if count() == before else None, "a closed socket is still counted")


@pytest.mark.contract("SF-66", "SF-67", "SF-68", "SF-D18", "SF-D19")
def test_the_documented_socket_frame_is_acknowledged_and_stored(client: httpx.Client, process: Process, token: str) -> None:
    frame = {
        "type": "event",
        "data": {"event_type": "user.activity", "user_id": "user123", "action": "page_view", "page": "/dashboard"},
    }
    with open_socket(process, "/ws") as socket:
        socket.send(json.dumps({"type": "auth", "token": token}))
        socket.send(json.dumps(frame))
        answer = next_frame(socket, "ack")
        socket.send(json.dumps({"type": "ping"}))
        pong = next_frame(socket, "pong")
        socket.send("not json")
        error = next_frame(socket, "error")

    found = wait_for_event(client, answer["event_id"])["data"]
    assert ISO_UTC.fullmatch(answer["timestamp"])
    assert pong["type"] == "pong"
    assert {"error", "message"} <= set(error)
    assert found["type"] == "user.activity"
    assert found["user_id"] == "user123"
    assert found["data"] == {"action": "page_view", "page": "/dashboard"}


@pytest.mark.contract("SF-81", "SF-D21")
def test_the_dashboard_socket_pushes_the_realtime_figures(process: Process, token: str) -> None:
    with open_socket(process, "/ws/metrics") as socket:
        socket.send(json.dumps({"type": "auth", "token": token}))
        deadline = time.monotonic() + 5
        frame: dict[str, Any] = {}
        while "metrics" not in frame and time.monotonic() < deadline:
            frame = json.loads(socket.recv(timeout=5))

    assert set(frame["metrics"]) >= {"events_per_second", "active_users", "error_rate", "response_time_avg"}
    assert ISO_UTC.fullmatch(frame["timestamp"])


@pytest.mark.contract("SF-265")
def test_the_eleventh_socket_of_one_address_is_refused(process: Process, client: httpx.Client, token: str) -> None:
    wait_until(lambda: True if client.get("/health").json()["checks"]["websocket_connections"] == 0 else None, "sockets linger")
    with ExitStack() as held:
        for _ in range(10):
            socket = held.enter_context(open_socket(process, "/ws"))
            socket.send(json.dumps({"type": "auth", "token": token}))
        with pytest.raises(InvalidStatus) as refused:
            open_socket(process, "/ws")

    assert refused.value.response.status_code == 429
