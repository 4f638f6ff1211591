"""The one way from checked events to the log. Every door uses it, so every door keeps the same promises.

An answer comes after the log has made the events durable, never before. What was begun is finished even when the client is
gone by then, so nothing is left half-done. Single events that arrive together go to the log together.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Coroutine, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, cast

from weft.api.metrics import Metrics
from weft.core.batch import Batch, UInt64s
from weft.core.clock import Clock
from weft.core.errors import WeftError
from weft.core.event import EventRow
from weft.core.ids import new_ids
from weft.core.repeat import NO_KEY, repeat_keys
from weft.ingest.gather import Gatherer, Stored
from weft.ingest.history import IntakeHistory
from weft.ingest.intake import Checked, Intake, Share
from weft.ingest.settings import IngestSettings
from weft.log.port import Appended, Log

_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class RetryKey:
    """An `Idempotency-Key`: the events of a request that have no id get ids made of who asks, this key and their place.

    Sent again, the same request makes the same ids, so it is a repeat and gets the same ids in its answer.
    """

    principal_id: str
    key: str

    def id_at(self, index: int) -> str:
        """The id of the event at this place of the request: a UUID of version 8 (RFC 9562)."""
        digest = sha256(f"{self.principal_id}\0{self.key}\0{index}".encode()).digest()
        return str(uuid.UUID(int=_as_version_8(int.from_bytes(digest[:_ID_BYTES]))))


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a share: the ids of its events, in its order, and where they went."""

    share: Share
    ids: Sequence[str]
    appended: Appended


@dataclass(slots=True)
class Accepted:
    """What became of an intake: a receipt for each share that is durable, an error for each that is not."""

    intake: Intake
    receipts: list[Receipt] = field(default_factory=list[Receipt])
    failures: list[tuple[Share, WeftError]] = field(default_factory=list[tuple[Share, WeftError]])


class Acceptor:
    """Turns intakes into batches and appends them."""

    def __init__(self, log: Log, *, clock: Clock, metrics: Metrics, history: IntakeHistory, settings: IngestSettings) -> None:
        self._log = log
        self._clock = clock
        self._metrics = metrics
        self._history = history
        self._default_topic = settings.default_topic
        self._gatherer = Gatherer(log, clock, queue_bytes=settings.single_queue_bytes, count=self._count)
        self._tasks: set[asyncio.Task[Accepted]] = set()

    async def accept(self, intake: Intake, *, retry: RetryKey | None = None) -> Accepted:
        """Make the good events of an intake durable. Raises what the log raises where not one share could be appended."""
        self.count_rejected(len(intake.rejections))
        return await self._to_the_end(self._accept(intake, retry))

    def accept_one(self, checked: Checked, *, retry: RetryKey | None = None) -> Awaitable[Stored]:
        """Make one event durable, together with the others that arrive at the same moment. Raises what the log raises."""
        event_id = checked.event.id
        if event_id is None and retry is not None:
            event_id = retry.id_at(0)
        return self._gatherer.put(checked, event_id)

    def count_rejected(self, number: int) -> None:
        """Count events that a door refused, for the metrics and the verdict."""
        if number:
            self._count(self._default_topic, "rejected", number, None)

    async def _to_the_end(self, work: Coroutine[Any, Any, Accepted]) -> Accepted:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    def _forget(self, task: "asyncio.Task[Accepted]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # heard, even where the client that would have been told is gone

    async def _accept(self, intake: Intake, retry: RetryKey | None) -> Accepted:
        accepted = Accepted(intake)
        for share in intake.shares:
            started_s = self._clock.steady_s()
            batch = make_batch(share, intake.received_at_us, retry)
            try:
                appended = await self._log.append(batch)
            except WeftError as error:
                self._count(share.topic, "refused", batch.count, None)
                accepted.failures.append((share, error))
                continue
            repeats = len(appended.repeats)
            duration_s = self._clock.steady_s() - started_s
            self._count(share.topic, "accepted", batch.count - repeats, duration_s)
            if repeats:
                self._count(share.topic, "repeat", repeats, duration_s)
            accepted.receipts.append(Receipt(share, batch.ids, appended))
        if accepted.failures and not accepted.receipts:
            raise accepted.failures[0][1]
        return accepted

    def _count(self, topic: str, outcome: str, number: int, duration_s: float | None) -> None:
        self._metrics.count_events(topic, outcome, number, duration_s)
        self._history.count(outcome, number)


def make_batch(share: Share, received_at_us: int, retry: RetryKey | None) -> Batch:
    """The batch of a share. Ids that are nobody's come from the generator; they cost no space and cannot repeat."""
    count = len(share.indices)
    given = given_ids(share.events)
    ids: Sequence[str] = new_ids(count, received_at_us)
    keys: UInt64s | None = None
    if retry is not None:
        given = given or [None] * count
        ids = [own or retry.id_at(index) for own, index in zip(given, share.indices, strict=True)]
        keys = repeat_keys(sources(share.events), ids)
    elif given is not None:
        strangers = [index for index, own in enumerate(given) if own is None]
        ids = [own or new for own, new in zip(given, ids, strict=True)] if strangers else cast("Sequence[str]", given)
        keys = repeat_keys(sources(share.events), ids)
        keys[strangers] = NO_KEY
    return Batch(
        topic=share.topic,
        rows=share.rows,
        ids=ids,
        times_us=share.times_us,
        received_at_us=received_at_us,
        repeat_keys=keys,
    )


def given_ids(events: Sequence[EventRow]) -> Sequence[str | None] | None:
    """The ids the client gave, None where it gave none at all."""
    ids = [event.id for event in events]
    return ids if any(ids) else None


def sources(events: Sequence[EventRow]) -> list[str]:
    """The source of each event."""
    return [event.source for event in events]


def _as_version_8(number: int) -> int:
    version_cleared = number & ~(0xF << 76) | (8 << 76)
    return version_cleared & ~(0b11 << 62) | (0b10 << 62)
