"""POST /events: one event, from the socket to the log."""

import uuid
from typing import Any

import pytest

from weft.core import times

EVENT = {"type": "web.click", "source": "web-app", "data": {"page": "/start", "depth": {"n": [1, 2.5, None, "ü"]}}}


@pytest.mark.contract("SF-48")
@pytest.mark.contract("SF-56")
async def test_one_event_is_stored_and_its_answer_says_where(open_doors: Any) -> None:
    doors = await open_doors()
    answer = await doors.post("/events", EVENT)
    assert answer.status_code == 201
    body = answer.json()
    assert body["success"] is True
    assert body["message"] == "Event created successfully"
    assert times.parse(body["timestamp"]) == doors.clock.now_us()
    data = body["data"]
    assert uuid.UUID(data.pop("event_id")).version == 7
    assert data == {"topic": "events", "partition": 0, "offset": 0, "durability": "fsync", "repeat": False}
    (row,) = await doors.stored()
    assert (row.type, row.source) == ("web.click", "web-app")
