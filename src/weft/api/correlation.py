"""The correlation id: one word that ties an answer to its log lines."""

import re
import secrets
from contextvars import ContextVar
from itertools import count
from typing import Final

_SANE: Final = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}").fullmatch
_current: ContextVar[str] = ContextVar("correlation_id", default="")


def correlation_id() -> str:
    """The id of the request this code works for; empty outside of requests."""
    return _current.get()


enter_correlation: Final = _current.set
"""Say for which request the code of this task works from here on."""


class CorrelationIds:
    """Takes a client's id when it is short and plain, else makes one: 16 random hex digits of this process and a counter."""

    def __init__(self) -> None:
        numbers = count((1 << 60) + secrets.randbits(59))  # always 16 digits
        # A chain of built-ins: one of these is made for every request.
        self._next = map((secrets.token_hex(8) + "%x").__mod__, numbers).__next__

    def accept(self, given: bytes | None) -> str:
        """The id to use for a request whose header says `given`."""
        if given is not None and _SANE(given):
            return given.decode("ascii")
        return self._next()
