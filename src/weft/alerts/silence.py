"""Silence: nobody is told of what it matches, for a while. What happens meanwhile is written down all the same."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from weft.alerts.tables import SilenceRow
from weft.auth.witness import Action, Deed, Witness, difference, nobody
from weft.core.clock import Clock
from weft.core.errors import Invalid, NotFound
from weft.core.ids import new_id
from weft.core.times import DAY_US
from weft.db.database import Database

Comparison = Literal["==", "!=", "startswith"]
LONGEST_US: Final = 366 * DAY_US
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]{0,255}", re.ASCII)


class Matcher(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One condition on an alert: `name` is rule, rule_id, level, tag, or a field the rule groups by."""

    name: str
    value: str
    comparison: Comparison = "=="

    def matches(self, labels: Mapping[str, Sequence[str]]) -> bool:
        """Whether it holds for an alert with these labels; a label may have several values, as tags have."""
        values = labels.get(self.name, ())
        if self.comparison == "!=":
            return self.value not in values
        if self.comparison == "startswith":
            return any(value.startswith(self.value) for value in values)
        return self.value in values


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """All of its matchers have to hold."""

    id: str
    matchers: tuple[Matcher, ...]
    starts_at_us: int
    ends_at_us: int
    comment: str | None
    created_by: str
    created_at_us: int
    updated_at_us: int

    def is_on(self, now_us: int) -> bool:
        """Whether it counts now."""
        return self.starts_at_us <= now_us < self.ends_at_us

    def matches(self, labels: Mapping[str, Sequence[str]]) -> bool:
        """Whether an alert with these labels is kept quiet by it."""
        return all(matcher.matches(labels) for matcher in self.matchers)


_MATCHERS: Final = msgspec.json.Decoder(tuple[Matcher, ...])


class Silences:
    """Silences as they are kept."""

    def __init__(self, database: Database, clock: Clock, *, witness: Witness = nobody) -> None:
        self._witness = witness
        self._database = database
        self._clock = clock

    async def create(
        self, matchers: Sequence[Matcher], *, starts_at_us: int | None, ends_at_us: int, comment: str | None, by: str
    ) -> Silence:
        """A new one. Raises Invalid where it would match everything, or nothing because it is over."""
        now_us = self._clock.now_us()
        starts_us = now_us if starts_at_us is None else starts_at_us
        _check(matchers, starts_us, ends_at_us, now_us)
        row = SilenceRow(
            id=new_id(now_us),
            matchers=msgspec.json.encode(matchers).decode(),
            starts_at_us=starts_us,
            ends_at_us=ends_at_us,
            comment=comment,
            created_by=by,
            created_at_us=now_us,
            updated_at_us=now_us,
        )
        async with self._database.writing() as session:
            session.add(row)
            await self._tell(session, Action.CREATE, row, {})
        return read_silence(row)

    async def change(
        self, silence_id: str, matchers: Sequence[Matcher], *, starts_at_us: int | None, ends_at_us: int, comment: str | None
    ) -> Silence:
        """Another content for the same silence. Raises NotFound, Invalid."""
        now_us = self._clock.now_us()
        async with self._database.writing() as session:
            row = await _get(session, silence_id)
            before = _shown(row)
            starts_us = row.starts_at_us if starts_at_us is None else starts_at_us
            _check(matchers, starts_us, ends_at_us, now_us)
            row.matchers, row.comment = msgspec.json.encode(matchers).decode(), comment
            row.starts_at_us, row.ends_at_us, row.updated_at_us = starts_us, ends_at_us, now_us
            await self._tell(session, Action.UPDATE, row, before)
        return read_silence(row)

    async def end(self, silence_id: str) -> Silence:
        """It counts no longer; it stays to be seen. Raises NotFound."""
        now_us = self._clock.now_us()
        async with self._database.writing() as session:
            row = await _get(session, silence_id)
            before = _shown(row)
            row.ends_at_us = min(row.ends_at_us, now_us)
            row.starts_at_us = min(row.starts_at_us, row.ends_at_us)
            row.updated_at_us = now_us
            await self._tell(session, Action.DELETE, row, before)
        return read_silence(row)

    async def get(self, silence_id: str) -> Silence:
        """One by its id. Raises NotFound."""
        async with self._database.reading() as session:
            return read_silence(await _get(session, silence_id))

    async def list(self, *, on: bool | None = None, skip: int = 0, limit: int = 100) -> tuple[Sequence[Silence], int]:
        """A page, newest first, and how many there are: those that count now (or will), those that are over, or all."""
        now_us = self._clock.now_us()
        chosen = select(SilenceRow)
        if on is not None:
            chosen = chosen.where(SilenceRow.ends_at_us > now_us if on else SilenceRow.ends_at_us <= now_us)
        async with self._database.reading() as session:
            total = await session.scalar(select(func.count()).select_from(chosen.subquery()))
            rows = await session.scalars(chosen.order_by(SilenceRow.id.desc()).offset(skip).limit(limit))
            return [read_silence(row) for row in rows], total or 0

    async def _tell(self, session: AsyncSession, action: Action, row: SilenceRow, before: Mapping[str, Any]) -> None:
        changes = difference(before, _shown(row))
        if changes:
            await self._witness(session, Deed(action=action, entity_type="silence", entity_id=row.id, changes=changes))


