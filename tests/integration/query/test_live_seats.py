"""Seats of every kind beside each other, whatever their clients take and when: what each is told adds up to what there was."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.query.live.seat import Seat
from weft.query.live.seen import TOPIC, Seen
from weft.query.live.update import PROGRESS, Events, Update
from weft.query.wanted import Wanted
from weft.testing.factories import make_batch, make_row

SUBJECTS = 5


class Watcher:
    """A client without a socket: takes what it is given with a chance of its own, and writes down what it was told."""

    def __init__(self, chance: random.Random, takes: float) -> None:
        self._chance = chance
        self._takes = takes
        self.seat: Any = None
        self.told: list[tuple[int, int]] = []
        self.left_out = 0
        self.gaps: list[str] = []
        self.behind = True

    def write(self, frame: bytes) -> bool:
        if self._chance.random() >= self._takes:
            return False
        self.take(json.loads(frame[frame.index(b'{"type"') :]))
        return True

    def take(self, frame: dict[str, Any]) -> None:
        if gap := frame.get("gap"):
            self.left_out += gap["events"]
            self.gaps.append(gap["reason"])
        self.told += [(event["partition"], event["offset"]) for event in frame.get("events", ())]

    def fell(self, seat: Any) -> None:
        self.behind = True

    async def read(self, steps: int) -> None:
        """What one that is behind does, for some steps."""
        for _ in range(steps):
            if not self.behind:
                return
            update: Update | None = await self.seat.next()
            if update is None:
                self.behind = not self.seat.join()
                return
            if update is not PROGRESS:
                self.take(json.loads(update.text("a")))


@asynccontextmanager
async def two_partitions(lab: Any, folder: Path) -> AsyncIterator[list[SqliteLog]]:
    """The laboratory's log, and one of another process that appends to the other partition."""
    settings = LogSettings(partitions=2)
    async with SqliteLog(f"sqlite://{folder / 'log'}", settings=settings, clock=lab.clock) as other:
        yield [lab.log, other]


@pytest.mark.parametrize("start", range(4))
async def test_what_is_told_adds_up_to_what_there_was(open_lab: Any, tmp_path: Path, start: int) -> None:
    await _many_seats(open_lab, tmp_path, start, 60)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("start", range(100, 108))
async def test_what_is_told_adds_up_in_long_runs_too(open_lab: Any, tmp_path: Path, start: int) -> None:
    await _many_seats(open_lab, tmp_path, start, 600)


async def _many_seats(open_lab: Any, folder: Path, start: int, rounds: int) -> None:
    chance = random.Random(start)
    tight = {"live_backlog_events": 20, "feed_memory_bytes": 30_000, "feed_chunk_bytes": 3_000, "live_memory_bytes": 100_000}
    wanted = Wanted.of(expression="number % 3 != 0") if start % 2 else Wanted()
    async with open_lab(partitions=2, **tight) as lab, two_partitions(lab, folder) as logs, AsyncExitStack() as stack:
        for log in logs:
            await log.append(make_batch([make_row(0)]))
        view = await stack.enter_async_context(lab.parts.views.events(Seen(kind=TOPIC, topic="events", wanted=wanted)))
        watchers = [await _watcher(view, chance, number) for number in range(9)]
        total = await _live_through(chance, logs, watchers, rounds)
        async with asyncio.timeout(60):
            while sum(view.positions.values()) < total:
                await view.moved.wait()
        for watcher in watchers:
            await _drain(watcher, total)
    _check(watchers, total)


async def _watcher(view: Any, chance: random.Random, number: int) -> Watcher:
    """Of each kind three: one that takes everything at once, one that often does, one that seldom does."""
    kinds: list[dict[str, Any]] = [{}, {"is_patient": True}, {"credit": 5}]
    watcher = Watcher(chance, takes=(1.0, 0.7, 0.2)[number // 3])
    watcher.seat = Seat(view, name="a", write=watcher.write, behind=watcher.fell, **kinds[number % 3])
    await watcher.seat.begin("earliest")
    return watcher


async def _live_through(chance: random.Random, logs: list[SqliteLog], watchers: list[Watcher], rounds: int) -> int:
    """Events come, some of the watchers read on a little; returns how many events there were."""
    total = len(logs)
    for _ in range(rounds):
        count = chance.choice([1, 1, 2, 7, 40])
        rows = [make_row(total + n, subject=f"s{chance.randrange(SUBJECTS)}") for n in range(count)]
        await chance.choice(logs).append(make_batch(rows))
        total += count
        for watcher in chance.sample(watchers, 4):
            if watcher.seat.credit is not None and chance.random() < 0.5:
                watcher.seat.grant(chance.randrange(1, 9))
            await watcher.read(chance.randrange(4))
    return total


async def _drain(watcher: Watcher, total: int) -> None:
    if watcher.seat.credit is not None:
        watcher.seat.grant(total)
    while watcher.behind:
        await watcher.read(50)
    watcher.seat.leave()


def _check(watchers: list[Watcher], total: int) -> None:
    shown = sorted(watchers[1].told)
    assert len(shown) > total // 3
    for number, watcher in enumerate(watchers):
        assert len(set(watcher.told)) == len(watcher.told), "nothing twice"
        for partition in (0, 1):
            offsets = [offset for at, offset in watcher.told if at == partition]
            assert offsets == sorted(offsets), "in the order of the log"
        assert len(watcher.told) + watcher.left_out == len(shown), "what was left out is counted"
        if number % 3:
            assert sorted(watcher.told) == shown, "with credit or patience nothing is left out"
    assert any(watcher.left_out for watcher in watchers), "somebody was too far behind"


async def test_a_view_over_partitions_that_come_later_goes_on_in_each(open_lab: Any, tmp_path: Path) -> None:
    async with open_lab(partitions=2) as lab, two_partitions(lab, tmp_path) as logs, AsyncExitStack() as stack:
        view = await stack.enter_async_context(lab.parts.views.events(Seen(kind=TOPIC, topic="events")))
        seat = Seat(view)
        for number, log in enumerate([*logs, *logs]):
            await log.append(make_batch([make_row(number)]))
        found: list[Any] = []
        async with asyncio.timeout(10):
            while len(found) < 4:
                update = await seat.next()
                if update is None:
                    await seat.moved()
                elif isinstance(update, Events):
                    found += [json.loads(line) for line in update.lines]
        assert sorted((event["partition"], event["offset"]) for event in found) == [(0, 0), (0, 1), (1, 0), (1, 1)]
        assert seat.cursor == "0:2,1:2"
