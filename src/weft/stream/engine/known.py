"""Known words: the numbers of words, found by their bytes for a whole batch at once, without a Python string for each."""

from typing import Final

import numpy as np
import numpy.typing as npt

from weft.core.batch import Int64s, UInt64s
from weft.stream.words import Spelled

Mask = npt.NDArray[np.bool_]

_NONE: Final = -1
_FIRST_SLOTS: Final = 1 << 10
_PROBES: Final = 12
"""So many slots in a row a word may be in. One that finds all of them taken is not kept, so words that were chosen to share
their slots cost no more than if nothing was kept."""
_TURN: Final = np.uint64(32)
_SPREADS: Final = tuple(
    np.uint64(odd)
    for odd in (
        0x9E3779B97F4A7C15,
        0xBF58476D1CE4E5B9,
        0x94D049BB133111EB,
        0xD6E8FEB86659FD93,
        0xA0761D6478BD642F,
        0xE7037ED1A0B428DB,
        0x8EBC6AF09C88C6E3,
        0x589965CC75374CC3,
    )
)
"""One for each eight bytes of a word."""


class KnownWords:
    """A memory of words for whoever numbers them: what it finds is right to the last byte, what it does not find may be known.

    The numbers stand in slots, open addressing, a power of two of them and at most a quarter of them taken.
    """

    def __init__(self) -> None:
        self._slots = np.full(_FIRST_SLOTS, _NONE, dtype=np.int32)
        self._kept = 0
        self._spelled: list[UInt64s] = [np.zeros(1, dtype=np.uint64)]  # by number

    def find(self, words: Spelled) -> Int64s:
        """The number of each word; -1 for one that is not kept."""
        return self._find(words, self._first_slots(words), _PROBES)

    def _find(self, words: Spelled, slots: Int64s, probes: int) -> Int64s:
        found = self._slots.take(slots).astype(np.int64)
        is_taken = found != _NONE
        same = self._is_same(found, words) & is_taken
        numbers = np.where(same, found, _NONE)
        left = np.flatnonzero(is_taken & ~same)
        if len(left) and probes > 1:
            numbers[left] = self._find([column[left] for column in words], self._next(slots[left]), probes - 1)
        return numbers

    def _is_same(self, numbers: Int64s, words: Spelled) -> Mask:
        """Where the word with this number is the word beside it.

        Each has its end in a column of its own side. Where they agree in all that both sides have, one end is the other's.
        """
        same = np.ones(len(numbers), dtype=np.bool_)
        for kept, given in zip(self._spelled, words, strict=False):
            same &= kept.take(numbers, mode="clip") == given
        return same

    def add(self, words: Spelled, numbers: Int64s) -> None:
        """Keep words that differ from each other and are not kept, with their numbers, which are dense from 0 on."""
        short = np.flatnonzero(words[0])
        words, numbers = [column[short] for column in words], numbers[short]
        self._spell(words, numbers)
        if 4 * (self._kept + len(numbers)) > len(self._slots):
            self._widen(self._kept + len(numbers))
        self._place(words, numbers)

    def _spell(self, words: Spelled, numbers: Int64s) -> None:
        """Note how the words with these numbers are spelled."""
        room, most = len(self._spelled[0]), int(numbers.max(initial=_NONE)) + 1
        if most > room:
            more = np.zeros(max(most, 2 * room) - room, dtype=np.uint64)
            self._spelled = [np.concatenate((column, more)) for column in self._spelled]
        while len(self._spelled) < len(words):
            self._spelled.append(np.zeros(len(self._spelled[0]), dtype=np.uint64))
        for kept, given in zip(self._spelled, words, strict=False):
            kept[numbers] = given

    def _place(self, words: Spelled, numbers: Int64s) -> None:
        """Put numbers into slots. Of several that want one the last takes it."""
        self._kept += len(numbers)
        slots = self._first_slots(words)
        for _ in range(_PROBES):
            free = np.flatnonzero(self._slots[slots] == _NONE)
            self._slots[slots[free]] = numbers[free]
            left = np.flatnonzero(self._slots[slots] != numbers)
            if not len(left):
                return
            slots, numbers = self._next(slots[left]), numbers[left]
        self._kept -= len(numbers)

    def _widen(self, words: int) -> None:
        """At least eight times as many slots as words, filled anew."""
        numbers = self._slots[self._slots != _NONE].astype(np.int64)
        self._slots = np.full(1 << (8 * words - 1).bit_length(), _NONE, dtype=np.int32)
        self._kept = 0
        self._place([column[numbers] for column in self._spelled], numbers)

    def _first_slots(self, words: Spelled) -> Int64s:
        """The first slot each word may be in. Columns of nothing but zeros make no difference."""
        mixed = np.zeros(len(words[0]), dtype=np.uint64)
        for column, spread in zip(words, _SPREADS, strict=False):
            mixed += (column ^ (column >> _TURN)) * spread
        mixed ^= mixed >> _TURN
        mixed *= _SPREADS[0]
        return (mixed >> _TURN).view(np.int64) & (len(self._slots) - 1)

    def _next(self, slots: Int64s) -> Int64s:
        """The slots after these."""
        return (slots + 1) & (len(self._slots) - 1)
