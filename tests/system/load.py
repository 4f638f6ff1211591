"""Concurrent clients that remember what they sent, what was acknowledged, what was refused, and what they never heard of."""

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx

UNKNOWN = 504
"""The server itself does not know whether the events of such a request are kept."""


@dataclass(frozen=True)
class Refusal:
    """An answer that was no success: its status, after how many seconds to try again, and what it was about."""

    status: int
    retry_after: str | None
    text: str
    keys: tuple[str, ...]


@dataclass
class Memory:
    """What was sent and acknowledged so far, by the key that every event carries in its data.

    `acknowledged` maps keys to the ids the answers named; `given` maps keys to the ids the clients chose. Requests in
    `unheard` never got an answer: what became of them is unknown.
    """

    sent: set[str] = field(default_factory=set[str])
    acknowledged: dict[str, str] = field(default_factory=dict[str, str])
    given: dict[str, str] = field(default_factory=dict[str, str])
    retries: list[str] = field(default_factory=list[str])
    refused: list[Refusal] = field(default_factory=list[Refusal])
    unheard: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    numbers: "count[int]" = field(default_factory=lambda: count(1))

    def new_keys(self, number: int, *, with_ids: bool = False) -> list[str]:
        with self.lock:
            keys = [f"k{next(self.numbers)}" for _ in range(number)]
            self.sent.update(keys)
            if with_ids:
                self.given |= {key: f"client-{key}" for key in keys}
            return keys

    def acknowledge(self, keys: list[str], ids: list[str]) -> None:
        with self.lock:
            self.acknowledged |= dict(zip(keys, ids, strict=True))

    def refuse(self, keys: Sequence[str], answer: httpx.Response) -> None:
        with self.lock:
            self.refused.append(Refusal(answer.status_code, answer.headers.get("Retry-After"), answer.text[:300], tuple(keys)))

    def event(self, key: str) -> dict[str, Any]:
        event = {"type": "custom", "source": "load", "data": {"key": key, "filling": "x" * 40}}
        return {**event, "id": self.given[key]} if key in self.given else event


class Clients:
    """Clients of four kinds, each in a thread, until the server is gone or they are told to stop.

    Given a function that names servers, they go on with another one when one is gone.
    """

    def __init__(self, url: str | Callable[[], Sequence[str | None]], memory: Memory, chance: random.Random) -> None:
        self._url = url
        self._memory = memory
        self._stop = threading.Event()
        seeds = [chance.random() for _ in range(5)]
        kinds: list[Callable[[httpx.Client, random.Random], None]] = [
            self._single, self._single, self._batch, self._with_ids, self._again,
        ]  # fmt: skip
        self._threads = [
            threading.Thread(target=self._run, args=(kind, random.Random(seed)), daemon=True)
            for kind, seed in zip(kinds, seeds, strict=True)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Tell them to stop, and wait until their last answers are in or lost."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, kind: Callable[[httpx.Client, random.Random], None], chance: random.Random) -> None:
        while not self._stop.is_set():
            url = self._url if isinstance(self._url, str) else self._some_url(chance)
            if url is None:
                self._stop.wait(0.05)
                continue
            with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
                self._talk(client, kind, chance)
            if isinstance(self._url, str):
                return  # gone, or going

    def _some_url(self, chance: random.Random) -> str | None:
        assert not isinstance(self._url, str)
        up = [url for url in self._url() if url is not None]
        return chance.choice(up) if up else None

    def _talk(self, client: httpx.Client, kind: Callable[[httpx.Client, random.Random], None], chance: random.Random) -> None:
        while not self._stop.is_set():
            try:
                kind(client, chance)
            except httpx.ConnectError:
                self._stop.wait(0.05)
                return
            except httpx.HTTPError:
                with self._memory.lock:
                    self._memory.unheard += 1
                return

    def _single(self, client: httpx.Client, chance: random.Random) -> None:
        (key,) = self._memory.new_keys(1)
        answer = client.post("/events", json=self._memory.event(key))
        if answer.status_code == 201:
            self._memory.acknowledge([key], [answer.json()["data"]["event_id"]])
        else:
            self._refused([key], answer)

    def _batch(self, client: httpx.Client, chance: random.Random) -> None:
        self._send_batch(client, self._memory.new_keys(chance.randint(2, 60)))

    def _with_ids(self, client: httpx.Client, chance: random.Random) -> None:
        keys = self._memory.new_keys(chance.randint(1, 20), with_ids=True)
        if not self._send_batch(client, keys):
            with self._memory.lock:
                self._memory.retries.extend(keys)

    def _again(self, client: httpx.Client, chance: random.Random) -> None:
        """Send events with ids of their own again, whether they were acknowledged or not."""
        with self._memory.lock:
            known = list(self._memory.given)[-500:]
        if known:
            self._send_batch(client, chance.sample(known, min(len(known), 10)))
        self._stop.wait(0.02)

    def _send_batch(self, client: httpx.Client, keys: list[str]) -> bool:
        answer = client.post("/events/batch", json={"events": [self._memory.event(key) for key in keys]})
        if answer.status_code == 201:
            self._memory.acknowledge(keys, answer.json()["data"]["event_ids"])
            return True
        self._refused(keys, answer)
        return False

    def _refused(self, keys: Sequence[str], answer: httpx.Response) -> None:
        self._memory.refuse(keys, answer)
        self._stop.wait(0.05)
