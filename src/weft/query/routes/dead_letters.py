"""Dead letters: events nobody could work on; looking at them, and handing them in again."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from weft.auth.signature import DeadLetterReplayer, EventsReader
from weft.log.dead_letter import DeadLetter, list_dead_letters, replay
from weft.query.parameters import MAX_LIMIT, Topic
from weft.query.parts import Parts
from weft.query.routes.answer import answer, described

router = APIRouter(tags=["dead letters"])


class DeadLettersQuery(BaseModel):
    """Which dead letters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: Topic | None = Field(default=None, description="Those of this topic; of all topics when absent.")
    limit: int = Field(default=100, ge=1, le=MAX_LIMIT, description="Dead letters at most.")


class ReplayBody(BaseModel):
    """Which dead letters to hand in again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: Topic | None = Field(default=None, description="Those of this topic; of all topics when absent.")


class DeadLetterList(msgspec.Struct, kw_only=True):
    """Dead letters that were not handed in again yet, oldest first."""

    data: list[DeadLetter]


class Replayed(msgspec.Struct, kw_only=True):
    """How many events were handed in again."""

    replayed: int


@router.get(
    "/api/v1/dead-letters",
    summary="Events nobody could work on",
    responses=described(DeadLetterList, "The dead letters."),
)
async def show_dead_letters(query: Annotated[DeadLettersQuery, Query()], parts: Parts, principal: EventsReader) -> Response:
    """Where they stood, the reason, the attempts, and their bytes."""
    found = await parts.gate.ask(lambda: list_dead_letters(parts.log, topic=query.topic, limit=query.limit))
    return answer(DeadLetterList(data=found))


@router.post(
    "/api/v1/dead-letters/replay",
    summary="Hand dead letters in again",
    description="Appends their events to their topics again, with their own ids; what still cannot be worked on comes back.",
    responses=described(Replayed, "How many."),
)
async def replay_dead_letters(parts: Parts, principal: DeadLetterReplayer, body: ReplayBody | None = None) -> Response:
    """A replay. One at a time, so that none is handed in twice."""
    topic = body.topic if body is not None else None
    async with parts.replaying:
        return answer(Replayed(replayed=await replay(parts.log, topic=topic, clock=parts.clock)))
