"""Which events of a piece are wanted, looked up once for all who want the same."""

import asyncio
from typing import Any

import pytest

from weft.core.errors import Invalid
from weft.query.piece import Pace, Piece, prepare
from weft.query.wanted import Wanted
from weft.testing.clock import ManualClock
from weft.testing.factories import make_log_batch, make_row


def pieces(rows: list[Any]) -> list[Piece]:
    async def make() -> list[Piece]:
        return [piece async for piece in prepare(make_log_batch(rows, topic="lab"), Pace(ManualClock(), 0.5))]

    return asyncio.run(make())


ROWS = [
    make_row(0, type="error", source="a", data={"temperature": 40, "unit": "C"}),
    make_row(1, type="custom", source="a", data={"temperature": 20}, tags=("night",)),
    make_row(2, type="custom", source="b", data={"temperature": "hot"}, user_id="ada"),
    make_row(3, type="error", source="b", data={}, severity="high"),
]


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("temperature > 30", [0]),
        ("not (temperature > 30)", [1]),
        ("temperature == 'hot'", [2]),
        ("is_null(data.temperature) or user_id == 'ada'", [2, 3]),
        ("type == 'error' and source in ['b', 'c']", [3]),
        ("'night' in tags", [1]),
        ("severity == 'high'", [3]),
        ("topic == 'lab'", [0, 1, 2, 3]),
        ("time > 0 and received_at > 0", [0, 1, 2, 3]),
    ],
)
def test_an_expression_chooses_events_by_attributes_and_fields(expression: str, found: list[int]) -> None:
    [piece] = pieces(ROWS)

    assert list(Wanted.of(expression=expression).indices(piece)) == found


def test_an_expression_may_name_the_id_of_an_event() -> None:
    [piece] = pieces([make_row(0, id="first"), make_row(1, id="second")])

    assert list(Wanted.of(expression="id == 'second'").indices(piece)) == [1]


def test_types_sources_and_an_expression_have_to_hold_together() -> None:
    [piece] = pieces(ROWS)

    assert list(Wanted.of(["custom"], ["a", "b"], "temperature < 30").indices(piece)) == [1]
    assert list(Wanted.of(types=["error"]).indices(piece)) == [0, 3]
    assert list(Wanted.of().indices(piece)) == [0, 1, 2, 3]


def test_what_is_asked_twice_is_looked_up_once() -> None:
    [piece] = pieces(ROWS)

    first = Wanted.of(expression="temperature > 30").indices(piece)
    assert Wanted.of(expression=" temperature > 30 ").indices(piece) is first
    assert Wanted.of(expression="temperature > 31").indices(piece) is not first


def test_what_was_found_is_forgotten_before_it_piles_up() -> None:
    [piece] = pieces(ROWS)

    for limit in range(100):
        Wanted.of(expression=f"temperature > {limit}").indices(piece)

    assert len(piece._chosen) <= 16


def test_a_tail_of_a_piece_is_looked_up_by_itself() -> None:
    [piece] = pieces(ROWS)
    wanted = Wanted.of(expression="is_null(data.unit)")

    assert list(wanted.indices(piece)) == [1, 2, 3]
    assert list(wanted.indices(piece.tail(2))) == [0, 1]


def test_an_expression_that_is_none_is_refused_with_its_column() -> None:
    with pytest.raises(Invalid) as refused:
        Wanted.of(expression="temperature > ")

    assert refused.value.details["field"] == "filter"
    assert refused.value.details["column"] > 1
