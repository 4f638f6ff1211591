"""This machine as a source of events: its state, once a second, as `system.metric`.

Whoever starts Weft for the first time sees events of the machine in front of them, without configuring anything.
"""

import asyncio
import logging
import platform
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import psutil

from weft.core.clock import Clock
from weft.core.errors import Busy, StorageFull, Unavailable
from weft.ingest.accept import Acceptor
from weft.ingest.decode import Decoder
from weft.ingest.host_turn import HostTurn
from weft.ingest.settings import IngestSettings

logger = logging.getLogger(__name__)

EVENT_TYPE: Final = "system.metric"
_SHORTEST_S: Final = 0.001


@dataclass(frozen=True, slots=True)
class Counters:
    """What the machine counts since it was started, and when that was read."""

    at_s: float
    disk_read_bytes: int
    disk_written_bytes: int
    network_received_bytes: int
    network_sent_bytes: int


class HostSource:
    """A worker that writes the state of this machine into the log."""

    def __init__(
        self, settings: IngestSettings, *, decoder: Decoder, acceptor: Acceptor, clock: Clock, turn: HostTurn | None = None
    ) -> None:
        self._settings = settings
        self._decoder = decoder
        self._acceptor = acceptor
        self._clock = clock
        self._turn = turn
        self._source = f"host/{platform.node() or 'localhost'}"
        self._before: Counters | None = None
        self.sampled_total = 0
        """Samples that are in the log."""
        self.dropped_total = 0
        """Samples that the log could not take."""
        self.dropped_why: str | None = None
        """Why the newest sample was dropped; None while samples are taken."""
        self.is_left_to_another = False
        """Whether another process on the same data folder samples this machine."""

    @property
    def name(self) -> str:
        return "host-source"

    async def run(self, started: Callable[[], None]) -> None:
        """Sample until cancelled."""
        await asyncio.to_thread(self.sample)  # the first one only sets the marks that rates are counted from
        started()
        try:
            while True:
                await asyncio.sleep(self._settings.host_interval_s)
                sample = await asyncio.to_thread(self.sample)
                self.is_left_to_another = self._turn is not None and not self._turn.take()
                if not self.is_left_to_another:
                    await self.write(sample)
        finally:
            if self._turn is not None:
                self._turn.give_back()

    async def write(self, sample: dict[str, float]) -> None:
        """Write one sample; where the log cannot take it now, count it and go on."""
        event: dict[str, Any] = {"type": EVENT_TYPE, "source": self._source, "data": sample}
        try:
            await self._acceptor.accept_one(self._decoder.read_one(msgspec.json.encode(event)))
        except (Busy, StorageFull, Unavailable) as refusal:
            self.dropped_total += 1
            if self.dropped_why is None:
                logger.warning("host_sample_dropped", extra={"reason": refusal.message})
            self.dropped_why = refusal.message
        else:
            self.sampled_total += 1
            self.dropped_why = None

    def sample(self) -> dict[str, float]:
        """Read the machine. In a thread: some of these files take their time on a machine in trouble."""
        before, now = self._before, self._read_counters()
        self._before = now
        memory = psutil.virtual_memory()
        disk = psutil.disk_usage(str(self._settings.host_disk))
        sample = {
            "cpu_share": round(psutil.cpu_percent() / 100, 4),
            "memory_used_bytes": memory.used,
            "memory_share": round(memory.percent / 100, 4),
            "disk_used_bytes": disk.used,
            "disk_share": round(disk.percent / 100, 4),
            "load_1min": round(psutil.getloadavg()[0], 2),
        }
        return sample if before is None else sample | rates(before, now)

    def _read_counters(self) -> Counters:
        disk = psutil.disk_io_counters()
        network = psutil.net_io_counters()
        return Counters(
            at_s=self._clock.steady_s(),
            disk_read_bytes=disk.read_bytes if disk else 0,
            disk_written_bytes=disk.write_bytes if disk else 0,
            network_received_bytes=network.bytes_recv if network else 0,
            network_sent_bytes=network.bytes_sent if network else 0,
        )


def rates(before: Counters, now: Counters) -> dict[str, float]:
    """Bytes a second between two readings; a counter that was set back counts as nothing."""
    seconds = max(now.at_s - before.at_s, _SHORTEST_S)

    def rate(first: int, second: int) -> float:
        return round(max(second - first, 0) / seconds, 1)

    return {
        "disk_read_bytes_per_s": rate(before.disk_read_bytes, now.disk_read_bytes),
        "disk_written_bytes_per_s": rate(before.disk_written_bytes, now.disk_written_bytes),
        "network_received_bytes_per_s": rate(before.network_received_bytes, now.network_received_bytes),
        "network_sent_bytes_per_s": rate(before.network_sent_bytes, now.network_sent_bytes),
    }
