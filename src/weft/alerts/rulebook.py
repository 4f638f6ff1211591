"""Rulebook: the rules as they are kept, each in its newest version, and the queries they need."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from weft.alerts.compile import Compiled, compile_rule, query_name
from weft.alerts.rule import Rule, RuleDefinition, read_definition
from weft.alerts.tables import RuleRow, RuleVersionRow
from weft.auth.witness import Action, Deed, Witness, difference, nobody
from weft.core.clock import Clock
from weft.core.errors import Conflict, Invalid, NotFound, Unavailable, WeftError
from weft.core.ids import new_id
from weft.db.database import Database
from weft.stream.catalogue import Catalogue
from weft.stream.query import Query

logger = structlog.get_logger(__name__)

BUILT_IN: Final = "built-in"
"""Who owns the rules that come with Weft."""
_OWNER: Final = "rule:"


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a rule: what it said, who wrote it and when."""

    version: int
    made_at_us: int
    made_by: str
    definition: dict[str, Any]


class Rulebook:
    """Rules and their queries. The rules are the truth; queries that do not fit them are put right by `reconcile`."""

    def __init__(self, database: Database, catalogue: Catalogue, clock: Clock, *, witness: Witness = nobody) -> None:
        self._witness = witness
        self._database = database
        self._catalogue = catalogue
        self._clock = clock

    async def create(
        self, definition: RuleDefinition, *, by: str, owner: str | None = None, rule_id: str | None = None
    ) -> Rule:
        """A new rule. Raises Invalid where it means nothing, Conflict where the name or the id is taken, TooLarge."""
        now_us = self._clock.now_us()
        rule_id = rule_id or new_id(now_us)
        compiled = compile_rule(definition, rule_id)
        row = RuleRow(id=rule_id, version=1, owner=owner or by, created_at_us=now_us)
        _write(row, definition, compiled, now_us)
        async with self._database.writing() as session:
            await _check_name(session, definition.name, None)
            if await session.get(RuleVersionRow, (rule_id, 1)) is not None:
                raise Conflict(f"there is, or was, a rule with the id {rule_id}; leave the id out to get a new one", id=rule_id)
            session.add(row)
            session.add(_version(row, by, now_us))
            await self._tell(session, Action.CREATE, rule_id, {}, definition.to_json())
        await self._ask(row, compiled)
        return read_rule(row)

    async def change(self, rule_id: str, definition: RuleDefinition, *, by: str) -> Rule:
        """Another content for a rule; the same content makes no new version. Raises NotFound, Invalid, Conflict."""
        now_us = self._clock.now_us()
        compiled = compile_rule(definition, rule_id)
        async with self._database.writing() as session:
            row = await _get(session, rule_id)
            before = msgspec.json.decode(row.definition)
            if before == definition.to_json():
                return read_rule(row)
            await _check_name(session, definition.name, rule_id)
            row.version += 1
            _write(row, definition, compiled, now_us)
            session.add(_version(row, by, now_us))
            await self._tell(session, Action.UPDATE, row.id, before, definition.to_json())
        await self._ask(row, compiled)
        return read_rule(row)

    async def remove(self, rule_id: str) -> None:
        """End a rule; what its alerts were stays to be seen. Raises NotFound, Conflict for one that comes with Weft."""
        async with self._database.writing() as session:
            row = await _get(session, rule_id)
            if row.owner == BUILT_IN:
                raise Conflict(f"the rule '{row.name}' comes with Weft; disable it instead of removing it", name=row.name)
            await session.delete(row)
            await self._tell(session, Action.DELETE, row.id, msgspec.json.decode(row.definition), {})
        await self._ask_no_more(query_name(rule_id))

    async def get(self, rule_id: str) -> Rule:
        """A rule by its id or its name. Raises NotFound."""
        async with self._database.reading() as session:
            return read_rule(await _get(session, rule_id))

    async def list(self, *, enabled: bool | None = None, skip: int = 0, limit: int | None = None) -> tuple[Sequence[Rule], int]:
        """A page of rules by name, and how many there are."""
        chosen = select(RuleRow)
        if enabled is not None:
            chosen = chosen.where(RuleRow.enabled == enabled)
        async with self._database.reading() as session:
            total = await session.scalar(select(func.count()).select_from(chosen.subquery()))
            rows = await session.scalars(chosen.order_by(RuleRow.name).offset(skip).limit(limit))
            return [read_rule(row) for row in rows], total or 0

    async def versions(self, rule_id: str) -> Sequence[Version]:
        """All versions, the newest first; also of a rule that is gone. Raises NotFound."""
        asked = select(RuleVersionRow).where(RuleVersionRow.rule_id == rule_id).order_by(RuleVersionRow.version.desc())
        async with self._database.reading() as session:
            rows = (await session.scalars(asked)).all()
        if not rows:
            raise _missing(rule_id)
        return [
            Version(
                version=row.version,
                made_at_us=row.made_at_us,
                made_by=row.made_by,
                definition=msgspec.json.decode(row.definition),
            )
            for row in rows
        ]

    async def mark(self) -> tuple[int, int]:
        """Something that is another whenever a rule was made, changed or removed."""
        async with self._database.reading() as session:
            found = await session.execute(select(func.count(), func.max(RuleRow.updated_at_us)).select_from(RuleRow))
            count, newest_us = found.one()
            return int(count), int(newest_us or 0)

    async def reconcile(self, rules: Sequence[Rule]) -> dict[str, int]:
        """Make the catalogue ask exactly what these rules need; returns the version of the query of each rule, by its id."""
        stored, _ = await self._catalogue.list()
        asked = {one.query.name: one for one in stored if one.owner.startswith(_OWNER)}
        versions: dict[str, int] = {}
        for rule in rules:
            wanted = _query_of(rule)
            if wanted is None:
                continue
            known = asked.pop(wanted.name, None)
            if known is not None and known.query == wanted:
                versions[rule.id] = known.version
            else:
                versions[rule.id] = await self._catalogue.put(wanted, _OWNER + rule.id)
        for name in asked:
            await self._ask_no_more(name)
        return versions

    async def _tell(
        self, session: AsyncSession, action: Action, rule_id: str, before: dict[str, Any], after: dict[str, Any]
    ) -> None:
        deed = Deed(action=action, entity_type="rule", entity_id=rule_id, changes=difference(before, after))
        await self._witness(session, deed)

    async def _ask(self, row: RuleRow, compiled: Compiled) -> None:
        if not row.enabled or compiled.query is None:
            await self._ask_no_more(query_name(row.id))
            return
        try:
            await self._catalogue.put(compiled.query, _OWNER + row.id)
        except Unavailable as away:  # the rule is kept; whoever judges asks again
            logger.warning("rule_query_delayed", rule=row.name, why=away.message)

    async def _ask_no_more(self, name: str) -> None:
        try:
            await self._catalogue.remove(name)
        except NotFound:
            return
        except Unavailable as away:
            logger.warning("rule_query_not_removed", query=name, why=away.message)


