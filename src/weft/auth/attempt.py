"""Failed sign-ins, counted by account and by address, and the wait they cost.

An attempt is charged before the password is looked at and given back after success, so a hundred guesses at once are a
hundred attempts. Unknown accounts are counted like known ones: the answer tells nothing. Where the counters cannot be
written there is no sign-in (fail closed).

An address from which the account signed in before has a counter of its own, so that strangers who fail on purpose cannot
keep the owner out.
"""

import hashlib
import ipaddress
from contextlib import suppress
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from weft.auth.tables import Attempt
from weft.core.clock import Clock
from weft.core.errors import Busy, Conflict
from weft.core.times import HOUR_US, MINUTE_US, SECOND_US
from weft.db.database import Database

_FORGIVEN_AFTER_US: Final = HOUR_US
_LONGEST_SHIFT: Final = 20
_TRIES: Final = 4


class Attempts:
    """The counters of one kind of attempt (`login`, `request`)."""

    def __init__(
        self, database: Database, *, kind: str, per_account: int, per_address: int, longest_minutes: int, clock: Clock
    ) -> None:
        self._database = database
        self._kind = kind
        self._per_account = per_account
        self._per_address = per_address
        self._longest_us = longest_minutes * MINUTE_US
        self._clock = clock

    async def charge(self, email: str, client_ip: str, *, is_familiar: bool = False) -> None:
        """Count one attempt. Raises Busy, saying for how long, where the account or the address has to wait."""
        account = self._account(email, client_ip if is_familiar else None)
        limits = {account: self._per_account, self._address(client_ip): self._per_address}
        for _ in range(_TRIES):
            with suppress(Conflict):  # two first attempts at once: the second finds the row of the first
                await self._charge(limits)
                return
        raise Busy("too many attempts at this moment; try again", retry_after_s=1)

    async def _charge(self, limits: dict[str, int]) -> None:
        now_us = self._clock.now_us()
        async with self._database.writing() as session:
            # Everybody takes the account's counter before the address's, new ones included: else two could wait for each other.
            rows = [await _taken(session, key, now_us) for key in sorted(limits)]
            locked_until_us = max(row.locked_until_us for row in rows)
            if locked_until_us > now_us:
                raise self._wait(locked_until_us, now_us)
            for row in rows:
                row.failures = 1 if now_us - row.last_us > _FORGIVEN_AFTER_US else row.failures + 1
                row.last_us = now_us
                row.locked_until_us = now_us + self._wait_us(row.failures - limits[row.key])

    def _wait(self, until_us: int, now_us: int) -> Busy:
        wait_s = -(-(until_us - now_us) // SECOND_US)
        return Busy(
            f"too many attempts; try again in {wait_s} seconds",
            retry_after_s=wait_s,
            rate_limit=self._kind,
            limit=self._per_account,
            remaining=0,
            reset=-(-until_us // SECOND_US),
        )

    async def give_back(self, email: str, client_ip: str, *, is_familiar: bool = False) -> None:
        """A sign-in succeeded: the account starts anew, the address gets its one attempt back."""
        now_us = self._clock.now_us()
        async with self._database.writing() as session:
            account = self._account(email, client_ip if is_familiar else None)
            await session.execute(delete(Attempt).where(Attempt.key == account))
            row = await session.get(Attempt, self._address(client_ip), with_for_update=True)
            if row is not None:
                row.failures = max(0, row.failures - 1)
                row.locked_until_us = now_us
            old = select(Attempt.key).where(Attempt.last_us < now_us - 24 * HOUR_US).with_for_update(skip_locked=True)
            await session.execute(delete(Attempt).where(Attempt.key.in_(old)))

    async def forgive(self, email: str) -> None:
        """Let an account try again at once, as after its password was set by an administrator."""
        async with self._database.writing() as session:
            await session.execute(delete(Attempt).where(Attempt.key.startswith(self._account(email), autoescape=True)))

    def _wait_us(self, beyond: int) -> int:
        if beyond < 0:
            return 0
        return min(SECOND_US << min(beyond, _LONGEST_SHIFT), self._longest_us)

    def _account(self, email: str, client_ip: str | None = None) -> str:
        account = f"{self._kind}:account:{hashlib.sha256(email.encode()).hexdigest()}"
        return account if client_ip is None else f"{account}:{_household(client_ip)}"

    def _address(self, client_ip: str) -> str:
        return f"{self._kind}:address:{_household(client_ip)}"


async def _taken(session: AsyncSession, key: str, now_us: int) -> Attempt:
    """A counter, made where there is none, and nobody else's until the unit of work ends."""
    for _ in range(_TRIES):
        row = await session.get(Attempt, key, with_for_update=True)
        if row is not None:
            return row
        with suppress(IntegrityError):  # somebody else made it at the same moment
            async with session.begin_nested():
                row = Attempt(key=key, failures=0, last_us=now_us, locked_until_us=0)
                session.add(row)
            return row
    raise Conflict("the counter comes and goes")


def _household(client_ip: str) -> str:
    """The address, or for IPv6 its network: one household has 2^64 of them."""
    try:
        address = ipaddress.ip_address(client_ip)
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
