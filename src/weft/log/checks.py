"""What the log looks at for the verdict."""

import shutil
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from weft.core.clock import Clock
from weft.core.position import TopicPartition
from weft.core.times import SECOND_US
from weft.core.verdict import Check, Finding, Level
from weft.log.dead_letter import count_waiting
from weft.log.port import Log, LogState

WRITABLE: Final = "log.writable"
FLUSH_TIME: Final = "log.flush_time"
DAMAGE: Final = "log.damage"
LAG: Final = "log.lag"
DEAD_LETTERS: Final = "log.dead_letters"
DISK_FORECAST: Final = "log.disk_forecast"
CLOCK: Final = "log.clock"

_FLUSH_LOOK_S: Final = 0.25
_FLUSH_ACT_S: Final = 2.0
_STALLED_S: Final = 60.0
_JUMP_S: Final = 2.0
_JUMP_REMEMBERED_S: Final = 3600.0
_FORECAST_LEAST_S: Final = 600.0
_SAMPLES: Final = 720
_HOUR_S: Final = 3600.0
_GIBIBYTE: Final = 1024**3


def checks(log: Log, *, clock: Clock, folder: Path | None = None, appends: bool = True) -> dict[str, Check]:
    """The checks of this room, by code. `folder` is where an embedded log keeps its files; without it nothing is said of a
    disk. `appends` says whether this process has the right to."""
    stalls = _Stalls(clock)
    jumps = _Jumps(clock)

    async def flush_time() -> Finding:
        return _flush_time(await log.state())

    async def damage() -> Finding:
        return _damage(await log.state())

    async def lag() -> Finding:
        return stalls.look(await log.state())

    async def dead_letters() -> Finding:
        return _dead_letters(await log.state())

    async def clock_jump() -> Finding:
        return jumps.look()

    found: dict[str, Check] = {DAMAGE: damage, LAG: lag, DEAD_LETTERS: dead_letters, CLOCK: clock_jump}
    if appends:

        async def writable() -> Finding:
            return _writable(await log.state())

        found |= {WRITABLE: writable, FLUSH_TIME: flush_time}
    if folder is not None:
        forecast = _Forecast(clock, folder)

        async def disk_forecast() -> Finding:
            return forecast.look()

        found[DISK_FORECAST] = disk_forecast
    return found


def _writable(state: LogState) -> Finding:
    if state.writable:
        return Finding(code=WRITABLE, level=Level.FINE, why="the log takes events")
    why = f"the log refuses events: {state.refusal or 'it was opened for reading alone'}"
    return Finding(code=WRITABLE, level=Level.ACT, why=why)


def _flush_time(state: LogState) -> Finding:
    if state.flush_p50_s is None or state.flush_p99_s is None:
        return Finding(code=FLUSH_TIME, level=Level.FINE, why="nothing was flushed yet")
    numbers = {"p50_s": state.flush_p50_s, "p99_s": state.flush_p99_s}
    text = f"flushing takes {state.flush_p50_s * 1000:.1f} ms, one in a hundred {state.flush_p99_s * 1000:.1f} ms"
    if state.flush_p99_s < _FLUSH_LOOK_S:
        return Finding(code=FLUSH_TIME, level=Level.FINE, why=text, parameters=numbers)
    level = Level.ACT if state.flush_p50_s >= _FLUSH_ACT_S else Level.LOOK
    return Finding(code=FLUSH_TIME, level=level, why=f"{text}; the disk is slow or busy", parameters=numbers)


def _damage(state: LogState) -> Finding:
    if not state.damages:
        return Finding(code=DAMAGE, level=Level.FINE, why="no damage was met in the log")
    offsets = sum(damage.next_offset - damage.first_offset for damage in state.damages)
    first = state.damages[0]
    why = (
        f"{len(state.damages)} damaged ranges ({offsets} offsets) were met in the log, such as "
        f"{first.topic}/{first.partition} from {first.first_offset} to {first.next_offset - 1}; check the disk"
    )
    return Finding(code=DAMAGE, level=Level.ACT, why=why, parameters={"ranges": len(state.damages), "offsets": offsets})


def _dead_letters(state: LogState) -> Finding:
    waiting = count_waiting(state)
    if not waiting:
        return Finding(code=DEAD_LETTERS, level=Level.FINE, why="no dead letters wait", parameters={"waiting": 0})
    why = f"{waiting} dead letters wait; see weft dlq list"
    return Finding(code=DEAD_LETTERS, level=Level.LOOK, why=why, parameters={"waiting": waiting})


