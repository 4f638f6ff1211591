"""Whatever stands in a log and whatever is asked of it, the embedded engine answers like the reference."""

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conformance.stream import reference
from tests.conformance.stream.engines import Embedded
from tests.conformance.stream.transcript import Transcript
from weft.core import times
from weft.core.times import MINUTE_US, SECOND_US

NOON_US = times.parse("2026-03-01T12:00:00Z")
SHORT, LONG = 30, 3000

VALUES = st.one_of(
    st.none(),
    st.integers(-5, 5),
    st.sampled_from([0.1, 0.2, 0.7, -0.3, 1e16, -1e16, 1.0, 2.5, 1e-300]),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.sampled_from(["", "3", "x", True, False]),
)
EVENTS = st.fixed_dictionaries(
    {"source": st.sampled_from("ab")},
    optional={
        "type": st.sampled_from(["reading", "error"]),
        "subject": st.sampled_from(["s", "t"]),
        "user_id": st.sampled_from(["u1", "u2", "u3"]),
        "tags": st.lists(st.sampled_from(["day", "night"]), max_size=2),
        "data": st.fixed_dictionaries({}, optional={"value": VALUES, "room": st.sampled_from(["k", "l", "", None, 5, True])}),
    },
)
SECONDS = st.integers(0, 45)
NUDGES = st.sampled_from([0, 0, 0, -1, 1])
"""Microseconds beside a whole second, where the edges of windows and gaps are."""


@st.composite
def entries(draw: st.DrawFn) -> dict[str, Any]:
    """An event or a tick."""
    time_us = NOON_US + draw(SECONDS) * SECOND_US + draw(NUDGES)
    kind = draw(st.sampled_from(["event"] * 8 + ["tick", "ahead", "untimed"]))
    if kind == "tick":
        return {"tick": times.to_text(time_us)}
    event: dict[str, Any] = draw(EVENTS)
    if kind == "untimed":
        return {"received_at": times.to_text(time_us), **event}
    if kind == "ahead":
        received_us = time_us - 5 * MINUTE_US - draw(NUDGES)
        return {"time": times.to_text(time_us), "received_at": times.to_text(received_us), **event}
    return {"time": times.to_text(time_us), **event}


WINDOWS = st.sampled_from(
    [
        "1s",
        "5s",
        {"tumbling": "7s"},
        {"sliding": "10s", "slide": "5s"},
        {"sliding": "6s", "slide": "2s"},
        {"session": "1s"},
        {"session": "3s"},
        {"session": "5s"},
    ]
)
CONDITIONS = st.sampled_from(
    ["value > 0", "type == 'error'", "'night' in tags", "not value > 0", "value in [1, 2]", "is_null(value) or value >= 1"]
)
NUMBERS = st.sampled_from(["value", "abs(value)", "value / 2", "1 / value", "value * value", "number(value)"])
AGGREGATES = st.one_of(
    st.sampled_from(["count", "error_rate", "event_rate", "unique_users", "count(value)", "ratio(type == 'error', value > 0)"]),
    st.builds("{}({})".format, st.sampled_from(["sum", "avg", "min", "max", "stddev", "delta", "rate"]), NUMBERS),
    st.builds("{}(number({}))".format, st.sampled_from(["first", "last"]), NUMBERS),
    st.builds("{}({} where {})".format, st.sampled_from(["sum", "avg", "min", "max"]), NUMBERS, CONDITIONS),
    st.builds("count where {}".format, CONDITIONS),
    st.sampled_from(
        [
            "distinct(text(room))",
            "distinct(text(value))",
            "distinct(number(value))",
            "distinct(user_id where value > 0)",
            "last(subject)",
            "first(text(room))",
        ]
    ),
    st.sampled_from(["sum(value) / count", "max(value) - min(value)", "p50(value)", "p90(value)"]),
)


@st.composite
def queries(draw: st.DrawFn, place: int) -> dict[str, Any]:
    """A query that Weft takes."""
    window = draw(WINDOWS)
    select = {f"v{at}": text for at, text in enumerate(draw(st.lists(AGGREGATES, min_size=1, max_size=4)))}
    query: dict[str, Any] = {"name": f"q{place}", "from": "readings", "window": window, "select": {"n": "count", **select}}
    query["lateness"] = draw(st.sampled_from(["0s", "0s", "1s", "3s", "12s"]))
    query["key"] = draw(st.sampled_from([[], ["source"], ["data.room"], ["source", "subject"]]))
    if draw(st.booleans()):
        query["where"] = draw(CONDITIONS)
    if draw(st.integers(0, 3)) == 0:
        query["having"] = draw(st.sampled_from(["n > 1", "n > 1 and not n == 3"]))
    if not (isinstance(window, dict) and "session" in window):
        query["emit"] = draw(st.sampled_from(["final", "revisions"]))
        if draw(st.integers(0, 2)) == 0:
            query["every"] = {"7s": "7s", "5s": "5s"}.get(str(window), "1s")
    return query


@st.composite
def transcripts(draw: st.DrawFn) -> Transcript:
    """A log of one to three partitions and some queries."""
    count = draw(st.integers(1, 3))
    asked = draw(st.integers(1, 3))
    written = {
        "description": "",
        "pins": [],
        "bound_s": draw(st.sampled_from([0, 0, 1, 5])),
        "queries": [draw(queries(place)) for place in range(asked)],
        "partitions": {str(number): draw(st.lists(entries(), min_size=1, max_size=25)) for number in range(count)},
        "expected": {},
    }
    return Transcript.read("random", written)


def _compare(transcript: Transcript, seed: int) -> None:
    expected = reference.answer(transcript)
    chance = random.Random(seed)
    for engine in (Embedded(), Embedded(chance), Embedded(chance, restarts=True)):
        answers = engine.answer(transcript)
        assert answers.results == expected.results
        assert answers.late == expected.late


@settings(max_examples=SHORT, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(transcripts(), st.integers(0, 2**32))
def test_embedded_and_reference_agree(transcript: Transcript, seed: int) -> None:
    _compare(transcript, seed)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@settings(max_examples=LONG, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(transcripts(), st.integers(0, 2**32))
def test_embedded_and_reference_agree_at_length(transcript: Transcript, seed: int) -> None:
    _compare(transcript, seed)
