"""Entry: one message of a partition's stream. Everything a group made durable stands in one, so a group is kept whole or not
at all.

A stream holds entries of three kinds. A *hello* begins the time of a new writer and says where every topic stands; its
position in the stream is the writer's *epoch*. A *group* carries frames. A *marker* says nothing: whoever wrote it waits to see
it come back, and has then seen everything that was acknowledged before.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
import zstandard

from weft.core.batch import LogBatch
from weft.core.errors import Corrupt
from weft.log.frame import Frame, Header, unpack
from weft.log.topic_end import TopicEnd

HELLO: Final = 0
GROUP: Final = 1
MARKER: Final = 2


class End(msgspec.Struct, array_like=True, frozen=True):
    """Where a topic stands."""

    next_offset: int
    events_total: int
    repeats_total: int
    max_time_us: int | None
    appended_at_us: int | None


class FrameRow(msgspec.Struct, array_like=True, frozen=True):
    """A frame and its topic."""

    topic: str
    header: Header
    crc: int
    keys: bytes | None
    body: bytes


class Entry(msgspec.Struct, array_like=True, frozen=True):
    """A message of a partition's stream. `ends` says where every topic stood before this entry; it is there in a hello and in
    a group now and then, so that readers can begin there. `size_bytes` counts what the stream took before."""

    kind: int
    epoch: int
    nonce: str = ""
    ends: dict[str, End] | None = None
    size_bytes: int = 0
    frames: tuple[FrameRow, ...] = ()
    repeats: dict[str, int] = {}


_ENCODER: Final = msgspec.msgpack.Encoder()
_ENTRIES: Final = msgspec.msgpack.Decoder(Entry)


def encode(entry: Entry) -> bytes:
    """For the stream."""
    return _ENCODER.encode(entry)


def decode(body: bytes) -> Entry | None:
    """From the stream; None where somebody else wrote something."""
    try:
        return _ENTRIES.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def row_of(topic: str, frame: Frame) -> FrameRow:
    """A frame as it is written."""
    return FrameRow(topic, frame.header, frame.crc, frame.keys, frame.body)


def frame_of(row: FrameRow) -> Frame:
    """A frame as it is read."""
    return Frame(row.header, row.crc, row.keys, row.body)


def batch_of(row: FrameRow, partition: int, decompressor: zstandard.ZstdDecompressor) -> LogBatch | Corrupt:
    """The batch of a frame, or what is wrong with it."""
    try:
        return unpack(row.topic, partition, frame_of(row), decompressor)
    except Corrupt as damage:
        return damage


def as_ends(ends: Mapping[str, TopicEnd]) -> dict[str, End]:
    """Where topics stand, to be written."""
    return {
        topic: End(end.next_offset, end.events_total, end.repeats_total, end.max_time_us, end.appended_at_us)
        for topic, end in ends.items()
    }


def as_topic_ends(ends: Mapping[str, End]) -> dict[str, TopicEnd]:
    """Where topics stand, as it was written."""
    return {
        topic: TopicEnd(0, end.next_offset, end.events_total, end.repeats_total, end.max_time_us, end.appended_at_us)
        for topic, end in ends.items()
    }


def advance(ends: dict[str, TopicEnd], rows: Iterable[FrameRow], repeats: Mapping[str, int]) -> None:
    """Move ends over what an entry holds."""
    for row in rows:
        end = ends.setdefault(row.topic, TopicEnd(0))
        header = row.header
        end.next_offset = header.next_offset
        end.events_total = header.events_before + header.events
        end.max_time_us = header.max_time_after_us
        end.appended_at_us = header.received_last_us or end.appended_at_us
    for topic, count in repeats.items():
        ends.setdefault(topic, TopicEnd(0)).repeats_total += count
