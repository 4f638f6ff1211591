"""The seeds' design: FastAPI, a Pydantic model, SQLAlchemy, one commit a request. The URL comes from PEER_DATABASE_URL."""

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel, Field
from sqlalchemy import JSON, insert
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


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


class Base(DeclarativeBase):
    type_annotation_map = {dict[str, Any]: JSON, list[str]: JSON}  # noqa: RUF012 - SQLAlchemy's own way


class EventRow(Base):
    __tablename__ = "events"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    type: Mapped[str] = mapped_column(index=True)
    source: Mapped[str]
    severity: Mapped[str]
    timestamp: Mapped[datetime] = mapped_column(index=True)
    correlation_id: Mapped[str | None]
    session_id: Mapped[str | None]
    user_id: Mapped[str | None]
    tags: Mapped[list[str]]
    data: Mapped[dict[str, Any]]


engine = create_async_engine(os.environ["PEER_DATABASE_URL"])


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


async def store(events: list[Event]) -> list[uuid.UUID]:
    async with engine.begin() as connection:
        await connection.execute(
            insert(EventRow), [{**event.model_dump(), "timestamp": event.timestamp.replace(tzinfo=None)} for event in events]
        )
    return [event.id for event in events]


class EventBatch(BaseModel):
    events: list[Event]


@app.post("/events", status_code=201)
async def add_event(event: Event) -> dict[str, Any]:
    return {"success": True, "data": {"event_id": (await store([event]))[0]}}


@app.post("/events/batch", status_code=201)
async def add_batch(batch: EventBatch) -> dict[str, Any]:
    return {"success": True, "data": {"event_ids": await store(batch.events)}}