async def list_on(session: AsyncSession, now_us: int) -> list[Silence]:
    """The silences that count now, the oldest first."""
    on = (SilenceRow.starts_at_us <= now_us) & (SilenceRow.ends_at_us > now_us)
    return [read_silence(row) for row in await session.scalars(select(SilenceRow).where(on).order_by(SilenceRow.id))]


def read_silence(row: SilenceRow) -> Silence:
    """A silence from its row."""
    return Silence(
        id=row.id,
        matchers=_MATCHERS.decode(row.matchers),
        starts_at_us=row.starts_at_us,
        ends_at_us=row.ends_at_us,
        comment=row.comment,
        created_by=row.created_by,
        created_at_us=row.created_at_us,
        updated_at_us=row.updated_at_us,
    )


def labels_of(
    *, rule_id: str, rule_name: str, level: str | None, tags: Sequence[str], key: Mapping[str, Any]
) -> dict[str, tuple[str, ...]]:
    """What matchers may ask of an alert."""
    fields = {name: (str(value),) for name, value in key.items() if value is not None}
    known = {"rule": (rule_name,), "rule_id": (rule_id,), "tag": tuple(tags)}
    return fields | known | ({"level": (level,)} if level else {})


def _shown(row: SilenceRow) -> dict[str, Any]:
    return {
        "matchers": msgspec.json.decode(row.matchers),
        "starts_at_us": row.starts_at_us,
        "ends_at_us": row.ends_at_us,
        "comment": row.comment,
    }


async def _get(session: AsyncSession, silence_id: str) -> SilenceRow:
    row = await session.get(SilenceRow, silence_id)
    if row is None:
        raise NotFound(f"there is no silence '{silence_id[:64]}'; GET /api/v1/silences lists them")
    return row


def _check(matchers: Sequence[Matcher], starts_at_us: int, ends_at_us: int, now_us: int) -> None:
    if not matchers:
        raise Invalid("a silence without a matcher would keep everything quiet; say what it is about", field="matchers")
    for matcher in matchers:
        if not _NAME.fullmatch(matcher.name):
            raise Invalid(f"'{matcher.name[:64]}' is no name of a label, such as rule, level or source", field="matchers")
    if ends_at_us <= starts_at_us:
        raise Invalid("the silence would end before it begins", field="ends_at")
    if ends_at_us <= now_us:
        raise Invalid("the silence would be over already", field="ends_at")
    if ends_at_us - starts_at_us > LONGEST_US:
        raise Invalid("a silence lasts a year at most; disable the rule instead", field="ends_at", longest="366d")
