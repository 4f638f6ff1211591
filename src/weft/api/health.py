"""Health: is this process usable, and are the things it needs there? Every answer looks; nothing is assumed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal

from weft.core import times
from weft.core.clock import Clock
from weft.core.errors import WeftError

Status = Literal["healthy", "degraded", "unhealthy"]
Probe = Callable[[], Awaitable[None]]
"""Looks once. Returns when all is well; raises, with a sentence, when it is not."""

_WEIGHT: Final[dict[Status, int]] = {"healthy": 0, "degraded": 1, "unhealthy": 2}


class HealthRegister:
    """The probes of this process, by name, and whether it has started."""

    def __init__(self, *, service: str, version: str, clock: Clock, timeout_s: float) -> None:
        self._service = service
        self._version = version
        self._clock = clock
        self._timeout_s = timeout_s
        self._started_s = clock.steady_s()
        self._probes: dict[str, tuple[Probe, bool]] = {}
        self._counts: dict[str, Callable[[], int]] = {}
        self._is_ready = False

    def add(self, name: str, probe: Probe, *, needed: bool = True) -> None:
        """Look with `probe` under `name`. Without something needed the process is unhealthy, without another degraded."""
        if name in self._probes:
            raise ValueError(f"two health probes are called '{name}'")
        self._probes[name] = (probe, needed)

    def add_count(self, name: str, read: Callable[[], int]) -> None:
        """Show a number among the checks, such as `websocket_connections`."""
        self._counts[name] = read

    def started(self) -> None:
        """From here on the process takes requests."""
        self._is_ready = True

    def draining(self) -> None:
        """From here on the process finishes what it has and wants nothing new."""
        self._is_ready = False

    async def look(self) -> tuple[int, dict[str, Any]]:
        """Run every probe at once; returns the HTTP status (503 when unhealthy) and the body."""
        results = await asyncio.gather(*(self._run(probe, needed) for probe, needed in self._probes.values()))
        checks: dict[str, Any] = dict(zip(self._probes, results, strict=True))
        status = max((result["status"] for result in results), key=lambda word: _WEIGHT[word], default="healthy")
        checks |= {name: read() for name, read in self._counts.items()}
        body = {
            "status": status,
            "service": self._service,
            "version": self._version,
            "timestamp": times.to_text(self._clock.now_us()),
            "uptime": round(self._clock.steady_s() - self._started_s, 3),
            "checks": checks,
        }
        return (503 if status == "unhealthy" else 200), body

    async def ready(self) -> tuple[int, dict[str, Any]]:
        """Like `look`, and 503 also before the start is complete and while draining."""
        code, body = await self.look()
        is_ready = self._is_ready and code == 200
        return (200 if is_ready else 503), {"ready": is_ready, **body}

    async def _run(self, probe: Probe, needed: bool) -> dict[str, Any]:
        bad: Status = "unhealthy" if needed else "degraded"
        try:
            async with asyncio.timeout(self._timeout_s):
                await probe()
        except TimeoutError:
            return {"status": bad, "message": f"no answer within {self._timeout_s:g} s"}
        except WeftError as error:
            return {"status": bad, "message": error.message}
        except Exception as error:  # whatever a probe stumbles over is its finding, not ours
            return {"status": bad, "message": f"the probe failed: {type(error).__name__}"}
        return {"status": "healthy"}
