"""Events come back as they were sent: one by one, by the page, and whole."""

from typing import Any

import pytest

from weft.core import times
from weft.testing.factories import NOON_US, make_row


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
    assert data["timestamp"] == times.to_text(NOON_US)
    assert data["tags"] == ["frontend", "a"]
    assert data["data"] == {"page": "/dashboard", "deep": {"list": [1, 2.5, None]}}
    assert (data["user_id"], data["metadata"]) == ("user123", {"k": "v"})


@pytest.mark.contract("SF-64")
async def test_an_unknown_id_is_not_found(lab: Any) -> None:
    body = await lab.refused("/events/550e8400-e29b-41d4-a716-446655440000", 404)

    assert body["error"] == "NotFound"
