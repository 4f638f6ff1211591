"""Routes of notices, which StreamWeave's clients call notifications. Each person sees their own alone."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel

from weft.api.paging import Skip
from weft.auth.account_routes import person
from weft.auth.signature import KnownReader, ProofOf
from weft.inventory.routes.answer import MOST_ROWS, Id, Parts, shown
from weft.inventory.tables import NoticeRow

router = APIRouter(tags=["notices"])

USUAL_ROWS: Final = 50

Limit = Annotated[int, Query(ge=1, le=MOST_ROWS, description="How many to show.")]


class NoticeRead(BaseModel):
    """What one person is told."""

    id: str
    recipient_id: str
    type: str
    title: str
    message: str
    link: str | None
    read: bool
    dismissed_at: str | None
    created_at: str

    @classmethod
    def of(cls, row: NoticeRow) -> "NoticeRead":
        """The notice as it is shown."""
        return cls(**{name: shown(row, name) for name in cls.model_fields})


class Unread(BaseModel):
    """How many notices are unread."""

    count: int


class Done(BaseModel):
    """It is done."""

    ok: Literal[True] = True


@router.get("/api/notifications", summary="What you are told: unread first, then the newest")
async def list_notices(
    _: KnownReader, proof: ProofOf, parts: Parts, skip: Skip = 0, limit: Limit = USUAL_ROWS
) -> list[NoticeRead]:
    """A bare list of what you did not dismiss; `skip` goes on."""
    rows = await parts.notices.list_open(person(proof), skip=skip, limit=limit)
    return [NoticeRead.of(row) for row in rows]


@router.get("/api/notifications/unread-count", summary="How many notices are unread")
async def count_unread(_: KnownReader, proof: ProofOf, parts: Parts) -> Unread:
    """For the bell."""
    return Unread(count=await parts.notices.count_unread(person(proof)))


@router.post("/api/notifications/read-all", summary="Mark every notice as read")
async def read_all(_: KnownReader, proof: ProofOf, parts: Parts) -> Done:
    """Yours alone."""
    await parts.notices.mark_all_read(person(proof))
    return Done()


@router.post("/api/notifications/{notice_id}/read", summary="Mark a notice as read")
async def mark_read(notice_id: Id, _: KnownReader, proof: ProofOf, parts: Parts) -> NoticeRead:
    """403 for somebody else's."""
    return NoticeRead.of(await parts.notices.mark_read(str(notice_id), person(proof)))


@router.post("/api/notifications/{notice_id}/dismiss", summary="Show a notice no more")
async def dismiss(notice_id: Id, _: KnownReader, proof: ProofOf, parts: Parts) -> NoticeRead:
    """403 for somebody else's."""
    return NoticeRead.of(await parts.notices.dismiss(str(notice_id), person(proof)))
