"""What must change nothing: how a log is cut into batches, restarts, other queries, and disorder within the bound."""

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.stream.engine import EngineUnderTest, Event, event_us
from weft.core.times import SECOND_US
from weft.stream.engine.taken import Result

BOUND_S = 10
SELECT = {
    "n": "count",
    "total": "sum(value)",
    "mean": "avg(value where value > 0)",
    "spread": "stddev(value)",
    "median": "p50(value)",
    "kinds": "distinct(text(room))",
    "newest": "last(text(room))",
    "growth": "rate(value)",
}
QUERIES: list[dict[str, Any]] = [
    {"window": "5s", "select": SELECT},
    {"window": "5s", "key": ["source"], "where": "value > 0", "select": SELECT},
    {"window": "5s", "key": ["source"], "select": {"n": "count", "top": "max(value)"}, "having": "n > 1"},
    {"window": {"sliding": "9s", "slide": "3s"}, "key": ["data.room"], "lateness": "4s", "select": SELECT},
    {"window": {"session": "2s"}, "key": ["source"], "lateness": "3s", "select": SELECT},
    {"window": {"session": "2s"}, "key": ["source"], "where": "value < 1", "select": SELECT},
    {"window": "6s", "emit": "revisions", "lateness": "20s", "key": ["source"], "select": SELECT},
    {"window": {"sliding": "6s", "slide": "2s"}, "every": "1s", "lateness": "1s", "select": SELECT},
]
EVENTS = st.lists(
    st.builds(
        lambda time, source, value, room: event_us(time, source, value=value, room=room),
        st.builds(lambda second, beside: second * SECOND_US + beside, st.integers(0, 40), st.sampled_from([0, 0, -1, 1])),
        st.sampled_from("abc"),
        st.one_of(st.none(), st.sampled_from([0.1, 0.3, -2.5, 1e16, 1.0]), st.integers(-3, 3)),
        st.sampled_from(["k", "l", None]),
    ),
    min_size=1,
    max_size=40,
)
Answers = list[tuple[object, ...]]


def answers(log: list[Event], queries: list[dict[str, Any]], chance: random.Random | None = None) -> Answers:
    """Everything that is answered and who was late; with `chance` in any number of batches and with restarts."""
    engine = EngineUnderTest(*queries, bound_us=BOUND_S * SECOND_US)
    results: list[Result] = []
    late: Answers = []
    start = 0
    while start < len(log):
        stop = len(log) if chance is None else chance.randint(start + 1, len(log))
        taken = engine.take(log[start:stop])
        results += taken.results
        late += [(one.offset, one.queries) for one in taken.late]
        start = stop
        if chance is not None and chance.random() < 0.5:
            engine.restart()
    results += engine.tick(1_000 * SECOND_US)
    return sorted(map(_told, results), key=repr) + late


def _told(result: Result) -> tuple[object, ...]:
    place = (result.query, tuple(result.key.values()), result.start_us, result.end_us, result.revision, result.final)
    return (*place, result.events, tuple(result.values.items()), tuple(result.first_offsets.items()), result.id)


@settings(max_examples=25, deadline=None)
@given(EVENTS, st.integers(0, 2**32))
def test_cutting_a_log_into_other_batches_and_restarting_change_nothing(log: list[Event], seed: int) -> None:
    assert answers(log, QUERIES, random.Random(seed)) == answers(log, QUERIES)


@settings(max_examples=12, deadline=None)
@given(EVENTS)
def test_many_queries_in_one_engine_answer_what_each_answers_alone(log: list[Event]) -> None:
    together = answers(log, QUERIES)
    for number, query in enumerate(QUERIES):
        alone = [one for one in answers(log, [query]) if len(one) > 2]
        mine = [(*one[1:-1],) for one in together if len(one) > 2 and one[0] == f"q{number}"]
        assert mine == [(*one[1:-1],) for one in alone]


@settings(max_examples=25, deadline=None)
@given(EVENTS, st.integers(0, 2**32))
def test_disorder_within_the_bound_changes_no_final_answer(log: list[Event], seed: int) -> None:
    """Whoever is at most as far behind as the bound is late for nothing, so only the set of events counts."""
    chance = random.Random(seed)
    ordered = sorted(log, key=lambda one: one[0])
    shuffled = sorted(ordered, key=lambda one: one[0] + chance.randrange(BOUND_S * SECOND_US // 2))
    queries = [query for query in QUERIES if "every" not in query and "emit" not in query]
    for query in queries:
        query["select"] = {name: text for name, text in query["select"].items() if name not in {"newest", "growth"}}

    def values(told: Answers) -> list[tuple[object, ...]]:
        return [one[:8] for one in told]

    assert values(answers(shuffled, queries)) == values(answers(ordered, queries))
