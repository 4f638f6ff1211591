"""One process: workers start in order, doors open, a signal drains, a failed worker takes everything with it."""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from weft.app.process import Stop, WorkerFailed, bind, running, serving
from weft.app.settings import Settings
from weft.core.errors import Conflict, Invalid


class Doer:
    """A worker that writes down what happens to it."""

    def __init__(self, name: str, diary: list[str], *, fail: Exception | None = None, before_start: bool = False) -> None:
        self.name = name
        self.diary = diary
        self.fail = fail
        self.before_start = before_start
        self.go = asyncio.Event()

    async def run(self, started: Callable[[], None]) -> None:
        if self.fail is not None and self.before_start:
            raise self.fail
        self.diary.append(f"{self.name} started")
        started()
        try:
            await self.go.wait()
            if self.fail is not None:
                raise self.fail
        finally:
            self.diary.append(f"{self.name} stopped")


async def test_workers_start_in_order_and_stop_the_other_way_round() -> None:
    diary: list[str] = []

    async with running([Doer("one", diary), Doer("two", diary)], failed=lambda failure: None):
        diary.append("open")

    assert diary == ["one started", "two started", "open", "two stopped", "one stopped"]


async def test_a_worker_that_fails_while_running_is_told_with_its_reason() -> None:
    failures: asyncio.Queue[WorkerFailed] = asyncio.Queue()
    doer = Doer("bad", [], fail=Conflict("somebody else writes here"))

    async with running([doer], failures.put_nowait):
        doer.go.set()
        failure = await asyncio.wait_for(failures.get(), 5)

    assert failure.message == "the worker 'bad' cannot go on: somebody else writes here"


async def test_a_worker_that_ends_by_itself_is_a_failure_too() -> None:
    failures: asyncio.Queue[WorkerFailed] = asyncio.Queue()
    doer = Doer("short", [])

    async with running([doer], failures.put_nowait):
        doer.go.set()
        failure = await asyncio.wait_for(failures.get(), 5)

    assert failure.message == "the worker 'short' cannot go on: it ended by itself"


async def test_a_worker_that_cannot_start_stops_those_that_have() -> None:
    diary: list[str] = []
    bad = Doer("bad", diary, fail=ValueError("no"), before_start=True)

    with pytest.raises(WorkerFailed, match="'bad' cannot go on: ValueError: no"):
        async with running([Doer("one", diary), bad, Doer("never", diary)], failed=lambda failure: None):
            diary.append("open")

    assert diary == ["one started", "one stopped"]


def test_a_taken_port_is_one_sentence() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(Conflict, match=f"port {port} on 127.0.0.1 is taken by another program"):
            bind("127.0.0.1", port)


def test_an_address_that_is_not_ours_is_one_sentence() -> None:
    for host in ("192.0.2.1", "no such host"):
        with pytest.raises(Invalid, match=host):
            bind(host, 0)


async def hello(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    """Answers `/slow` only when told."""
    if scope["path"] == "/slow":
        scope["state"]["began"].set()
        await scope["state"]["finish"].wait()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def test_a_request_in_flight_is_answered_while_new_connections_are_refused() -> None:
    began, finish = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await hello({**scope, "state": {"began": began, "finish": finish}}, receive, send)

    listener = bind("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with httpx.AsyncClient(trust_env=False) as client:
        closing = asyncio.Event()

        async def serve() -> None:
            async with serving(app, listener, Settings()):
                assert (await client.get(url)).text == "ok"
                waiting.append(asyncio.create_task(client.get(f"{url}/slow")))
                await began.wait()
                closing.set()

        waiting: list[asyncio.Task[httpx.Response]] = []
        served = asyncio.create_task(serve())
        await closing.wait()
        async with httpx.AsyncClient(trust_env=False) as other:
            for _ in range(500):
                try:
                    await other.get(url)
                except httpx.TransportError:
                    break
                await asyncio.sleep(0.01)
            else:
                pytest.fail("the door stayed open while draining")
        assert not served.done()
        finish.set()
        assert (await waiting[0]).text == "ok"
        await served


async def test_a_request_that_never_ends_is_cut_off_after_the_drain_timeout() -> None:
    began = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await hello({**scope, "state": {"began": began, "finish": asyncio.Event()}}, receive, send)

    settings = Settings.model_validate({"app": {"drain_timeout_s": 0.5}})
    listener = bind("127.0.0.1", 0)
    async with httpx.AsyncClient(trust_env=False) as client:
        async with asyncio.timeout(20), serving(app, listener, settings):
            asked = asyncio.create_task(client.get(f"http://127.0.0.1:{listener.getsockname()[1]}/slow"))
            await began.wait()
        (outcome,) = await asyncio.gather(asked, return_exceptions=True)
        assert isinstance(outcome, httpx.TransportError) or outcome.status_code == 500, "it must not look like a success"


async def test_the_first_signal_asks_for_the_end() -> None:
    stop = Stop()
    with stop.listening():
        signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(stop.wait(), 5)
