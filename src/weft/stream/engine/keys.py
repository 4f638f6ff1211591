"""Keys: the values that events are grouped by, as dense numbers."""

from collections.abc import Sequence
from itertools import repeat
from typing import Final

import numpy as np

from weft.core.batch import Int64s
from weft.stream.column import Column

Key = str | None | tuple[str | None, ...]

_NO_WORDS: Final = ("",)
_EACH_BYTES: Final = 250
"""About what a key costs in memory."""


class Keys:
    """Gives the same number to the same values. A key of one name is its text or None, one of several a tuple of those."""

    def __init__(self) -> None:
        self.values: list[Key] = []
        self._numbers: dict[Key, int] = {}
        self._words: Sequence[str] | None = None
        self._of_words = np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def size_bytes(self) -> int:
        """About what they hold in memory."""
        return _EACH_BYTES * len(self.values)

    def number(self, columns: Sequence[Column], count: int, limit: int) -> Int64s:
        """The number of each event's key; -1 where that would be a new one and there are `limit` keys already."""
        if not columns:
            return np.full(count, self._number((), limit), dtype=np.int64)
        if len(columns) == 1:
            return self._single(columns[0], limit)
        return self._several(columns, limit)

    def _number(self, key: Key, limit: int) -> int:
        number = self._numbers.get(key)
        if number is None:
            if len(self.values) >= limit:
                return -1
            number = self._numbers[key] = len(self.values)
            self.values.append(key)
        return number

    def _single(self, column: Column, limit: int) -> Int64s:
        """By the words of the batch: each is looked up once, and not at all where they are the words of the batch before."""
        words = words_of(column)
        if words is not self._words or len(words) != len(self._of_words):
            self._of_words = np.fromiter(map(self._numbers.get, words, repeat(-1)), np.int64, len(words))
            self._words = words
        if column.known is None or column.known.all():
            codes, unknown = column.values, None
            numbers = self._of_words[codes]
        else:
            codes, unknown = np.where(column.known, column.values, 0), ~column.known
            numbers = self._of_words[codes]
            numbers[unknown] = self._number(None, limit)
        if numbers.min() < 0:
            missing = np.flatnonzero(numbers < 0 if unknown is None else (numbers < 0) & ~unknown)
            different: list[int] = np.unique(codes[missing]).tolist()
            for code in different:
                self._of_words[code] = self._number(words[code], limit)
            numbers[missing] = self._of_words[codes[missing]]
        return numbers

    def _several(self, columns: Sequence[Column], limit: int) -> Int64s:
        """By the combinations of words that occur in the batch."""
        codes = np.zeros(len(columns[0].values), dtype=np.int64)
        for column in columns:
            codes *= len(words_of(column)) + 1
            codes += column.values if column.known is None else np.where(column.known, column.values, -1)
            codes += 1
            codes = np.unique(codes, return_inverse=True)[1].astype(np.int64)
        _, firsts = np.unique(codes, return_index=True)
        parts = [_texts(column, firsts) for column in columns]
        numbers = np.fromiter((self._number(key, limit) for key in zip(*parts, strict=True)), np.int64, len(firsts))
        return numbers[codes]

    def forget(self, used: Int64s) -> Int64s:
        """Keep only the keys with these numbers, ascending; returns for each old number the new one, -1 where it is gone."""
        renumbered = np.full(len(self.values), -1, dtype=np.int64)
        renumbered[used] = np.arange(len(used))
        numbers: list[int] = used.tolist()
        self.load([self.values[number] for number in numbers])
        return renumbered

    def load(self, values: Sequence[Key]) -> None:
        """Hold these keys, numbered from 0 on, in place of all others."""
        self.values = list(values)
        self._numbers = {key: number for number, key in enumerate(self.values)}
        self._words = None


def words_of(column: Column) -> Sequence[str]:
    """Its words; never none, so that what stands where nothing is known can be looked up too."""
    return column.words if column.words else _NO_WORDS


def _texts(column: Column, places: Int64s) -> list[str | None]:
    words = words_of(column)
    codes: list[int] = np.clip(column.values[places], 0, len(words) - 1).tolist()
    texts: list[str | None] = [words[code] for code in codes]
    if column.known is not None:
        for at in np.flatnonzero(~column.known[places]).tolist():
            texts[at] = None
    return texts
