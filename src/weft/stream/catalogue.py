"""Catalogue: the queries that are to be answered, each in its newest version, and all versions there ever were.

The database is the truth. After each change an event in the topic `weft.queries` wakes whoever computes; whoever missed it
finds out at its next look.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from weft.auth.witness import Action, Deed, Witness, difference, nobody
from weft.core.batch import Batch
from weft.core.clock import Clock
from weft.core.errors import Busy, Conflict, NotFound, TooLarge, Unavailable
from weft.core.event import EventRow
from weft.core.repeat import repeat_keys
from weft.db.database import Database
from weft.log.port import Log
from weft.stream.query import Query, read_query
from weft.stream.tables import QueryRow, QueryVersionRow

logger = logging.getLogger(__name__)

CHANGES: Final = "weft.queries"
"""The topic of changes."""
BUILT_IN: Final = "built-in"
"""Who owns the queries that come with Weft."""
_SOURCE: Final = "weft/queries"
_PUT: Final = "weft.query.put"
_REMOVED: Final = "weft.query.removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredQuery:
    """A query as the catalogue has it. `owner` is `user:<id>`, `rule:<id>` or `built-in`."""

    query: Query
    version: int
    owner: str
    made_by: str
    created_at_us: int
    changed_at_us: int


class Catalogue:
    """Stores queries. Two processes that change one query at a time are told apart by the database."""

    def __init__(self, database: Database, log: Log, clock: Clock, *, limit: int = 10_000, witness: Witness = nobody) -> None:
        self._witness = witness
        self._database = database
        self._log = log
        self._clock = clock
        self._limit = limit

    async def put(self, query: Query, owner: str, *, made_by: str = "", only_new: bool = False) -> int:
        """Store a query under its name; returns its version.

        A new version is made where it asks for something else than the one there; a new description is written to the old one.
        Raises Conflict where the name belongs to an owner of another kind, or is taken and `only_new` says that it must not
        be; TooLarge where there are too many queries already.
        """
        now_us = self._clock.now_us()
        async with self._database.writing() as session:
            row = await session.scalar(select(QueryRow).where(QueryRow.name == query.name).with_for_update())
            before: dict[str, Any] = {}
            if row is None:
                row = QueryRow(name=query.name, owner=owner, topic=query.topic, version=0, created_at_us=now_us)
            elif row.removed_at_us is None:
                _check_owner(row, owner, only_new=only_new)
                newest = await session.get_one(QueryVersionRow, (row.name, row.version))
                before = msgspec.json.decode(newest.definition)
                if _asks_the_same(newest, query):
                    newest.definition = _encoded(query)
                    await self._record(session, row, before, query.written())
                    return row.version
            await self._check_room(session, row)
            if row.removed_at_us is not None:
                row.owner, row.removed_at_us, row.created_at_us = owner, None, now_us
            row.version, row.topic, row.changed_at_us = row.version + 1, query.topic, now_us
            session.add(row)
            await session.flush()
            session.add(
                QueryVersionRow(
                    name=row.name, version=row.version, definition=_encoded(query), made_by=made_by or owner, made_at_us=now_us
                )
            )
            version = row.version
            await self._record(session, row, before, query.written())
        await self._tell(_PUT, query.name, version, owner, query.written())
        return version

    async def remove(self, name: str, *, owner: str | None = None) -> None:
        """Answer a query no more. Raises NotFound, and Conflict where it belongs to an owner of another kind than `owner`."""
        async with self._database.writing() as session:
            row = await session.scalar(select(QueryRow).where(QueryRow.name == name).with_for_update())
            if row is None or row.removed_at_us is not None:
                raise _missing(name)
            if owner is not None:
                _check_owner(row, owner, only_new=False)
            row.removed_at_us = row.changed_at_us = self._clock.now_us()
            version, was_of = row.version, row.owner
            newest = await session.get_one(QueryVersionRow, (row.name, row.version))
            await self._record(session, row, msgspec.json.decode(newest.definition), {})
        await self._tell(_REMOVED, name, version, was_of, None)

    async def get(self, name: str) -> StoredQuery:
        """The newest version of a query. Raises NotFound."""
        found, _ = await self._select(QueryRow.name == name)
        if not found:
            raise _missing(name)
        return found[0]

    async def list(
        self, *, owner: str | None = None, topic: str | None = None, skip: int = 0, limit: int | None = None
    ) -> tuple[Sequence[StoredQuery], int]:
        """A page of queries by name, and how many there are: of one owner, over one topic, or all."""
        conditions: list[ColumnElement[bool]] = []
        if owner is not None:
            conditions.append(QueryRow.owner == owner)
        if topic is not None:
            conditions.append(QueryRow.topic == topic)
        return await self._select(*conditions, skip=skip, limit=limit)

    async def topics(self) -> Sequence[str]:
        """The topics that some query reads."""
        alive = select(QueryRow.topic).where(QueryRow.removed_at_us.is_(None)).distinct().order_by(QueryRow.topic)
        async with self._database.reading() as session:
            return (await session.scalars(alive)).all()

    async def versions(self, name: str) -> Sequence[tuple[int, int, str, dict[str, Any]]]:
        """Version, when it was made, by whom, and the definition, newest first. Raises NotFound."""
        asked = select(QueryVersionRow).where(QueryVersionRow.name == name).order_by(QueryVersionRow.version.desc())
        async with self._database.reading() as session:
            rows = (await session.scalars(asked)).all()
        if not rows:
            raise _missing(name)
        return [(row.version, row.made_at_us, row.made_by, msgspec.json.decode(row.definition)) for row in rows]

    async def _select(
        self, *conditions: ColumnElement[bool], skip: int = 0, limit: int | None = None
    ) -> tuple[Sequence[StoredQuery], int]:
        alive = (QueryRow.removed_at_us.is_(None), *conditions)
        newest = (QueryVersionRow.name == QueryRow.name) & (QueryVersionRow.version == QueryRow.version)
        page = select(QueryRow, QueryVersionRow).join(QueryVersionRow, newest).where(*alive).order_by(QueryRow.name)
        async with self._database.reading() as session:
            rows = (await session.execute(page.offset(skip).limit(limit))).all()
            total = await session.scalar(select(func.count()).select_from(QueryRow).where(*alive))
        return [_stored(row, version) for row, version in rows], total or 0

    async def _record(self, session: AsyncSession, row: QueryRow, before: dict[str, Any], after: dict[str, Any]) -> None:
        """Queries of rules and of Weft follow from what is written down elsewhere."""
        changes = difference(before, after)
        if not changes or _kind(row.owner) != "user":
            return
        action = Action.CREATE if not before else Action.UPDATE if after else Action.DELETE
        await self._witness(session, Deed(action=action, entity_type="query", entity_id=row.name, changes=changes))

    async def _check_room(self, session: AsyncSession, row: QueryRow) -> None:
        alive = select(func.count()).select_from(QueryRow).where(QueryRow.removed_at_us.is_(None), QueryRow.name != row.name)
        if (await session.scalar(alive) or 0) >= self._limit:
            raise TooLarge(f"there are {self._limit} queries already (stream.query_limit); remove some", limit=self._limit)

    async def _tell(self, kind: str, name: str, version: int, owner: str, definition: dict[str, Any] | None) -> None:
        event_id = f"{name}|{version}|{kind}"
        data = {"name": name, "version": version, "owner": owner, "definition": definition}
        row = EventRow(type=kind, source=_SOURCE, id=event_id, subject=name, data=msgspec.Raw(msgspec.json.encode(data)))
        now_us = self._clock.now_us()
        batch = Batch(
            topic=CHANGES,
            rows=msgspec.json.encode(row),
            ids=[event_id],
            times_us=np.array([now_us], dtype=np.int64),
            received_at_us=now_us,
            repeat_keys=repeat_keys([_SOURCE], [event_id]),
        )
        try:
            await self._log.append(batch)
        except (Unavailable, Busy) as away:  # it is stored; who computes finds it at the next look
            logger.warning("query_change_not_told", extra={"query": name, "why": away.message})


def _check_owner(row: QueryRow, owner: str, *, only_new: bool) -> None:
    if only_new:
        raise Conflict(f"there is a query '{row.name}' already; choose another name, or replace it with PUT", name=row.name)
    if row.owner != owner and (_kind(row.owner) != "user" or _kind(owner) != "user"):
        belongs = "comes with Weft (stream.built_in_queries)" if row.owner == BUILT_IN else f"belongs to {row.owner}"
        raise Conflict(f"the query '{row.name}' {belongs} and is not changed here", name=row.name, owner=row.owner)


def _kind(owner: str) -> str:
    return owner.partition(":")[0]


def _asks_the_same(newest: QueryVersionRow, query: Query) -> bool:
    known = read_query(msgspec.json.decode(newest.definition))
    return msgspec.structs.replace(known, description=query.description) == query


def _encoded(query: Query) -> str:
    return msgspec.json.encode(query.written()).decode()


def _stored(row: QueryRow, version: QueryVersionRow) -> StoredQuery:
    return StoredQuery(
        query=read_query(msgspec.json.decode(version.definition)),
        version=row.version,
        owner=row.owner,
        made_by=version.made_by,
        created_at_us=row.created_at_us,
        changed_at_us=row.changed_at_us,
    )


def _missing(name: str) -> NotFound:
    return NotFound(f"there is no query '{name[:128]}'; GET /api/v1/queries lists them", name=name[:128])
