"""Repeats: which events with ids of their own are in the log already, within a horizon of age and number.

Five million keys fit in about 60 MB: the newest stand in a dictionary, older ones in sorted arrays (generations) that are
merged as they grow. A key is only a hint; whoever finds one compares the texts.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import xxhash

from weft.core.batch import UInt64s
from weft.core.repeat import NO_KEY

UInt32s = npt.NDArray[np.uint32]

_NEWEST: Final = 65_536
_GROWTH: Final = 4
_SHARES: Final = 8


@dataclass(frozen=True, slots=True)
class Place:
    """Where a remembered batch stands."""

    topic: str
    first_offset: int
    next_offset: int


@dataclass(frozen=True, slots=True)
class _Generation:
    """Sorted keys, and for each the number of its place."""

    keys: UInt64s
    places: UInt32s
    oldest_us: int
    newest_us: int
    first_place: int


class RepeatIndex:
    """Finds keys seen before. `salt`ed by topic: the same event in two topics is two events."""

    def __init__(self, *, age_us: int, count: int) -> None:
        self.age_us = age_us
        self.count = count
        self._newest: dict[int, int] = {}
        self._oldest_us = 0
        self._newest_us = 0
        self._generations: list[_Generation] = []
        self._places: dict[int, Place] = {}
        self._next_place = 0
        self._first_newest_place = 0

    def __len__(self) -> int:
        return len(self._newest) + sum(len(generation.keys) for generation in self._generations)

    @staticmethod
    def salted(topic: str, keys: UInt64s) -> UInt64s:
        """Keys that differ between topics; no key stays no key."""
        salt = np.uint64(xxhash.xxh3_64_intdigest(topic.encode()))
        return np.where(keys == NO_KEY, np.uint64(NO_KEY), keys ^ salt)

    def find(self, keys: UInt64s) -> dict[int, list[Place]]:
        """For each index whose key was seen the places to compare with."""
        found: dict[int, list[Place]] = {}
        newest = self._newest
        if newest:
            for index, key in enumerate(keys.tolist()):
                if key in newest:
                    found.setdefault(index, []).append(self._places[newest[key]])
        for generation in self._generations:
            at = np.searchsorted(generation.keys, keys)
            at[at == len(generation.keys)] = 0
            hits = np.flatnonzero((generation.keys[at] == keys) & (keys != NO_KEY))
            for index in hits.tolist():
                found.setdefault(index, []).append(self._places[int(generation.places[at[index]])])
        return found

    def add(self, place: Place, keys: UInt64s, received_us: int, now_us: int) -> None:
        """Remember the keys of a stored batch, and forget what is beyond the horizon now and then."""
        number = self._next_place
        self._next_place += 1
        self._places[number] = place
        if not self._newest:
            self._oldest_us = received_us
        self._newest.update(dict.fromkeys(keys[keys != NO_KEY].tolist(), number))
        self._newest_us = max(self._newest_us, received_us)
        if len(self._newest) >= _NEWEST:
            self._freeze()
            self.forget(now_us)

    def forget(self, now_us: int) -> None:
        """Let go of generations beyond the horizon."""
        kept = [generation for generation in self._generations if generation.newest_us > now_us - self.age_us]
        while kept and sum(len(generation.keys) for generation in kept) > self.count:
            kept.pop(0)
        if len(kept) == len(self._generations):
            return
        self._generations = kept
        first = kept[0].first_place if kept else self._first_newest_place
        self._places = {number: place for number, place in self._places.items() if number >= first}

    def _freeze(self) -> None:
        keys = np.fromiter(self._newest.keys(), dtype=np.uint64, count=len(self._newest))
        places = np.fromiter(self._newest.values(), dtype=np.uint32, count=len(self._newest))
        order = np.argsort(keys)
        self._generations.append(
            _Generation(keys[order], places[order], self._oldest_us, self._newest_us, self._first_newest_place)
        )
        self._newest = {}
        self._newest_us = 0
        self._first_newest_place = self._next_place
        while len(self._generations) > 1 and _belong(self._generations[-2], self._generations[-1], self.count, self.age_us):
            self._generations[-2:] = [_merge(*self._generations[-2:])]


def _belong(older: _Generation, newer: _Generation, count: int, age_us: int) -> bool:
    """Whether two generations are to be one: of like size, and not so large or long that too much is forgotten at once."""
    size = len(older.keys) + len(newer.keys)
    return (
        len(older.keys) < _GROWTH * len(newer.keys)
        and size <= max(count // _SHARES, 1)
        and newer.newest_us - older.oldest_us <= age_us // _SHARES
    )


def _merge(older: _Generation, newer: _Generation) -> _Generation:
    keys = np.concatenate((older.keys, newer.keys))
    places = np.concatenate((older.places, newer.places))
    order = np.argsort(keys, kind="stable")
    return _Generation(keys[order], places[order], older.oldest_us, max(older.newest_us, newer.newest_us), older.first_place)
