"""Batches: what arrived must come out, byte for byte, and damage must be named."""

import msgspec
import numpy as np
import pytest

from weft.core.batch import LogBatch, split_rows
from weft.core.columns import EVENT_SCHEMA
from weft.core.errors import Corrupt
from weft.testing.factories import NOON_US, make_batch, make_log_batch, make_row


def test_selected_events_keep_their_bytes_ids_times_and_repeat_keys() -> None:
    batch = make_batch([make_row(number, id=f"id-{number}") for number in range(5)])
    chosen = batch.select([4, 1])
    assert [bytes(row) for row in split_rows(chosen.rows)] == [bytes(split_rows(batch.rows)[i]) for i in (4, 1)]
    assert list(chosen.ids) == ["id-4", "id-1"]
    assert chosen.times_us.tolist() == [batch.times_us[4], batch.times_us[1]]
    assert batch.repeat_keys is not None
    assert chosen.repeat_keys is not None
    assert chosen.repeat_keys.tolist() == [batch.repeat_keys[4], batch.repeat_keys[1]]


def test_columns_hold_every_field_as_it_was_written() -> None:
    rows = [
        make_row(1, data={"a": [1, {"b": "ä"}]}, metadata={"m": 1}, tags=("x", "y"), user_id="u", severity="high"),
        make_row(2, subject="s", session_id="q", correlation_id="c"),
    ]
    batch = make_log_batch(rows, first_offset=7, partition=3)
    table = batch.columns
    assert table.schema.equals(EVENT_SCHEMA)
    first, second = table.to_pylist()
    assert msgspec.json.decode(first["data"]) == {"a": [1, {"b": "ä"}]}
    assert first["metadata"] == '{"m":1}'
    assert first["tags"] == ["x", "y"]
    assert (first["user_id"], first["severity"], first["subject"]) == ("u", "high", None)
    assert (second["subject"], second["session_id"], second["correlation_id"]) == ("s", "q", "c")
    assert second["metadata"] == "{}"
    assert [row["offset"] for row in (first, second)] == [7, 8]
    assert [row["id"] for row in (first, second)] == list(batch.ids)
    assert table.column("time").cast("int64").to_pylist() == batch.times_us.tolist()


@pytest.mark.parametrize(
    "tags",
    [
        [("x",), ("y", "ä"), (), ("x",), ("x", "y")],
        [("x", 'a"b')] * 5,
        [()] * 5,
    ],
    ids=["different", "equal", "none"],
)
def test_columns_hold_the_tags_of_each_event(tags: list[tuple[str, ...]]) -> None:
    batch = make_log_batch([make_row(number, tags=some) for number, some in enumerate(tags)])
    columns = batch.columns
    columns.validate(full=True)
    assert columns.column("tags").to_pylist() == [list(some) for some in tags]


@pytest.mark.parametrize("tags", [b"null", b"[1]", b'"x"', b"[null]"])
def test_tags_that_are_no_texts_are_corrupt(tags: bytes) -> None:
    rows = b",".join(b'{"type":"metric","source":"s","tags":%s}' % some for some in (b"[]", tags))
    damaged = LogBatch(**{**vars(make_log_batch(2)), "rows": rows})
    with pytest.raises(Corrupt, match="cannot be read"):
        _ = damaged.columns


def test_columns_are_built_once_for_all_readers() -> None:
    batch = make_log_batch(3)
    assert batch.columns is batch.columns


def test_unreadable_rows_are_corrupt_and_name_their_place() -> None:
    good = make_log_batch(2, topic="lab", partition=1, first_offset=40)
    damaged = LogBatch(**{**vars(good), "rows": good.rows[:-1]})
    with pytest.raises(Corrupt, match="lab/1/40") as found:
        _ = damaged.event_rows
    assert found.value.details == {"topic": "lab", "partition": 1, "offset": 40}


def test_a_row_too_many_is_corrupt() -> None:
    good = make_log_batch(2)
    damaged = LogBatch(**{**vars(good), "rows": good.rows + b"," + good.rows})
    with pytest.raises(Corrupt, match="header says 2"):
        _ = damaged.columns


def test_a_tick_takes_one_offset_and_holds_no_event() -> None:
    empty = np.array([], dtype=np.int64)
    tick = LogBatch(
        topic="events",
        partition=0,
        first_offset=9,
        rows=b"",
        ids=[],
        times_us=empty,
        received_at_us=empty,
        max_time_before_us=None,
        tick_us=NOON_US,
    )
    assert (tick.count, tick.next_offset) == (0, 10)
    assert tick.event_rows == []
    assert tick.columns.num_rows == 0
