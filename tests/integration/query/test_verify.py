"""Verification finds what is missing, and finds nothing where nothing is."""

import asyncio
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import apsw
import pytest

from weft.core.batch import LogBatch
from weft.core.erasure import Erasure
from weft.core.position import TopicPartition
from weft.log.dead_letter import set_aside
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.query.verify import Progress, verify
from weft.store.parquet import ParquetStore
from weft.store.settings import StoreSettings
from weft.testing.factories import NOON_US, make_row


async def test_a_sound_installation_verifies_whole(lab: Any) -> None:
    await lab.take([make_row(id=f"client-{n}") for n in range(100)])
    await lab.take(2000)
    await lab.take(50, topic="other")
    await lab.store.flush()
    steps: list[Progress] = []

    found = await verify(lab.log, lab.store, sample=None, report=steps.append)

    assert found.ok, found.problems
    assert (found.log_events, found.store_events, found.looked_up) == (2150, 2150, 2150)
    assert found.conservation.difference == 0
    log_steps = [step for step in steps if step.step == "log"]
    assert [step.done for step in log_steps] == sorted(step.done for step in log_steps)
    assert log_steps[-1].done == log_steps[-1].total == 2150


async def test_a_sample_looks_only_so_many_up(lab: Any) -> None:
    await lab.take(1000)

    found = await verify(lab.log, lab.store, sample=10)

    assert found.ok
    assert 10 <= found.looked_up <= 11
    assert found.log_events == 1000


async def test_what_the_store_has_not_read_yet_is_not_missing(lab: Any) -> None:
    await lab.take(10)
    await lab.append(5)

    found = await verify(lab.log, lab.store, sample=None)

    assert found.ok, found.problems
    assert (found.log_events, found.looked_up) == (15, 10)


async def test_events_missing_in_the_store_are_named(lab: Any) -> None:
    ids = await lab.take([make_row(n, source="a" if n == 3 else "b") for n in range(6)])
    await lab.store.erase(Erasure(source="a"))  # behind the log's back

    found = await verify(lab.log, lab.store, sample=None)

    assert not found.ok
    assert [problem.code for problem in found.problems] == ["missing"]
    assert found.problems[0].place == "events/0/3"
    assert ids[3] in found.problems[0].why


async def test_an_erasure_in_both_is_no_problem(lab: Any) -> None:
    await lab.take([make_row(n, source="a" if n % 3 == 0 else "b") for n in range(30)])
    answer = await lab.admin.post("/api/v1/erasures", json={"source": "a"})
    assert answer.status_code == 200

    found = await verify(lab.log, lab.store, sample=None)

    assert found.ok, found.problems
    assert found.looked_up == 20


async def test_it_works_beside_a_server_that_writes(lab: Any, tmp_path: Path) -> None:
    await lab.take(500)
    stop = asyncio.Event()

    async def write() -> None:
        while not stop.is_set():
            await lab.append(20)
            await lab.catch_up()

    writing = asyncio.create_task(write())
    log_url, store_url = f"sqlite://{tmp_path / 'log'}", f"parquet://{tmp_path / 'store'}"
    async with (
        SqliteLog(log_url, settings=LogSettings(), clock=lab.clock, append=False) as log,
        ParquetStore(store_url, settings=StoreSettings(), clock=lab.clock, write=False) as store,
    ):
        await lab.store.flush()
        found = await verify(log, store, sample=None)
    stop.set()
    await writing

    assert found.ok, found.problems
    assert found.log_events >= 500


async def test_a_flipped_byte_in_the_log_is_named(lab: Any, tmp_path: Path) -> None:
    await lab.append([make_row(n, data={"text": sha256(str(n).encode()).hexdigest()}) for n in range(50)])
    await lab.catch_up()
    await lab.append(5)
    await lab.catch_up()
    _flip_a_byte(tmp_path / "log")

    url = f"sqlite://{tmp_path / 'log'}"
    async with SqliteLog(url, settings=LogSettings(recent_bytes=0), clock=lab.clock, append=False) as log:
        found = await verify(log, lab.store, sample=None)

    assert not found.ok
    assert "damaged" in {problem.code for problem in found.problems}
    assert found.problems[0].place.startswith("events/0/0")


