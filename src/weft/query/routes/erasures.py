"""Erasures: removing events for good."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from weft.auth.signature import EventsEraser
from weft.core.erasure import Erasure
from weft.core.errors import Malformed
from weft.query.erase import Erased
from weft.query.parameters import Moment, Word
from weft.query.parts import Parts
from weft.query.routes.answer import answer, described

router = APIRouter(tags=["erasures"])


class ErasureBody(BaseModel):
    """Which events to erase: every condition that is given must hold, one at least is needed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Word | None = Field(default=None, description="Source.")
    subject: Word | None = Field(default=None, description="Subject.")
    user_id: Annotated[Word, Field(max_length=256)] | None = Field(default=None, description="User id.")
    start: Moment | None = Field(default=None, description="First time that matches.")
    end: Moment | None = Field(default=None, description="End of the range, not included.")

    def to_erasure(self) -> Erasure:
        """The erasure. Raises Malformed for a range without any time in it."""
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise Malformed("start must be before end; end itself is not erased", fields=["start", "end"])
        return Erasure(source=self.source, subject=self.subject, user_id=self.user_id, start_us=self.start, end_us=self.end)


@router.post(
    "/api/v1/erasures",
    summary="Erase events for good",
    description="Removes matching events of every topic from the store and from the log, bytes included, and appends a record "
    "of it to the topic `weft.erasures`. Answers when it is done. A log that can remove no single events keeps them until its "
    "retention ends; the answer says so.",
    responses=described(Erased, "What was erased."),
)
async def erase_events(body: ErasureBody, parts: Parts, principal: EventsEraser) -> Response:
    """An erasure."""
    erased = await parts.eraser.erase(body.to_erasure(), principal)
    parts.feeds.forget()
    return answer(erased)
