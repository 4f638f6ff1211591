"""The memory of a pass is bounded: what would need more is refused and counted, and what is answered is right."""

import random
from collections import Counter
from typing import Any

import pytest

from tests.unit.stream.engine import EngineUnderTest, Event, event
from weft.core.times import SECOND_US

LIMIT = 200_000
QUERIES: list[dict[str, Any]] = [
    {"window": "10s", "key": ["source"], "select": {"n": "count", "total": "sum(value)"}},
    {"window": {"sliding": "30s", "slide": "10s"}, "key": ["source"], "select": {"n": "count", "total": "sum(value)"}},
    {"window": {"session": "5s"}, "key": ["source"], "select": {"n": "count", "total": "sum(value)"}},
]


def crowd(seed: int) -> list[list[Event]]:
    """A minute of events from far more sources than there is room for, then one of few."""
    chance = random.Random(seed)
    batches = []
    for step in range(60):
        sources = 3_000 if step < 30 else 20
        batches.append([event(step + chance.random(), f"s{chance.randrange(sources)}", value=1) for _ in range(300)])
    return batches


@pytest.mark.parametrize("query", QUERIES)
def test_what_is_answered_under_a_flood_of_keys_is_right_and_the_rest_is_counted(query: dict[str, Any]) -> None:
    def run(limit_bytes: int) -> tuple[dict[Any, Any], int]:
        engine = EngineUnderTest(query, bound_us=SECOND_US, limit_bytes=limit_bytes)
        results, refused = [], 0
        for batch in crowd(1):
            taken = engine.take(batch)
            results += taken.results
            refused += taken.refused.get("q0", 0)
            engine.restart()
        results += engine.tick(1_000 * SECOND_US)
        told = {(*result.key.values(), result.start_us): (result.end_us, result.events, result.values) for result in results}
        return told, refused

    whole, none_refused = run(1 << 30)
    bounded, refused = run(LIMIT)

    assert none_refused == 0
    assert refused > 1_000
    assert bounded
    assert Counter(bounded[place] == whole.get(place) for place in bounded) == {True: len(bounded)}


def test_memory_stays_within_the_bound_and_is_used_again() -> None:
    engine = EngineUnderTest(QUERIES[0], bound_us=SECOND_US, limit_bytes=LIMIT)
    sizes = []
    for batch in crowd(2):
        engine.take(batch)
        sizes.append(engine.engine.size_bytes)

    assert max(sizes) < 1.5 * LIMIT
    last = [result for result in engine.tick(1_000 * SECOND_US) if result.start_us == 50 * SECOND_US]
    assert sum(result.events for result in last) == 3_000, "once the flood is over everybody is answered again"


def test_keys_that_are_gone_are_forgotten() -> None:
    engine = EngineUnderTest(QUERIES[0], QUERIES[2])
    for step in range(40):
        engine.take([event(step * 20 + number / 100, f"s{step}-{number}", value=1) for number in range(1_000)])

    assert engine.engine.size_bytes < 20_000_000
