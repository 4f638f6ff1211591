"""Keys: the values that events are grouped by, as dense numbers."""

from collections.abc import Sequence
from itertools import repeat
from typing import Final, TypeGuard, cast

import numpy as np

from weft.core.batch import Int64s
from weft.stream.column import Column
from weft.stream.engine.known import KnownWords
from weft.stream.words import Words

Key = str | None | tuple[str | None, ...]

_NO_WORDS: Final = ("",)
_FEW_WORDS: Final = 2_000
"""Up to so many words of a batch are found sooner in a dictionary."""
_EACH_BYTES: Final = 250
"""About what a key costs in memory."""


class Keys:
    """Gives the same number to the same values. A key of one name is its text or None, one of several a tuple of those."""

    def __init__(self) -> None:
        self.values: list[Key] = []
        self._numbers: dict[Key, int] = {}
        self._known = KnownWords()
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
            return np.full(count, self._given([()], limit)[0], dtype=np.int64)
        if len(columns) == 1:
            return self._single(columns[0], limit)
        return self._several(columns, limit)

    def _single(self, column: Column, limit: int) -> Int64s:
        """By the words of the batch: each is looked up once, and not at all where they are the words of the batch before."""
        words = words_of(column)
        if words is not self._words or len(words) != len(self._of_words):
            self._of_words = self._find(words)
            self._words = words
        codes, unknown = column.values.astype(np.int64), None
        if column.known is not None and not column.known.all():
            unknown = ~column.known
            codes[unknown] = 0
        numbers = self._of_words.take(codes)
        if unknown is not None:
            numbers[unknown] = self._given([None], limit)[0]
        if numbers.min() < 0:
            missing = np.flatnonzero(numbers < 0 if unknown is None else (numbers < 0) & ~unknown)
            self._learn(words, np.unique(codes[missing]), limit)
            numbers[missing] = self._of_words[codes[missing]]
        return numbers

    def _find(self, words: Sequence[str]) -> Int64s:
        """The number of each word; -1 for one that has none, or that only `_learn` finds."""
        if _is_long(words):
            return self._known.find(words.spelled)
        return np.fromiter(map(self._numbers.get, words, repeat(-1)), np.int64, len(words))

    def _learn(self, words: Sequence[str], codes: Int64s, limit: int) -> None:
        """A number for each of these words, which differ from each other, as far as there is room."""
        numbers = self._of_words[codes] = self._given(_chosen(words, codes), limit)
        if _is_long(words):
            there = np.flatnonzero(numbers >= 0)
            self._known.add([column[codes[there]] for column in words.spelled], numbers[there])

    def _given(self, keys: Sequence[Key], limit: int) -> Int64s:
        """The number of each of these different keys; new ones are given as far as there is room, the others are -1."""
        numbers = np.fromiter(map(self._numbers.get, keys, repeat(-1)), np.int64, len(keys))
        missing = np.flatnonzero(numbers < 0)[: max(limit - len(self.values), 0)]
        first, places = len(self.values), cast("list[int]", missing.tolist())
        numbers[missing] = range(first, first + len(places))
        self.values.extend(keys[place] for place in places)
        self._numbers.update(zip(self.values[first:], range(first, len(self.values)), strict=True))
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
        return self._given([*zip(*parts, strict=True)], limit)[codes]

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
        self._known = KnownWords()
        self._words = None


def _is_long(words: Sequence[str]) -> TypeGuard[Words]:
    """Whether it pays to find these words by their bytes."""
    return isinstance(words, Words) and len(words) > _FEW_WORDS


def words_of(column: Column) -> Sequence[str]:
    """Its words; never none, so that what stands where nothing is known can be looked up too."""
    return column.words if column.words else _NO_WORDS


def _chosen(words: Sequence[str], codes: Int64s) -> list[str]:
    """The words with these codes, in their order."""
    if _is_long(words):
        return words.only(codes)
    chosen: list[int] = codes.tolist()
    return [words[code] for code in chosen]


def _texts(column: Column, places: Int64s) -> list[str | None]:
    words = words_of(column)
    texts: list[str | None] = [*_chosen(words, np.clip(column.values[places], 0, len(words) - 1).astype(np.int64))]
    if column.known is not None:
        for at in np.flatnonzero(~column.known[places]).tolist():
            texts[at] = None
    return texts
