"""How a process begins and ends, seen from outside."""

import asyncio
import json
import random
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import websockets

from tests.system.deployment import Deployment, Process, run_weft, wait_until
from tests.system.every_event import check_every_event
from tests.system.load import Clients, Memory

SECRET = "a secret of 44 characters that nobody guesses"


@contextmanager
def running(folder: Path, *arguments: str, **environment: str) -> Iterator[Process]:
    process = Process(folder, *arguments, environment=environment)
    try:
        process.url()
        yield process
    finally:
        process.kill()


def headers(process: Process) -> dict[str, str]:
    return {"X-API-Key": (process.data_dir / "secrets" / "local.key").read_text(encoding="utf-8")}


def test_a_stop_under_load_finishes_what_is_in_flight_and_loses_nothing(tmp_path: Path) -> None:
    memory = Memory()
    with running(tmp_path) as process:
        clients = Clients(process.url(), memory, random.Random(1))
        clients.start()
        wait_until(lambda: len(memory.acknowledged) > 300 or None, "the clients got nowhere")
        process.signal(signal.SIGTERM)
        code = process.wait()
        clients.stop()
        assert code == 0, process.text

    again = Deployment(tmp_path, "together").start()
    try:
        check_every_event(again, memory)
    finally:
        again.kill()


def test_ready_turns_false_before_the_doors_close(tmp_path: Path) -> None:
    with running(tmp_path, WEFT_APP__DRAIN_NOTICE_S="1.5") as process, httpx.Client(base_url=process.url()) as client:
        assert client.get("/ready").status_code == 200
        process.signal(signal.SIGTERM)
        wait_until(lambda: client.get("/ready").status_code == 503 or None, "/ready stayed true")
        still = client.post("/events", json={"type": "custom", "source": "late", "data": {}})
        assert still.status_code == 201, "who has not noticed yet must still be served"
        client.close()
        assert process.wait() == 0


def test_a_second_ctrl_c_ends_at_once(tmp_path: Path) -> None:
    with running(tmp_path, WEFT_APP__DRAIN_NOTICE_S="60") as process:
        process.signal(signal.SIGINT)
        process.wait_for("draining")
        process.signal(signal.SIGINT)

        assert process.wait() == 130


async def test_open_feeds_and_sockets_do_not_hold_up_the_end(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        url = process.url()
        async with (
            httpx.AsyncClient(base_url=url, headers=headers(process), timeout=20) as client,
            client.stream("GET", "/api/v1/topics/events/stream") as feed,
            websockets.connect(f"{url.replace('http', 'ws')}/ws/metrics", additional_headers=headers(process)) as pushed,
        ):
            lines = feed.aiter_lines()
            await anext(lines)
            assert "metrics" in json.loads(await pushed.recv())
            began = time.monotonic()
            process.signal(signal.SIGTERM)
            rest = [line async for line in lines]
            assert "event: cut" in rest, "the reader must learn from where to go on"
            with pytest.raises(websockets.ConnectionClosed, match="1012"):
                await read_on(pushed)
        assert await asyncio.to_thread(process.wait) == 0
        assert time.monotonic() - began < 10


async def read_on(connection: websockets.ClientConnection) -> None:
    while True:
        await connection.recv()


@pytest.mark.contract("SF-282", "SF-229", "SF-D3")
def test_metrics_can_have_a_listener_of_their_own(tmp_path: Path, free_port: int) -> None:
    with running(tmp_path, WEFT_APP__METRICS_PORT=str(free_port)):
        assert "weft_log_size_bytes" in httpx.get(f"http://127.0.0.1:{free_port}/metrics").text
        assert httpx.get(f"http://127.0.0.1:{free_port}/events").status_code == 404


@pytest.mark.contract("SF-200", "SF-228")
def test_metrics_can_be_switched_off(tmp_path: Path) -> None:
    with running(tmp_path, PROMETHEUS_ENABLED="false") as process:
        assert httpx.get(f"{process.url()}/metrics").status_code == 404


def refused(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code and the words of a start that must not succeed."""
    done = run_weft("start", "--data-dir", str(folder / "data"), *arguments, cwd=folder, check=False, extra=environment)
    assert "Traceback" not in done.stderr + done.stdout
    assert done.stderr.startswith("weft: ")
    return done.returncode, done.stderr


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])

        code, words = refused(tmp_path, "--port", port)

    assert code == 1
    assert words == f"weft: port {port} on 127.0.0.1 is taken by another program; stop it or choose another with --port\n"


def test_a_data_folder_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file, not a folder")

    code, words = refused(tmp_path, "--port", "0")

    assert code == 2
    assert words == f"weft: the data folder {tmp_path}/data cannot be used: File exists\n"


@pytest.mark.contract("SF-192", "SF-D8")
@pytest.mark.parametrize("secret", ["", "short", "changeme-changeme-changeme-changeme"])
def test_production_without_a_good_secret_does_not_start(tmp_path: Path, secret: str) -> None:
    given = {"JWT_SECRET_KEY": secret} if secret else {}

    code, words = refused(tmp_path, "--port", "0", ENVIRONMENT="production", **given)

    assert code == 2
    assert "SECRET_KEY" in words
    assert not secret or secret not in words


def test_production_with_a_secret_starts_with_its_doors_locked(tmp_path: Path) -> None:
    with running(tmp_path, ENVIRONMENT="production", JWT_SECRET_KEY=SECRET, WEFT_INGEST__HOST_SOURCE="true") as process:
        event = {"type": "custom", "source": "s", "data": {}}
        assert httpx.post(f"{process.url()}/events", json=event).status_code == 401
        assert httpx.post(f"{process.url()}/events", json=event, headers=headers(process)).status_code == 201
        assert "X-API-Key" in process.wait_for("Ctrl-C stops it.")


def test_other_machines_stay_out_while_developing(tmp_path: Path) -> None:
    code, words = refused(tmp_path, "--host", "0.0.0.0", "--port", "0")

    assert code == 2
    assert "ENVIRONMENT=production" in words


@pytest.mark.contract("SF-304", "SF-202", "SF-203", "SF-342")
def test_log_level_and_format_are_followed(tmp_path: Path) -> None:
    with running(tmp_path, LOG_LEVEL="WARNING", WEFT_API__ACCESS_LOG="all") as process:
        httpx.get(f"{process.url()}/health")
        assert process.stop() == 0
        assert '"level"' not in process.text
    with running(tmp_path, DEBUG="true", LOG_FORMAT="json") as process:
        assert process.stop() == 0
        levels = {json.loads(line)["level"] for line in process.text.splitlines() if line.startswith("{")}
        assert "DEBUG" in levels
