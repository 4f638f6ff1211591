"""Routes of channels and of what was sent through them."""

from typing import Annotated, Any, cast

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from weft.alerts.notify.attempt import attempt
from weft.alerts.notify.catalogue import KINDS, find_class
from weft.alerts.notify.directory import ChannelPlan
from weft.alerts.notify.history import Told, Wanted, list_told
from weft.alerts.notify.parts import NotifyParts
from weft.alerts.notify.tables import AttemptRow, ChannelRow
from weft.alerts.notify.template import MAX_CHARS, NAMES
from weft.alerts.notify.trial import trial_message
from weft.api.paging import DEFAULT_LIMIT, PagedRows, PageLimit, PageNumber, paginate
from weft.auth.signature import AlertReader, ChannelManager
from weft.core.errors import Unsupported
from weft.core.times import to_text

router = APIRouter(tags=["channels"])


def notify_parts(request: Request) -> NotifyParts:
    """What delivers notifications in this application."""
    return cast("NotifyParts", request.app.state.notify)


Parts = Annotated[NotifyParts, Depends(notify_parts)]
Name = Annotated[str, Field(min_length=1, max_length=128, description="What rules call it.")]
Settings = Annotated[
    dict[str, Any],
    Field(description="What its kind needs; GET /api/v1/channels/kinds lists it. '****' stands for the secret that is stored."),
]
Template = Annotated[
    dict[str, Annotated[str, Field(max_length=MAX_CHARS)]],
    Field(description="Its own words for some fields of the message; {name} stands for what GET /api/v1/channels/kinds lists."),
]
PerMinute = Annotated[
    int | None,
    Field(ge=1, le=10_000, description="Messages in a minute at most; more become one digest. null: as the settings say."),
]


class ChannelBody(BaseModel):
    """A channel as it is to be."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    kind: Annotated[str, Field(description="email, slack, webhook, sms, apprise or command.")]
    settings: Settings
    enabled: Annotated[bool, Field(description="Whether anything is sent through it.")] = True
    template: Template = {}
    messages_per_minute: PerMinute = None

    def plan(self) -> ChannelPlan:
        """The same in the words of the directory."""
        return ChannelPlan(**self.model_dump())


class ChannelChange(BaseModel):
    """What is to change about a channel; what is left out stays. In `settings`, null removes one."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    settings: Settings | None = None
    enabled: bool | None = None
    template: Template | None = None
    messages_per_minute: PerMinute = None

    def applied_to(self, plan: ChannelPlan) -> ChannelPlan:
        """The plan with the changes that were sent."""
        sent = self.model_dump(include=self.model_fields_set)
        merged = {name: sent[name] for name in sent if sent[name] is not None or name == "messages_per_minute"}
        if self.settings is not None:
            merged["settings"] = {**plan.settings, **self.settings}
        return msgspec.structs.replace(plan, **merged)


class ChannelRead(ChannelBody):
    """A channel as it is shown: its secrets are masked."""

    id: str
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, parts: NotifyParts, row: ChannelRow) -> "ChannelRead":
        """The channel, without anything secret."""
        return cls(
            **msgspec.structs.asdict(parts.directory.plan_of(row)),
            id=row.id,
            created_at=to_text(row.created_at_us),
            updated_at=to_text(row.updated_at_us),
        )


class KindRead(BaseModel):
    """A kind of channels: what it is, its settings as JSON Schema, its template, and whether it can be used here."""

    kind: str
    summary: str
    settings: dict[str, Any]
    template: dict[str, str]
    available: bool


class KindList(BaseModel):
    """Every kind, and the names that templates may use."""

    data: list[KindRead]
    names: dict[str, str]


class TrialResult(BaseModel):
    """What came of a test message, in the other side's own words."""

    outcome: Annotated[str, Field(description="delivered; refused: it would never be taken; delayed: not at the moment.")]
    said: str
    took_ms: float
    key: Annotated[str, Field(description="The idempotency key the other side saw.")]


class AttemptRead(BaseModel):
    """One try."""

    number: int
    at: str
    took_ms: float
    outcome: str
    said: str
    retry_at: str | None

    @classmethod
    def of(cls, row: AttemptRow) -> "AttemptRead":
        """The attempt as it is shown."""
        return cls(
            number=row.number,
            at=to_text(row.at_us),
            took_ms=row.took_us / 1000,
            outcome=row.outcome,
            said=row.said,
            retry_at=None if row.retry_at_us is None else to_text(row.retry_at_us),
        )


class NotificationRead(BaseModel):
    """One notification through one channel. `message_key` is the idempotency key it was sent under, alone or with others."""

    id: str
    state: Annotated[str, Field(description="waiting, sending, delivered, refused, dead, left_out or no_channel.")]
    channel: str
    kind: str | None
    fingerprint: str
    transition: int
    occasion: str
    told: Annotated[str, Field(description="The alert's state that was told.")]
    level: str
    rule_id: str
    rule_name: str
    summary: str
    created_at: str
    ended_at: str | None
    message_key: str | None
    attempts: list[AttemptRead]

    @classmethod
    def of(cls, told: Told) -> "NotificationRead":
        """The notification as it is shown."""
        notification, delivery, message = told.notification, told.delivery, told.message
        ended_at_us = delivery.ended_at_us if delivery is not None else None
        return cls(
            id=delivery.id if delivery is not None else told.intent.id,
            state=told.state,
            channel=delivery.channel_name if delivery is not None else told.intent.target,
            kind=message.channel_kind if message is not None else None,
            fingerprint=notification.fingerprint,
            transition=notification.transition,
            occasion=notification.occasion,
            told=notification.state,
            level=notification.level,
            rule_id=notification.rule_id,
            rule_name=notification.rule_name,
            summary=notification.summary,
            created_at=to_text(told.intent.created_at_us),
            ended_at=None if ended_at_us is None else to_text(ended_at_us),
            message_key=message.key if message is not None else None,
            attempts=[AttemptRead.of(row) for row in told.attempts],
        )


