"""The registrar: the worker that tells agencies what they have to know, until they know it or have refused."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from weft.core.clock import Clock
from weft.core.errors import Busy, Refused, Unavailable
from weft.core.times import SECOND_US
from weft.db.database import Database
from weft.db.lease import Lease
from weft.identifiers.mint import with_first_version
from weft.identifiers.name import Scheme
from weft.identifiers.port import Agency
from weft.identifiers.record import RESERVED, TOMBSTONE, Record
from weft.identifiers.registrations import Outcome, find_next_us, list_due, record_try
from weft.identifiers.settings import IdentifiersSettings
from weft.identifiers.tables import IdentifierRow, RegistrationRow

logger = structlog.get_logger(__name__)

LEASE: Final = "identifiers"

_LOOKED_AT: Final = 50
_SLOW_LOOK_S: Final = 5.0
"""Longest time between two looks at the queue: what was minted just now waits at most this long."""
_AFTER_TROUBLE_S: Final = 1.0
_MOST_DOUBLINGS: Final = 20
_JITTER: Final = 0.2
_SAID_CHARS: Final = 500


class Registrar:
    """Of all processes that could, the one with the lease registers. Killed at any moment, it or another goes on: what an
    agency knows but nobody wrote down is told again, under the same name, and changes nothing there."""

    def __init__(
        self,
        database: Database,
        agencies: Mapping[Scheme, Agency],
        *,
        settings: IdentifiersSettings,
        clock: Clock,
        lease: Lease | None = None,
    ) -> None:
        self._database = database
        self._agencies = {scheme: agency for scheme, agency in agencies.items() if not agency.is_local}
        self._settings = settings
        self._clock = clock
        self._lease = lease or Lease(database, LEASE, clock=clock)
        self._failures: Counter[str] = Counter()
        self._resting_until_us: dict[str, int] = {}
        self.tries: Counter[tuple[str, str]] = Counter()
        """How many tries at each agency ended how."""

    @property
    def name(self) -> str:
        """Stable name for logs and the verdict."""
        return "identifier-registrar"

    async def run(self, started: Callable[[], None]) -> None:
        """Register whenever it is ours to do, until cancelled."""
        started()
        if not self._agencies:  # ARKs alone: there is nobody to be told
            await asyncio.Event().wait()
        while True:
            await self._lease.hold(self._register)

    async def settle(self) -> None:
        """Do everything that can be done at this moment, as the holder of the lease. Raises Conflict, Unavailable."""
        if self._lease.epoch is None:
            await self._lease.acquire()
        while await self._look():
            pass

    async def _register(self) -> None:
        while True:
            try:
                while await self._look():
                    pass
                pause_s = await self._pause_s()
            except (Unavailable, Busy) as away:
                logger.warning("registrations_delayed", reason=away.message)
                pause_s = _AFTER_TROUBLE_S
            await asyncio.sleep(pause_s)

    def _awake(self) -> list[str]:
        """The agencies that were not away just now."""
        now_us = self._clock.now_us()
        return [scheme for scheme in self._agencies if self._resting_until_us.get(scheme, 0) <= now_us]

    async def _pause_s(self) -> float:
        """How long there is nothing to do (seconds)."""
        async with self._database.reading() as session:
            next_us = await find_next_us(session, self._awake())
        if next_us is None:
            return _SLOW_LOOK_S
        return min(max((next_us - self._clock.now_us()) / SECOND_US, 0.05), _SLOW_LOOK_S)

    async def _look(self) -> bool:
        """Try what is due; whether anything was."""
        async with self._database.reading() as session:
            due = await list_due(session, self._awake(), now_us=self._clock.now_us(), limit=_LOOKED_AT)
            found = [(one, await session.get(IdentifierRow, one.identifier_id)) for one in due]
            work = [(one, await with_first_version(session, row)) for one, row in found if row is not None]
        for registration, record in work:
            if registration.scheme in self._awake():
                await self._try(registration, record)
        return len(work) > 0

    async def _try(self, registration: RegistrationRow, record: Record) -> None:
        outcome, said, asked_s = await self._tell(self._agencies[record.scheme], record)
        self.tries[record.scheme, outcome] += 1
        failures = self._failures[record.scheme] = self._failures[record.scheme] + 1 if outcome == "delayed" else 0
        now_us = self._clock.now_us()
        if outcome == "delayed":
            self._resting_until_us[record.scheme] = now_us + round(self._wait_s(failures, asked_s) * SECOND_US)
        async with self._database.writing() as session:
            await self._lease.check(session)
            # What waits for an agency that is away is due when the agency is asked again.
            await record_try(session, registration, outcome, said[:_SAID_CHARS], next_at_us=now_us)
        tell = logger.info if outcome == "registered" else logger.warning
        tell(f"registration_{outcome}", identifier=record.name, attempt=registration.attempts + 1, said=said)

    async def _tell(self, agency: Agency, record: Record) -> tuple[Outcome, str, float]:
        """One try; what came of it, what was said, and how long the agency asked to be left alone (seconds)."""
        tell = {RESERVED: agency.reserve, TOMBSTONE: agency.withdraw}.get(record.state, agency.publish)
        try:
            async with asyncio.timeout(2 * self._settings.timeout_s):  # a withdrawal is two questions
                return "registered", await tell(record), 0.0
        except Refused as refused:
            return "refused", refused.message, 0.0
        except (Unavailable, Busy) as away:
            return "delayed", away.message, away.retry_after_s
        except TimeoutError:
            return "delayed", f"no answer within {2 * self._settings.timeout_s:g} s", 0.0
        except Exception as unexpected:  # a fault of one adapter must not stop the others; its text may hold anything
            logger.warning("agency_failed", scheme=record.scheme, error=type(unexpected).__name__)
            return "delayed", f"the adapter failed with {type(unexpected).__name__}", 0.0

    def _wait_s(self, failures: int, asked_s: float) -> float:
        """Doubling up to a limit, a fifth more or less by chance, and never shorter than the agency asked for."""
        doubled = self._settings.first_retry_s * 2 ** min(failures - 1, _MOST_DOUBLINGS)
        spread = 1 - _JITTER + 2 * _JITTER * secrets.SystemRandom().random()
        return max(min(doubled, self._settings.longest_retry_s) * spread, asked_s)
