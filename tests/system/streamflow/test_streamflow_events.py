"""Events as StreamFlow's clients send them are taken, and come back as they were sent."""

import json
from uuid import UUID

import httpx
import pytest

from tests.system.streamflow.walk import (
    CLICK,
    ISO_UTC,
    wait_for_event,
)

pytestmark = pytest.mark.xdist_group("streamflow")  # one Weft serves them all


@pytest.mark.contract(
    "SF-3", "SF-49", "SF-52", "SF-53", "SF-54", "SF-55", "SF-56", "SF-57", "SF-58", "SF-59", "SF-244", "SF-D13"
)
@pytest.mark.contract(
    "SF-102", "SF-103", "SF-104", "SF-105", "SF-106", "SF-107", "SF-109", "SF-110", "SF-111", "SF-112", "SF-D16"
)
def test_an_event_is_created_and_comes_back_as_it_was_sent(client: httpx.Client) -> None:
    answer = client.post("/events", json=CLICK)
    body = answer.json()
    found = wait_for_event(client, body["data"]["event_id"])

    assert answer.status_code == 201
    assert body["success"] is True
    assert body["message"] == "Event created successfully"
    assert UUID(body["data"]["event_id"])
    assert ISO_UTC.fullmatch(body["timestamp"])
    assert found["message"] == "Event retrieved successfully"
    assert {key: found["data"][key] for key in CLICK} == CLICK
    assert client.post("/events", json={"type": "web.click", "data": {}}).status_code == 422, "source is required"


@pytest.mark.contract("SF-61", "SF-62", "SF-63", "SF-D14")
def test_a_batch_of_different_types_answers_one_id_each_in_order(client: httpx.Client) -> None:
    events = [
        {"type": "web.click", "source": "website", "data": {"page": "/dashboard"}, "severity": "medium"},
        {
            "type": "api.request",
            "source": "api-gateway",
            "data": {"endpoint": "/api/users", "method": "GET"},
            "severity": "low",
        },
    ]
    answer = client.post("/events/batch", json={"events": events})
    body = answer.json()
    ids = body["data"]["event_ids"]

    assert answer.status_code == 201
    assert body["message"] == "Batch of 2 events created successfully"
    assert ISO_UTC.fullmatch(body["timestamp"])
    assert len(set(ids)) == 2
    assert [wait_for_event(client, event_id)["data"]["type"] for event_id in ids] == ["web.click", "api.request"]


@pytest.mark.contract("SF-118", "SF-119", "SF-120", "SF-121")
@pytest.mark.parametrize("severity", ["low", "medium", "high", "critical"])
def test_each_severity_is_taken(client: httpx.Client, severity: str) -> None:
    assert client.post("/events", json={**CLICK, "severity": severity}).status_code == 201


@pytest.mark.contract("SF-149", "SF-151", "SF-152", "SF-153", "SF-154", "SF-155", "SF-156", "SF-157")
@pytest.mark.parametrize("kind", ["counter", "gauge", "histogram", "timer"])
def test_a_measurement_of_each_type_is_taken(client: httpx.Client, kind: str) -> None:
    data = {"name": "latency", "type": kind, "value": 0.25, "tags": {"host": "a"}, "metadata": {"unit": "s"}}
    event = {"type": "metric", "source": "app", "timestamp": "2026-01-15T12:00:00+01:00", "data": data}

    found = wait_for_event(client, client.post("/events", json=event).json()["data"]["event_id"])["data"]

    assert found["data"] == data
    assert found["timestamp"] == "2026-01-15T11:00:00Z"
    assert client.post("/events", json={**event, "data": {**data, "type": "guess"}}).status_code == 422
    assert client.post("/events", json={**event, "data": {**data, "tags": {"host": 1}}}).status_code == 422


@pytest.mark.contract("SF-331", "SF-332", "SF-333", "SF-337", "SF-338", "SF-339", "SF-294")
@pytest.mark.parametrize(
    "event_type",
    [
        "web.pageview",
        "api.response",
        "user.login",
        "user.logout",
        "user.activity",
        "system.deployment",
        "system.warning",
        "custom",
    ],
)
def test_what_the_use_cases_need_is_taken_and_counted(client: httpx.Client, event_type: str) -> None:
    source = f"use-{event_type}"
    event_id = client.post("/events", json={"type": event_type, "source": source, "data": {"amount": 12.5}}).json()["data"][
        "event_id"
    ]
    wait_for_event(client, event_id)

    summed = client.get("/events/aggregations", params={"metric": "sum", "field": "data.amount", "source": source}).json()

    assert summed["aggregations"] == {event_type: 12.5}


@pytest.mark.contract("LM-cloudevents", "SF-D15")
def test_cloudevents_come_in_structured_binary_and_batch_mode(client: httpx.Client) -> None:
    structured = {
        "specversion": "1.0",
        "source": "/lab/rig2",
        "type": "custom",
        "time": "2026-01-15T12:00:00Z",
        "data": {"t": 4.2},
    }
    answers = [
        client.post(
            "/events",
            content=json.dumps({**structured, "id": "ce-structured"}),
            headers={"Content-Type": "application/cloudevents+json"},
        ),
        client.post(
            "/events",
            content=b'{"t": 4.2}',
            headers={
                "Content-Type": "application/json",
                "ce-specversion": "1.0",
                "ce-id": "ce-binary",
                "ce-source": "/lab/rig2",
                "ce-type": "custom",
                "ce-time": "2026-01-15T12:00:00Z",
            },
        ),
        client.post(
            "/events/batch",
            content=json.dumps([{**structured, "id": "ce-batch"}]),
            headers={"Content-Type": "application/cloudevents-batch+json"},
        ),
    ]

    assert [answer.status_code for answer in answers] == [201, 201, 201]
    for event_id in ("ce-structured", "ce-binary", "ce-batch"):
        found = wait_for_event(client, event_id)["data"]
        assert (found["source"], found["type"], found["data"]) == ("/lab/rig2", "custom", {"t": 4.2})
        assert found["timestamp"] == "2026-01-15T12:00:00Z"
