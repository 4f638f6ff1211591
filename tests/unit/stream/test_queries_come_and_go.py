"""Queries are added, replaced and removed while the engine runs; each answers only windows it saw from the beginning."""

from typing import Any

import pytest

from tests.unit.stream.engine import EngineUnderTest, event
from weft.core.errors import Corrupt
from weft.core.position import TopicPartition
from weft.core.times import SECOND_US
from weft.stream.engine.engine import Engine
from weft.stream.query import read_query

COUNT: dict[str, Any] = {"window": "10s", "select": {"n": "count"}}
TOTAL: dict[str, Any] = {"window": "10s", "select": {"total": "sum(value)"}}


def test_a_new_query_answers_windows_that_began_after_it_came() -> None:
    engine = EngineUnderTest(COUNT)
    engine.take([event(1), event(12)])
    engine.add(COUNT, name="new")
    results = [*engine.take([event(13), event(21)]).results, *engine.tick(60 * SECOND_US)]

    assert [(result.query, result.start_us // SECOND_US, result.events) for result in results] == [
        ("q0", 10, 2),
        ("q0", 20, 1),
        ("new", 20, 1),
    ]


def test_one_that_starts_earliest_is_given_what_there_was_while_the_others_are_not() -> None:
    engine = EngineUnderTest(COUNT)
    batches = [engine.batch([event(1)]), engine.batch([event(12), event(2)])]
    for batch in batches:
        engine.engine.take(batch)
    query = read_query({"name": "all", "from": "events", "start": "earliest", **COUNT})
    engine.engine.add(query, 1, positions={TopicPartition("events", 0): 0})
    assert engine.engine.positions == {("events", 0): 0}

    for batch in batches:
        assert not [result for result in engine.engine.take(batch).results if result.query == "q0"]
    results = engine.tick(60 * SECOND_US)

    assert engine.engine.positions == {("events", 0): 4}
    assert sorted((result.query, result.start_us // SECOND_US, result.events) for result in results) == [
        ("all", 10, 1),
        ("q0", 10, 1),
    ]


def test_one_that_starts_earliest_without_what_there_was_answers_no_half_window() -> None:
    engine = EngineUnderTest(COUNT)
    engine.take([event(1), event(12)])
    engine.add({**COUNT, "select": {"n": "count", "top": "max(value)"}, "start": "earliest"}, name="new")
    engine.take([event(13, value=1)])
    results = [*engine.take([event(21, value=2)]).results, *engine.tick(60 * SECOND_US)]

    assert [result.start_us // SECOND_US for result in results if result.query == "new"] == [20]


def test_a_query_begins_in_the_middle_of_a_batch() -> None:
    engine = EngineUnderTest()
    engine.engine.add(read_query({"name": "q", "from": "events", **COUNT}), 1, positions={TopicPartition("events", 0): 2})
    engine.take([event(1), event(12), event(13), event(21)])
    results = engine.tick(60 * SECOND_US)

    assert [(result.start_us // SECOND_US, result.events) for result in results] == [(20, 1)], "the window at 10 was not whole"


def test_a_new_version_takes_the_place_of_the_old_one() -> None:
    engine = EngineUnderTest(COUNT)
    engine.take([event(1)])
    engine.add(TOTAL, name="q0", version=2)
    engine.take([event(11, value=4)])
    results = engine.tick(60 * SECOND_US)

    assert [(result.version, result.values) for result in results] == [(2, {"total": 4.0})]


def test_a_removed_query_is_silent_and_its_neighbours_go_on() -> None:
    engine = EngineUnderTest(COUNT, TOTAL)
    engine.take([event(1, value=2)])
    engine.engine.remove("q0")
    engine.engine.remove("nobody")
    engine.take([event(2, value=3)])

    assert [(result.query, result.values) for result in engine.tick(60 * SECOND_US)] == [("q1", {"total": 5.0})]


def test_an_engine_without_queries_needs_nothing() -> None:
    engine = EngineUnderTest(COUNT)
    engine.engine.remove("q0")

    assert engine.engine.positions == {}
    assert not engine.take([event(1)]).results


@pytest.mark.parametrize("damage", [lambda whole: b"", lambda whole: whole[:-1], lambda whole: whole[:30] + b"x" + whole[31:]])
def test_a_damaged_snapshot_is_refused(damage: Any) -> None:
    engine = EngineUnderTest(COUNT)
    engine.take([event(1)])

    with pytest.raises(Corrupt):
        Engine(default_bound_us=0).restore(damage(engine.engine.snapshot()))
