"""The dashboard's figures: computed from the events, never constants."""

import asyncio
import json
from collections import defaultdict
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from weft.core import times
from weft.core.times import HOUR_US, MINUTE_US, SECOND_US
from weft.testing.factories import NOON_US, make_row


@pytest.mark.contract("SF-70", "SF-71")
async def test_without_traffic_nothing_happens_per_second_and_no_mean_is_made_up(lab: Any) -> None:
    body = await lab.get("/metrics/realtime")

    assert body == {
        "metrics": {"events_per_second": 0.0, "active_users": 0, "error_rate": 0.0, "response_time_avg": None},
        "timestamp": times.to_text(lab.clock.now_us()),
    }
    assert (await lab.stranger.get("/metrics/realtime")).status_code == 401


@pytest.mark.contract("SF-71", "SF-72", "SF-73", "SF-74", "SF-293", "SF-D24", "SF-D42")
async def test_the_figures_follow_the_events(lab: Any) -> None:
    now_us = lab.clock.now_us()
    rows = [
        make_row(type="api.request", user_id="u1", data={"response_time": 0.2}),
        make_row(type="api.request", user_id="u2", data={"response_time": 0.4}),
        make_row(type="error", user_id="u1", data={}),
        make_row(type="web.click", data={"response_time": "fast"}),
        make_row(type="web.click", user_id="u3"),  # four minutes ago: a user, but not in the last minute
        make_row(type="error", user_id="u4"),  # six minutes ago: neither
    ]
    await lab.take(rows, times_us=[now_us, now_us - 10 * SECOND_US, now_us - 59 * SECOND_US, now_us - SECOND_US,
                                   now_us - 4 * MINUTE_US, now_us - 6 * MINUTE_US])  # fmt: skip

    metrics = (await lab.get("/metrics/realtime"))["metrics"]

    assert metrics["events_per_second"] == pytest.approx(4 / 60, abs=0.001)
    assert metrics["active_users"] == 3
    assert metrics["error_rate"] == 0.25
    assert metrics["response_time_avg"] == pytest.approx(0.3)


@pytest.mark.contract("SF-71")
async def test_a_young_installation_is_measured_since_its_first_event(lab: Any) -> None:
    await lab.take(100, times_us=[lab.clock.now_us() - 10 * SECOND_US] * 100)

    assert (await lab.get("/metrics/realtime"))["metrics"]["events_per_second"] == 10.0


async def test_the_figures_are_computed_once_a_second_for_everybody(lab: Any) -> None:
    await lab.take(60)
    first = await asyncio.gather(*(lab.get("/metrics/realtime") for _ in range(5)))
    await lab.take(60)

    assert all(body == first[0] for body in first)
    assert await lab.get("/metrics/realtime") == first[0]
    lab.clock.advance(1.1)
    assert (await lab.get("/metrics/realtime"))["metrics"]["events_per_second"] == pytest.approx(120 / 1.1, rel=0.01)


@pytest.mark.contract("SF-75", "SF-76", "SF-77", "SF-78", "SF-79", "SF-80", "SF-D38", "SF-D40")
async def test_history_has_a_row_for_every_interval(lab: Any) -> None:
    start_us = NOON_US - NOON_US % HOUR_US
    rows = [
        make_row(user_id="u1"), make_row(user_id="u1"), make_row(type="error", user_id="u2"), make_row(type="error"),
    ]  # fmt: skip
    await lab.take(rows, times_us=[start_us, start_us + HOUR_US - 1, start_us + 10, start_us + 2 * HOUR_US])

    asked = {"start": times.to_text(start_us), "end": times.to_text(start_us + 24 * HOUR_US), "interval": "1h"}
    body = await lab.get("/metrics/historical", **asked)

    assert len(body["data"]) == 24
    assert body["data"][0] == {
        "timestamp": times.to_text(start_us), "events_total": 3, "unique_users": 2, "error_count": 1,
    }  # fmt: skip
    assert body["data"][1] == {
        "timestamp": times.to_text(start_us + HOUR_US), "events_total": 0, "unique_users": 0, "error_count": 0,
    }  # fmt: skip
    assert body["data"][2]["events_total"] == 1
    assert [row["timestamp"] for row in body["data"]] == [times.to_text(start_us + n * HOUR_US) for n in range(24)]
    assert body["pagination"] == {
        "page": 1, "page_size": 100, "total": 24, "pages": 1, "has_next": False, "has_prev": False,
    }  # fmt: skip
    assert (await lab.stranger.get("/metrics/historical")).status_code == 401


