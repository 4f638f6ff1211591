"""What the verdict asks of alerts: are they judged, in time, and do people hear of them?"""

from typing import Final

from sqlalchemy import func, select

from weft.alerts.counts import Counts
from weft.alerts.tables import AlertRow, AnnouncementRow
from weft.core.clock import Clock
from weft.core.times import SECOND_US
from weft.core.verdict import Check, Finding, Level
from weft.db.database import Database

JUDGING: Final = "alerts.judging"
RULES: Final = "alerts.rules"
ANNOUNCING: Final = "alerts.announcing"
FIRING: Final = "alerts.firing"
_SILENT_S: Final = 30.0
_WAITING_S: Final = 30.0


def alert_checks(database: Database, counts: Counts, clock: Clock) -> dict[str, Check]:
    """The checks of this room, by code."""

    async def judging() -> Finding:
        return _judging(counts, clock.steady_s())

    async def rules() -> Finding:
        if not counts.rule_failures:
            return Finding(code=RULES, level=Level.FINE, why="Every enabled rule is judged.")
        name, why = next(iter(counts.rule_failures.items()))
        text = f"{len(counts.rule_failures)} rules cannot be judged, such as '{name}': {why}"
        return Finding(code=RULES, level=Level.ACT, why=text, parameters={"rules": len(counts.rule_failures)})

    async def announcing() -> Finding:
        asked = select(func.count(), func.min(AnnouncementRow.made_at_us)).select_from(AnnouncementRow)
        async with database.reading() as session:
            waiting, oldest_us = (await session.execute(asked)).one()
        waited_s = 0.0 if oldest_us is None else (clock.now_us() - oldest_us) / SECOND_US
        known = {"waiting": waiting, "waited_s": round(waited_s, 1)}
        if waited_s < _WAITING_S:
            return Finding(code=ANNOUNCING, level=Level.FINE, why="What happens to alerts stands in the log.", parameters=known)
        text = f"{waiting} changes of alerts have not come into the log for {waited_s:.0f} s, so nobody hears of them"
        return Finding(code=ANNOUNCING, level=Level.ACT, why=text, parameters=known)

    async def firing() -> Finding:
        waits = AlertRow.status.in_(("firing", "no_data", "error")) & AlertRow.acknowledged_at_us.is_(None)
        asked = select(func.count()).select_from(AlertRow).where(waits, AlertRow.silenced_by.is_(None))
        async with database.reading() as session:
            count = await session.scalar(asked.where(AlertRow.acknowledged_at_us.is_(None))) or 0
            critical = (
                await session.scalar(asked.where(AlertRow.level == "critical", AlertRow.acknowledged_at_us.is_(None))) or 0
            )
        known = {"firing": count, "critical": critical}
        if critical:
            return Finding(code=FIRING, level=Level.ACT, why=_firing(critical, "critical alert"), parameters=known)
        if count:
            return Finding(code=FIRING, level=Level.LOOK, why=_firing(count, "alert"), parameters=known)
        return Finding(code=FIRING, level=Level.FINE, why="No alert waits for anybody.", parameters=known)

    return {JUDGING: judging, RULES: rules, ANNOUNCING: announcing, FIRING: firing}


def _firing(count: int, what: str) -> str:
    if count == 1:
        return f"1 {what} is firing and nobody has acknowledged it; see weft alerts list"
    return f"{count} {what}s are firing and nobody has acknowledged them; see weft alerts list"


def _judging(counts: Counts, now_s: float) -> Finding:
    if counts.failure is not None:
        return Finding(code=JUDGING, level=Level.LOOK, why=f"Alerts are not judged at the moment: {counts.failure}")
    if not counts.is_judging:
        return Finding(code=JUDGING, level=Level.FINE, why="Another process judges alerts; this one stands by.")
    silent_s = 0.0 if counts.looked_s is None else now_s - counts.looked_s
    known = {"results": counts.results, "silent_s": round(silent_s, 1)}
    if silent_s >= _SILENT_S:
        text = f"Judging alerts has not come round for {silent_s:.0f} s; results arrive faster than they are judged"
        return Finding(code=JUDGING, level=Level.LOOK, why=text, parameters=known)
    return Finding(code=JUDGING, level=Level.FINE, why="Results are judged as they come.", parameters=known)
