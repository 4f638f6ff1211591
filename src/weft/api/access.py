"""The access log: one line per request, written in groups so that a busy process does not pay for each one."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final, Literal

logger = logging.getLogger("weft.access")

FAILED_FROM: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What the line says."""

    method: str
    path: str
    route: str
    status: int
    duration_s: float
    client_ip: str
    correlation_id: str
    user_id: str | None


class AccessLog:
    """Writes the lines, or only those of failures, or none."""

    def __init__(self, which: Literal["all", "failures", "off"]) -> None:
        self._lowest = {"all": 0, "failures": FAILED_FROM, "off": 10_000}[which]
        self._waiting: list[Access] = []

    def wants(self, status: int) -> bool:
        """Whether an answer with this status gets a line."""
        return status >= self._lowest

    def write(self, access: Access) -> None:
        """Write a line, at the latest when the loop has nothing better to do."""
        self._waiting.append(access)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Write what waits."""
        lines, self._waiting = self._waiting, []
        for line in lines:
            level = logging.INFO if line.status < FAILED_FROM else logging.WARNING
            if logger.isEnabledFor(level):
                logger.log(
                    level,
                    "http_request",
                    extra={
                        "method": line.method,
                        "path": line.path,
                        "route": line.route,
                        "status": line.status,
                        "duration": round(line.duration_s, 6),
                        "client_ip": line.client_ip,
                        "correlation_id": line.correlation_id,
                        "user_id": line.user_id,
                    },
                )
