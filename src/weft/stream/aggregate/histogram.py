"""Histogram: how many values lie in each of many narrow buckets, for quantiles of more values than can be kept.

A bucket is made of the numbers that share sign, exponent and the first eight bits of their fraction, so it is 0.4 % wide
wherever it lies and its middle is at most 0.2 % away from any of its numbers. Which bucket a number is in is read from its
bits, and counts add up the same in every order: whatever was cut, restarted or put together, the answer is the same.
"""

from fractions import Fraction
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from weft.core.batch import Int64s

_DROPPED_BITS: Final = 44
_MAGNITUDE: Final = np.int64(2**63 - 1)
_BYTES_A_BUCKET: Final = 16


class Histogram:
    """Counts by bucket, and the least and the largest value."""

    def __init__(self) -> None:
        self._buckets: Int64s = np.zeros(0, dtype=np.int64)
        self._counts: Int64s = np.zeros(0, dtype=np.int64)
        self._least = np.inf
        self._largest = -np.inf

    @property
    def size_bytes(self) -> int:
        """Sixteen bytes for each bucket that is not empty."""
        return _BYTES_A_BUCKET * len(self._buckets)

    def add(self, values: npt.NDArray[np.float64]) -> None:
        """Count finite values, at least one."""
        buckets, counts = np.unique(_buckets_of(values), return_counts=True)
        self._count(buckets, counts.astype(np.int64), float(values.min()), float(values.max()))

    def merge(self, other: Self) -> None:
        """Count all of another one."""
        self._count(other._buckets, other._counts, other._least, other._largest)

    def value(self, share: Fraction) -> float:
        """About the smallest value that this share of all values does not exceed: the middle of its bucket."""
        reached = np.cumsum(self._counts)
        rank = -(-int(reached[-1]) * share.numerator // share.denominator)
        bucket = int(self._buckets[np.searchsorted(reached, rank)])
        return min(max(_middle_of(bucket), self._least), self._largest)

    def save(self) -> dict[str, Any]:
        """All of it."""
        return {"buckets": self._buckets, "counts": self._counts, "least": self._least, "largest": self._largest}

    @classmethod
    def load(cls, saved: dict[str, Any]) -> Self:
        """What was saved."""
        made = cls()
        made._count(saved["buckets"], saved["counts"], saved["least"], saved["largest"])
        return made

    def _count(self, buckets: Int64s, counts: Int64s, least: float, largest: float) -> None:
        known, places = np.unique(np.concatenate((self._buckets, buckets)), return_inverse=True)
        total = np.zeros(len(known), dtype=np.int64)
        np.add.at(total, places, np.concatenate((self._counts, counts)))
        self._buckets, self._counts = known, total
        self._least, self._largest = min(self._least, least), max(self._largest, largest)


def _buckets_of(values: npt.NDArray[np.float64]) -> Int64s:
    """The number of each value's bucket; larger values have no smaller ones. Below 0 they count down from -1."""
    bits = (values + 0.0).view(np.int64)  # one zero
    magnitudes = (bits & _MAGNITUDE) >> _DROPPED_BITS
    return np.where(bits < 0, -1 - magnitudes, magnitudes)


def _middle_of(bucket: int) -> float:
    magnitude = bucket if bucket >= 0 else -1 - bucket
    if magnitude == 0:
        return 0.0
    bits = (magnitude << _DROPPED_BITS) + (1 << (_DROPPED_BITS - 1))
    middle = float(np.array([bits], dtype=np.int64).view(np.float64)[0])
    return middle if bucket >= 0 else -middle
