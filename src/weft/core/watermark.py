"""The watermark: how far event time has come, as a pure function of log order (docs/decisions/0007-time.md).

Before offset n of a partition it is the largest `time` among the offsets below n, less the topic's out-of-order bound.
Events too far ahead of the moment they were received do not count, so one wrong clock moves nobody else's time.
"""

from typing import Final

import numpy as np

from weft.core.batch import Int64s, LogBatch
from weft.core.times import MINUTE_US

MAX_AHEAD_US: Final = 5 * MINUTE_US
"""How far an event time may lie ahead of its arrival and still move the watermark."""

BEGINNING: Final = -(2**62)
"""The largest time of a partition that has seen none: smaller than any real time, safe to subtract from."""


def max_time_us(times_us: Int64s, received_at_us: Int64s | int) -> int | None:
    """The largest time that counts, or None where none does."""
    if not len(times_us):
        return None
    ahead_us = times_us - received_at_us
    if ahead_us.max() <= MAX_AHEAD_US:
        return int(times_us.max())
    counted = times_us[ahead_us <= MAX_AHEAD_US]
    return int(counted.max()) if len(counted) else None


def watermarks_us(batch: LogBatch, bound_us: int) -> Int64s:
    """For each event of the batch the watermark before it."""
    before = BEGINNING if batch.max_time_before_us is None else batch.max_time_before_us
    counted = np.where(batch.times_us <= batch.received_at_us + MAX_AHEAD_US, batch.times_us, BEGINNING)
    seen = np.maximum.accumulate(np.concatenate((np.array([before], dtype=np.int64), counted)))
    return seen[: batch.count] - bound_us


def watermark_after_us(batch: LogBatch, bound_us: int) -> int:
    """The watermark after the whole batch, ticks included."""
    candidates = [BEGINNING if batch.max_time_before_us is None else batch.max_time_before_us]
    if batch.tick_us is not None:
        candidates.append(batch.tick_us)
    newest = max_time_us(batch.times_us, batch.received_at_us)
    if newest is not None:
        candidates.append(newest)
    return max(candidates) - bound_us
