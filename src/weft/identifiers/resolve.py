"""Resolving: from a name, however it is written, to what it names."""

from typing import Final

import msgspec
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from weft.core.errors import NotFound
from weft.db.database import Database
from weft.identifiers.ark import has_valid_check, list_slips
from weft.identifiers.mint import with_first_version
from weft.identifiers.name import LABEL_OF, Name
from weft.identifiers.record import RESERVED, Record
from weft.identifiers.settings import IdentifiersSettings
from weft.identifiers.tables import IdentifierRow

_MOST_CANDIDATES: Final = 40
_SUGGESTED: Final = 3


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a name leads to. `suffix` is the part of it that was asked for and has no name of its own (`/page1`); `newer` the
    name of the next version, where there is one."""

    record: Record
    suffix: str
    newer: str | None


class Resolver:
    """Resolves names of this installation."""

    def __init__(self, database: Database, settings: IdentifiersSettings) -> None:
        self._database = database
        self._settings = settings

    async def resolve(self, name: Name) -> Found:
        """What the name, or the longest registered beginning of it, names; a tombstone too.

        Raises NotFound for what was never minted here, or is only reserved, and Unavailable where the database is away.
        """
        suffixes: dict[str, str] = {}
        for candidate, suffix in name.candidates():
            suffixes.setdefault(candidate, suffix)
            # Nobody mints upper case here, and whoever copies a name from paper may well have written it so.
            suffixes.setdefault(candidate.lower(), suffix)
            if len(suffixes) >= _MOST_CANDIDATES:
                suffixes.setdefault(name.base, "")
                break
        async with self._database.reading() as session:
            rows = {row.name: row for row in await session.scalars(_public(list(suffixes)))}
            chosen = next((candidate for candidate in suffixes if candidate in rows), None)
            if chosen is None:
                raise await self._unknown(session, name)
            row = rows[chosen]
            newer = None if row.successor_id is None else await session.get(IdentifierRow, row.successor_id)
            return Found(
                record=await with_first_version(session, row),
                suffix=suffixes[chosen],
                newer=None if newer is None or newer.state == RESERVED else newer.name,
            )

    async def _unknown(self, session: AsyncSession, name: Name) -> NotFound:
        """Why there is nothing: a slip of the pen is told from a name of somebody else and from one that never was."""
        label = LABEL_OF[name.scheme]
        bare = name.base.removeprefix(label).lower()
        if name.scheme != "ark" or bare.partition("/")[0] != self._settings.naan:
            elsewhere = {"ark": "https://n2t.net/", "doi": "https://doi.org/", "handle": "https://hdl.handle.net/"}
            asked = name.canonical if name.scheme == "ark" else name.canonical.removeprefix(label)
            return NotFound(f"{name.base} was not minted here", name=name.base, elsewhere=f"{elsewhere[name.scheme]}{asked}")
        if has_valid_check(bare):
            return NotFound(f"{name.base} was never minted", name=name.base)
        near = [f"{label}{slip}" for slip in list_slips(bare)]
        meant = sorted([row.name for row in await session.scalars(_public(near))])[:_SUGGESTED] if near else []
        return NotFound(
            f"{name.base} was never minted: its check character is wrong" + (f"; did you mean {meant[0]}?" if meant else ""),
            name=name.base,
            did_you_mean=meant,
        )


def _public(names: list[str]) -> Select[tuple[IdentifierRow]]:
    return select(IdentifierRow).where(IdentifierRow.name.in_(names), IdentifierRow.state != RESERVED)
