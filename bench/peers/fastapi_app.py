"""FastAPI and Pydantic, checking the same and storing nothing."""

import uuid
from datetime import UTC, datetime
from typing import Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel, Field


class Event(BaseModel):
    id: uuid.UUID = Field(default_factory=uuid.uuid4)
    type: Literal["web.click", "api.request", "user.login", "error", "metric", "custom"]
    source: str = Field(min_length=1, max_length=1024)
    severity: Literal["low", "medium", "high", "critical"] = "medium"
    timestamp: datetime = Field(default_factory=lambda: datetime.now(UTC))
    correlation_id: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    tags: list[str] = []
    data: dict[str, Any] = {}


class EventBatch(BaseModel):
    events: list[Event]


app = FastAPI()


@app.post("/events", status_code=201)
async def add_event(event: Event) -> dict[str, Any]:
    return {"success": True, "data": {"event_id": event.id}}


@app.post("/events/batch", status_code=201)
async def add_batch(batch: EventBatch) -> dict[str, Any]:
    return {"success": True, "data": {"event_ids": [event.id for event in batch.events]}}
