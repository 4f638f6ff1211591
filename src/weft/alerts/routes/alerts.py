"""Routes of alerts: what goes on, what happened, why, and what people do about it."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from weft.alerts.handle import Wanted
from weft.alerts.parts import Parts
from weft.alerts.record import read_key
from weft.alerts.routes.answer import Answer
from weft.alerts.rule import AlertLevel
from weft.alerts.tables import AlertRow
from weft.api.paging import PagedRows, PageLimit, PageNumber, paginate
from weft.auth.signature import AlertHandler, AlertReader
from weft.core.errors import Invalid, NotFound
from weft.core.times import from_datetime, to_text

router = APIRouter(tags=["alerts"])

AlertId = Annotated[str, Path(min_length=1, max_length=64, description="The id of the alert.")]
STATUSES = ("inactive", "pending", "firing", "recovering", "resolved", "no_data", "error")
_ALSO = {
    "active": ("firing", "recovering", "no_data", "error"),
    "open": ("pending", "firing", "recovering", "no_data", "error"),
}


class AlertRead(BaseModel):
    """One alert, from pending to its end."""

    id: str
    rule_id: str
    rule_version: int
    level: str
    title: str = Field(description="The name of its rule.")
    message: str = Field(description="What it says, with the values.")
    status: str = Field(description="pending, firing, recovering, resolved, no_data, error, or inactive where it never fired.")
    key: dict[str, str | None] = Field(description="The values of the fields its rule groups by.")
    fingerprint: str = Field(description="The same for every alert of this rule and key.")
    started_at: str
    fired_at: str | None
    resolved: bool
    resolved_at: str | None
    resolved_by: str | None
    acknowledged: bool
    acknowledged_at: str | None
    acknowledged_by: str | None
    acknowledged_until: str | None
    acknowledged_comment: str | None
    silenced_by: str | None
    inhibited_by: str | None
    flapping: bool
    escalated: int = Field(description="Steps of escalation that were taken.")
    amended: int = Field(description="How often late events changed it.")
    shadow: bool
    data: dict[str, Any] = Field(description="The values of the newest window.")
    updated_at: str

    @classmethod
    def of(cls, row: AlertRow) -> "AlertRead":
        """The alert as it is shown."""
        evidence: dict[str, Any] = msgspec.json.decode(row.evidence)
        return cls(
            id=row.id,
            rule_id=row.rule_id,
            rule_version=row.rule_version,
            level=row.level,
            title=row.rule_name,
            message=row.summary,
            status=row.status,
            key=read_key(row.key),
            fingerprint=row.fingerprint,
            started_at=to_text(row.started_at_us),
            fired_at=_text(row.fired_at_us),
            resolved=row.status == "resolved",
            resolved_at=_text(row.ended_at_us) if row.status == "resolved" else None,
            resolved_by=row.ended_by if row.status == "resolved" else None,
            acknowledged=row.acknowledged_at_us is not None,
            acknowledged_at=_text(row.acknowledged_at_us),
            acknowledged_by=row.acknowledged_by,
            acknowledged_until=_text(row.acknowledged_until_us),
            acknowledged_comment=row.acknowledged_comment,
            silenced_by=row.silenced_by,
            inhibited_by=row.inhibited_by,
            flapping=row.flapping,
            escalated=row.step,
            amended=row.revision,
            shadow=row.shadow,
            data=evidence.get("last", {}).get("values", {}),
            updated_at=to_text(row.updated_at_us),
        )


class TransitionRead(BaseModel):
    """One thing that happened to an alert."""

    number: int
    change: str
    status: str
    before: str
    level: str | None
    at: str
    event_time: str | None
    by: str
    reason: str | None
    amended: bool


class History(BaseModel):
    """Everything that happened, the oldest first."""

    data: list[TransitionRead]


class Why(BaseModel):
    """Why an alert is there: the rule in the version that raised it, the windows, the value of every part of the condition, and
    where the events lie."""

    alert_id: str
    sentence: str
    status: str
    rule: dict[str, Any]
    fired: dict[str, Any] | None = Field(description="The window that made it fire.")
    last: dict[str, Any] | None = Field(description="The window that was judged last.")
    history: list[TransitionRead]


class Acknowledge(BaseModel):
    """Taking an alert on."""

    model_config = ConfigDict(extra="forbid")

    comment: Annotated[str | None, Field(default=None, max_length=2000, description="What is being done.")]
    until: Annotated[AwareDatetime | None, Field(default=None, description="When it counts no longer; null: with the alert.")]


class Resolve(BaseModel):
    """Saying that an alert is over."""

    model_config = ConfigDict(extra="forbid")

    comment: Annotated[str | None, Field(default=None, max_length=2000, description="What was done.")]


@router.get("/api/v1/alerts", summary="The alerts")
async def list_alerts(
    parts: Parts,
    principal: AlertReader,
    status: Annotated[
        list[str] | None, Query(description="pending, firing, …; `active` and `open` are several. May be repeated.")
    ] = None,
    level: Annotated[list[AlertLevel] | None, Query(description="May be repeated.")] = None,
    rule_id: Annotated[str | None, Query(max_length=128, description="Those of one rule, by its id or name.")] = None,
    fingerprint: Annotated[str | None, Query(max_length=32, description="Those of one rule and key.")] = None,
    page: PageNumber = 1,
    limit: PageLimit = 100,
) -> PagedRows[AlertRead]:
    """Those that began last first. Alerts that were pending and never fired are left out unless they are asked for."""
    wanted = Wanted(
        statuses=_statuses(status),
        levels=level or (),
        rule_id=await _rule_id(parts, rule_id),
        fingerprint=fingerprint,
    )
    rows, total = await parts.alerts.list(wanted, skip=(page - 1) * limit, limit=limit)
    return PagedRows(data=[AlertRead.of(row) for row in rows], pagination=paginate(page=page, limit=limit, total=total))


@router.get("/api/v1/alerts/{alert_id}", summary="One alert")
async def show_alert(alert_id: AlertId, parts: Parts, principal: AlertReader) -> Answer[AlertRead]:
    """As it stands now, or as it ended."""
    return Answer(message="Alert found", data=AlertRead.of(await parts.alerts.get(alert_id)))


@router.get("/api/v1/alerts/{alert_id}/history", summary="What happened to an alert")
async def show_history(alert_id: AlertId, parts: Parts, principal: AlertReader) -> History:
    """Every transition, with who and why."""
    return History(data=await _history(parts, alert_id))


@router.get("/api/v1/alerts/{alert_id}/why", summary="Why an alert is there")
async def why(alert_id: AlertId, parts: Parts, principal: AlertReader) -> Why:
    """The rule's version, the window with its values, the value of every part of the condition, and the offsets."""
    row = await parts.alerts.get(alert_id)
    evidence: dict[str, Any] = msgspec.json.decode(row.evidence)
    fired = _dated(evidence.get("fired"))
    told: dict[str, Any] = evidence.get("fired") or evidence.get("last") or {}
    version = int(told.get("rule_version", row.rule_version))
    return Why(
        alert_id=row.id,
        sentence=row.summary,
        status=row.status,
        rule=await _rule(parts, row, version),
        fired=fired,
        last=_dated(evidence.get("last")),
        history=await _history(parts, alert_id),
    )


