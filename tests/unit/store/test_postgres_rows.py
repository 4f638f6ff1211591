"""Rows for PostgreSQL: the binary format, byte by byte, and what makes an event need its original kept."""

import struct

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.store.postgres.encode import encode
from weft.store.postgres.exact import column_text, fits, from_jsonb
from weft.store.postgres.schema import EVENT_COLUMNS
from weft.store.postgres.take import key_of
from weft.testing.factories import NOON_US, make_log_batch, make_row
from weft.testing.store_model import events_of

EPOCH_US = 946_684_800_000_000


def fields_of(row: bytes) -> dict[str, bytes | None]:
    """A row of binary COPY, taken apart by hand."""
    (count,) = struct.unpack_from(">h", row)
    at = 2
    values: list[bytes | None] = []
    for _ in range(count):
        (size,) = struct.unpack_from(">i", row, at)
        at += 4
        values.append(None if size < 0 else row[at : at + size])
        at += max(size, 0)
    assert at == len(row)
    return dict(zip(EVENT_COLUMNS, values, strict=True))


def texts_of(array: bytes | None) -> list[str]:
    """A text[], taken apart by hand."""
    assert array is not None
    dimensions, _, kind = struct.unpack_from(">iii", array)
    assert kind == 25
    if not dimensions:
        return []
    (count,) = struct.unpack_from(">i", array, 12)
    at, found = 20, []
    for _ in range(count):
        (size,) = struct.unpack_from(">i", array, at)
        found.append(array[at + 4 : at + 4 + size].decode())
        at += 4 + size
    return found


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
rows = st.builds(
    make_row,
    st.integers(0, 9),
    source=texts,
    subject=st.none() | texts,
    user_id=st.none() | texts,
    tags=st.lists(texts, max_size=3).map(tuple),
    data=st.dictionaries(texts, st.none() | st.booleans() | st.integers(-5, 5) | texts, max_size=3),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(rows, min_size=1, max_size=5))
def test_every_field_stands_where_postgresql_looks_for_it(content) -> None:
    batch = make_log_batch(content, partition=3, first_offset=7)
    encoded = encode(batch)
    for index, event in enumerate(events_of(batch)):
        fields = fields_of(bytes(encoded.kept(np.arange(len(content)) == index)))
        assert struct.unpack(">q", fields["timestamp"] or b"") == (event.time_us - EPOCH_US,)
        assert struct.unpack(">q", fields["received_at"] or b"") == (NOON_US - EPOCH_US,)
        assert struct.unpack(">qi", (fields["offset"] or b"") + (fields["partition"] or b"")) == (7 + index, 3)
        for name in ("topic", "id", "type", "source", "severity"):
            assert (fields[name] or b"").decode() == getattr(event, name)
        for name in ("subject", "user_id", "session_id"):
            given_text, value = fields[name], getattr(event, name)
            assert given_text == (None if value is None else value.encode())
        assert texts_of(fields["tags"]) == list(event.tags)
        data = fields["data"] or b""
        assert (data[0], msgspec.json.decode(data[1:])) == (1, event.data)


def test_rows_that_are_left_out_leave_no_gap() -> None:
    encoded = encode(make_log_batch(6))
    keep = np.array([True, False, True, True, False, False])
    one_by_one = b"".join(bytes(encoded.kept(np.arange(6) == index)) for index in (0, 2, 3))

    assert bytes(encoded.kept(keep)) == one_by_one
    assert bytes(encoded.kept(np.zeros(6, dtype=bool))) == b""


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"a":"\\u0000"}', False),
        (b'{"a":"\\ud800"}', False),
        (b'{"a":"\\u00e4 \\n"}', True),
        (b'{"a":12345678901234567890}', False),
        (b'{"a":1780000000000000,"b":1234567890123456789}', True),
        (b'{"a":1e300}', True),
    ],
)
def test_only_what_a_column_cannot_hold_needs_its_original(data: bytes, expected: bool) -> None:
    for padding in range(12):  # wherever it stands
        rows = b'{"type":"custom","source":"%s","data":%s}' % (b"s" * padding, data)
        batch = make_log_batch(1)
        assert fits(batch.columns, rows) is expected


def test_texts_that_do_not_fit_stay_different() -> None:
    long = ["€" * 1024, "€" * 1023 + "x", "a\0b", "a\0c", "a\ufffdb"]
    kept = [column_text(text) for text in long]

    assert len(set(kept)) == len(long)
    assert all(len(text.encode()) <= 2_000 and "\0" not in text for text in kept)
    assert column_text("s" * 1024) == "s" * 1024


def test_numbers_come_back_as_they_were_written() -> None:
    assert from_jsonb('{"a": [1, 2.50, 1' + "0" * 300 + "]}") == {"a": [1, 2.5, 1e300]}
    assert from_jsonb("18446744073709551615") == 2**64 - 1


def test_ids_of_different_events_have_different_keys() -> None:
    triples = [("t", "a", "bc"), ("t", "ab", "c"), ("t", "abc", ""), ("u", "a", "bc"), ("t", "1:a", "b"), ("t", "", "1:ab")]

    assert len({key_of(triple) for triple in triples}) == len(triples)
