"""What the verdict asks of the database."""

from weft.core.clock import Clock
from weft.core.errors import Unavailable
from weft.core.verdict import Check, Finding, Level
from weft.db.database import Database
from weft.db.migrate import find_revision, newest_revision

_SLOW_S = 1.0


def database_checks(database: Database, clock: Clock) -> dict[str, Check]:
    """The checks of the database, by code."""

    async def answers() -> Finding:
        started_s = clock.steady_s()
        try:
            revision = await find_revision(database)
        except Unavailable as away:
            return Finding(code="db.answers", level=Level.ACT, why=f"Nobody can sign in: {away.message}.")
        took_s = clock.steady_s() - started_s
        known = {"took_s": round(took_s, 3), "revision": revision, "newest": newest_revision()}
        if revision != known["newest"]:
            why = f"The database has the schema {revision}, this Weft needs {known['newest']}; restart it."
            return Finding(code="db.answers", level=Level.ACT, why=why, parameters=known)
        if took_s > _SLOW_S:
            why = f"The database took {took_s:.1f} s for a small question."
            return Finding(code="db.answers", level=Level.LOOK, why=why, parameters=known)
        return Finding(code="db.answers", level=Level.FINE, why="The database answers.", parameters=known)

    return {"db.answers": answers}