@router.get("/api/v1/channels/kinds", summary="Kinds of channels, what each needs, and the names templates may use")
async def list_kinds(principal: ChannelManager) -> KindList:
    """Settings marked `writeOnly` are secrets."""
    return KindList(data=[_kind(kind) for kind in KINDS], names={name: what for name, (what, _) in NAMES.items()})


@router.get("/api/v1/channels", summary="Channels, by name")
async def list_channels(
    principal: ChannelManager,
    parts: Parts,
    kind: Annotated[str | None, Query(max_length=16, description="Those of this kind.")] = None,
    page: PageNumber = 1,
    limit: PageLimit = DEFAULT_LIMIT,
) -> PagedRows[ChannelRead]:
    """Secrets are masked."""
    rows, total = await parts.directory.list_all(kind=kind, skip=(page - 1) * limit, limit=limit)
    data = [ChannelRead.of(parts, row) for row in rows]
    return PagedRows(data=data, pagination=paginate(page=page, limit=limit, total=total))


@router.post("/api/v1/channels", status_code=201, summary="Make a channel")
async def create_channel(body: ChannelBody, principal: ChannelManager, parts: Parts) -> ChannelRead:
    """Nothing is sent yet; POST …/test sends something."""
    return ChannelRead.of(parts, await parts.directory.create(body.plan()))


@router.get("/api/v1/channels/{channel}", summary="One channel, by id or name")
async def read_channel(channel: str, principal: ChannelManager, parts: Parts) -> ChannelRead:
    """Secrets are masked."""
    return ChannelRead.of(parts, await parts.directory.get(channel))


@router.put("/api/v1/channels/{channel}", summary="Replace a channel")
async def replace_channel(channel: str, body: ChannelBody, principal: ChannelManager, parts: Parts) -> ChannelRead:
    """Its kind stays. A secret given as '****' stays too, as long as the channel goes to the same place."""
    return ChannelRead.of(parts, await parts.directory.replace(channel, body.plan()))


@router.patch("/api/v1/channels/{channel}", summary="Change a channel")
async def change_channel(channel: str, body: ChannelChange, principal: ChannelManager, parts: Parts) -> ChannelRead:
    """What is left out stays as it is."""
    plan = body.applied_to(parts.directory.plan_of(await parts.directory.get(channel)))
    return ChannelRead.of(parts, await parts.directory.replace(channel, plan))


@router.delete("/api/v1/channels/{channel}", status_code=204, summary="Remove a channel")
async def remove_channel(channel: str, principal: ChannelManager, parts: Parts) -> Response:
    """What waits for it is refused and stays in the list of notifications."""
    await parts.directory.remove(channel)
    return Response(status_code=204)


@router.post("/api/v1/channels/{channel}/test", summary="Send a test message now")
async def try_channel(channel: str, principal: ChannelManager, parts: Parts) -> TrialResult:
    """Really sends, once, whether the channel is enabled or not, and says what the other side said."""
    row = await parts.directory.get(channel)
    message = trial_message(row, by=principal.name, now_us=parts.clock.now_us())
    began_s = parts.clock.steady_s()
    tried = await attempt(
        parts.directory.open(row), message, hidden=parts.directory.secrets_of(row), timeout_s=parts.settings.send_timeout_s
    )
    took_ms = round((parts.clock.steady_s() - began_s) * 1000, 1)
    return TrialResult(outcome=tried.outcome, said=tried.said, took_ms=took_ms, key=message.key)


@router.get("/api/v1/notifications", summary="Notifications with every attempt, newest first", tags=["notifications"])
async def list_notifications(
    principal: AlertReader,
    parts: Parts,
    state: Annotated[str | None, Query(max_length=16, description="Those in this state.")] = None,
    channel: Annotated[str | None, Query(max_length=128, description="Those through the channel of this name.")] = None,
    fingerprint: Annotated[str | None, Query(max_length=128, description="Those of this alert.")] = None,
    page: PageNumber = 1,
    limit: PageLimit = DEFAULT_LIMIT,
) -> PagedRows[NotificationRead]:
    """What became of each, and what the other side said."""
    wanted = Wanted(state=state, channel=channel, fingerprint=fingerprint)
    async with parts.database.reading() as session:
        told, total = await list_told(session, wanted, skip=(page - 1) * limit, limit=limit)
    data = [NotificationRead.of(one) for one in told]
    return PagedRows(data=data, pagination=paginate(page=page, limit=limit, total=total))


def _kind(kind: str) -> KindRead:
    try:
        found = find_class(kind)
    except Unsupported as missing:
        return KindRead(kind=kind, summary=missing.message, settings={}, template={}, available=False)
    return KindRead(
        kind=kind,
        summary=(found.__doc__ or "").split("\n")[0],
        settings=found.options.model_json_schema(),
        template=dict(found.template),
        available=True,
    )
