"""A batch as one row: what goes in comes out, and one changed bit is noticed."""

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from weft.core.errors import Corrupt
from weft.core.ids import IdRange, new_ids
from weft.log.frame import Content, Frame, Header, checksum, pack, spread, unpack
from weft.testing.factories import NOON_US

COMPRESSOR = zstandard.ZstdCompressor(level=1)
DECOMPRESSOR = zstandard.ZstdDecompressor()
TIMES = st.integers(-(2**63), 2**63 - 1)
IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


def header(count: int) -> Header:
    return Header(100, count, 0, 1, 2, None, 7, 55, 3, 4)


def framed(content: Content) -> Frame:
    body = pack(content, COMPRESSOR)
    whole = header(len(content.times_us))
    return Frame(whole, checksum("events", 3, whole, b"keys", body), b"keys", body)


@given(st.lists(st.tuples(TIMES, IDS), min_size=1, max_size=30), st.binary(max_size=200))
def test_times_and_texts_of_any_kind_come_out_as_they_went_in(events: list[tuple[int, str]], rows: bytes) -> None:
    times = np.array([time for time, _ in events], dtype=np.int64)
    ids = [text for _, text in events]
    batch = unpack("events", 3, framed(Content(rows, [ids], times, [(9, len(ids))])), DECOMPRESSOR)
    assert batch.rows == rows
    assert list(batch.ids) == ids
    assert batch.times_us.tolist() == times.tolist()
    assert batch.received_at_us.tolist() == [9] * len(ids)
    assert (batch.first_offset, batch.max_time_before_us) == (100, None)


def test_generated_ids_take_a_few_bytes_however_many_there_are() -> None:
    times = np.arange(100_000, dtype=np.int64)
    frame = framed(Content(b"", [new_ids(100_000, NOON_US)], times, [(NOON_US, 100_000)]))
    assert len(frame.body) < 500
    assert isinstance(unpack("events", 3, frame, DECOMPRESSOR).ids, IdRange)


def test_ids_of_merged_batches_come_out_one_after_the_other() -> None:
    groups = [new_ids(2, NOON_US), new_ids(3, NOON_US)]
    batch = unpack("events", 3, framed(Content(b"", groups, np.arange(5), [(1, 2), (8, 3)])), DECOMPRESSOR)
    assert list(batch.ids) == [*groups[0], *groups[1]]
    assert batch.received_at_us.tolist() == [1, 1, 8, 8, 8] == spread([(1, 2), (8, 3)]).tolist()


def test_any_changed_field_of_the_header_is_noticed() -> None:
    frame = framed(Content(b"{}", [new_ids(2, NOON_US)], np.arange(2), [(1, 2)]))
    for field in Header._fields:
        value = getattr(frame.header, field)
        changed = frame._replace(header=frame.header._replace(**{field: 1234 if value is None else value ^ 1}))
        with pytest.raises(Corrupt, match="events/3"):
            unpack("events", 3, changed, DECOMPRESSOR)


@given(st.data())
def test_any_flipped_bit_of_body_keys_or_place_is_noticed(data: st.DataObject) -> None:
    frame = framed(Content(b'{"a":1},{"b":2}', [["x", "y"]], np.arange(2), [(1, 2)]))
    at = data.draw(st.integers(0, len(frame.body) - 1))
    body = bytearray(frame.body)
    body[at] ^= 1 << data.draw(st.integers(0, 7))
    for changed, topic, partition in (
        (frame._replace(body=bytes(body)), "events", 3),
        (frame._replace(keys=b"kexs"), "events", 3),
        (frame, "other", 3),
        (frame, "events", 4),
    ):
        with pytest.raises(Corrupt):
            unpack(topic, partition, changed, DECOMPRESSOR)
