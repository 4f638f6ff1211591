"""Erasing events for good, out of the store and out of the log's retained batches, and leaving a record of it.

The record says who asked, for what and how much was erased, and names people only as a digest: it must not bring back what
was erased.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np

from weft.core import times
from weft.core.batch import Batch
from weft.core.clock import Clock
from weft.core.erasure import Erasure
from weft.core.errors import Invalid, Unavailable, Unsupported
from weft.core.event import EventRow
from weft.core.ids import new_ids
from weft.core.position import TopicPartition
from weft.core.principal import Principal
from weft.log.port import Log
from weft.query.settings import QuerySettings
from weft.store.port import EventStore

TOPIC: Final = "weft.erasures"
EVENT_TYPE: Final = "weft.erasure"
_FIRST_LOOK_S: Final = 0.02
_LONGEST_LOOK_S: Final = 0.5


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """What an erasure did. `record_id` is the id of its event in the topic `weft.erasures`.

    `log_events` is null where the log can remove no single events; `log_keeps` then says for how long it has them still.
    """

    log_events: int | None
    store_events: int
    record_id: str
    at: str
    log_keeps: str | None = None


class Eraser:
    """Erases, one erasure at a time."""

    def __init__(self, log: Log, store: EventStore, clock: Clock, settings: QuerySettings) -> None:
        self._log = log
        self._store = store
        self._clock = clock
        self._timeout_s = settings.erase_timeout_s
        self._turn = asyncio.Lock()

    async def erase(self, erasure: Erasure, principal: Principal) -> Erased:
        """Erase matching events of all topics and record it.

        Whatever stood in the log when this was called is erased, also what the store had not read yet. Raises Invalid for an
        erasure without a condition, Unavailable when the store does not catch up in time: nothing is erased then.
        """
        check(erasure)
        async with self._turn:
            await self._let_the_store_catch_up()
            # The log first: what comes out of it later can no longer bring an erased event back into the store.
            log_events, log_keeps = await self._erase_from_log(erasure)
            store_events = await self._store.erase(erasure)
            return await self._record(erasure, principal, log_events, store_events, log_keeps)

    async def _erase_from_log(self, erasure: Erasure) -> tuple[int | None, str | None]:
        """How many events, or why the log keeps them. The store has read them by now and takes none of them twice."""
        try:
            return await self._log.erase(erasure), None
        except Unsupported as cannot:
            return None, cannot.message

    async def _let_the_store_catch_up(self) -> None:
        """Wait until the store has read all that stands in the log, so that the ledger of conservation stays exact."""
        ends = {
            TopicPartition(state.topic, state.partition): state.end_offset for state in (await self._log.state()).partitions
        }
        wait_s = _FIRST_LOOK_S
        behind = 0
        try:
            async with asyncio.timeout(self._timeout_s):
                while behind := self._behind(ends, await self._positions()):
                    await asyncio.sleep(wait_s)  # the store may live in another process: nothing there can wake us
                    wait_s = min(wait_s * 2, _LONGEST_LOOK_S)
        except TimeoutError:
            raise Unavailable(
                f"the store is still {behind} events behind the log after {self._timeout_s:g} s; nothing was erased, try again",
                retry_after_s=30,
            ) from None

    async def _positions(self) -> Mapping[TopicPartition, int]:
        state = await self._store.state()
        return {TopicPartition(count.topic, count.partition): count.position for count in state.topics}

    @staticmethod
    def _behind(ends: Mapping[TopicPartition, int], positions: Mapping[TopicPartition, int]) -> int:
        return sum(max(end - positions.get(place, 0), 0) for place, end in ends.items())

    async def _record(
        self, erasure: Erasure, principal: Principal, log_events: int | None, store_events: int, log_keeps: str | None
    ) -> Erased:
        now_us = self._clock.now_us()
        data = {
            "by": {"kind": principal.kind, "id": principal.id},
            "conditions": described(erasure),
            "log_events": log_events,
            "store_events": store_events,
        }
        row = EventRow(type=EVENT_TYPE, source="weft/query", severity="high", data=msgspec.Raw(msgspec.json.encode(data)))
        ids = new_ids(1, now_us)
        await self._log.append(
            Batch(
                topic=TOPIC,
                rows=msgspec.json.encode(row),
                ids=ids,
                times_us=np.array([now_us], dtype=np.int64),
                received_at_us=now_us,
            )
        )
        return Erased(
            log_events=log_events,
            store_events=store_events,
            record_id=ids[0],
            at=times.to_text(now_us),
            log_keeps=log_keeps,
        )


def check(erasure: Erasure) -> None:
    """Raise Invalid for an erasure without any condition: it would erase everything."""
    conditions = (erasure.source, erasure.subject, erasure.user_id, erasure.start_us, erasure.end_us)
    if all(condition is None for condition in conditions):
        raise Invalid(
            "an erasure needs a condition", field="source", allowed_values=["source", "subject", "user_id", "start", "end"]
        )


def described(erasure: Erasure) -> dict[str, Any]:
    """The conditions as the record keeps them: times as they are, names as SHA-256."""
    names = {"source": erasure.source, "subject": erasure.subject, "user_id": erasure.user_id}
    moments = {"start": erasure.start_us, "end": erasure.end_us}
    return {
        **{f"{key}_sha256": hashlib.sha256(name.encode()).hexdigest() for key, name in names.items() if name is not None},
        **{key: times.to_text(moment) for key, moment in moments.items() if moment is not None},
    }
