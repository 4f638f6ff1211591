"""Passwords: hashed with Argon2id away from the event loop, a few at a time.

One hash takes tens of milliseconds of one core and 46 MiB, on purpose. On the loop it would stop every door of the process,
and without a bound a burst of sign-ins would take every core from them.
"""

import asyncio
import os
import secrets
from collections.abc import Callable
from functools import cached_property
from typing import Final, ParamSpec, TypeVar

from pwdlib import PasswordHash
from pwdlib.exceptions import PwdlibError
from pwdlib.hashers.argon2 import Argon2Hasher

from weft.core.errors import Busy, Invalid

P = ParamSpec("P")
T = TypeVar("T")

# One of the equally strong choices OWASP names for Argon2id; one lane, so that a sign-in occupies one core.
_MEMORY_KIB: Final = 46 * 1024
_MAX_CHARS: Final = 1024
_AT_ONCE: Final = max(1, (os.cpu_count() or 1) // 2)
_WAITING: Final = 64
# fmt: off
_COMMON: Final = frozenset({
    "12345678", "123456789", "1234567890", "0123456789", "87654321", "abcd1234", "abc12345", "password", "password1",
    "password12", "password123", "passw0rd", "p@ssw0rd", "p@ssword", "qwertyui", "qwerty123", "qwertyuiop", "asdfghjk",
    "iloveyou", "sunshine", "princess", "football", "baseball", "superman", "trustno1", "letmein1", "welcome1", "welcome123",
    "admin123", "admin1234", "administrator", "changeme", "changeme123", "changeit", "secret123",
})
# fmt: on


class Passwords:
    """Hashes and checks passwords. `hasher` is given by tests that cannot wait."""

    def __init__(self, *, min_chars: int = 8, hasher: Argon2Hasher | None = None) -> None:
        self._min_chars = min_chars
        self._hash = PasswordHash((hasher or Argon2Hasher(time_cost=1, memory_cost=_MEMORY_KIB, parallelism=1),))
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    def check(self, password: str, *, email: str) -> None:
        """Whether a password may be chosen. Raises Invalid with the reason."""
        if len(password) < self._min_chars:
            raise Invalid(f"the password has {len(password)} characters; it needs at least {self._min_chars}", field="password")
        if len(password) > _MAX_CHARS:
            raise Invalid(f"the password has {len(password)} characters; at most {_MAX_CHARS} are accepted", field="password")
        lower = password.casefold()
        if lower in _COMMON or len(set(lower)) < 3:
            raise Invalid("this password is among the first anybody would try; choose another", field="password")
        if lower in {email.casefold(), email.casefold().partition("@")[0]}:
            raise Invalid("the password must not be the e-mail address", field="password")

    async def hash(self, password: str) -> str:
        """The Argon2id hash of a password. Raises Busy where too many wait already."""
        return await self._run(self._hash.hash, password)

    async def verify(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        """Whether the password fits, and a new hash where the old one is weaker than what is made today.

        None stands for an account that does not exist; it takes as long as one that does.
        """
        if len(password) > _MAX_CHARS:
            password = password[:_MAX_CHARS] + "\0"  # cannot fit, and costs no more than a short one
        return await self._run(self._verify, password, hashed)

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._waiting >= _WAITING:
            raise Busy("too many people are signing in at this moment", retry_after_s=2)
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        running = asyncio.create_task(asyncio.to_thread(work, *args, **kwargs))
        # The turn ends with the work, not with the caller: a thread goes on when its caller has gone.
        running.add_done_callback(lambda _: self._turn.release())
        return await asyncio.shield(running)

    @cached_property
    def _nobody(self) -> str:
        """A hash that no password fits. Made when it is first needed: to make it costs as much as a sign-in."""
        return self._hash.hash(secrets.token_urlsafe(16))

    def _verify(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        nobody = self._nobody  # for a known account too: the first sign-in of all must not tell which it is
        try:
            fits, better = self._hash.verify_and_update(password, hashed or nobody)
        except PwdlibError:  # a hash of another make, or a mark that no password fits
            self._hash.verify(password, nobody)
            return False, None
        return (fits, better) if hashed else (False, None)
