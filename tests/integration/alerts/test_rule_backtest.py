"""Backtests of rules over a real log: what would have fired, and what another rule would have said."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from weft.alerts.backtest import Backtest
from weft.alerts.compile import compile_rule
from weft.alerts.difference import compare
from weft.alerts.episode import Episode
from weft.alerts.rule import read_definition
from weft.core.batch import Batch
from weft.core.event import EventRow
from weft.core.ids import new_ids
from weft.core.times import SECOND_US
from weft.log.port import Log
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.store.parquet import ParquetStore
from weft.store.settings import StoreSettings
from weft.stream.history import History, Stretch
from weft.testing.clock import ManualClock

START_US = 1_700_000_040 * SECOND_US  # a whole minute


@pytest.fixture
async def history(tmp_path: Path) -> AsyncGenerator[History]:
    """Ten minutes of two pumps: pump-1 is hot from minute 3 to minute 6."""
    clock = ManualClock(START_US)
    async with (
        SqliteLog(f"sqlite://{tmp_path / 'log'}", settings=LogSettings(), clock=clock) as log,
        ParquetStore(f"parquet://{tmp_path / 'store'}", settings=StoreSettings(), clock=clock) as store,
    ):
        for minute in range(10):
            await _minute(log, minute)
        history = History("events", "log", log=log, store=store)
        await history.look()
        yield history


async def _minute(log: Log, minute: int) -> None:
    rows = [
        EventRow(type="reading", source=pump, data=msgspec.Raw(msgspec.json.encode({"temperature": heat})))
        for pump, heat in (("pump-1", 40 if 3 <= minute < 6 else 20), ("pump-2", 20))
    ]
    at_us = START_US + minute * 60 * SECOND_US
    await log.append(
        Batch(
            topic="events",
            rows=b",".join(msgspec.json.encode(row) for row in rows),
            ids=new_ids(len(rows), at_us),
            times_us=np.full(len(rows), at_us, dtype=np.int64),
            received_at_us=at_us,
        )
    )


async def _run(history: History, condition: str, **fields: object) -> tuple[Backtest, list[dict[str, Any]]]:
    written = {"name": "hot", "condition": condition, "window": "1m", "group_by": ["source"], **fields}
    backtest = Backtest(compile_rule(read_definition(written), "hot"), bound_us=SECOND_US, limit_bytes=1 << 24)
    lines = [line async for line in backtest.run(history, Stretch(), clock=ManualClock(START_US), most_events=1_000)]
    return backtest, lines


async def test_a_backtest_tells_what_would_have_fired_and_when(history: History) -> None:
    _, lines = await _run(history, "max(temperature) > 30")

    done = lines[-1]["done"]
    assert (done["events"], done["is_whole"], done["notices"]) == (20, True, 2)
    (alert,) = done["alerts"]
    assert alert["key"] == {"source": "pump-1"}
    assert alert["fired"] == "2023-11-14T22:18:00Z", "the window of minute 3 ends with minute 4"
    assert alert["ended"] == "2023-11-14T22:21:00Z"
    assert [line["happening"]["change"] for line in lines if "happening" in line] == ["firing", "resolved"]


async def test_a_change_of_a_rule_shows_which_alerts_it_would_have_lost(history: History) -> None:
    before, _ = await _run(history, "max(temperature) > 30")
    stricter, _ = await _run(history, "max(temperature) > 30", **{"for": "1m"})
    blind, _ = await _run(history, "max(temperature) > 50")

    later = compare(before.episodes.all(), stricter.episodes.all())
    assert [(one.fired_us, other.fired_us) for one, other in later.changed] == [
        (START_US + 240 * SECOND_US, START_US + 300 * SECOND_US)
    ]
    lost = compare(before.episodes.all(), blind.episodes.all())
    assert [one.key for one in lost.only_before] == [{"source": "pump-1"}]
    assert compare(before.episodes.all(), before.episodes.all()).same == 1


async def test_a_backtest_that_is_closed_stops_reading(history: History) -> None:
    definition = read_definition({"name": "hot", "condition": "count > 0", "window": "1m"})
    backtest = Backtest(compile_rule(definition, "hot"), bound_us=SECOND_US, limit_bytes=1 << 24)
    lines = backtest.run(history, Stretch(), clock=ManualClock(START_US), most_events=1_000)

    await anext(lines)
    await asyncio.wait_for(lines.aclose(), 10)

    with pytest.raises(StopAsyncIteration):
        await anext(lines)


def test_alerts_of_one_key_that_overlap_are_paired_once() -> None:
    def episode(fired_s: int, ended_s: int | None) -> Episode:
        ended_us = None if ended_s is None else ended_s * SECOND_US
        return Episode(key={"source": "a"}, fired_us=fired_s * SECOND_US, ended_us=ended_us, level="warning", notices=1)

    difference = compare([episode(0, 10), episode(20, None)], [episode(5, 8), episode(12, 15), episode(30, 40)])

    assert [(one.fired_us // SECOND_US, other.fired_us // SECOND_US) for one, other in difference.changed] == [(0, 5), (20, 30)]
    assert [one.fired_us // SECOND_US for one in difference.only_after] == [12]
    assert difference.only_before == []
