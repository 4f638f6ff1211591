"""Ledger: the witness that writes every deed down, in one chain whoever writes, and gives it back."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from weft.audit.entry import GENESIS, Entry
from weft.audit.tables import EntryRow, HeadRow
from weft.auth.witness import Change, Deed, actor
from weft.core.clock import Clock
from weft.db.database import Database

MAX_VALUE_BYTES: Final = 4096
"""A larger value is kept as its size and its SHA-256: the ledger says what was done, it is no second copy of everything."""

_HEAD_ID: Final = 1
_FIRST_HEAD: Final = text("INSERT INTO audit_head (id, number, hash) VALUES (:id, 0, :hash) ON CONFLICT DO NOTHING")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries are asked for; None is any. Times are half-open: from `since_us` on, before `until_us`."""

    entity_type: str | None = None
    action: str | None = None
    actor_id: str | None = None
    since_us: int | None = None
    until_us: int | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """The same in SQL."""
        equal = {EntryRow.entity_type: self.entity_type, EntryRow.action: self.action, EntryRow.actor_id: self.actor_id}
        found = [column == value for column, value in equal.items() if value is not None]
        if self.since_us is not None:
            found.append(EntryRow.at_us >= self.since_us)
        if self.until_us is not None:
            found.append(EntryRow.at_us < self.until_us)
        return found


class Ledger:
    """The ledger of one installation."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def record(self, session: AsyncSession, deed: Deed) -> None:
        """Append a deed inside the caller's unit of work; see `weft.auth.witness.Witness`.

        Everybody else who appends waits from here until that unit ends. So what is left to write of it is written first: a
        lock taken after this one could be waited for by two units crosswise.
        """
        await session.flush()
        number, previous = await _lock_head(session)
        by = deed.by or actor()
        entry = Entry(
            number=number + 1,
            previous=previous,
            at_us=self._clock.now_us(),
            actor_kind=by.kind,
            actor_id=by.id,
            actor_name=by.name,
            address=by.address,
            action=deed.action.value,
            entity_type=deed.entity_type,
            entity_id=deed.entity_id,
            changes=_written(deed.changes),
        ).sealed()
        await session.execute(insert(EntryRow).values(**msgspec.structs.asdict(entry)))
        await session.execute(update(HeadRow).where(HeadRow.id == _HEAD_ID).values(number=entry.number, hash=entry.hash))

    async def list(self, wanted: Wanted, *, skip: int, limit: int) -> tuple[Sequence[EntryRow], int]:
        """A page of entries, newest first, and how many there are."""
        conditions = wanted.conditions()
        page = select(EntryRow).where(*conditions).order_by(EntryRow.at_us.desc(), EntryRow.number.desc())
        # Entries are numbered without a gap, so all of them need not be counted.
        total = select(func.count()).select_from(EntryRow).where(*conditions) if conditions else select(HeadRow.number)
        async with self._database.reading() as session:
            return (await session.scalars(page.offset(skip).limit(limit))).all(), await session.scalar(total) or 0


async def _lock_head(session: AsyncSession) -> tuple[int, str]:
    """Number and hash of the last entry, kept from changing until the unit of work ends."""
    asked = select(HeadRow.number, HeadRow.hash).where(HeadRow.id == _HEAD_ID).with_for_update()
    found = (await session.execute(asked)).one_or_none()
    if found is None:
        await session.execute(_FIRST_HEAD, {"id": _HEAD_ID, "hash": GENESIS})
        found = (await session.execute(asked)).one()
    return found[0], found[1]


def _written(changes: Mapping[str, Change] | None) -> str | None:
    if changes is None:
        return None
    bounded = {name: Change(_bounded(change.before), _bounded(change.after)) for name, change in changes.items()}
    return msgspec.json.encode(bounded).decode()


def _bounded(value: Any) -> Any:
    encoded = msgspec.json.encode(value)
    if len(encoded) <= MAX_VALUE_BYTES:
        return msgspec.Raw(encoded)
    return {"bytes": len(encoded), "sha256": hashlib.sha256(encoded).hexdigest()}
