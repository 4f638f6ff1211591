"""POST /events and /events/batch: from the socket to the log, and what the client is told."""

import json
import uuid
from typing import Any

import msgspec
import pytest

from weft.core import times
from weft.core.batch import Batch
from weft.core.errors import Busy, StorageFull
from weft.core.repeat import repeat_key
from weft.log.port import Appended
from weft.log.sqlite import SqliteLog

EVENT = {"type": "web.click", "source": "web-app", "data": {"page": "/start", "depth": {"n": [1, 2.5, None, "ü"]}}}
NDJSON = {"content-type": "application/x-ndjson"}


def many(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{**EVENT, "data": {"n": number}, **more} for number in range(count)]


@pytest.mark.contract("SF-48")
@pytest.mark.contract("SF-56")
@pytest.mark.contract("SF-57")
@pytest.mark.contract("SF-58")
@pytest.mark.contract("SF-59")
@pytest.mark.contract("SF-D13")
async def test_one_event_is_stored_and_its_answer_says_where(open_doors: Any) -> None:
    doors = await open_doors()
    answer = await doors.post("/events", EVENT)
    assert answer.status_code == 201
    body = answer.json()
    assert body["success"] is True
    assert body["message"] == "Event created successfully"
    assert times.parse(body["timestamp"]) == doors.clock.now_us()
    data = body["data"]
    event_id = data.pop("event_id")
    assert uuid.UUID(event_id).version == 7
    assert data == {"topic": "events", "partition": 0, "offset": 0, "durability": "fsync", "repeat": False}
    assert await doors.ids() == [event_id]


@pytest.mark.contract("SF-50")
@pytest.mark.contract("SF-52")
@pytest.mark.contract("SF-53")
@pytest.mark.contract("SF-54")
@pytest.mark.contract("SF-55")
@pytest.mark.contract("SF-108")
@pytest.mark.contract("SF-D15")
@pytest.mark.contract("SF-D16")
async def test_every_attribute_is_stored_as_it_was_sent(open_doors: Any) -> None:
    doors = await open_doors()
    event = {
        **EVENT,
        "data": {"user_id": "inner", "x": {"y": [1.0, 2]}},
        "severity": "critical",
        "timestamp": "2026-01-31T12:00:00.5+01:00",
        "correlation_id": "c-1",
        "session_id": "s-1",
        "user_id": "u-1",
        "tags": ["b", "a", "b"],
        "metadata": {"k": {"v": 1}},
        "subject": "thing",
    }
    assert (await doors.post("/events", event)).status_code == 201
    (batch,) = await doors.batches()
    (row,) = batch.event_rows
    assert (row.severity, row.correlation_id, row.session_id, row.user_id) == ("critical", "c-1", "s-1", "u-1")
    assert (row.tags, row.subject) == (("b", "a", "b"), "thing")
    assert json.loads(bytes(row.data)) == event["data"]
    assert json.loads(bytes(row.metadata)) == {"k": {"v": 1}}
    assert batch.times_us.tolist() == [times.parse("2026-01-31T11:00:00.5Z")]
    assert batch.rows == json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()


@pytest.mark.contract("SF-47")
async def test_who_shows_a_wrong_token_is_refused(open_doors: Any) -> None:
    doors = await open_doors()
    answer = await doors.post("/events", EVENT, headers={"authorization": "Bearer bad"})
    assert answer.status_code == 401
    assert await doors.stored() == []


@pytest.mark.contract("SF-240")
@pytest.mark.contract("SF-D34")
@pytest.mark.parametrize("path", ["/events", "/events/batch"])
async def test_what_is_wrong_is_answered_with_the_usual_body(open_doors: Any, path: str) -> None:
    doors = await open_doors(event_bytes=1000)
    wrong = await doors.post(path, {**EVENT, "type": "no.such"} if path == "/events" else [{**EVENT, "type": "no.such"}])
    assert wrong.status_code == 422
    body = wrong.json()
    assert body["error"] == "ValidationError"
    assert body["details"]["field"] == "type"
    allowed = body["details"] if path == "/events" else body["details"]["errors"][0]
    assert "web.click" in allowed["allowed_values"]
    assert "system.deployment" in allowed["allowed_values"]
    broken = await doors.post(path, b'{"type":')
    assert (broken.status_code, broken.json()["error"]) == (400, "BadRequest")
    if path == "/events":
        large = await doors.post(path, {**EVENT, "data": {"x": "x" * 1000}})
        assert (large.status_code, large.json()["details"]) == (413, {"limit": 1000, "unit": "bytes"})
    assert await doors.stored() == []
    assert doors.parts.history.total("rejected", 1) >= 2


async def test_a_body_beyond_the_limit_is_refused(open_doors: Any) -> None:
    doors = await open_doors(body_bytes=2000)
    answer = await doors.post("/events/batch", many(100))
    assert answer.status_code == 413
    assert await doors.stored() == []


