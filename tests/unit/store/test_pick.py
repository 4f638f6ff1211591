"""Picking a page out of memory: the same rows as reading everything and sorting it, whatever chunk they lie in."""

import random
from typing import Any, Literal

import pyarrow as pa
import pytest

from weft.core.columns import EVENT_SCHEMA
from weft.store.cursor import Cursor, encode
from weft.store.parquet.pick import can_pick, pick
from weft.store.parquet.tail import Chunk, chunk_of
from weft.store.query import Filter, Select

NOON_US = 1_780_000_000_000_000


def _event(chance: random.Random, number: int) -> dict[str, Any]:
    return {
        "id": f"id-{number % 40:02d}",
        "type": chance.choice(["a", "b", "ä"]),
        "source": f"source-{number}",
        "subject": chance.choice([None, "door"]),
        "time": NOON_US + chance.randrange(20),
        "received_at": NOON_US + 50,
        "severity": "low",
        "user_id": chance.choice([None, "ann", "bob"]),
        "tags": ["t"],
        "data": f'{{"n":{number}}}',
        "metadata": "{}",
        "partition": 0,
        "offset": number,
    }


def _chunk(events: list[dict[str, Any]]) -> Chunk:
    columns = [pa.array([event.get(field.name) for event in events], field.type) for field in EVENT_SCHEMA]
    return chunk_of(pa.RecordBatch.from_arrays(columns, schema=EVENT_SCHEMA))


def _is_wanted(event: dict[str, Any], asked: Filter) -> bool:
    return (
        (asked.types is None or event["type"] in asked.types)
        and (asked.user_ids is None or event["user_id"] in asked.user_ids)
        and (asked.subject is None or event["subject"] == asked.subject)
        and (asked.start_us is None or event["time"] >= asked.start_us)
        and (asked.end_us is None or event["time"] < asked.end_us)
    )


def _is_near(time_us: int, edge_us: int | None, order: str) -> bool:
    return edge_us is None or (time_us > edge_us if order == "desc" else time_us < edge_us)


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("seed", range(30))
def test_a_picked_page_is_the_page_of_all_events(seed: int, order: Literal["asc", "desc"]) -> None:
    chance = random.Random(seed)
    events = [_event(chance, number) for number in range(200)]
    chunks = [_chunk(events[first : first + 25]) for first in range(0, 200, 25)]
    asked = Filter(
        types=chance.choice([None, ("ä",), ("a", "b"), ("nothing",)]),
        user_ids=chance.choice([None, ("ann",), ("ann", "bob")]),
        subject=chance.choice([None, "door"]),
        start_us=chance.choice([None, NOON_US + 4]),
        end_us=chance.choice([None, NOON_US + 15]),
    )
    in_order = sorted(events, key=lambda event: (event["time"], event["id"], event["source"]), reverse=order == "desc")
    edge_us = chance.choice([None, NOON_US + 10])
    last = chance.choice([None, in_order[60]])
    after = last and encode(Cursor(order, "events", last["time"], last["id"], last["source"]))
    select = Select(filter=asked, order=order, limit=7, skip=0 if after else chance.choice([0, 5]), after=after)
    expected = [
        event["offset"]
        for event in (in_order[61:] if last else in_order)
        if _is_wanted(event, asked) and _is_near(event["time"], edge_us, order)
    ]
    assert can_pick(asked)
    assert [row[-1] for row in pick(chunks, select, edge_us)] == expected[select.skip : select.skip + 8]


def test_a_picked_row_holds_every_column() -> None:
    event = _event(random.Random(1), 3)
    (row,) = pick([_chunk([event])], Select(filter=Filter()), None)
    assert row[0] == "id-03"
    assert row[3:5] == (event["time"], NOON_US + 50)
    assert row[10:] == (["t"], '{"n":3}', "{}", 0, 3)


def test_conditions_inside_tags_and_data_are_left_to_the_engine() -> None:
    assert not can_pick(Filter(tag="t"))
    assert not can_pick(Filter(data=(("n", 3),)))