def _flip_a_byte(folder: Path) -> None:
    """Change one byte of the largest batch, as a bad disk would."""
    (path,) = folder.rglob("00000001.db")
    connection = apsw.Connection(str(path))
    (place, body), *_ = connection.execute("SELECT place, body FROM batch ORDER BY length(body) DESC")
    damaged = bytearray(body)
    damaged[len(damaged) // 2] ^= 0xFF
    connection.execute("UPDATE batch SET body = ? WHERE place = ?", (bytes(damaged), place))
    connection.close()


async def test_a_batch_that_vanished_from_the_log_is_missed(lab: Any, tmp_path: Path) -> None:
    for _ in range(3):
        await lab.append(10)
        await lab.catch_up()
    (path,) = (tmp_path / "log").rglob("00000001.db")
    connection = apsw.Connection(str(path))
    connection.execute("DELETE FROM batch WHERE place = (SELECT place FROM batch ORDER BY place LIMIT 1 OFFSET 1)")
    connection.close()

    async with SqliteLog(f"sqlite://{tmp_path / 'log'}", settings=LogSettings(), clock=lab.clock, append=False) as log:
        found = await verify(log, lab.store, sample=None)

    assert not found.ok
    assert {problem.code for problem in found.problems} & {"damaged", "miscounted"}


@pytest.mark.parametrize("harm", ["removed", "overwritten"])
async def test_a_file_of_the_store_that_is_gone_or_spoilt_is_named(lab: Any, tmp_path: Path, harm: str) -> None:
    await lab.take(100)
    await lab.take(10, topic="other")
    await lab.store.flush()
    (path,) = (tmp_path / "store" / "topic=events").rglob("*.parquet")
    if harm == "removed":
        path.unlink()
    else:
        path.write_bytes(b"PAR1" + bytes(2000) + b"PAR1")

    found = await verify(lab.log, lab.store, sample=None)

    assert not found.ok
    assert {(problem.code, problem.place) for problem in found.problems} == {("damaged", "store/events")}
    assert found.store_events == 10, "the other topic is counted all the same"


async def test_books_of_the_store_that_do_not_fit_its_events_are_named(lab: Any, tmp_path: Path) -> None:
    await lab.take(100)
    await lab.store.flush()
    connection = apsw.Connection(str(tmp_path / "store" / "manifest.db"))
    connection.execute("UPDATE account SET stored = stored - 3, skipped = skipped + 3")
    connection.close()

    url = f"parquet://{tmp_path / 'store'}"
    async with ParquetStore(url, settings=StoreSettings(), clock=lab.clock, write=False) as store:
        found = await verify(lab.log, store, sample=None)

    assert {(problem.code, problem.place) for problem in found.problems} == {
        ("miscounted", "store/events"),
        ("unaccounted", "events"),
    }
    assert found.conservation.difference == 3


class ForgetfulLog(SqliteLog):
    """A log that leaves one batch out without a word, as a faulty adapter would."""

    async def read(self, at: TopicPartition, offset: int, *, max_bytes: int = 1) -> Sequence[LogBatch]:
        return [batch for batch in await super().read(at, max(offset, 10), max_bytes=max_bytes) if batch.first_offset >= 10]


async def test_a_log_that_leaves_events_out_is_caught_by_its_own_books(lab: Any, tmp_path: Path) -> None:
    await lab.take(10)
    await lab.take(10)

    url = f"sqlite://{tmp_path / 'log'}"
    async with ForgetfulLog(url, settings=LogSettings(), clock=lab.clock, append=False) as log:
        found = await verify(log, lab.store, sample=None)

    assert [(problem.code, problem.place) for problem in found.problems] == [("miscounted", "events/0")]
    assert "10" in found.problems[0].why
    assert "20" in found.problems[0].why


async def test_dead_letters_are_accounted_for_and_not_missing(lab: Any) -> None:
    await lab.take(5)
    ids = await lab.append(3)
    (poison,) = await lab.log.read(TopicPartition("events", 0), 5)
    await set_aside(lab.log, poison, attempts=3, reason="cannot be stored", clock=lab.clock)
    await lab.append(2)
    await lab.catch_up(skip={5})

    found = await verify(lab.log, lab.store, sample=None)

    assert found.ok, found.problems
    topics = {topic.topic: topic for topic in found.conservation.topics}
    assert (topics["events"].accepted, topics["events"].stored, topics["events"].dead_lettered) == (10, 7, 3)
    listed = await lab.get("/api/v1/dead-letters")
    assert [(letter["offset"], letter["events"], letter["reason"]) for letter in listed["data"]] == [(5, 3, "cannot be stored")]
    assert listed["data"][0]["ids"] == ids


async def test_dead_letters_are_handed_in_again_once_by_who_may(lab: Any) -> None:
    await lab.append(3)
    (poison,) = await lab.log.read(TopicPartition("events", 0), 0)
    await set_aside(lab.log, poison, attempts=3, reason="cannot be stored", clock=lab.clock)
    await lab.catch_up(skip={0})
    assert (await lab.client.post("/api/v1/dead-letters/replay")).status_code == 403
    assert (await lab.admin.post("/api/v1/dead-letters/replay", json={"topik": "x"})).status_code == 422

    answers = await asyncio.gather(*(lab.admin.post("/api/v1/dead-letters/replay", json={}) for _ in range(3)))

    assert sorted(answer.json()["replayed"] for answer in answers) == [0, 0, 3]
    assert (await lab.get("/api/v1/dead-letters"))["data"] == []
    await lab.catch_up()
    assert (await lab.get("/events"))["pagination"]["total"] == 3
    found = await verify(lab.log, lab.store, sample=None)
    assert found.ok, found.problems


async def test_events_strewn_over_years_are_looked_up_all_the_same(lab: Any) -> None:
    year_us = 365 * 86_400_000_000
    moments = [NOON_US - (n % 7) * year_us - n for n in range(300)]
    await lab.take([make_row(n, source="a" if n == 200 else "b") for n in range(300)], times_us=moments)
    await lab.store.erase(Erasure(source="a"))

    found = await verify(lab.log, lab.store, sample=None)

    assert [problem.place for problem in found.problems if problem.code == "missing"] == ["events/0/200"]
    assert found.looked_up == 300
