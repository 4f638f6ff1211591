"""Routes of silences."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from weft.alerts.parts import Parts
from weft.alerts.routes.answer import Answer
from weft.alerts.silence import Matcher, Silence
from weft.api.paging import PagedRows, PageLimit, PageNumber, paginate
from weft.auth.signature import AlertHandler, AlertReader
from weft.core.times import from_datetime, to_text

router = APIRouter(tags=["silences"])

SilenceId = Annotated[str, Path(min_length=1, max_length=64, description="The id of the silence.")]


class MatcherBody(BaseModel):
    """One condition on an alert."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=256, description="rule, rule_id, level, tag, or a field of group_by.")]
    value: Annotated[str, Field(max_length=1024)]
    comparison: Literal["==", "!=", "startswith"] = "=="


class SilenceBody(BaseModel):
    """A silence as it is to be. All matchers have to hold."""

    model_config = ConfigDict(extra="forbid")

    matchers: Annotated[list[MatcherBody], Field(min_length=1, max_length=32)]
    starts_at: Annotated[AwareDatetime | None, Field(default=None, description="By default now.")]
    ends_at: AwareDatetime
    comment: Annotated[str | None, Field(default=None, max_length=2000, description="Why.")]

    def to_matchers(self) -> list[Matcher]:
        """The same in the room's words."""
        return [Matcher(name=one.name, value=one.value, comparison=one.comparison) for one in self.matchers]


class SilenceRead(BaseModel):
    """A silence."""

    id: str
    matchers: list[MatcherBody]
    starts_at: str
    ends_at: str
    comment: str | None
    created_by: str
    created_at: str
    updated_at: str
    state: str = Field(description="pending, active or expired.")

    @classmethod
    def of(cls, silence: Silence, now_us: int) -> "SilenceRead":
        """As it is shown."""
        state = "active" if silence.is_on(now_us) else "pending" if silence.starts_at_us > now_us else "expired"
        return cls(
            id=silence.id,
            matchers=[MatcherBody(name=one.name, value=one.value, comparison=one.comparison) for one in silence.matchers],
            starts_at=to_text(silence.starts_at_us),
            ends_at=to_text(silence.ends_at_us),
            comment=silence.comment,
            created_by=silence.created_by,
            created_at=to_text(silence.created_at_us),
            updated_at=to_text(silence.updated_at_us),
            state=state,
        )


@router.post("/api/v1/silences", status_code=201, summary="Keep alerts quiet for a while")
async def create_silence(body: SilenceBody, parts: Parts, principal: AlertHandler) -> Answer[SilenceRead]:
    """What happens meanwhile is written down all the same; what goes on at its end is told then."""
    silence = await parts.silences.create(
        body.to_matchers(),
        starts_at_us=None if body.starts_at is None else from_datetime(body.starts_at),
        ends_at_us=from_datetime(body.ends_at),
        comment=body.comment,
        by=principal.name,
    )
    parts.judge.wake()
    return Answer(message="Silence created successfully", data=SilenceRead.of(silence, parts.clock.now_us()))


@router.get("/api/v1/silences", summary="The silences")
async def list_silences(
    parts: Parts,
    principal: AlertReader,
    expired: Annotated[bool | None, Query(description="Only those that are over, or only the others.")] = None,
    page: PageNumber = 1,
    limit: PageLimit = 100,
) -> PagedRows[SilenceRead]:
    """The newest first."""
    on = None if expired is None else not expired
    silences, total = await parts.silences.list(on=on, skip=(page - 1) * limit, limit=limit)
    now_us = parts.clock.now_us()
    return PagedRows(
        data=[SilenceRead.of(one, now_us) for one in silences], pagination=paginate(page=page, limit=limit, total=total)
    )


@router.get("/api/v1/silences/{silence_id}", summary="One silence")
async def show_silence(silence_id: SilenceId, parts: Parts, principal: AlertReader) -> Answer[SilenceRead]:
    """As it is now."""
    silence = await parts.silences.get(silence_id)
    return Answer(message="Silence found", data=SilenceRead.of(silence, parts.clock.now_us()))


@router.put("/api/v1/silences/{silence_id}", summary="Change a silence")
async def change_silence(
    silence_id: SilenceId, body: SilenceBody, parts: Parts, principal: AlertHandler
) -> Answer[SilenceRead]:
    """Its matchers, its times, its comment."""
    silence = await parts.silences.change(
        silence_id,
        body.to_matchers(),
        starts_at_us=None if body.starts_at is None else from_datetime(body.starts_at),
        ends_at_us=from_datetime(body.ends_at),
        comment=body.comment,
    )
    parts.judge.wake()
    return Answer(message="Silence updated successfully", data=SilenceRead.of(silence, parts.clock.now_us()))


@router.delete("/api/v1/silences/{silence_id}", status_code=204, summary="End a silence")
async def end_silence(silence_id: SilenceId, parts: Parts, principal: AlertHandler) -> Response:
    """From now on it counts no longer; it stays to be seen."""
    await parts.silences.end(silence_id)
    parts.judge.wake()
    return Response(status_code=204)
