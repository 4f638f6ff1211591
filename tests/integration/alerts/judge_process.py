"""A process that judges until it is killed. Preloaded and forked, so that a round costs no imports."""

import asyncio

from weft.alerts.counts import Counts
from weft.alerts.judge import Judge
from weft.alerts.rulebook import Rulebook
from weft.alerts.settings import AlertsSettings
from weft.alerts.tenure import Bench
from weft.core.clock import SystemClock
from weft.core.verdict import CheckRegister
from weft.db.database import Database
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.stream.catalogue import Catalogue

FOR_EVER_S = 1e9


def judge_until_killed(log_url: str, database_url: str) -> None:
    """What the forked process does."""
    asyncio.run(_judge(log_url, database_url))


async def _judge(log_url: str, database_url: str) -> None:
    clock, database = SystemClock(), Database(database_url)
    async with SqliteLog(log_url, settings=LogSettings(), clock=clock) as log:
        bench = Bench(
            database=database,
            log=log,
            rulebook=Rulebook(database, Catalogue(database, log, clock), clock),
            clock=clock,
            # The results come from the test, for windows of months ago over a topic without events: by the clock that topic has
            # been silent ever since, and what fires would resolve once everything is judged.
            settings=AlertsSettings(
                built_in_rules=False, look_interval_s=0.05, flaps=1_000, flap_window_s=0.1, no_topic_s=FOR_EVER_S
            ),
            counts=Counts(),
            intended=lambda: None,
        )
        await Judge(bench, CheckRegister()).run(lambda: None)
