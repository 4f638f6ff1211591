"""From checked events to the log: together where they arrive together, whole where a client leaves, never twice."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from weft.api.metrics import Metrics
from weft.core.batch import Batch
from weft.core.errors import Busy, StorageFull
from weft.core.position import TopicPartition
from weft.core.verdict import Level
from weft.ingest.checks import host_finding
from weft.ingest.host_source import HostSource
from weft.ingest.host_turn import HostTurn
from weft.ingest.parts import IngestParts
from weft.ingest.rules import DataSchema
from weft.ingest.settings import IngestSettings
from weft.log.port import Appended
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.testing.clock import ManualClock


class GatedLog(SqliteLog):
    """A log that can be held, or made to refuse, and remembers the batches it was given."""

    def prepare(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.reached = asyncio.Event()
        self.refusal: Exception | None = None
        self.sizes: list[int] = []

    async def append(self, batch: Batch) -> Appended:
        self.sizes.append(batch.count)
        self.reached.set()
        await self.gate.wait()
        if self.refusal is not None:
            raise self.refusal
        return await super().append(batch)


@pytest.fixture
async def log(tmp_path: Path, clock: ManualClock) -> AsyncIterator[GatedLog]:
    async with GatedLog(f"sqlite://{tmp_path}/log", settings=LogSettings(), clock=clock) as log:
        log.prepare()
        yield log


@pytest.fixture
def parts(log: GatedLog, clock: ManualClock) -> IngestParts:
    return IngestParts.build(IngestSettings(topics=("events", "lab")), log=log, clock=clock, metrics=Metrics())


def one(parts: IngestParts, **more: Any) -> Any:
    return parts.decoder.read_one(json.dumps({"type": "custom", "source": "s", **more}).encode())


def many(parts: IngestParts, count: int, **more: Any) -> Any:
    return parts.decoder.read_batch(json.dumps([{"type": "custom", "source": "s", **more}] * count).encode())


async def stored(log: GatedLog, topic: str = "events") -> list[str]:
    batches = await log.read(TopicPartition(topic, 0), 0)
    return [event_id for batch in batches for event_id in batch.ids]


async def test_singles_that_arrive_together_go_to_the_log_together(log: GatedLog, parts: IngestParts) -> None:
    answers = await asyncio.gather(*(parts.acceptor.accept_one(one(parts)) for _ in range(64)))
    assert log.sizes == [64]
    assert [answer.offset for answer in answers] == list(range(64))
    assert [answer.event_id for answer in answers] == await stored(log)


async def test_singles_wait_for_the_flush_and_not_for_a_timer(log: GatedLog, parts: IngestParts) -> None:
    log.gate.clear()
    waiting: list[asyncio.Task[Any]] = []
    for _ in range(10):
        waiting.append(asyncio.ensure_future(parts.acceptor.accept_one(one(parts))))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert len(log.sizes) == 2  # two under way; the others wait and go as one
    log.gate.set()
    await asyncio.gather(*waiting)
    assert len(log.sizes) == 3
    assert sum(log.sizes) == 10
    assert len(await stored(log)) == 10


async def test_repeats_among_singles_are_told_apart(log: GatedLog, parts: IngestParts) -> None:
    answers = await asyncio.gather(
        *(parts.acceptor.accept_one(one(parts, **more)) for more in ({"id": "a"}, {}, {"id": "b"}, {"id": "a"}, {}))
    )
    assert [answer.repeat for answer in answers] == [False, False, False, True, False]
    assert [answer.offset for answer in answers] == [0, 1, 2, None, 3]
    assert answers[3].event_id == "a"
    again = await parts.acceptor.accept_one(one(parts, id="b"))
    assert (again.repeat, again.offset) == (True, None)
    assert len(await stored(log)) == 4


async def test_a_refusal_reaches_every_waiting_single_and_the_next_ones_go_through(log: GatedLog, parts: IngestParts) -> None:
    log.refusal = StorageFull("the disk is full")
    results = await asyncio.gather(*(parts.acceptor.accept_one(one(parts)) for _ in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [StorageFull] * 5
    log.refusal = None
    assert (await parts.acceptor.accept_one(one(parts))).offset == 0
    assert parts.history.total("refused", 1) == 5


async def test_a_fault_of_the_log_lets_nobody_wait(log: GatedLog, parts: IngestParts) -> None:
    log.refusal = RuntimeError("a fault")
    with pytest.raises(RuntimeError, match="a fault"):
        await parts.acceptor.accept_one(one(parts))
    log.refusal = None
    assert (await parts.acceptor.accept_one(one(parts))).offset == 0


async def test_singles_beyond_the_bound_are_turned_away(log: GatedLog, clock: ManualClock) -> None:
    parts = IngestParts.build(IngestSettings(single_queue_bytes=1024), log=log, clock=clock, metrics=Metrics())
    log.gate.clear()
    waiting = [asyncio.ensure_future(parts.acceptor.accept_one(one(parts, data={"x": "x" * 400}))) for _ in range(3)]
    await log.reached.wait()
    with pytest.raises(Busy, match="wait for the log already"):
        await parts.acceptor.accept_one(one(parts))
    log.gate.set()
    await asyncio.gather(*waiting)
    assert (await parts.acceptor.accept_one(one(parts))).offset == 3


@pytest.mark.parametrize("count", [1, 3])
async def test_a_client_that_leaves_leaves_nothing_half_done(log: GatedLog, parts: IngestParts, count: int) -> None:
    events = [{"type": "custom", "source": "s", "topic": topic} for topic in ("events", "lab")] * count
    intake = parts.decoder.read_batch(json.dumps(events).encode())
    log.gate.clear()
    task = asyncio.create_task(parts.acceptor.accept(intake))
    single = asyncio.ensure_future(parts.acceptor.accept_one(one(parts)))
    await log.reached.wait()
    task.cancel()
    single.cancel()
    await asyncio.gather(task, single, return_exceptions=True)
    log.gate.set()
    await parts.acceptor.accept(many(parts, 1, topic="lab"))
    await parts.acceptor.accept(many(parts, 1))
    assert len(await stored(log, "lab")) == count + 1
    assert len(await stored(log)) == count + 2


async def test_the_time_of_arrival_is_the_batch_s_own(log: GatedLog, parts: IngestParts, clock: ManualClock) -> None:
    checked = one(parts)
    clock.advance(5)
    await parts.acceptor.accept_one(checked)
    (batch,) = await log.read(TopicPartition("events", 0), 0)
    assert batch.times_us.tolist() == batch.received_at_us.tolist() == [clock.now_us()]


@pytest.mark.contract("SF-334")
async def test_the_state_of_this_machine_is_written_and_follows_its_schema(log: GatedLog, parts: IngestParts) -> None:
    host = parts.host
    assert host is not None
    assert host_finding(host).level is Level.UNKNOWN
    samples = [host.sample(), host.sample()]
    for sample in samples:
        await host.write(sample)
    schema = parts.catalogue.get("system.metric")
    assert set(samples[1]) == set(schema.schema["properties"])
    DataSchema(schema).check(json.dumps(samples[1]).encode())
    (first, second) = [row for batch in await log.read(TopicPartition("events", 0), 0) for row in batch.event_rows]
    assert first.type == "system.metric"
    assert first.source.startswith("host/")
    assert json.loads(bytes(second.data)) == samples[1]
    assert host_finding(host).level is Level.FINE


async def test_samples_that_the_log_cannot_take_are_counted_and_told(log: GatedLog, parts: IngestParts) -> None:
    host = parts.host
    assert host is not None
    log.refusal = StorageFull("the disk is full")
    await host.write(host.sample())
    await host.write(host.sample())
    finding = host_finding(host)
    assert finding.level is Level.LOOK
    assert "the disk is full (2 dropped so far)" in finding.why
    log.refusal = None
    await host.write(host.sample())
    assert (host.sampled_total, host.dropped_total) == (1, 2)
    assert host_finding(host).level is Level.FINE


async def test_the_host_source_works_until_it_is_cancelled(log: GatedLog, clock: ManualClock) -> None:
    settings = IngestSettings(host_interval_s=0.1)
    parts = IngestParts.build(settings, log=log, clock=clock, metrics=Metrics())
    (worker,) = parts.workers
    assert worker.name == "host-source"
    started = asyncio.Event()
    task = asyncio.create_task(worker.run(started.set))
    await started.wait()
    await log.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert IngestParts.build(IngestSettings(host_source=False), log=log, clock=clock, metrics=Metrics()).workers == ()
    assert set(parts.own_checks()) == {"ingest.rate", "ingest.rejected", "ingest.host_source"}


async def until(look: Callable[[], bool]) -> None:
    for _ in range(2000):
        if look():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it never came true")


async def test_of_two_processes_on_one_folder_one_samples_and_the_other_takes_over(
    log: GatedLog, clock: ManualClock, tmp_path: Path
) -> None:
    settings = IngestSettings(host_interval_s=0.1)

    async def begin() -> tuple[HostSource, asyncio.Task[None]]:
        # A turn of each one's own, as two processes have: the file is what they share.
        parts = IngestParts.build(settings, log=log, clock=clock, metrics=Metrics(), host_turn=HostTurn(tmp_path / "host.lock"))
        assert parts.host is not None
        return parts.host, asyncio.create_task(parts.host.run(lambda: None))

    first, first_task = await begin()
    await until(lambda: first.sampled_total > 0)
    second, second_task = await begin()
    await until(lambda: second.is_left_to_another)
    assert second.sampled_total == 0, "the same machine would be in the log twice"
    assert "Another process" in host_finding(second).why
    assert host_finding(second).level is Level.FINE

    first_task.cancel()
    await until(lambda: second.sampled_total > 0)
    assert not second.is_left_to_another
    second_task.cancel()
    await asyncio.gather(first_task, second_task, return_exceptions=True)
