"""Bloom filter: says of most keys that they were never seen, for a whole batch in a few array operations.

Burton H. Bloom, "Space/time trade-offs in hash coding with allowable errors", CACM 13 (7), 1970.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from weft.core.batch import UInt64s

_BITS_A_KEY: Final = 24
_LEAST_BITS: Final = 16
_WORD_BITS: Final = 6
_WORD_MASK: Final = np.uint64(2**_WORD_BITS - 1)
_ONE: Final = np.uint64(1)


class BloomFilter:
    """Room for `capacity` keys at about two false hits in a thousand at most, fewer while it is not full.

    The keys are 64-bit hashes already, so three runs of their own bits are the positions.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        bits = max((capacity * _BITS_A_KEY - 1).bit_length(), _LEAST_BITS)
        self._words = np.zeros(2 ** (bits - _WORD_BITS), dtype=np.uint64)
        self._mask = np.uint64(2**bits - 1)
        self._shifts = [np.uint64(shift) for shift in (64 - bits, (64 - bits) // 2, 0)]

    def add(self, keys: UInt64s) -> None:
        """Remember keys."""
        for shift in self._shifts:
            place = (keys >> shift) & self._mask
            np.bitwise_or.at(self._words, place >> np.uint64(_WORD_BITS), _ONE << (place & _WORD_MASK))

    def may_hold(self, keys: UInt64s) -> npt.NDArray[np.bool_]:
        """For each key False where it was certainly never added."""
        first, *others = self._shifts
        found = self._is_set(keys, first)
        suspects = np.flatnonzero(found)
        for shift in others:
            if not len(suspects):
                break
            is_set = self._is_set(keys[suspects], shift)
            found[suspects] = is_set
            suspects = suspects[is_set]
        return found

    def _is_set(self, keys: UInt64s, shift: np.uint64) -> npt.NDArray[np.bool_]:
        place = (keys >> shift) & self._mask
        return ((self._words[place >> np.uint64(_WORD_BITS)] >> (place & _WORD_MASK)) & _ONE).astype(np.bool_)
