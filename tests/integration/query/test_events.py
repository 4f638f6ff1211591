"""Events come back as they were sent: one by one, by the page, and whole."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weft.core import times
from weft.core.event import EventRow
from weft.core.times import SECOND_US
from weft.ingest.cloudevents import read_structured
from weft.testing.factories import NOON_US, make_row

NOON = times.to_text(NOON_US)


@asynccontextmanager
async def reading_nothing(lab: Any, path: str, **headers: str) -> AsyncIterator[asyncio.StreamReader]:
    """A client that asks and then takes next to nothing of the answer."""
    host, port = lab.address.split(":")
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)  # else the system takes as much as it has room for
    line.connect((host, int(port)))
    reader, writer = await asyncio.open_connection(sock=line, limit=1024)
    shown = "".join(f"{name}: {value}\r\n" for name, value in {"Host": lab.address, "X-API-Key": lab.key, **headers}.items())
    writer.write(f"GET {path} HTTP/1.1\r\n{shown}\r\n".encode())
    try:
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        yield reader
    finally:
        writer.close()
        await writer.wait_closed()


async def every_page(lab: Any, **parameters: Any) -> list[list[str]]:
    """The ids of all pages, by cursor."""
    pages: list[list[str]] = []
    cursor: str | None = ""
    while cursor is not None:
        body = await lab.get("/events", cursor=cursor, **parameters)
        pages.append([event["id"] for event in body["data"]])
        cursor = body["pagination"]["cursor"]
    return pages


@pytest.mark.contract("SF-64")
async def test_an_event_is_found_by_its_id_as_it_was_sent(lab: Any) -> None:
    sent = make_row(
        type="web.click",
        source="website",
        severity="low",
        tags=("frontend", "a"),
        user_id="user123",
        data={"page": "/dashboard", "deep": {"list": [1, 2.5, None]}},
        metadata={"k": "v"},
    )
    (event_id,) = await lab.take([sent], times_us=[NOON_US])

    body = await lab.get(f"/events/{event_id}")

    assert (body["success"], body["message"]) == (True, "Event retrieved successfully")
    data = body["data"]
    assert data["id"] == event_id
    assert (data["type"], data["source"], data["severity"]) == ("web.click", "website", "low")
    assert data["timestamp"] == NOON
    assert data["tags"] == ["frontend", "a"]
    assert data["data"] == {"page": "/dashboard", "deep": {"list": [1, 2.5, None]}}
    assert (data["user_id"], data["metadata"]) == ("user123", {"k": "v"})


@pytest.mark.contract("SF-64")
async def test_an_unknown_id_is_not_found(lab: Any) -> None:
    body = await lab.refused("/events/550e8400-e29b-41d4-a716-446655440000", 404)

    assert body["error"] == "NotFound"


async def test_an_id_two_sources_used_is_told_apart_by_source(lab: Any) -> None:
    await lab.take([make_row(id="7", source="a", data={"n": 1}), make_row(id="7", source="b", data={"n": 2})])

    assert (await lab.get("/events/7", source="a"))["data"]["data"] == {"n": 1}
    assert (await lab.get("/events/7", source="b"))["data"]["data"] == {"n": 2}
    await lab.refused("/events/7", 404, source="c")


async def test_an_id_may_hold_anything(lab: Any) -> None:
    for event_id in ["ä ö", "100%", "?x=1", "'; DROP TABLE events; --", "x" * 256]:
        await lab.take([make_row(id=event_id)])
        answer = await lab.client.get(f"/events/{quote(event_id, safe='')}")
        assert answer.json()["data"]["id"] == event_id


@pytest.mark.contract("SF-83", "SF-89", "SF-258")
async def test_a_page_of_events_has_the_documented_shape_and_needs_a_token(lab: Any) -> None:
    await lab.take([make_row(type="web.click", source="website", data={"page": "/dashboard"})], times_us=[NOON_US])

    body = await lab.get("/events")

    assert set(body) == {"data", "pagination"}
    (event,) = body["data"]
    assert {"id", "type", "source", "timestamp", "data", "severity"} <= set(event)
    assert (event["type"], event["timestamp"], event["data"]) == ("web.click", NOON, {"page": "/dashboard"})
    assert (await lab.stranger.get("/events")).status_code == 401


@pytest.mark.contract("SF-84", "SF-85", "SF-D39")
async def test_both_ends_of_a_range_belong_to_it(lab: Any) -> None:
    ids = await lab.take(5, times_us=[NOON_US + n * SECOND_US for n in range(5)])

    body = await lab.get(
        "/events", start=times.to_text(NOON_US + SECOND_US), end=times.to_text(NOON_US + 3 * SECOND_US), order="asc"
    )

    assert [event["id"] for event in body["data"]] == ids[1:4]


@pytest.mark.contract("SF-86")
async def test_filters_leave_only_what_was_asked_for(lab: Any) -> None:
    rows = [
        make_row(type="web.click", source="a", user_id="u1", tags=("x", "y"), data={"n": 1, "deep": {"ok": True}}),
        make_row(type="error", source="b", severity="high", session_id="s", correlation_id="c", data={"n": "1"}),
        make_row(type="custom", source="a", subject="sensor/1", user_id="u2", data={"n": 2.5}),
    ]
    click, error, custom = await lab.take(rows)
    asked: list[tuple[dict[str, Any], set[str]]] = [
        ({"type": "web.click"}, {click}),
        ({"type": ["web.click", "error"]}, {click, error}),
        ({"source": "a"}, {click, custom}),
        ({"source": "a", "type": "custom"}, {custom}),
        ({"severity": "high"}, {error}),
        ({"user_id": ["u1", "u2"]}, {click, custom}),
        ({"subject": "sensor/1"}, {custom}),
        ({"session_id": "s"}, {error}),
        ({"correlation_id": "c"}, {error}),
        ({"tag": "y"}, {click}),
        ({"data.n": "1"}, {click}),
        ({"data.n": '"1"'}, {error}),
        ({"data.n": "2.5"}, {custom}),
        ({"data.deep.ok": "true"}, {click}),
        ({"type": "nothing.of.this"}, set()),
    ]
    for parameters, expected in asked:
        body = await lab.get("/events", **parameters)
        assert {event["id"] for event in body["data"]} == expected, parameters
        assert body["pagination"]["total"] == len(expected), parameters


async def test_another_topic_is_asked_by_name(lab: Any) -> None:
    await lab.take(2)
    (other,) = await lab.take(1, topic="lab.temperature")

    assert [event["id"] for event in (await lab.get("/events", topic="lab.temperature"))["data"]] == [other]
    assert (await lab.get("/events"))["pagination"]["total"] == 2


@pytest.mark.contract("SF-87", "SF-88", "SF-90", "SF-91", "SF-92", "SF-93", "SF-94", "SF-95")
async def test_pages_cover_all_events_once(lab: Any) -> None:
    ids = await lab.take(25, times_us=[NOON_US + n for n in range(25)])
    seen: list[str] = []
    for page in range(1, 5):
        body = await lab.get("/events", page=page, limit=10, order="asc")
        pagination = body["pagination"]
        assert (pagination["page"], pagination["page_size"]) == (page, 10)
        assert (pagination["total"], pagination["pages"]) == (25, 3)
        assert (pagination["has_next"], pagination["has_prev"]) == (page < 3, page > 1)
        seen += [event["id"] for event in body["data"]]

    assert seen == ids


async def test_an_empty_store_has_an_empty_first_page(lab: Any) -> None:
    body = await lab.get("/events")

    assert body["data"] == []
    assert body["pagination"] == {
        "page": 1, "page_size": 100, "total": 0, "pages": 0, "has_next": False, "has_prev": False, "cursor": None,
    }  # fmt: skip


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_pages_by_cursor_count_nothing_and_stay_stable_while_events_arrive(lab: Any, order: str) -> None:
    ids = await lab.take(30, times_us=[NOON_US + n // 3 for n in range(30)])
    body = await lab.get("/events", cursor="", limit=7, order=order, end=times.to_text(NOON_US + SECOND_US))
    pagination = body["pagination"]
    assert (pagination["page"], pagination["total"], pagination["pages"]) == (None, None, None)
    assert (pagination["has_next"], pagination["has_prev"]) == (True, False)
    seen = [event["id"] for event in body["data"]]
    await lab.take(5, times_us=[NOON_US + 2 * SECOND_US + n for n in range(5)])

    while pagination["cursor"]:
        body = await lab.get(
            "/events", cursor=pagination["cursor"], limit=7, order=order, end=times.to_text(NOON_US + SECOND_US)
        )
        pagination = body["pagination"]
        assert pagination["has_prev"]
        seen += [event["id"] for event in body["data"]]

    assert sorted(seen) == sorted(ids)
    assert len(set(seen)) == 30


async def test_a_numbered_page_hands_over_to_a_cursor(lab: Any) -> None:
    ids = await lab.take(9, times_us=[NOON_US + n for n in range(9)])
    first = await lab.get("/events", limit=4, order="asc")

    second = await lab.get("/events", limit=4, order="asc", cursor=first["pagination"]["cursor"])

    assert [event["id"] for event in second["data"]] == ids[4:8]


REFUSED: list[tuple[dict[str, str], int, str | None]] = [
    ({"start": "2026-02-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"}, 400, None),
    ({"cursor": "x", "page": "2"}, 400, None),
    ({"start": "yesterday"}, 422, "start"),
    ({"limit": "0"}, 422, "limit"),
    ({"limit": "1001"}, 422, "limit"),
    ({"page": "0"}, 422, "page"),
    ({"page": "99999999999999999999"}, 422, "page"),
    ({"severity": "grave"}, 422, "severity.0"),
    ({"order": "up"}, 422, "order"),
    ({"tpye": "web.click"}, 422, "tpye"),
    ({"cursor": "not-a-cursor"}, 422, "cursor"),
    ({"topic": "No/Such"}, 422, "topic"),
    ({"data.a..b": "1"}, 422, "data.a..b"),
]


@pytest.mark.contract("SF-D34", "SF-245", "SF-249")
async def test_a_question_that_cannot_be_is_refused_and_names_its_field(lab: Any) -> None:
    for parameters, status, field in REFUSED:
        body = await lab.refused("/events", status, **parameters)
        assert body["error"] == ("BadRequest" if status == 400 else "ValidationError"), parameters
        if field is not None:
            assert body["details"]["field"] == field, parameters


async def test_a_wrong_choice_is_answered_with_the_right_ones(lab: Any) -> None:
    body = await lab.refused("/events", 422, severity="grave")

    assert body["details"]["allowed_values"] == ["low", "medium", "high", "critical"]


async def test_an_export_holds_every_event_once_and_can_be_sent_in_again(lab: Any) -> None:
    ids = await lab.take(
        [make_row(n, severity="high", tags=("t",), subject="s") for n in range(2500)],
        times_us=[NOON_US + n // 2 for n in range(2500)],
    )

    answer = await lab.client.get("/events", params={"order": "asc"}, headers={"Accept": "application/x-ndjson"})

    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert sorted(line["id"] for line in lines) == sorted(ids)
    assert lines[0] == {
        "id": lines[0]["id"],
        "type": "custom",
        "source": "test",
        "timestamp": NOON,
        "severity": "high",
        "data": lines[0]["data"],
        "tags": ["t"],
        "subject": "s",
    }


async def test_an_export_of_nothing_is_empty_and_a_wrong_one_is_refused_before_it_begins(lab: Any) -> None:
    ndjson = {"Accept": "application/x-ndjson"}

    assert (await lab.client.get("/events", headers=ndjson)).text == ""
    assert (await lab.client.get("/events?cursor=wrong", headers=ndjson)).status_code == 422


async def test_an_export_keeps_to_its_limit(lab: Any) -> None:
    await lab.take(50)

    answer = await lab.client.get("/events?limit=7", headers={"Accept": "application/x-ndjson"})

    assert len(answer.text.splitlines()) == 7


async def test_an_export_nobody_reads_holds_no_place_and_is_cut(open_lab: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "weft.query.routes.answer")
    async with open_lab(max_concurrent=1, feed_send_timeout_s=0.3, export_page_events=500) as lab:
        await lab.take([make_row(n, data={"text": "x" * 2000}) for n in range(4000)])
        async with reading_nothing(lab, "/events", Accept="application/x-ndjson") as stuck:
            assert (await lab.get("/events", limit=1))["pagination"]["total"] == 4000
            async with asyncio.timeout(30):
                while "stream_cut" not in caplog.messages:  # noqa: ASYNC110 - a log line sets no event
                    await asyncio.sleep(0.01)
            rest = await stuck.read(-1)

        assert b"x" * 2000 in rest
        assert not rest.endswith(b"0\r\n\r\n"), "a client that stopped reading was sent everything anyway"


async def test_an_event_is_given_as_a_cloudevent_on_request(lab: Any) -> None:
    sent = make_row(source="lab/1", subject="s", user_id="u", tags=("a", "b"), data={"v": 1})
    (event_id,) = await lab.take([sent], times_us=[NOON_US])

    answer = await lab.client.get(f"/events/{event_id}", headers={"Accept": "application/cloudevents+json"})

    assert answer.headers["content-type"] == "application/cloudevents+json"
    assert answer.json() == {
        "specversion": "1.0",
        "id": event_id,
        "source": "lab/1",
        "type": "custom",
        "subject": "s",
        "time": NOON,
        "datacontenttype": "application/json",
        "userid": "u",
        "tags": '["a","b"]',
        "data": {"v": 1},
    }
    many = await lab.client.get("/events", headers={"Accept": "application/cloudevents-batch+json"})
    assert [event["id"] for event in many.json()] == [event_id]


async def test_what_is_given_as_a_cloudevent_is_the_same_event_when_it_is_sent_in_again(lab: Any) -> None:
    sent = make_row(
        id="7",
        source="lab/1",
        subject="s",
        severity="high",
        user_id="u",
        session_id="v",
        correlation_id="c",
        tags=("a", "b,c"),
        topic="events",
        data={"v": 1},
        metadata={"traceparent": "00-1", "Upper": 1, "deep": {"x": [1]}, "ratio": 0.5},
    )
    await lab.take([sent], times_us=[NOON_US])

    answer = await lab.client.get("/events/7", headers={"Accept": "application/cloudevents+json"})
    again = msgspec.json.decode(read_structured(answer.content), type=EventRow)

    assert (again.id, again.source, again.subject, again.severity) == ("7", "lab/1", "s", "high")
    assert (again.user_id, again.session_id, again.correlation_id, again.tags) == ("u", "v", "c", ("a", "b,c"))
    assert again.time == NOON
    assert msgspec.json.decode(again.data) == {"v": 1}
    kept = msgspec.json.decode(again.metadata)
    assert kept.items() >= {"traceparent": "00-1", "Upper": 1, "deep": {"x": [1]}, "ratio": 0.5}.items()


Events = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from(["web.click", "error"]),
        st.sampled_from(["a", "b"]),
        st.sampled_from([None, "u1", "u2"]),
    ),
    max_size=30,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    events=Events,
    start=st.integers(0, 5),
    length=st.integers(0, 5),
    limit=st.integers(1, 9),
    pick=st.sampled_from(["web.click", None]),
)
async def test_any_page_is_what_a_plain_list_would_give(
    lab: Any, events: list[tuple[int, str, str, str | None]], start: int, length: int, limit: int, pick: str | None
) -> None:
    topic = f"t{len((await lab.log.state()).partitions)}"
    rows = [make_row(n, type=kind, source=source, user_id=user) for n, (_, kind, source, user) in enumerate(events)]
    moments = [NOON_US + second * SECOND_US for second, *_ in events]
    if not rows:
        rows, moments, events = [make_row(0, type="error")], [NOON_US], [(0, "error", "test", None)]
    ids = await lab.take(rows, times_us=moments, topic=topic)
    end = start + length
    expected = sorted(
        (moment, event_id)
        for event_id, moment, (second, kind, _, _) in zip(ids, moments, events, strict=True)
        if start <= second <= end and pick in {None, kind}
    )
    asked: dict[str, Any] = {
        "topic": topic,
        "start": times.to_text(NOON_US + start * SECOND_US),
        "end": times.to_text(NOON_US + end * SECOND_US),
        "limit": limit,
        "order": "asc",
        **({"type": pick} if pick else {}),
    }

    pages = await every_page(lab, **asked)

    assert [event_id for page in pages for event_id in page] == [event_id for _, event_id in expected]
    assert all(len(page) == limit for page in pages[:-1])
    assert (await lab.get("/events", **asked))["pagination"]["total"] == len(expected)
