"""Aggregations over events: held against the same figures computed by hand."""

import json
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weft.core import times
from weft.core.times import DAY_US, HOUR_US, MINUTE_US
from weft.testing.factories import NOON_US, make_row


@pytest.mark.contract("SF-96", "SF-97", "SF-98", "SF-99", "SF-100", "SF-101", "SF-331")
async def test_the_documented_question_has_the_documented_answer(lab: Any) -> None:
    kinds = ["web.click"] * 8 + ["api.request"] * 4 + ["user.login"] * 2 + ["error"]
    await lab.take([make_row(n, type=kind) for n, kind in enumerate(kinds)], times_us=[NOON_US] * 15)
    start, end = times.to_text(NOON_US - HOUR_US), times.to_text(NOON_US)

    body = await lab.get("/events/aggregations", metric="count", group_by="type", start=start, end=end)

    assert body == {
        "aggregations": {"web.click": 8, "api.request": 4, "user.login": 2, "error": 1},
        "total": 15,
        "period": {"start": start, "end": end},
    }
    assert (await lab.stranger.get("/events/aggregations")).status_code == 401


@pytest.mark.contract("SF-99", "SF-D39")
async def test_it_counts_what_the_same_events_query_finds(lab: Any) -> None:
    await lab.take(7, times_us=[NOON_US + n * MINUTE_US for n in range(7)])
    within = {"start": times.to_text(NOON_US + MINUTE_US), "end": times.to_text(NOON_US + 4 * MINUTE_US)}

    counted = await lab.get("/events/aggregations", **within)
    listed = await lab.get("/events", **within)

    assert counted["total"] == listed["pagination"]["total"] == 4


@pytest.mark.contract("SF-332")
async def test_response_times_of_an_api_are_summed_up_by_endpoint(lab: Any) -> None:
    rows = [
        make_row(type="api.request", data={"endpoint": endpoint, "response_time": seconds})
        for endpoint, seconds in [("/a", 0.1), ("/a", 0.3), ("/b", 1.0)]
    ]
    await lab.take(rows)

    asked = {"metric": "avg", "field": "data.response_time", "group_by": "data.endpoint", "type": "api.request"}
    body = await lab.get("/events/aggregations", **asked)

    assert body["aggregations"] == {"/a": pytest.approx(0.2), "/b": 1.0}
    assert body["total"] == pytest.approx(1.4 / 3), "the mean of all is not the mean of the means"


@pytest.mark.contract("SF-D41")
async def test_several_keys_make_rows_and_time_keys_are_times(lab: Any) -> None:
    rows = [make_row(type="error", severity="high", data={}), make_row(severity="low", data={"v": 2})]
    await lab.take(rows, times_us=[NOON_US, NOON_US + DAY_US])

    body = await lab.get("/events/aggregations", group_by=["severity", "day"])

    noon = NOON_US - NOON_US % DAY_US
    assert body["aggregations"] == [
        {"severity": "high", "day": times.to_text(noon), "value": 1},
        {"severity": "low", "day": times.to_text(noon + DAY_US), "value": 1},
    ]
    hours = await lab.get("/events/aggregations", group_by="interval", interval="6h")
    assert list(hours["aggregations"]) == [
        times.to_text(moment - moment % (6 * HOUR_US)) for moment in (NOON_US, NOON_US + DAY_US)
    ]
    missing = await lab.get("/events/aggregations", group_by="data.v")
    assert missing["aggregations"] == {"2": 1, "null": 1}


@pytest.mark.contract("SF-97", "SF-98", "SF-D41", "SF-D34", "HC-S31")
async def test_what_cannot_be_computed_is_refused(lab: Any) -> None:
    refused: list[tuple[dict[str, Any], int, str | None]] = [
        ({"metric": "median"}, 422, "metric"),
        ({"group_by": "colour"}, 422, "group_by"),
        ({"metric": "sum"}, 422, "field"),
        ({"metric": "sum", "field": "source"}, 422, "field"),
        ({"metric": "sum", "field": "data."}, 422, "field"),
        ({"group_by": ["type"] * 2}, 400, None),
        ({"group_by": "interval"}, 400, None),
        ({"group_by": "interval", "interval": "0s"}, 422, "interval"),
        ({"start": "2026-02-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"}, 400, None),
        ({"page": 1}, 422, "page"),
    ]
    for parameters, status, field in refused:
        body = await lab.refused("/events/aggregations", status, **parameters)
        if field is not None:
            assert body["details"]["field"] == field, parameters
    choices = await lab.refused("/events/aggregations", 422, metric="median")
    assert choices["details"]["allowed_values"] == ["count", "sum", "avg", "min", "max", "p95", "distinct"]


