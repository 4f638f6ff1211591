"""What the log cannot give any more is a gap that says which events, and why."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import apsw

from tests.integration.query.conftest import working
from tests.integration.query.live_client import client
from weft.core.position import TopicPartition
from weft.log.port import Retention
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.query.live.seat import Seat
from weft.query.live.seen import TOPIC, Seen
from weft.query.live.update import PROGRESS, Events
from weft.query.parts import QueryParts
from weft.testing.factories import make_row


async def test_what_was_erased_is_told(lab: Any) -> None:
    await lab.take([make_row(n, user_id="ada" if n in {2, 3} else "bob") for n in range(6)])
    assert (await lab.admin.post("/api/v1/erasures", json={"user_id": "ada"})).status_code == 200

    async with client(lab) as watcher:
        await watcher.subscribe(cursor="earliest")
        frames = [await watcher.hear(), await watcher.hear()]

    assert [[event["offset"] for event in frame["events"]] for frame in frames] == [[0, 1], [4, 5]]
    assert "gap" not in frames[0]
    assert frames[1]["gap"] == {"from": "0:2", "to": "0:4", "reason": "erased"}
    assert frames[1]["cursor"] == "0:6"


async def test_where_nothing_is_left_the_gap_is_all_there_is(lab: Any) -> None:
    await lab.take([make_row(n, user_id="ada") for n in range(3)])
    assert (await lab.admin.post("/api/v1/erasures", json={"user_id": "ada"})).status_code == 200

    async with client(lab) as watcher:
        await watcher.subscribe(cursor="0:1")
        frame = await watcher.hear()
        assert (frame["events"], frame["gap"]) == ([], {"from": "0:1", "to": "0:3", "reason": "erased"})
        await lab.append([make_row(9)])
        assert await watcher.numbers(1) == [9]


async def test_what_was_trimmed_is_told(lab: Any) -> None:
    await lab.append([make_row(n) for n in range(5)])
    await lab.log.commit("group", {TopicPartition("events", 0): 5})
    lab.clock.advance(86_400)
    assert await lab.log.trim(Retention(max_age_s=60)) == 5
    await lab.append([make_row(n) for n in range(5, 7)])

    async with client(lab) as watcher:
        await watcher.subscribe(cursor="0:2")
        frame = await watcher.hear()

    assert frame["gap"] == {"from": "0:2", "to": "0:5", "reason": "trimmed"}
    assert [event["data"]["number"] for event in frame["events"]] == [5, 6]


async def test_what_is_damaged_is_told_and_the_rest_comes(lab: Any, tmp_path: Path) -> None:
    for start in range(0, 30, 10):
        await lab.append(
            [make_row(n, data={"number": n, "text": "x" * (50 if start == 10 else 1)}) for n in range(start, start + 10)]
        )
    _flip_a_byte(tmp_path / "log")
    url, settings = f"sqlite://{tmp_path / 'log'}", LogSettings(recent_bytes=0)
    async with SqliteLog(url, settings=settings, clock=lab.clock, append=False) as log, AsyncExitStack() as stack:
        parts = QueryParts.of(log=log, store=lab.store, checks=lab.parts.checks, clock=lab.clock, settings=lab.parts.settings)
        await stack.enter_async_context(working(parts.feeds))
        await stack.enter_async_context(working(parts.views))
        view = await stack.enter_async_context(parts.views.events(Seen(kind=TOPIC, topic="events")))
        seat = Seat(view)
        await seat.begin("earliest")
        found: list[Events] = []
        while (update := await seat.next()) is not None:
            if update is not PROGRESS:
                assert isinstance(update, Events)
                found.append(update)

    gaps = [update.gap for update in found if update.gap is not None]
    assert [(gap.start, gap.end, gap.reason) for gap in gaps] == [("0:10", "0:20", "damaged")]
    assert gaps[0].message
    assert sum(update.count for update in found) == 20


def _flip_a_byte(folder: Path) -> None:
    """Change one byte of the second batch, as a bad disk would."""
    (path,) = folder.rglob("00000001.db")
    connection = apsw.Connection(str(path))
    place, body = connection.execute("SELECT place, body FROM batch ORDER BY place LIMIT 1 OFFSET 1").fetchone()
    damaged = bytearray(body)
    damaged[len(damaged) // 2] ^= 0xFF
    connection.execute("UPDATE batch SET body = ? WHERE place = ?", (bytes(damaged), place))
    connection.close()
