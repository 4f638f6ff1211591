"""Windows at their edges, a microsecond to either side; late events; when results come."""

from typing import Any

import pytest

from tests.unit.stream.engine import EngineUnderTest, event, event_us
from weft.core.times import SECOND_US
from weft.stream.engine.taken import Result

COUNT: dict[str, Any] = {"select": {"n": "count"}}


def spans(results: list[Result]) -> list[tuple[float, float, int, bool]]:
    return [(result.start_us / SECOND_US, result.end_us / SECOND_US, result.events, result.final) for result in results]


@pytest.mark.parametrize(("tick_us", "closed"), [(15_999_998, False), (15_999_999, True)])
def test_a_window_is_answered_when_the_watermark_reaches_its_last_microsecond_and_lateness(tick_us: int, closed: bool) -> None:
    engine = EngineUnderTest({"window": "10s", "lateness": "5s", **COUNT}, bound_us=SECOND_US)
    engine.take([event(3)])

    assert bool(engine.tick(tick_us)) is closed


@pytest.mark.parametrize(("watermark_us", "late"), [(14_999_998, False), (14_999_999, True)])
def test_an_event_is_late_from_the_microsecond_on_at_which_its_window_is_over(watermark_us: int, late: bool) -> None:
    engine = EngineUnderTest({"window": "10s", "lateness": "5s", **COUNT})
    engine.take([event_us(watermark_us), event(9)])
    taken = engine.take([event_us(watermark_us), event(9)])

    assert [lost.offset for lost in taken.late] == ([3] if late else [])


def test_times_before_1970_belong_to_windows_like_all_others() -> None:
    engine = EngineUnderTest({"window": "10s", **COUNT}, bound_us=SECOND_US)
    engine.take([event_us(-10 * SECOND_US), event_us(-10 * SECOND_US + 1), event_us(-2), event_us(0)])

    assert spans(engine.tick(60 * SECOND_US)) == [(-10, 0, 3, True), (0, 10, 1, True)]


def test_a_late_event_is_named_only_for_queries_that_would_have_counted_it() -> None:
    engine = EngineUnderTest(
        {"window": "10s", **COUNT},
        {"window": "10s", "where": "value > 5", **COUNT},
        {"window": "10s", "lateness": "1m", **COUNT},
    )
    engine.take([event(30)])
    taken = engine.take([event(1, value=1), event(2, value=9)])

    assert [(late.offset, late.time_us, late.queries) for late in taken.late] == [
        (1, SECOND_US, ("q0",)),
        (2, 2 * SECOND_US, ("q0", "q1")),
    ]


def test_a_sliding_window_that_is_over_does_not_take_what_the_next_one_still_takes() -> None:
    engine = EngineUnderTest({"window": {"sliding": "20s", "slide": "10s"}, **COUNT})
    first = engine.take([event(5), event(25), event(8), event(12)])
    rest = engine.tick(100 * SECOND_US)

    assert spans([*first.results, *rest]) == [(-10, 10, 1, True), (0, 20, 1, True), (10, 30, 2, True), (20, 40, 1, True)]
    assert [late.offset for late in first.late] == [2]


def test_sessions_join_when_what_lay_between_them_comes() -> None:
    engine = EngineUnderTest({"window": {"session": "10s"}, "lateness": "1m", "key": ["source"], **COUNT})
    engine.take([event(0), event(20), event(5, "b")])
    engine.restart()
    engine.take([event(10), event(40, "b")])

    assert spans(engine.tick(1_000 * SECOND_US)) == [(5, 15, 1, True), (0, 30, 3, True), (40, 50, 1, True)]


def test_idle_partitions_hold_windows_open_until_they_tick_or_nobody_counts_them() -> None:
    engine = EngineUnderTest({"window": "10s", **COUNT})
    engine.engine.partitions("events", [0, 1])
    assert not engine.take([event(1), event(30)]).results
    assert spans(engine.tick(15 * SECOND_US, partition=1)) == [(0, 10, 1, True)]

    engine.take([event(35), event(70)])
    assert spans(list(engine.engine.partitions("events", [0]).results)) == [(30, 40, 2, True)]
    late = engine.take([event(36), event(75)], partition=1)
    assert [(lost.partition, lost.offset) for lost in late.late] == [(1, 1)], (
        "what an orphan brings for a closed window is late"
    )


def test_a_result_says_where_its_events_lie() -> None:
    engine = EngineUnderTest({"window": "10s", "where": "value > 0", "key": ["source"], **COUNT})
    engine.take([event(1, value=0), event(2, value=1), event(3, "b", value=1), event(4, value=1)])
    engine.take([event(1, value=1)], partition=3)
    engine.tick(99 * SECOND_US, partition=3)
    results = engine.tick(99 * SECOND_US)

    assert [(result.first_offsets, result.last_offsets) for result in results] == [
        ({0: 1, 3: 0}, {0: 3, 3: 0}),
        ({0: 2}, {0: 2}),
    ]


def test_a_tick_and_an_empty_topic_answer_nothing() -> None:
    engine = EngineUnderTest({"window": "10s", **COUNT})

    assert engine.tick(10**15) == []