def _query_of(rule: Rule) -> Query | None:
    """What a rule asks of the stream; None where it is disabled, about findings, or means nothing to this Weft."""
    if not rule.definition.enabled:
        return None
    try:
        return compile_rule(rule.definition, rule.id).query
    except Invalid:
        return None


def read_rule(row: RuleRow) -> Rule:
    """A rule from its row."""
    return Rule(
        id=row.id,
        version=row.version,
        definition=read_definition(msgspec.json.decode(row.definition)),
        owner=row.owner,
        created_at_us=row.created_at_us,
        updated_at_us=row.updated_at_us,
    )


async def list_rules(session: AsyncSession) -> list[tuple[Rule, str]]:
    """Every rule with its meaning. A stored rule that this Weft cannot read is left out, and told."""
    found: list[tuple[Rule, str]] = []
    for row in await session.scalars(select(RuleRow).order_by(RuleRow.id)):
        try:
            found.append((read_rule(row), row.meaning))
        except WeftError as unreadable:
            logger.warning("rule_unreadable", rule=row.name, why=unreadable.message)
    return found


async def _get(session: AsyncSession, rule_id: str) -> RuleRow:
    row = await session.get(RuleRow, rule_id) or await session.scalar(select(RuleRow).where(RuleRow.name == rule_id))
    if row is None:
        raise _missing(rule_id)
    return row


async def _check_name(session: AsyncSession, name: str, rule_id: str | None) -> None:
    taken = await session.scalar(select(RuleRow.id).where(RuleRow.name == name))
    if taken is not None and taken != rule_id:
        raise Conflict(f"there is a rule '{name}' already; choose another name, or change that one", name=name, id=taken)


def _write(row: RuleRow, definition: RuleDefinition, compiled: Compiled, now_us: int) -> None:
    row.name, row.enabled = definition.name, definition.enabled
    row.definition = msgspec.json.encode(definition.to_json()).decode()
    row.meaning = compiled.meaning
    row.updated_at_us = max(now_us, (row.updated_at_us or 0) + 1)


def _version(row: RuleRow, by: str, now_us: int) -> RuleVersionRow:
    return RuleVersionRow(rule_id=row.id, version=row.version, definition=row.definition, made_by=by, made_at_us=now_us)


def _missing(rule_id: str) -> NotFound:
    return NotFound(f"there is no rule '{rule_id[:128]}'; GET /api/v1/rules lists them", rule_id=rule_id[:128])
