"""Fields: what stands in an event under a name, whatever else stands in the batch."""

import numpy as np
import pytest

from weft.core.batch import LogBatch
from weft.core.errors import Corrupt
from weft.stream.column import Column, Field, Reading
from weft.stream.fields import extract


def batch(*rows: str, count: int | None = None) -> LogBatch:
    number = len(rows) if count is None else count
    return LogBatch(
        topic="events",
        partition=2,
        first_offset=7,
        rows=",".join(rows).encode(),
        ids=[f"id-{at}" for at in range(number)],
        times_us=np.arange(number, dtype=np.int64) * 1_500_000,
        received_at_us=np.arange(number, dtype=np.int64),
        max_time_before_us=None,
    )


def row(data: str, more: str = "") -> str:
    return f'{{"type":"reading","source":"a","data":{data}{more}}}'


def values(column: Column) -> list[object]:
    found = column.values.tolist()
    if column.words is not None:
        found = [column.words[code] for code in found] if column.words else [None] * len(found)
    if column.lists is not None:
        found = [column.lists[code] for code in found]
    known = [True] * len(found) if column.known is None else column.known.tolist()
    return [value if is_known else None for value, is_known in zip(found, known, strict=True)]


def read(taken: LogBatch, path: tuple[str, ...], reading: Reading) -> list[object]:
    field = Field(".".join(path), reading, path)
    return values(extract(taken, [field])[field])


MIXED = batch(
    row('{"x":1}'),
    row('{"x":2.5}'),
    row('{"x":"3"}'),
    row('{"x":true}'),
    row('{"x":null}'),
    row("{}"),
    row('{"x":[1]}'),
    row('{"x":{"y":1}}'),
    row('{"x":1e400}'),
    row('{"x":-0.0}'),
)


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        ("number", [1.0, 2.5, None, None, None, None, None, None, None, 0.0]),
        ("integer", [1, None, None, None, None, None, None, None, None, None]),
        ("text", [None, None, "3", *[None] * 7]),
        ("boolean", [None, None, None, True, *[None] * 6]),
        ("present", [True, True, True, True, False, False, True, True, True, True]),
    ],
)
def test_a_value_of_another_type_is_unknown_and_spoils_no_other(reading: Reading, expected: list[object]) -> None:
    assert read(MIXED, ("data", "x"), reading) == expected


def test_there_is_one_zero() -> None:
    field = Field("data.x", "number", ("data", "x"))
    column = extract(batch(row('{"x":-0.0}')), [field])[field]

    assert not np.signbit(column.values).any()


def test_one_field_is_read_in_several_ways_in_one_pass() -> None:
    fields = [Field("data.x", reading, ("data", "x")) for reading in ("number", "text", "boolean")]
    found = extract(batch(row('{"x":1}'), row('{"x":"a"}'), row('{"x":false}')), fields)

    assert [values(found[field]) for field in fields] == [[1.0, None, None], [None, "a", None], [None, None, False]]


def test_fields_inside_of_fields_are_found_also_where_one_is_asked_for_itself() -> None:
    taken = batch(row('{"gyro-x":{"rms":2}}'), row('{"gyro-x":5}'), row("{}"))
    inner, outer = Field("inner", "number", ("data", "gyro-x", "rms")), Field("outer", "number", ("data", "gyro-x"))

    assert values(extract(taken, [inner])[inner]) == [2.0, None, None]
    found = extract(taken, [inner, outer])
    assert (values(found[inner]), values(found[outer])) == ([2.0, None, None], [None, 5.0, None])


def test_attributes_have_their_defaults_and_what_stands_beside_the_rows() -> None:
    taken = batch(row("{}"), row("{}", ',"severity":"high","tags":["night","lab"],"user_id":"u"'))

    assert read(taken, ("severity",), "text") == ["medium", "high"]
    assert read(taken, ("tags",), "texts") == [(), ("night", "lab")]
    assert read(taken, ("user_id",), "text") == [None, "u"]
    assert read(taken, ("id",), "text") == ["id-0", "id-1"]
    assert read(taken, ("topic",), "text") == ["events", "events"]
    assert read(taken, ("time",), "number") == [0.0, 1.5]


def test_texts_are_kept_as_they_came() -> None:
    assert read(batch(row('{"x":"caf\\u00e9"}'), row('{"x":""}'), row('{"x":"é"}')), ("data", "x"), "text") == ["café", "", "é"]


@pytest.mark.parametrize(("rows", "count"), [(["{"], 1), ([row("{}")], 2), ([row("{}"), row("{}")], 1), (["[]"], 1)])
def test_rows_that_cannot_be_read_are_named_by_their_place(rows: list[str], count: int) -> None:
    with pytest.raises(Corrupt, match="events/2/7"):
        read(batch(*rows, count=count), ("data", "x"), "number")