@pytest.mark.contract("SF-333")
async def test_sales_are_summed_up_by_product_and_day(lab: Any) -> None:
    sales = [("bolt", 2.5, 0), ("bolt", 1.5, 0), ("nut", 1.0, 1)]
    await lab.take(
        [make_row(type="custom", data={"kind": "sale", "product": product, "amount": amount}) for product, amount, _ in sales],
        times_us=[NOON_US + day * DAY_US for *_, day in sales],
    )

    asked = {"metric": "sum", "field": "data.amount", "data.kind": "sale", "group_by": ["data.product", "day"]}
    body = await lab.get("/events/aggregations", **asked)

    assert [(row["data.product"], row["value"]) for row in body["aggregations"]] == [("bolt", 4.0), ("nut", 1.0)]
    assert body["total"] == 5.0


NASTY = ["'; DROP TABLE events; --", '" OR "1"="1', "$1", "%s", "{}", "x' UNION SELECT 1 --", "\\", "\u0000x"]


@pytest.mark.contract("HC-S31")
async def test_no_value_is_ever_taken_for_a_command(lab: Any) -> None:
    for number, text in enumerate(NASTY):
        await lab.take([make_row(number, source=f"s{text}", data={"text": text})])
    for text in NASTY:
        counted = await lab.get("/events/aggregations", source=f"s{text}", group_by="source")
        assert counted["aggregations"] == {f"s{text}": 1}
        compared = await lab.get("/events", **{"data.text": json.dumps(text)})
        assert [event["data"]["text"] for event in compared["data"]] == [text]
        for parameter in ("field", "group_by"):
            answer = await lab.client.get("/events/aggregations", params={"metric": "distinct", parameter: f"data.{text}"})
            assert answer.status_code in {200, 422}, answer.text


def p95(values: Sequence[float]) -> float:
    ordered = sorted(values)
    place = 0.95 * (len(ordered) - 1)
    low, high = math.floor(place), math.ceil(place)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


PLAIN: dict[str, Callable[[Sequence[float]], float | None]] = {
    "sum": lambda values: sum(values) if values else None,
    "avg": lambda values: sum(values) / len(values) if values else None,
    "min": lambda values: min(values, default=None),
    "max": lambda values: max(values, default=None),
    "p95": lambda values: p95(values) if values else None,
    "distinct": lambda values: len(set(values)),
    "count": len,
}

Event = st.tuples(
    st.sampled_from(["web.click", "error"]),
    st.sampled_from([None, "u1", "u2"]),
    st.integers(0, 3),
    st.none() | st.integers(-50, 50) | st.floats(-50, 50, width=32),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    events=st.lists(Event, min_size=1, max_size=40),
    metric=st.sampled_from(list(PLAIN)),
    key=st.sampled_from(["type", "user_id", "hour"]),
)
async def test_any_aggregation_is_what_plain_arithmetic_gives(
    lab: Any, events: list[tuple[str, str | None, int, float | None]], metric: str, key: str
) -> None:
    topic = f"t{len((await lab.log.state()).partitions)}"
    rows = [make_row(type=kind, user_id=user, data={} if value is None else {"v": value}) for kind, user, _, value in events]
    await lab.take(rows, times_us=[NOON_US + hour * HOUR_US for _, _, hour, _ in events], topic=topic)
    groups: dict[str, list[float]] = defaultdict(list)
    for kind, user, hour, value in events:
        moment = NOON_US + hour * HOUR_US
        name = {"type": kind, "user_id": user or "null", "hour": times.to_text(moment - moment % HOUR_US)}[key]
        groups[name] += [] if value is None else [value]

    body = await lab.get("/events/aggregations", topic=topic, metric=metric, field="data.v", group_by=key)

    expected = {name: PLAIN[metric](values) for name, values in groups.items()}
    assert body["aggregations"].keys() == expected.keys()
    for name, value in expected.items():
        assert body["aggregations"][name] == (None if value is None else pytest.approx(value, abs=1e-9)), name
    whole = PLAIN[metric]([value for values in groups.values() for value in values])
    assert body["total"] == (None if whole is None else pytest.approx(whole, abs=1e-6))