class _Stalls:
    """Groups that are behind and do not move."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._moved: dict[str, tuple[Mapping[TopicPartition, int], float]] = {}

    def look(self, state: LogState) -> Finding:
        """Behind is normal; behind without moving for a while is not."""
        now_s = self._clock.steady_s()
        behind = _behind(state)
        stalled: list[str] = []
        for group, positions in _positions(state).items():
            known, moved_s = self._moved.get(group, ({}, now_s))
            if known != positions or not behind[group]:
                known, moved_s = positions, now_s
            self._moved[group] = (known, moved_s)
            if now_s - moved_s >= _STALLED_S:
                stalled.append(group)
        if not stalled:
            return Finding(code=LAG, level=Level.FINE, why="every group moves on", parameters={"behind": behind})
        first = stalled[0]
        why = f"group '{first}' is {behind[first]} offsets behind and has not moved for {_STALLED_S:.0f} s or more"
        return Finding(code=LAG, level=Level.LOOK, why=why, parameters={"behind": behind, "stalled": stalled})


def _positions(state: LogState) -> dict[str, dict[TopicPartition, int]]:
    positions: dict[str, dict[TopicPartition, int]] = {}
    for partition in state.partitions:
        for group, offset in partition.positions.items():
            positions.setdefault(group, {})[TopicPartition(partition.topic, partition.partition)] = offset
    return positions


def _behind(state: LogState) -> dict[str, int]:
    behind: dict[str, int] = {}
    for partition in state.partitions:
        for group, offset in partition.positions.items():
            rest = partition.end_offset - max(offset, partition.start_offset)
            behind[group] = behind.get(group, 0) + max(rest, 0)
    return behind


class _Jumps:
    """Compares the wall clock with the steady one between two looks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = (clock.now_us(), clock.steady_s())
        self._jump_s = 0.0
        self._jumped_s = 0.0

    def look(self) -> Finding:
        """A jump is worth a look for an hour."""
        wall_us, steady_s = self._clock.now_us(), self._clock.steady_s()
        jump_s = (wall_us - self._last[0]) / SECOND_US - (steady_s - self._last[1])
        self._last = (wall_us, steady_s)
        if abs(jump_s) >= _JUMP_S:
            self._jump_s, self._jumped_s = jump_s, steady_s
        if self._jump_s and steady_s - self._jumped_s < _JUMP_REMEMBERED_S:
            direction = "ahead" if self._jump_s > 0 else "back"
            why = f"the clock of this machine jumped {direction} by {abs(self._jump_s):.1f} s; check its time service"
            return Finding(code=CLOCK, level=Level.LOOK, why=why, parameters={"jump_s": round(self._jump_s, 3)})
        return Finding(code=CLOCK, level=Level.FINE, why="the clock runs evenly")


class _Forecast:
    """From how free space shrinks: when is the disk of the log full?"""

    def __init__(self, clock: Clock, folder: Path) -> None:
        self._clock = clock
        self._folder = folder
        self._samples: deque[tuple[float, int]] = deque(maxlen=_SAMPLES)

    def look(self) -> Finding:
        """Look within three days, act within six hours."""
        free = shutil.disk_usage(self._folder).free
        now_s = self._clock.steady_s()
        self._samples.append((now_s, free))
        began_s, free_then = self._samples[0]
        numbers: dict[str, float] = {"free_bytes": free}
        text = f"{free / _GIBIBYTE:.1f} GiB are free on the disk of the log"
        if now_s - began_s < _FORECAST_LEAST_S or free_then <= free:
            return Finding(code=DISK_FORECAST, level=Level.FINE, why=text, parameters=numbers)
        rate = (free_then - free) / (now_s - began_s)
        full_in_s = free / rate
        numbers |= {"bytes_per_s": rate, "full_in_s": full_in_s}
        level = Level.ACT if full_in_s < 6 * _HOUR_S else Level.LOOK if full_in_s < 72 * _HOUR_S else Level.FINE
        why = f"{text}; at {rate / 1024:.0f} KiB/s it is full in {full_in_s / _HOUR_S:.1f} hours"
        return Finding(code=DISK_FORECAST, level=level, why=why, parameters=numbers)
