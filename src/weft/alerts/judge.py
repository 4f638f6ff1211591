"""The judge: the worker that turns results into alerts. Of all processes that could, the one with the lease does.

Everything that follows from a result is one transaction, fenced by the lease: how the alert stands, what happened to it, whom
to tell, the event for the log, and how far is judged. Killed at any moment it, or another process, goes on from there.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from sqlalchemy import select

from weft.alerts.absence import Absences, save_watched
from weft.alerts.announce import Announcer
from weft.alerts.built_in import settle_built_in
from weft.alerts.forget import forget
from weft.alerts.heartbeat import Heartbeat
from weft.alerts.inbox import Inbox
from weft.alerts.mute import load_mutes
from weft.alerts.self_watch import SelfWatch
from weft.alerts.tables import StateRow
from weft.alerts.tenure import GROUP, Bench, Tenure
from weft.core.errors import Busy, Unavailable
from weft.core.verdict import CheckRegister
from weft.db.lease import Lease

logger = structlog.get_logger(__name__)

LEASE: Final = "alerts"
_SAVE_EVERY_S: Final = 5.0
_FORGET_EVERY_S: Final = 3600.0
_AFTER_TROUBLE_S: Final = 0.5


class Judge:
    """Judges whenever it is ours to do. `wake` makes it look at once for what somebody changed."""

    name = "alerts-judge"

    def __init__(self, bench: Bench, checks: CheckRegister) -> None:
        settings, clock = bench.settings, bench.clock
        self._bench = bench
        self._lease = Lease(bench.database, LEASE, clock=clock, ttl_s=settings.lease_s)
        self._announcer = Announcer(bench.database, bench.log, clock)
        self._absences = Absences(bench.database, bench.log, clock, no_topic_s=settings.no_topic_s)
        self._watch = SelfWatch(checks, clock, interval_s=settings.findings_interval_s)
        self._heartbeat = Heartbeat(settings)
        self._came = asyncio.Event()
        self._is_asked = self._is_untold = False
        self._muted: tuple[object, ...] | None = None
        self._is_settled = False
        self._saved_s = self._forgot_s = float("-inf")

    def wake(self) -> None:
        """Somebody changed something just now."""
        self._is_asked = True
        self._came.set()

    async def run(self, started: Callable[[], None]) -> None:
        """Judge until cancelled."""
        started()
        while True:
            await self._lease.hold(self._hold)
            self._bench.counts.is_judging = False

    async def _hold(self) -> None:
        """One tenure, through whatever troubles of log and database."""
        while True:
            try:
                await self._judge(Tenure(self._bench, self._lease))
            except (Unavailable, Busy) as away:
                self._bench.counts.failure = away.message
                logger.warning("judging_delayed", why=away.message)
                await asyncio.sleep(_AFTER_TROUBLE_S)

    async def _judge(self, tenure: Tenure) -> None:
        if self._bench.settings.built_in_rules and not self._is_settled:
            await settle_built_in(self._bench.rulebook, channels=self._bench.settings.built_in_channels)
            self._is_settled = True
        self._absences.forget()
        self._muted = None
        await tenure.begin()
        await tenure.reload()
        self._bench.counts.is_judging, self._bench.counts.failure = True, None
        while True:
            async with Inbox(self._bench.log, GROUP, tenure.rules.topics, dict(tenure.positions), self._came) as inbox:
                await self._follow(tenure, inbox)

    async def _follow(self, tenure: Tenure, inbox: Inbox) -> None:
        """Judge what comes, and look from time to time, until other topics have to be followed."""
        look_at_s = self._bench.clock.steady_s()
        while True:
            self._came.clear()
            await self._take(tenure, inbox)
            if self._is_untold and inbox.is_empty:
                await self._tell(tenure)
            now_s = self._bench.clock.steady_s()
            if self._is_asked or now_s >= look_at_s:
                self._is_asked = False
                look_at_s = now_s + self._bench.settings.look_interval_s
                if await tenure.reload():
                    return
                await self.look(tenure, inbox)
            if inbox.is_empty and not (self._is_asked or self._is_untold):
                await self._wait(look_at_s)

    async def look(self, tenure: Tenure, inbox: Inbox | None = None) -> None:
        """Everything that no result brings: time, silences, absence, Weft's own findings. A result that comes meanwhile waits
        for one step of it, not for all."""
        self._bench.counts.looked_s = self._bench.clock.steady_s()
        for step in (self._pass_time, self._miss, self._watch_weft, self._tell, self._save):
            if inbox is not None:
                await self._take(tenure, inbox)
            if step != self._miss or inbox is None or inbox.is_empty:  # while results wait, nothing is missing
                await step(tenure)

    async def _take(self, tenure: Tenure, inbox: Inbox) -> None:
        """Judge what waits. What follows for the log is told once nothing waits any more: people hear of it first."""
        if batches := inbox.take():
            await tenure.take(batches)
            self._is_untold = True

    async def _miss(self, tenure: Tenure) -> None:
        """Judge windows in which nothing came."""
        questions, watched = await self._absences.look(tenure.rules, tenure.positions)
        if questions or watched:
            async with tenure.transaction() as judging:
                await judging.judge(questions)
                await save_watched(judging.session, watched)
            self._bench.counts.gaps += len(questions)

    async def _watch_weft(self, tenure: Tenure) -> None:
        if findings := await self._watch.questions(tenure.rules):
            async with tenure.transaction() as judging:
                await judging.judge(findings)

    async def _tell(self, _: Tenure) -> None:
        await self._announcer.tell()
        self._is_untold = False

    async def _save(self, tenure: Tenure) -> None:
        now_s = self._bench.clock.steady_s()
        if now_s - self._saved_s >= _SAVE_EVERY_S:
            self._saved_s = now_s
            await tenure.save()

    async def _pass_time(self, tenure: Tenure) -> None:
        """What is due, and what silences and other alerts keep quiet now; written only where there is something."""
        bench = self._bench
        now_us, now_s = bench.clock.now_us(), bench.clock.steady_s()
        async with bench.database.reading() as session:
            is_due = await session.scalar(select(StateRow.fingerprint).where(StateRow.due_us <= now_us).limit(1)) is not None
            mark = (await load_mutes(session, tenure.rules, now_us)).mark
        is_old = now_s - self._forgot_s >= _FORGET_EVERY_S
        if not (is_due or is_old or mark != self._muted or self._heartbeat.is_due(now_us)):
            return
        async with tenure.transaction() as judging:
            while await judging.look():
                await judging.session.flush()
            if mark != self._muted:
                await judging.mute()
            await self._heartbeat.beat(judging.session, now_us)
            if is_old:
                await forget(judging.session, now_us, keep_days=bench.settings.keep_days)
                self._forgot_s = now_s
        self._muted = mark
        self._heartbeat.note(now_us)

    async def _wait(self, look_at_s: float) -> None:
        try:
            async with asyncio.timeout(max(look_at_s - self._bench.clock.steady_s(), 0)):
                await self._came.wait()
        except TimeoutError:
            return
