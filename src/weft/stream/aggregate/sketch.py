"""Sketches: summaries of bounded size where values are too many to be kept. Apache DataSketches does the work."""

from collections.abc import Iterable
from typing import Any, Final, Self

import datasketches

_library: Final[Any] = datasketches  # it makes its names while it is imported, so no checker knows them


class DistinctSketch:
    """HyperLogLog of 2**12 registers: its estimate is within 1.6 % in two of three cases, the same in every order."""

    SIZE_BYTES: Final = 4_200
    _LOG_SIZE: Final = 12

    def __init__(self, made: Any = None) -> None:
        self._sketch: Any = _library.hll_sketch(self._LOG_SIZE, _library.HLL_8) if made is None else made

    def add(self, hashes: Iterable[int]) -> None:
        """Take in values by 64 bits of hash."""
        update = self._sketch.update
        for bits in hashes:
            update(bits >> 1)  # the library takes signed integers

    def estimate(self) -> int:
        """How many different values. What a union of two estimates depends on its registers alone, not on their order."""
        return round(self._with(self).get_estimate())

    def with_other(self, other: Self) -> Self:
        """Both together."""
        return type(self)(self._with(other))

    def _with(self, other: Self) -> Any:
        union = _library.hll_union(self._LOG_SIZE)
        union.update(self._sketch)
        union.update(other._sketch)
        return union.get_result(_library.HLL_8)

    def save(self) -> bytes:
        """All of it."""
        return bytes(self._sketch.serialize_updatable())

    @classmethod
    def load(cls, saved: bytes) -> Self:
        """What was saved."""
        return cls(_library.hll_sketch.deserialize(saved))
