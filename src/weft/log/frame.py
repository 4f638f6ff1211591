"""Frame: a batch as one row of a segment. A header of plain numbers, a checksum over all of it, a compressed body.

The body holds the rows as they arrived, then ids, times and receiving times. The order matters for size: the compressor
finds the ids in the rows before them.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final, NamedTuple, cast

import google_crc32c
import numpy as np
import zstandard

from weft.core.batch import Int64s, LogBatch
from weft.core.errors import Corrupt
from weft.core.ids import IdRange
from weft.core.watermark import BEGINNING

FLAG_TICK: Final = 1

_HEADER: Final = struct.Struct("<IqIIqqqqqqq")
_BODY: Final = struct.Struct("<IIBIBI")
_RANGE: Final = struct.Struct("<24sQI")
_RECEIVED: Final = struct.Struct("<qI")
_IDS_RANGES: Final = 0
_IDS_TEXTS: Final = 1
_TIMES_SHORT: Final = 0
_TIMES_LONG: Final = 1
_LARGEST_BODY: Final = 2**31


class Header(NamedTuple):
    """What a reader may know of a batch without decompressing it."""

    first_offset: int
    events: int
    flags: int
    min_time_us: int
    max_time_us: int
    max_time_before_us: int | None
    max_time_after_us: int | None
    events_before: int
    received_first_us: int
    received_last_us: int

    @property
    def next_offset(self) -> int:
        """The offset after the batch; a tick has one."""
        return self.first_offset + (1 if self.flags & FLAG_TICK else self.events)


class Frame(NamedTuple):
    """One row: header, checksum, repeat keys (8 bytes an event) or none, body."""

    header: Header
    crc: int
    keys: bytes | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Content:
    """The events of a frame. `received` are runs of (time, how many)."""

    rows: bytes
    ids: Sequence[Sequence[str]]
    times_us: Int64s
    received: Sequence[tuple[int, int]]


def checksum(topic: str, partition: int, header: Header, keys: bytes | None, body: bytes) -> int:
    """CRC32C of place, header, keys and body."""
    before = BEGINNING if header.max_time_before_us is None else header.max_time_before_us
    after = BEGINNING if header.max_time_after_us is None else header.max_time_after_us
    packed = _HEADER.pack(
        partition,
        header.first_offset,
        header.events,
        header.flags,
        header.min_time_us,
        header.max_time_us,
        before,
        after,
        header.events_before,
        header.received_first_us,
        header.received_last_us,
    )
    crc = cast("int", google_crc32c.value(topic.encode() + packed))
    if keys is not None:
        crc = cast("int", google_crc32c.extend(crc, keys))
    return cast("int", google_crc32c.extend(crc, body))


def pack(content: Content, compressor: zstandard.ZstdCompressor) -> bytes:
    """The compressed body. Compression releases the interpreter for other threads."""
    ids_kind, ids = _pack_ids(content.ids)
    times_kind, times = _pack_times(content.times_us)
    head = _BODY.pack(len(content.times_us), len(content.rows), ids_kind, len(ids), times_kind, len(times))
    received = b"".join(_RECEIVED.pack(*run) for run in content.received)
    return compressor.compress(b"".join((head, content.rows, ids, times, received)))


def unpack(topic: str, partition: int, frame: Frame, decompressor: zstandard.ZstdDecompressor) -> LogBatch:
    """The batch of a frame. Raises Corrupt, naming the offsets, where the checksum does not hold."""
    header = frame.header
    if checksum(topic, partition, header, frame.keys, frame.body) != frame.crc:
        raise corrupt(topic, partition, header.first_offset, header.next_offset, "its checksum does not match")
    if header.flags & FLAG_TICK:
        return _tick(topic, partition, header)
    body = decompressor.decompress(frame.body, max_output_size=_LARGEST_BODY)
    count, rows_size, ids_kind, ids_size, times_kind, times_size = _BODY.unpack_from(body)
    start = _BODY.size + rows_size
    ids = _unpack_ids(ids_kind, body[start : start + ids_size], count)
    times = _unpack_times(times_kind, body[start + ids_size : start + ids_size + times_size], count)
    return LogBatch(
        topic=topic,
        partition=partition,
        first_offset=header.first_offset,
        rows=body[_BODY.size : start],
        ids=ids,
        times_us=times,
        received_at_us=_unpack_received(body[start + ids_size + times_size :]),
        max_time_before_us=header.max_time_before_us,
    )


def corrupt(topic: str, partition: int, first_offset: int, next_offset: int, reason: str) -> Corrupt:
    """The error for a damaged range of offsets."""
    return Corrupt(
        f"offsets {first_offset} to {next_offset - 1} of {topic}/{partition} are damaged: {reason}; read on from {next_offset}",
        topic=topic,
        partition=partition,
        first_offset=first_offset,
        next_offset=next_offset,
        reason=reason,
    )


def _tick(topic: str, partition: int, header: Header) -> LogBatch:
    nothing = np.empty(0, dtype=np.int64)
    return LogBatch(
        topic=topic,
        partition=partition,
        first_offset=header.first_offset,
        rows=b"",
        ids=(),
        times_us=nothing,
        received_at_us=nothing,
        max_time_before_us=header.max_time_before_us,
        tick_us=header.max_time_us,
    )


def _pack_ids(groups: Sequence[Sequence[str]]) -> tuple[int, bytes]:
    ranges = [group for group in groups if isinstance(group, IdRange)]
    if len(ranges) == len(groups):
        return _IDS_RANGES, b"".join(_RANGE.pack(ids.prefix.encode(), ids.first, len(ids)) for ids in ranges)
    texts = [text.encode() for group in groups for text in group]
    lengths = np.fromiter(map(len, texts), dtype=np.uint16, count=len(texts))
    return _IDS_TEXTS, lengths.tobytes() + b"".join(texts)


def _unpack_ids(kind: int, packed: bytes, count: int) -> Sequence[str]:
    if kind == _IDS_RANGES:
        ranges = [IdRange(prefix.decode(), first, size) for prefix, first, size in _RANGE.iter_unpack(packed)]
        return ranges[0] if len(ranges) == 1 else [text for ids in ranges for text in ids]
    lengths = np.frombuffer(packed, dtype=np.uint16, count=count).tolist()
    joined = packed[2 * count :]
    return [joined[start:end].decode() for start, end in pairwise(accumulate(lengths, initial=0))]


def _pack_times(times_us: Int64s) -> tuple[int, bytes]:
    steps = np.diff(times_us)
    if len(steps) and max(int(steps.max()), -int(steps.min())) >= 2**31:
        return _TIMES_LONG, times_us.tobytes()
    return _TIMES_SHORT, times_us[:1].tobytes() + steps.astype(np.int32).tobytes()


def _unpack_times(kind: int, packed: bytes, count: int) -> Int64s:
    if kind == _TIMES_LONG:
        return np.frombuffer(packed, dtype=np.int64, count=count)
    times = np.empty(count, dtype=np.int64)
    times[:1] = np.frombuffer(packed, dtype=np.int64, count=1)
    times[1:] = np.frombuffer(packed, dtype=np.int32, offset=8)
    np.cumsum(times, out=times)
    return times


def _unpack_received(packed: bytes) -> Int64s:
    runs = list(_RECEIVED.iter_unpack(packed))
    return spread(runs)


def spread(runs: Sequence[tuple[int, int]]) -> Int64s:
    """Runs of (value, how many) as one column."""
    if len(runs) == 1:
        return np.full(runs[0][1], runs[0][0], dtype=np.int64)
    return np.array([run[0] for run in runs], dtype=np.int64).repeat([run[1] for run in runs])
