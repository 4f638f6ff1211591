"""Series: a field over time, ready to draw, with its spikes and its gaps."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weft.core import times
from weft.core.times import SECOND_US
from weft.testing.factories import NOON_US, make_row


async def test_a_series_shows_every_spike_and_every_gap(lab: Any) -> None:
    values = [(0, 20.0), (1, 21.0), (2, 95.0), (3, 21.5), (8, 19.0)]
    await lab.take(
        [make_row(data={"temperature": value}) for _, value in values],
        times_us=[NOON_US + second * SECOND_US for second, _ in values],
    )
    asked = {"from": times.to_text(NOON_US), "to": times.to_text(NOON_US + 10 * SECOND_US), "field": "data.temperature"}

    body = await lab.get("/api/v1/series", width=5, **asked)

    assert body["bucket_us"] == 2 * SECOND_US
    assert body["columns"] == {
        "start_us": [NOON_US, NOON_US + 2 * SECOND_US, NOON_US + 8 * SECOND_US],
        "min": [20.0, 21.5, 19.0],
        "max": [21.0, 95.0, 19.0],
        "avg": [20.5, 58.25, 19.0],
        "last": [21.0, 21.5, 19.0],
        "count": [2, 2, 1],
    }
    assert body["gaps"] == [[NOON_US + 4 * SECOND_US, NOON_US + 8 * SECOND_US]]
    assert (body["from"], body["to"], body["field"]) == (asked["from"], asked["to"], "data.temperature")
    assert (await lab.stranger.get("/api/v1/series", params=asked)).status_code == 401


async def test_a_series_without_any_value_is_one_gap(lab: Any) -> None:
    await lab.take([make_row(data={"temperature": "warm"})], times_us=[NOON_US])

    body = await lab.get(
        "/api/v1/series",
        **{"from": times.to_text(NOON_US), "to": times.to_text(NOON_US + SECOND_US), "field": "data.temperature"},
    )

    assert body["columns"]["start_us"] == []
    assert body["gaps"] == [[NOON_US, NOON_US + SECOND_US]]


async def test_a_series_that_cannot_be_is_refused(lab: Any) -> None:
    good = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z", "field": "data.x"}
    refused: list[tuple[dict[str, Any], int, str | None]] = [
        ({"field": "source"}, 422, "field"),
        ({"to": good["from"]}, 400, None),
        ({"width": 0}, 422, "width"),
        ({"width": 10_001}, 422, "width"),
        ({"from": "noon"}, 422, "from"),
        ({"colour": "red"}, 422, "colour"),
    ]
    for change, status, field in refused:
        body = await lab.refused("/api/v1/series", status, **{**good, **change})
        if field is not None:
            assert body["details"]["field"] == field, change
    for missing in good:
        body = await lab.refused("/api/v1/series", 422, **{name: value for name, value in good.items() if name != missing})
        assert body["details"]["field"] == missing


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(st.tuples(st.integers(0, 99), st.integers(-50, 50)), min_size=1, max_size=40),
    width=st.integers(1, 40),
    length=st.integers(1, 100),
)
async def test_any_series_is_what_sorting_by_hand_gives(
    lab: Any, values: list[tuple[int, int]], width: int, length: int
) -> None:
    topic = f"t{len((await lab.log.state()).partitions)}"
    await lab.take(
        [make_row(data={"v": value}) for _, value in values],
        times_us=[NOON_US + second * SECOND_US for second, _ in values],
        topic=topic,
    )
    end_us = NOON_US + length * SECOND_US
    asked = {"from": times.to_text(NOON_US), "to": times.to_text(end_us), "field": "data.v", "topic": topic}

    body = await lab.get("/api/v1/series", width=width, **asked)

    inside = [(second, value) for second, value in values if second < length]
    columns, bucket_us = body["columns"], body["bucket_us"]
    assert len(columns["start_us"]) <= width
    assert sum(columns["count"]) == len(inside)
    for index, start_us in enumerate(columns["start_us"]):
        here = [value for second, value in inside if start_us <= NOON_US + second * SECOND_US < start_us + bucket_us]
        assert (columns["min"][index], columns["max"][index]) == (min(here), max(here))
        assert columns["avg"][index] == pytest.approx(sum(here) / len(here))
        assert columns["count"][index] == len(here)
        newest = max(second for second, _ in inside if start_us <= NOON_US + second * SECOND_US < start_us + bucket_us)
        assert columns["last"][index] in [value for second, value in inside if second == newest]
    for begin, end in body["gaps"]:
        assert not [second for second, _ in inside if begin <= NOON_US + second * SECOND_US < end]
        assert begin < end