@pytest.mark.contract("SF-80", "SF-D38")
async def test_history_is_paged(lab: Any) -> None:
    start_us = NOON_US - NOON_US % HOUR_US
    await lab.take(48, times_us=[start_us + n * HOUR_US // 2 for n in range(48)])
    asked = {"start": times.to_text(start_us), "end": times.to_text(start_us + 24 * HOUR_US), "interval": "1h", "limit": 10}

    pages = [await lab.get("/metrics/historical", page=page, **asked) for page in (1, 2, 3, 4)]

    assert [len(page["data"]) for page in pages] == [10, 10, 4, 0]
    assert [page["pagination"]["has_next"] for page in pages] == [True, True, False, False]
    assert {page["pagination"]["total"] for page in pages} == {24}
    assert all(row["events_total"] == 2 for page in pages for row in page["data"])


@pytest.mark.contract("SF-D39")
async def test_the_end_of_a_history_does_not_belong_to_it(lab: Any) -> None:
    await lab.take(2, times_us=[NOON_US, NOON_US + MINUTE_US])

    body = await lab.get(
        "/metrics/historical", start=times.to_text(NOON_US), end=times.to_text(NOON_US + MINUTE_US), interval="1m"
    )

    assert sum(row["events_total"] for row in body["data"]) == 1


async def test_a_history_without_a_range_is_the_last_day_until_now(lab: Any) -> None:
    await lab.take(3, times_us=[lab.clock.now_us() - HOUR_US] * 3)

    body = await lab.get("/metrics/historical")

    assert body["pagination"]["total"] in {24, 25}
    assert sum(row["events_total"] for row in body["data"]) == 3


async def test_ten_years_of_seconds_cost_no_more_than_a_page(lab: Any) -> None:
    body = await lab.get(
        "/metrics/historical", start="2016-01-01T00:00:00Z", end="2026-01-01T00:00:00Z", interval="1s", limit=5, page=60_000_000
    )

    assert body["pagination"]["total"] == 315_619_200
    assert len(body["data"]) == 5


@pytest.mark.contract("SF-D25", "SF-D34")
async def test_a_history_that_cannot_be_is_refused(lab: Any) -> None:
    refused: list[tuple[dict[str, Any], int, str | None]] = [
        ({"interval": "1.5h"}, 422, "interval"),
        ({"interval": "32d"}, 422, "interval"),
        ({"start": "2026-02-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"}, 400, None),
        ({"start": "noon"}, 422, "start"),
        ({"limit": 1001}, 422, "limit"),
        ({"intervall": "1h"}, 422, "intervall"),
    ]
    for parameters, status, field in refused:
        body = await lab.refused("/metrics/historical", status, **parameters)
        if field is not None:
            assert body["details"]["field"] == field, parameters


Moment = st.tuples(st.integers(0, 300), st.sampled_from([None, "a", "b"]), st.sampled_from(["error", "custom"]))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    events=st.lists(Moment, min_size=1, max_size=40),
    interval_s=st.sampled_from([1, 7, 60, 90]),
    start_s=st.integers(0, 300),
    length_s=st.integers(0, 300),
)
async def test_any_history_is_what_counting_by_hand_gives(
    lab: Any, events: list[tuple[int, str | None, str]], interval_s: int, start_s: int, length_s: int
) -> None:
    topic = f"t{len((await lab.log.state()).partitions)}"
    rows = [make_row(type=kind, user_id=user) for _, user, kind in events]
    await lab.take(rows, times_us=[NOON_US + second * SECOND_US for second, *_ in events], topic=topic)
    start_us, end_us = NOON_US + start_s * SECOND_US, NOON_US + (start_s + length_s) * SECOND_US
    width_us = interval_s * SECOND_US
    inside: dict[int, list[tuple[str | None, str]]] = defaultdict(list)
    for second, user, kind in events:
        moment = NOON_US + second * SECOND_US
        if start_us <= moment < end_us:
            inside[moment - moment % width_us].append((user, kind))
    first_us = start_us - start_us % width_us

    asked = {"topic": topic, "start": times.to_text(start_us), "end": times.to_text(end_us), "interval": f"{interval_s}s"}
    body = await lab.get("/metrics/historical", limit=1000, **asked)

    assert body["data"] == [
        {
            "timestamp": times.to_text(bucket_us),
            "events_total": len(inside[bucket_us]),
            "unique_users": len({user for user, _ in inside[bucket_us]} - {None}),
            "error_count": sum(kind == "error" for _, kind in inside[bucket_us]),
        }
        for bucket_us in range(first_us, end_us, width_us)
        if start_us < end_us
    ]


@pytest.mark.contract("SF-81", "SF-D21")
async def test_the_metrics_socket_pushes_the_realtime_body_as_traffic_changes(open_lab: Any) -> None:
    async with open_lab(realtime_every_s=0.05) as lab, asyncio.timeout(10):
        socket = await connect(f"ws://{lab.address}/ws/metrics", additional_headers={"X-API-Key": lab.key})
        quiet = json.loads(await socket.recv())
        assert set(quiet) == {"metrics", "timestamp"}
        assert quiet["metrics"]["events_per_second"] == 0
        await lab.take(120)
        lab.clock.advance(1)
        while json.loads(await socket.recv())["metrics"]["events_per_second"] != 120:
            pass
        await socket.close()


@pytest.mark.contract("SF-81", "SF-D20")
async def test_the_metrics_socket_takes_a_token_in_its_first_frame_and_refuses_strangers(lab: Any) -> None:
    async with connect(f"ws://{lab.address}/ws/metrics") as socket:
        await socket.send(json.dumps({"type": "auth", "token": lab.key}))
        assert json.loads(await socket.recv())["type"] == "authenticated"
        assert "metrics" in json.loads(await socket.recv())
    async with connect(f"ws://{lab.address}/ws/metrics") as socket:
        await socket.send(json.dumps({"type": "auth", "token": "guess"}))
        seen: list[Any] = []
        with suppress(ConnectionClosedError):
            async with asyncio.timeout(5):
                seen = [json.loads(frame) async for frame in socket]
        assert [frame["error"] for frame in seen] in ([], ["AuthenticationError"])
        assert socket.close_code == 1008


async def test_nothing_is_computed_when_nobody_watches_any_more(open_lab: Any) -> None:
    def pushing() -> list[str]:
        return [task.get_name() for task in asyncio.all_tasks() if task.get_name() == "live-metrics"]

    async with open_lab(realtime_every_s=0.05) as lab, asyncio.timeout(10):
        shown = {"X-API-Key": lab.key}
        first = await connect(f"ws://{lab.address}/ws/metrics", additional_headers=shown)
        second = await connect(f"ws://{lab.address}/ws/metrics", additional_headers=shown)
        for _ in range(3):
            await first.recv()
            await second.recv()
        assert len(pushing()) == 1
        await first.close()
        await second.recv()
        await second.recv()
        await second.close()
        while pushing():  # noqa: ASYNC110 - nothing in the product announces it
            await asyncio.sleep(0.01)


async def test_many_watchers_get_the_same_frame(open_lab: Any) -> None:
    async with open_lab(realtime_every_s=0.2) as lab:
        await lab.take(5)
        sockets = [await connect(f"ws://{lab.address}/ws/metrics", additional_headers={"X-API-Key": lab.key}) for _ in range(8)]
        frames = await asyncio.gather(*(socket.recv() for socket in sockets))
        assert len(set(frames)) == 1
        for socket in sockets:
            await socket.close()


@pytest.mark.parametrize(
    "asked",
    [
        {"end": "0001-01-01T00:00:00Z"},
        {"end": "0001-01-02T00:00:00Z"},
        {"start": "0001-01-01T00:00:00+14:00", "end": "0001-01-02T00:00:00Z"},
        {"start": "9999-12-31T12:00:00Z", "end": "9999-12-31T23:59:59-14:00"},
    ],
)
async def test_a_range_at_the_edge_of_the_calendar_is_answered(open_lab: Any, asked: dict[str, str]) -> None:
    async with open_lab() as lab:
        body = await lab.get("/metrics/historical", interval="1d", **asked)
        assert all(row["events_total"] == 0 for row in body["data"])
