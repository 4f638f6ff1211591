"""The route of the ledger, for those who may read it."""

import re
from typing import Annotated, Any, Final, cast

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from weft.api.paging import Skip
from weft.audit.ledger import Ledger, Wanted
from weft.audit.tables import EntryRow
from weft.auth.signature import AuditReader
from weft.auth.witness import Action
from weft.core.times import DAY_US, parse, to_text

router = APIRouter(tags=["audit"])

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _ledger(request: Request) -> Ledger:
    return cast("Ledger", request.app.state.audit)


LedgerOf = Annotated[Ledger, Depends(_ledger)]
Limit = Annotated[int, Query(ge=1, le=500, description="How many to show.")]
Text = Annotated[str | None, Query(max_length=64)]


class ChangeRead(BaseModel):
    """One field."""

    before: Any = None
    after: Any = None


class AuditLogRead(BaseModel):
    """One entry. Of a secret both sides of a change are `****`; a long value is shown as its size and its SHA-256."""

    id: str = Field(description="Its number in the ledger, counted from 1.")
    entity_type: str
    entity_id: str | None
    action: str
    actor_kind: str = Field(description="user, api_key, anonymous, command_line, or weft where nobody asked for it.")
    actor_id: str | None
    actor_email: str = Field(description="The e-mail address of a person, the name of a key.")
    address: str | None = Field(description="Where the actor came from.")
    changes: dict[str, ChangeRead] | None
    created_at: str
    hash: str = Field(description="SHA-256 over the entry and the hash of the one before; see `weft audit verify`.")

    @classmethod
    def of(cls, row: EntryRow) -> "AuditLogRead":
        """The entry as it is shown."""
        return cls(
            id=str(row.number),
            entity_type=row.entity_type,
            entity_id=row.entity_id,
            action=row.action,
            actor_kind=row.actor_kind,
            actor_id=row.actor_id,
            actor_email=row.actor_name,
            address=row.address,
            changes=None if row.changes is None else msgspec.json.decode(row.changes),
            created_at=to_text(row.at_us),
            hash=row.hash,
        )


class AuditLogPage(BaseModel):
    """A page of entries."""

    items: list[AuditLogRead]
    total: int
    skip: int
    limit: int


@router.get("/api/admin/audit-logs", summary="Who did what: the ledger, newest first")
async def list_audit_logs(
    _: AuditReader,
    ledger: LedgerOf,
    entity_type: Text = None,
    action: Action | None = None,
    actor_id: Text = None,
    since: Annotated[str | None, Query(max_length=64, description="From this day (UTC) or moment on.")] = None,
    until: Annotated[
        str | None, Query(max_length=64, description="Up to the end of this day (UTC), or before a moment.")
    ] = None,
    skip: Skip = 0,
    limit: Limit = 50,
) -> AuditLogPage:
    """Changes, sign-ins and failed sign-ins. Reading changes nothing; nobody can change or delete an entry."""
    wanted = Wanted(
        entity_type=entity_type,
        action=action,
        actor_id=actor_id,
        since_us=None if since is None else _moment(since, field="since"),
        until_us=None if until is None else _moment(until, field="until", after_days=1),
    )
    rows, total = await ledger.list(wanted, skip=skip, limit=limit)
    return AuditLogPage(items=[AuditLogRead.of(row) for row in rows], total=total, skip=skip, limit=limit)


def _moment(text: str, *, field: str, after_days: int = 0) -> int:
    """A moment, or for a date the midnight it begins with, so many days later."""
    if _DATE.fullmatch(text):
        return parse(f"{text}T00:00:00Z", field=field) + after_days * DAY_US
    return parse(text, field=field)
