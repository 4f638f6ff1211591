"""The access log: one line per request, handed to logging in groups, because a record each would cost more than the request."""

import asyncio
import logging
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal

import msgspec

from weft.api.metrics import FAILED_FROM
from weft.core import times
from weft.core.clock import Clock

logger = logging.getLogger("weft.access")

FLUSH_S: Final = 0.02
"""How long a line may wait for others."""

AccessLine = tuple[str, str | None, float, str, str, str, int, str]
"""Correlation id, principal's id, seconds, method, path, route template, status, client address. A tuple: made for every
request, read at most once."""


class AccessLines:
    """Several lines as one message of logging. As text it is what people read; the JSON formatter asks for JSON."""

    __slots__ = ("_lines", "_moment")

    def __init__(self, lines: Sequence[AccessLine], moment: str) -> None:
        self._lines = lines
        self._moment = moment

    def __str__(self) -> str:
        return "\n".join(
            f"{method} {path!r} {status} in {duration_s * 1000:.1f} ms for {user_id or client_ip} ({correlation})"
            for correlation, user_id, duration_s, method, path, _, status, client_ip in self._lines
        )

    def as_json(self, service: str, level: str) -> str:
        """One JSON object a line, its fields in the order of every other log line."""
        start = f'{{"timestamp":"{self._moment}","level":"{level}","service":{_quoted(service)},"message":"http_request",'
        return "\n".join(
            [
                f'{start}"correlation_id":"{correlation}",{_user(user_id)}"duration":{duration_s:.6f},"extra":{{"method":"{method}",'
                f'"path":{_quoted(path)},"route":{_quoted(route)},"status":{status},"client_ip":{_quoted(client_ip)}}}}}'
                for correlation, user_id, duration_s, method, path, route, status, client_ip in self._lines
            ]
        )


class AccessLog:
    """Writes the lines, or only those of failures, or none."""

    def __init__(self, which: Literal["all", "failures", "off"], clock: Clock) -> None:
        self.lowest_status = {"all": 0, "failures": FAILED_FROM, "off": 10_000}[which]
        """Answers from this status on get a line."""
        self._clock = clock
        self._waiting: list[AccessLine] = []

    def write(self, line: AccessLine) -> None:
        """Write a line, at the latest `FLUSH_S` from now."""
        waiting = self._waiting
        waiting.append(line)
        if len(waiting) == 1:
            asyncio.get_running_loop().call_later(FLUSH_S, self.flush)

    def flush(self) -> None:
        """Write what waits."""
        lines, self._waiting = self._waiting, []
        moment = times.to_text(self._clock.now_us())
        for level, group in (
            (logging.INFO, [line for line in lines if line[6] < FAILED_FROM]),
            (logging.WARNING, [line for line in lines if line[6] >= FAILED_FROM]),
        ):
            if group and logger.isEnabledFor(level):
                logger.log(level, AccessLines(group, moment))


@lru_cache(maxsize=4096)
def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


def _user(user_id: str | None) -> str:
    return "" if user_id is None else f'"user_id":{_quoted(user_id)},'