@pytest.mark.contract("SF-61")
@pytest.mark.contract("SF-62")
@pytest.mark.contract("SF-63")
@pytest.mark.contract("SF-D14")
@pytest.mark.parametrize("count", [2, 300])
@pytest.mark.parametrize("form", ["envelope", "list", "lines"])
async def test_a_batch_is_stored_and_every_id_told_in_order(open_doors: Any, form: str, count: int) -> None:
    doors = await open_doors()
    events = many(count)
    events[1]["type"] = "api.request"
    if form == "lines":
        text = b"\n".join(json.dumps(event).encode() for event in events)
        answer = await doors.post("/events/batch", text, headers=NDJSON)
    else:
        answer = await doors.post("/events/batch", {"events": events} if form == "envelope" else events)
    assert answer.status_code == 201
    body = answer.json()
    assert body["message"] == f"Batch of {count} events created successfully"
    assert times.parse(body["timestamp"]) == doors.clock.now_us()
    data = body["data"]
    assert (data["rejected"], data["errors"], data["repeats"], data["durability"]) == (0, [], [], "fsync")
    assert len(set(data["event_ids"])) == count
    assert data["event_ids"] == await doors.ids()
    assert [json.loads(bytes(row.data))["n"] for row in await doors.stored()] == list(range(count))


async def test_many_events_may_come_as_lines_by_the_door_for_one(open_doors: Any) -> None:
    doors = await open_doors()
    text = b"\n".join(json.dumps(event).encode() for event in many(3))
    answer = await doors.post("/events", text, headers=NDJSON)
    assert answer.status_code == 201
    assert len(answer.json()["data"]["event_ids"]) == 3


async def test_the_good_events_of_a_batch_are_stored_and_the_bad_ones_reported(open_doors: Any) -> None:
    doors = await open_doors()
    events = many(5)
    events[1]["severity"] = "fatal"
    events[3]["soruce"] = "typo"
    answer = await doors.post("/events/batch", {"events": events})
    assert answer.status_code == 207
    body = answer.json()
    assert body["success"] is False
    assert body["message"] == "Batch of 3 events created successfully; 2 of 5 were not taken"
    data = body["data"]
    assert [event_id is None for event_id in data["event_ids"]] == [False, True, False, True, False]
    assert [(bad["index"], bad["field"]) for bad in data["errors"]] == [(1, "severity"), (3, "soruce")]
    assert data["errors"][0]["allowed_values"] == ["low", "medium", "high", "critical"]
    assert data["rejected"] == 2
    assert [json.loads(bytes(row.data))["n"] for row in await doors.stored()] == [0, 2, 4]
    assert await doors.ids() == [event_id for event_id in data["event_ids"] if event_id]


async def test_an_atomic_batch_with_a_bad_event_stores_nothing(open_doors: Any) -> None:
    doors = await open_doors()
    events = many(3)
    events[2]["severity"] = "fatal"
    answer = await doors.post("/events/batch?atomic=true", events)
    assert answer.status_code == 422
    body = answer.json()
    assert body["message"].startswith("1 of 3 events are wrong, so nothing was taken; event 2:")
    assert [bad["index"] for bad in body["details"]["errors"]] == [2]
    assert await doors.stored() == []
    assert (await doors.post("/events/batch?atomic=true", many(3))).status_code == 201
    assert (await doors.post("/events/batch?atomic=perhaps", many(3))).status_code == 422


async def test_an_atomic_batch_keeps_to_one_topic(open_doors: Any) -> None:
    doors = await open_doors(topics=("events", "lab"))
    events = many(2)
    events[1]["topic"] = "lab"
    assert (await doors.post("/events/batch?atomic=true", events)).status_code == 422
    answer = await doors.post("/events/batch", events)
    assert answer.status_code == 201
    assert answer.json()["data"]["event_ids"] == [*await doors.ids("events"), *await doors.ids("lab")]


async def test_the_same_source_and_id_is_a_repeat_with_the_same_answer(open_doors: Any) -> None:
    doors = await open_doors()
    named = {**EVENT, "id": 'an "id"'}
    first = (await doors.post("/events", named)).json()["data"]
    again = (await doors.post("/events", named)).json()["data"]
    other = (await doors.post("/events", {**named, "source": "elsewhere"})).json()["data"]
    assert (first["event_id"], first["repeat"], first["offset"]) == ('an "id"', False, 0)
    assert (again["event_id"], again["repeat"], again["offset"]) == ('an "id"', True, None)
    assert other["repeat"] is False
    batch = (await doors.post("/events/batch", [{**EVENT, "id": "new"}, named, EVENT, {**EVENT, "id": "new"}])).json()
    assert batch["data"]["repeats"] == [1, 3]
    assert batch["data"]["event_ids"][:2] == ["new", 'an "id"']
    assert len(await doors.stored()) == 4
    assert doors.parts.history.total("repeat", 1) == 3


