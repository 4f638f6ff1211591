"""Minting: a name for a thing, bound to it in the transaction that makes the thing known, so that neither is there alone."""

import re
from typing import Any, Final

import msgspec
from sqlalchemy import or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from weft.core.clock import Clock
from weft.core.errors import Conflict, Invalid, NotFound, Unavailable, Unsupported
from weft.core.ids import new_id
from weft.identifiers.ark import make_checked
from weft.identifiers.description import Description, check_fit_for_doi
from weft.identifiers.name import LABEL_OF, Scheme
from weft.identifiers.record import PUBLIC, RESERVED, TOMBSTONE, Record, read_row
from weft.identifiers.registrations import ask_for
from weft.identifiers.settings import IdentifiersSettings
from weft.identifiers.tables import IdentifierRow

MAX_REASON_CHARS: Final = 1000

_KIND: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
_MAX_TARGET_CHARS: Final = 255
_TRIES: Final = 20
"""So many taken names in a row mean that a shoulder is used up, not bad luck."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to get a name. `target_kind` and `target_id` say what it is in the words of the room that asks; `version_of` is
    the name of what this is a later version of."""

    target_kind: str
    target_id: str
    description: Description
    scheme: Scheme | None = None
    is_public: bool = True
    version_of: str | None = None


class Minter:
    """Mints names and changes what they say. All of it happens in the session handed in and ends with its transaction."""

    def __init__(self, settings: IdentifiersSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock

    async def mint(self, session: AsyncSession, wanted: Wanted) -> Record:
        """A name for a target; the one it has already, where it has one of this scheme.

        Raises Invalid for a target or a description that cannot be kept, NotFound for an unknown `version_of`, Unsupported for
        a scheme that is not set up, Unavailable where no free name was found.
        """
        first = None if wanted.version_of is None else await _first_version(session, wanted.version_of)
        scheme = read_row(first).scheme if first is not None else wanted.scheme or self._settings.default_scheme
        prefix = self._prefix_of(scheme)
        self._check(wanted, scheme)
        for _ in range(_TRIES):
            known = await _find_target(session, scheme, wanted)
            if known is not None:
                return await with_first_version(session, known)
            newest = None if first is None else await _newest_version(session, first)
            row = self._new_row(scheme, prefix, wanted, newest=newest)
            if await _insert(session, row):
                if newest is not None:
                    newest.successor_id = row["id"]
                return await self._changed(session, await get_row(session, row["id"]))
        raise Unavailable(f"no free name was found below {prefix}/{self._settings.shoulder}; choose another shoulder")

    async def publish(self, session: AsyncSession, key: str) -> Record:
        """Make a reserved identifier public; a public one stays so. Raises NotFound, Invalid, Conflict for a tombstone."""
        row = await get_row(session, key, to_change=True)
        self._check_changeable(row)
        if row.state == PUBLIC:
            return await with_first_version(session, row)
        if row.scheme == "doi":
            check_fit_for_doi(read_row(row).description, self._settings.doi.publisher)
        row.state = PUBLIC
        return await self._changed(session, row)

    async def describe(self, session: AsyncSession, key: str, description: Description) -> Record:
        """Say something else about the same target. Raises NotFound, Invalid, Conflict for a tombstone."""
        row = await get_row(session, key, to_change=True)
        self._check_changeable(row)
        if row.scheme == "doi" and row.state == PUBLIC:
            check_fit_for_doi(description, self._settings.doi.publisher)
        row.described = description.model_dump_json()
        return await self._changed(session, row)

    async def withdraw(self, session: AsyncSession, key: str, reason: str) -> Record:
        """Make it a tombstone, which says why for ever. Doing it again changes nothing. Raises NotFound, Invalid."""
        reason = " ".join(reason.split())
        if not reason or len(reason) > MAX_REASON_CHARS:
            raise Invalid(f"say in 1 to {MAX_REASON_CHARS} characters why it is withdrawn", field="reason")
        row = await get_row(session, key, to_change=True)
        if row.state == TOMBSTONE:
            return await with_first_version(session, row)
        row.state, row.reason = TOMBSTONE, reason
        return await self._changed(session, row)

    async def _changed(self, session: AsyncSession, row: IdentifierRow) -> Record:
        row.revision += 1
        row.changed_at_us = self._clock.now_us()
        await session.flush()
        if row.scheme != "ark":  # an ARK is registered where it is resolved: in this very table
            await ask_for(session, row, now_us=row.changed_at_us)
        return await with_first_version(session, row)

    def _prefix_of(self, scheme: Scheme) -> str:
        prefixes = {"ark": self._settings.naan, "doi": self._settings.doi.prefix, "handle": self._settings.handle.prefix}
        prefix = prefixes[scheme]
        if prefix is None:
            raise Unsupported(f"no {LABEL_OF[scheme]} names are made here; set identifiers.{scheme}.prefix", scheme=scheme)
        return prefix.lower()

    def _check(self, wanted: Wanted, scheme: Scheme) -> None:
        if not _KIND.fullmatch(wanted.target_kind):
            raise Invalid("target_kind is a word of small letters, digits and dashes, such as file", field="target_kind")
        if not 0 < len(wanted.target_id) <= _MAX_TARGET_CHARS or not wanted.target_id.isprintable():
            raise Invalid(f"target_id has 1 to {_MAX_TARGET_CHARS} printable characters", field="target_id")
        if scheme == "doi" and wanted.is_public:
            check_fit_for_doi(wanted.description, self._settings.doi.publisher)

    def _check_changeable(self, row: IdentifierRow) -> None:
        if row.state == TOMBSTONE:
            raise Conflict(f"{row.name} was withdrawn, and stays so: {row.reason}", name=row.name)

    def _new_row(self, scheme: Scheme, prefix: str, wanted: Wanted, *, newest: IdentifierRow | None) -> dict[str, Any]:
        now_us = self._clock.now_us()
        bare = make_checked(prefix, self._settings.shoulder, self._settings.blade_chars)
        name, version, first_id = f"{LABEL_OF[scheme]}{bare}", 1, None
        if newest is not None:
            first_name = newest.name if newest.version == 1 else newest.name.rpartition(".v")[0]
            version, first_id = newest.version + 1, newest.version_of_id or newest.id
            name = f"{first_name}.v{version}"
        return {
            "id": new_id(now_us),
            "scheme": scheme,
            "name": name,
            "target_kind": wanted.target_kind,
            "target_id": wanted.target_id,
            "described": wanted.description.model_dump_json(),
            "state": PUBLIC if wanted.is_public else RESERVED,
            "version": version,
            "version_of_id": first_id,
            "revision": 0,
            "created_at_us": now_us,
            "changed_at_us": now_us,
        }


async def get_row(session: AsyncSession, key: str, *, to_change: bool = False) -> IdentifierRow:
    """The row of an id or of a canonical name; one that is to be changed is locked until the transaction ends. Raises
    NotFound."""
    named = select(IdentifierRow).where(or_(IdentifierRow.id == key, IdentifierRow.name == key))
    row = (await session.scalars(named.with_for_update() if to_change else named)).one_or_none()
    if row is None:
        raise NotFound(f"there is no identifier '{key[:80]}'", id=key[:80])
    return row


async def with_first_version(session: AsyncSession, row: IdentifierRow) -> Record:
    """The record of a row, with the name of the first version where it is a later one."""
    first = None if row.version_of_id is None else await session.get(IdentifierRow, row.version_of_id)
    return read_row(row, version_of=None if first is None else first.name)


async def _find_target(session: AsyncSession, scheme: Scheme, wanted: Wanted) -> IdentifierRow | None:
    same = (IdentifierRow.target_kind == wanted.target_kind) & (IdentifierRow.target_id == wanted.target_id)
    return (await session.scalars(select(IdentifierRow).where(IdentifierRow.scheme == scheme, same))).one_or_none()


async def _first_version(session: AsyncSession, key: str) -> IdentifierRow:
    row = await get_row(session, key, to_change=True)
    return row if row.version_of_id is None else await get_row(session, row.version_of_id, to_change=True)


async def _newest_version(session: AsyncSession, first: IdentifierRow) -> IdentifierRow:
    later = select(IdentifierRow).where(IdentifierRow.version_of_id == first.id)
    return (await session.scalars(later.order_by(IdentifierRow.version.desc()).limit(1))).one_or_none() or first


async def _insert(session: AsyncSession, row: dict[str, Any]) -> bool:
    """Whether the row is there now; not where its name, or its target, was taken in the meantime."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = insert(IdentifierRow).values(row).on_conflict_do_nothing().returning(IdentifierRow.id)
    return (await session.execute(statement)).first() is not None
