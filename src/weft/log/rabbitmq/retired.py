"""Retired: what RabbitMQ has removed by itself from the beginning of a partition's stream."""

from typing import Final, NamedTuple

from weft.log.rabbitmq.broker import Link
from weft.log.rabbitmq.cursor import Cursor

_PREFETCH: Final = 16


class Start(NamedTuple):
    """Where a topic of a partition begins now, and how many events stood before that."""

    offset: int
    events_before: int


async def find_starts(link: Link, stream: str, *, timeout_s: float) -> dict[str, Start]:
    """The beginning of each topic, or nothing where nothing was removed. Raises Unavailable or TimedOut."""
    found: dict[str, Start] = {}
    async with link.stream(stream, "first", prefetch=_PREFETCH) as reader:
        cursor = Cursor()
        while True:
            delivered = await reader.next(timeout_s=timeout_s)
            if delivered.position == 0:
                return {}
            entry = cursor.take(delivered)
            if entry is None:
                continue
            if entry.ends is not None:
                for topic, end in entry.ends.items():
                    found.setdefault(topic, Start(end.next_offset, end.events_total))
                return found
            for row in entry.frames:
                found.setdefault(row.topic, Start(row.header.first_offset, row.header.events_before))