async def test_an_idempotency_key_makes_sending_again_safe(open_doors: Any) -> None:
    doors = await open_doors()
    key = {"idempotency-key": "order-17"}
    first = (await doors.post("/events/batch", many(3), headers=key)).json()["data"]
    again = (await doors.post("/events/batch", many(3), headers=key)).json()["data"]
    assert again["event_ids"] == first["event_ids"]
    assert (first["repeats"], again["repeats"]) == ([], [0, 1, 2])
    assert {uuid.UUID(event_id).version for event_id in first["event_ids"]} == {8}
    one = (await doors.post("/events", EVENT, headers={"idempotency-key": "order-18"})).json()["data"]
    same = (await doors.post("/events", EVENT, headers={"idempotency-key": "order-18"})).json()["data"]
    assert (same["event_id"], same["repeat"]) == (one["event_id"], True)
    assert len(await doors.stored()) == 4
    assert (await doors.post("/events", EVENT, headers={"idempotency-key": "x" * 257})).status_code == 422


async def test_a_content_type_nobody_reads_is_refused_with_what_to_send(open_doors: Any) -> None:
    doors = await open_doors()
    for path in ("/events", "/events/batch"):
        answer = await doors.post(path, b"a=1", headers={"content-type": "application/x-www-form-urlencoded"})
        assert answer.status_code == 422
        assert "application/json" in answer.json()["details"]["allowed_values"]
    wide = await doors.post("/events", json.dumps(EVENT).encode(), headers={"content-type": "application/json; charset=utf-16"})
    assert wide.status_code == 422
    usual = await doors.post(
        "/events", json.dumps(EVENT).encode(), headers={"content-type": 'application/json; charset="UTF-8"'}
    )
    assert usual.status_code == 201


class FailingLog(SqliteLog):
    """A log whose disk is full for one topic."""

    failure: Exception = StorageFull("the disk is full", retry_after_s=30)
    failing: frozenset[str] = frozenset()

    async def append(self, batch: Batch) -> Appended:
        if batch.topic in self.failing:
            raise self.failure
        return await super().append(batch)


@pytest.mark.contract("SF-60")
@pytest.mark.parametrize(
    ("failure", "status", "name"),
    [
        (StorageFull("the disk is full", retry_after_s=30), 507, "StorageFull"),
        (Busy("too much", retry_after_s=2), 503, "Overloaded"),
    ],
)
async def test_what_the_log_cannot_take_is_never_acknowledged(
    open_doors: Any, tmp_path: Any, clock: Any, failure: Exception, status: int, name: str
) -> None:
    from weft.log.settings import LogSettings

    async with FailingLog(f"sqlite://{tmp_path}/failing", settings=LogSettings(), clock=clock) as log:
        log.failure, log.failing = failure, frozenset({"events"})
        doors = await open_doors(log, topics=("events", "lab"))
        for path, body in (("/events", EVENT), ("/events/batch", many(2))):
            answer = await doors.post(path, body)
            assert (answer.status_code, answer.json()["error"]) == (status, name)
            assert answer.headers["retry-after"] == str(failure.retry_after_s)  # type: ignore[attr-defined]  # both have it
        mixed = many(3)
        mixed[1]["topic"] = "lab"
        answer = await doors.post("/events/batch", mixed)
        assert answer.status_code == 207
        data = answer.json()["data"]
        assert [event_id is None for event_id in data["event_ids"]] == [True, False, True]
        assert [(bad["index"], bad["error"], bad["retry_after_s"]) for bad in data["errors"]] == [
            (0, name, failure.retry_after_s),  # type: ignore[attr-defined]  # as above
            (2, name, failure.retry_after_s),  # type: ignore[attr-defined]  # as above
        ]
        assert doors.parts.history.total("refused", 1) == 5


@pytest.mark.contract("SF-117")
async def test_the_catalogue_of_types_is_told_with_its_schemas(open_doors: Any) -> None:
    doors = await open_doors(event_types={"lab.note": None})
    answer = await doors.client.get("/api/v1/event-types")
    assert answer.status_code == 200
    types = {entry["name"]: entry for entry in answer.json()["data"]}
    assert {"web.click", "user.activity", "system.warning", "lab.note"} <= types.keys()
    assert answer.json()["total"] == len(types)
    assert types["metric"]["enforced"] is True
    assert types["metric"]["version"] == 1
    assert types["web.click"]["json_schema"]["properties"]["page"] == {"type": "string"}


async def test_the_counts_in_the_metrics_are_what_happened(open_doors: Any) -> None:
    doors = await open_doors()
    await doors.post("/events", {**EVENT, "id": "1"})
    await doors.post("/events", {**EVENT, "id": "1"})
    await doors.post("/events", {})
    await doors.post("/events/batch", many(7))
    text = doors.metrics.exposition()[0].decode()
    assert 'weft_events_total{outcome="accepted",topic="events"} 8.0' in text
    assert 'weft_events_total{outcome="repeat",topic="events"} 1.0' in text
    assert 'weft_events_total{outcome="rejected",topic="events"} 1.0' in text


async def test_a_stored_batch_remembers_what_can_repeat(open_doors: Any) -> None:
    doors = await open_doors()
    assert repeat_key("web-app", "x") != 0
    answer = await doors.post("/events/batch", [{**EVENT, "id": "x"}, EVENT])
    ids = answer.json()["data"]["event_ids"]
    assert ids[0] == "x"
    assert uuid.UUID(ids[1]).version == 7
    (batch,) = await doors.batches()
    assert [msgspec.json.decode(bytes(row.data))["page"] for row in batch.event_rows] == ["/start", "/start"]
