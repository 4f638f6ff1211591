"""Leases: who of a group reads which partition, so that all processes of a role share the work.

A lease is an exclusive queue: the broker gives it to one connection and takes it back when that connection ends. How many
there are to share with is the number of consumers of a queue that is always empty.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable
from typing import Final

import structlog

from weft.core.errors import Unavailable, WeftError
from weft.core.position import Positions, TopicPartition
from weft.log.rabbitmq.broker import Link
from weft.log.rabbitmq.connection import Connection, endlessly
from weft.log.rabbitmq.ledger import Ledger
from weft.log.rabbitmq.names import Names
from weft.log.rabbitmq.shared import Shared

logger = structlog.get_logger(__name__)

_LOOK_S: Final = 1.0
_HAND_OVER_S: Final = 5.0
_HAND_OVER_LOOK_S: Final = 0.05


class Leases:
    """The partitions one follower of a group reads."""

    def __init__(
        self,
        group: str,
        names: Names,
        *,
        shared: Shared,
        connection: Connection,
        taken: set[tuple[str, int]],
        turned: Callable[[int], Positions],
    ) -> None:
        self._group = group
        self._names = names
        self._shared = shared
        self._connection = connection
        self._taken = taken
        self._turned = turned
        self._held: set[int] = set()
        self._poked = asyncio.Event()
        self._task = asyncio.create_task(endlessly(connection, self._share), name=f"rabbitmq-leases-{group}")

    @property
    def _ledger(self) -> Ledger:
        return self._shared.ledger

    def begin(self, at: TopicPartition) -> int | None:
        """Where to begin in a partition: where the group stands; None where somebody else reads it."""
        if at.partition not in self._held:
            return None
        return self._ledger.positions.get(self._group, {}).get(at, 0)

    def poke(self) -> None:
        """There may be a new partition."""
        if self._shared.ledger.marks.keys() - self._held:
            self._poked.set()

    async def close(self) -> None:
        """Let the others have all of it."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _share(self, link: Link) -> None:
        presence = self._names.group(self._group)
        try:
            await link.declare_presence(presence)
            async with link.present(presence):
                while True:
                    self._poked.clear()
                    await self._balance(link, await link.consumers(presence))
                    await self._rest(link)
        finally:
            for partition in list(self._held):
                self._let_go(partition)
                with contextlib.suppress(WeftError):
                    await link.unlock(self._names.lease(self._group, partition))

    async def _rest(self, link: Link) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_S):  # a broker does not tell that a lease has become free
                await self._poked.wait()
        if link.lost.is_set():
            raise Unavailable("the connection to RabbitMQ was lost")

    async def _balance(self, link: Link, members: int) -> None:
        known = sorted(self._ledger.marks)
        fair = math.ceil(len(known) / max(members, 1))
        for partition in sorted(self._held)[fair:]:
            await self._hand_over(link, partition)
        for partition in known:
            if len(self._held) < fair and partition not in self._held:
                await self._try(link, partition)

    async def _try(self, link: Link, partition: int) -> None:
        lease = (self._group, partition)
        if lease in self._taken or not await link.lock(self._names.lease(*lease)):
            return
        self._taken.add(lease)
        try:
            await self._shared.catch_up()  # whoever had it may have committed a moment ago
        except BaseException:
            self._taken.discard(lease)
            raise
        self._turned(partition)
        self._held.add(partition)
        self._shared.wake()
        logger.debug("rabbitmq_lease_taken", group=self._group, partition=partition)

    async def _hand_over(self, link: Link, partition: int) -> None:
        """Give a partition up once what was read of it is committed, or after a while."""
        read = self._let_go(partition)
        give_up_at = asyncio.get_running_loop().time() + _HAND_OVER_S
        while asyncio.get_running_loop().time() < give_up_at:
            committed = self._ledger.positions.get(self._group, {})
            if all(committed.get(at, 0) >= offset for at, offset in read.items()):
                break
            await asyncio.sleep(_HAND_OVER_LOOK_S)
        await link.unlock(self._names.lease(self._group, partition))
        logger.debug("rabbitmq_lease_given", group=self._group, partition=partition)

    def _let_go(self, partition: int) -> Positions:
        self._held.discard(partition)
        self._taken.discard((self._group, partition))
        return self._turned(partition)