@router.post("/api/v1/alerts/{alert_id}/acknowledge", summary="Take an alert on")
async def acknowledge(
    alert_id: AlertId, parts: Parts, principal: AlertHandler, body: Acknowledge | None = None
) -> Answer[AlertRead]:
    """Nobody is reminded and nothing escalates until then; it ends when the level rises."""
    until_us = None if body is None or body.until is None else from_datetime(body.until)
    row = await parts.alerts.acknowledge(
        alert_id, by=principal.name, until_us=until_us, comment=None if body is None else body.comment
    )
    return Answer(message="Alert acknowledged", data=AlertRead.of(row))


@router.post("/api/v1/alerts/{alert_id}/resolve", summary="Say that an alert is over")
async def resolve(alert_id: AlertId, parts: Parts, principal: AlertHandler, body: Resolve | None = None) -> Answer[AlertRead]:
    """Where its condition is still true in the next window, that is a new alert."""
    row = await parts.alerts.resolve(alert_id, by=principal.name, comment=None if body is None else body.comment)
    return Answer(message="Alert resolved", data=AlertRead.of(row))


async def _history(parts: Parts, alert_id: str) -> list[TransitionRead]:
    return [
        TransitionRead(
            number=done.number,
            change=done.change,
            status=done.status,
            before=done.before,
            level=done.level,
            at=to_text(done.at_us),
            event_time=_text(done.event_us),
            by=done.by,
            reason=done.reason,
            amended=done.amended,
        )
        for done in await parts.alerts.history(alert_id)
    ]


async def _rule(parts: Parts, row: AlertRow, version: int) -> dict[str, Any]:
    found = next((one for one in await parts.rulebook.versions(row.rule_id) if one.version == version), None)
    return {"id": row.rule_id, "name": row.rule_name, "version": version, "definition": found.definition if found else None}


async def _rule_id(parts: Parts, wanted: str | None) -> str | None:
    if wanted is None:
        return None
    try:
        return (await parts.rulebook.get(wanted)).id
    except NotFound:  # the rule is gone, its alerts are not
        return wanted


def _statuses(asked: list[str] | None) -> tuple[str, ...]:
    if not asked:
        return tuple(status for status in STATUSES if status != "inactive")
    found: list[str] = []
    for status in asked:
        if status not in STATUSES and status not in _ALSO:
            known = ", ".join((*STATUSES, *_ALSO))
            raise Invalid(f"no alert is '{status[:32]}'; there are {known}", field="status", allowed_values=[*STATUSES, *_ALSO])
        found += _ALSO.get(status, (status,))
    return tuple(dict.fromkeys(found))


def _dated(evidence: dict[str, Any] | None) -> dict[str, Any] | None:
    """Evidence with its times as text too."""
    if evidence is None:
        return None
    return evidence | {"start": to_text(evidence["start_us"]), "end": to_text(evidence["end_us"])}


def _text(time_us: int | None) -> str | None:
    return None if time_us is None else to_text(time_us)
