"""Handling: what people do to alerts. It is written like everything else that happens to them, whoever judges meanwhile."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from weft.alerts.alert_state import AlertState, Step, Transition
from weft.alerts.compile import compile_rule
from weft.alerts.lifecycle import Life
from weft.alerts.phase import OPEN
from weft.alerts.record import Entry, Recorder, read_key, read_state
from weft.alerts.rulebook import read_rule
from weft.alerts.tables import AlertRow, RuleRow, StateRow, TransitionRow
from weft.core.clock import Clock
from weft.core.errors import Conflict, Invalid, NotFound
from weft.db.database import Database

_TRANSITION: Final = msgspec.json.Decoder(Transition)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which alerts. Empty tuples are all."""

    statuses: Sequence[str] = ()
    levels: Sequence[str] = ()
    rule_id: str | None = None
    fingerprint: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """What holds for their rows."""
        found: list[ColumnElement[bool]] = []
        if self.statuses:
            found.append(AlertRow.status.in_(self.statuses))
        if self.levels:
            found.append(AlertRow.level.in_(self.levels))
        if self.rule_id is not None:
            found.append(AlertRow.rule_id == self.rule_id)
        if self.fingerprint is not None:
            found.append(AlertRow.fingerprint == self.fingerprint)
        return found


class Alerts:
    """The alerts as they are shown, and what may be done to them. `changed` is called after a change is committed."""

    def __init__(self, database: Database, clock: Clock, *, changed: Callable[[], None]) -> None:
        self._database = database
        self._clock = clock
        self._changed = changed

    async def list(self, wanted: Wanted, *, skip: int = 0, limit: int = 100) -> tuple[Sequence[AlertRow], int]:
        """A page, those that began last first, and how many there are."""
        conditions = wanted.conditions()
        in_order = select(AlertRow).where(*conditions).order_by(AlertRow.started_at_us.desc(), AlertRow.id)
        async with self._database.reading() as session:
            total = await session.scalar(select(func.count()).select_from(AlertRow).where(*conditions))
            return (await session.scalars(in_order.offset(skip).limit(limit))).all(), total or 0

    async def get(self, alert_id: str) -> AlertRow:
        """One by its id. Raises NotFound."""
        async with self._database.reading() as session:
            return await _get(session, alert_id)

    async def history(self, alert_id: str) -> Sequence[Transition]:
        """Everything that happened to it, the oldest first. Raises NotFound."""
        asked = select(TransitionRow.transition).where(TransitionRow.alert_id == alert_id).order_by(TransitionRow.number)
        async with self._database.reading() as session:
            await _get(session, alert_id)
            return [_TRANSITION.decode(text) for text in await session.scalars(asked)]

    async def acknowledge(self, alert_id: str, *, by: str, until_us: int | None = None, comment: str | None = None) -> AlertRow:
        """Somebody takes it on. Raises NotFound, Conflict where it is over, Invalid for an end that has passed."""
        now_us = self._clock.now_us()
        if until_us is not None and until_us <= now_us:
            raise Invalid("the acknowledgement would have ended already", field="until")

        def step(life: Life, state: AlertState) -> Step:
            return life.acknowledge(state, now_us, by=by, until_us=until_us, comment=comment)

        return await self._act(alert_id, step, now_us)

    async def resolve(self, alert_id: str, *, by: str, comment: str | None = None) -> AlertRow:
        """Somebody says that it is over. Raises NotFound, Conflict where it was over before."""
        now_us = self._clock.now_us()

        def step(life: Life, state: AlertState) -> Step:
            return life.resolve(state, now_us, by=by, reason=comment)

        return await self._act(alert_id, step, now_us)

    async def _act(self, alert_id: str, act: Callable[[Life, AlertState], Step], now_us: int) -> AlertRow:
        async with self._database.writing() as session:
            alert = await _get(session, alert_id)
            row = await session.scalar(select(StateRow).where(StateRow.fingerprint == alert.fingerprint).with_for_update())
            await session.refresh(alert)
            rule = await session.get(RuleRow, alert.rule_id)
            if alert.status not in OPEN or row is None or rule is None:
                raise Conflict(
                    f"this alert is over ({alert.status}); there is nothing left to do about it", status=alert.status
                )
            kept = read_rule(rule)
            entry = Entry(kept, row.meaning, row.fingerprint, read_key(row.key), row, read_state(row))
            recorder = Recorder(session, now_us)
            life = compile_rule(kept.definition, kept.id).life(entry.key)
            await recorder.take(entry, act(life, entry.state), None)
            await recorder.write()
        self._changed()
        return alert


async def _get(session: AsyncSession, alert_id: str) -> AlertRow:
    row = await session.get(AlertRow, alert_id)
    if row is None:
        raise NotFound(f"there is no alert '{alert_id[:64]}'; GET /api/v1/alerts lists them", alert_id=alert_id[:64])
    return row
