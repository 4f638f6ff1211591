"""Repeats: which events with ids of their own are in the log already, within a horizon of age and number.

Nearly every key is new, so Bloom filters answer first, for a whole batch at once. Only what they cannot rule out is looked up
in sorted arrays (generations) that are merged as they grow. A key is only a hint; whoever finds one compares the texts.
Five million keys fit in about 80 MB.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import xxhash

from weft.core.batch import Int64s, UInt64s
from weft.core.repeat import NO_KEY
from weft.log.bloom import BloomFilter

UInt32s = npt.NDArray[np.uint32]

_NEWEST: Final = 16_384
_GROWTH: Final = 4
_FIRST_SIEVE: Final = 65_536
_SIEVES: Final = 2
"""Filters grow until so many of them hold all keys of the horizon: few are quick to ask, several can be forgotten in turn."""
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


@dataclass(slots=True)
class _Sieve:
    """A filter, how many keys it took, and when it took the newest."""

    filter: BloomFilter
    count: int = 0
    newest_us: int = 0


class RepeatIndex:
    """Finds keys seen before. `salt`ed by topic: the same event in two topics is two events."""

    def __init__(self, *, age_us: int, count: int) -> None:
        self.age_us = age_us
        self.count = count
        self._newest_keys = np.empty(_NEWEST, dtype=np.uint64)
        self._newest_places = np.empty(_NEWEST, dtype=np.uint32)
        self._newest_count = 0
        self._oldest_us = 0
        self._newest_us = 0
        self._generations: list[_Generation] = []
        self._sieves: list[_Sieve] = []
        self._places: dict[int, Place] = {}
        self._next_place = 0
        self._first_newest_place = 0

    def __len__(self) -> int:
        return self._newest_count + sum(len(generation.keys) for generation in self._generations)

    @staticmethod
    def salted(topic: str, keys: UInt64s) -> UInt64s:
        """Keys that differ between topics; no key stays no key."""
        salt = np.uint64(xxhash.xxh3_64_intdigest(topic.encode()))
        return np.where(keys == NO_KEY, np.uint64(NO_KEY), keys ^ salt)

    def find(self, keys: UInt64s) -> dict[int, list[Place]]:
        """For each index whose key was seen the places to compare with."""
        found: dict[int, list[Place]] = {}
        suspects = self._suspects(keys)
        if len(suspects):
            for generation in self._generations:
                self._look(generation, keys, suspects, found)
            self._look_at_newest(keys, suspects, found)
        return found

    def add(self, place: Place, keys: UInt64s, received_us: int, now_us: int) -> None:
        """Remember the keys of a stored batch, and forget what is beyond the horizon now and then."""
        number = self._next_place
        self._next_place += 1
        self._places[number] = place
        given = keys[keys != NO_KEY]
        self._sift(given, received_us)
        has_frozen = False
        while len(given):
            if not self._newest_count:
                self._oldest_us = received_us
                self._first_newest_place = number
            self._newest_us = max(self._newest_us, received_us)
            given = given[self._remember(given, number) :]
            if self._newest_count == _NEWEST:
                self._freeze()
                has_frozen = True
        if has_frozen:
            self.forget(now_us)

    def _suspects(self, keys: UInt64s) -> Int64s:
        """The indices of keys that may have been seen."""
        may_be_known = np.zeros(len(keys), dtype=np.bool_)
        for sieve in self._sieves:
            may_be_known |= sieve.filter.may_hold(keys)
        return np.flatnonzero(may_be_known & (keys != NO_KEY))

    def _look(self, generation: _Generation, keys: UInt64s, suspects: Int64s, found: dict[int, list[Place]]) -> None:
        wanted = keys[suspects]
        first = np.searchsorted(generation.keys, wanted, side="left")
        last = np.searchsorted(generation.keys, wanted, side="right")
        for hit in np.flatnonzero(first < last).tolist():
            numbers = generation.places[first[hit] : last[hit]].tolist()
            found.setdefault(int(suspects[hit]), []).extend(self._places[number] for number in numbers)

    def _look_at_newest(self, keys: UInt64s, suspects: Int64s, found: dict[int, list[Place]]) -> None:
        held = self._newest_keys[: self._newest_count]
        places: dict[int, list[Place]] = {}
        for at in np.flatnonzero(np.isin(held, keys[suspects])).tolist():
            places.setdefault(int(held[at]), []).append(self._places[int(self._newest_places[at])])
        for index in suspects.tolist() if places else ():
            found_here = places.get(int(keys[index]))
            if found_here:
                found.setdefault(index, []).extend(found_here)

    def _remember(self, keys: UInt64s, number: int) -> int:
        """Take as many keys among the newest as there is room for; returns how many."""
        begin = self._newest_count
        end = self._newest_count = min(begin + len(keys), _NEWEST)
        self._newest_keys[begin:end] = keys[: end - begin]
        self._newest_places[begin:end] = number
        return end - begin

    def _sift(self, keys: UInt64s, received_us: int) -> None:
        if not self._sieves or self._sieves[-1].count >= self._sieves[-1].filter.capacity:
            before = self._sieves[-1].filter.capacity * _GROWTH if self._sieves else _FIRST_SIEVE
            self._sieves.append(_Sieve(BloomFilter(min(before, max(self.count // _SIEVES, 1)))))
        sieve = self._sieves[-1]
        sieve.filter.add(keys)
        sieve.count += len(keys)
        sieve.newest_us = max(sieve.newest_us, received_us)

    def forget(self, now_us: int) -> None:
        """Let go of generations beyond the horizon."""
        kept = [generation for generation in self._generations if generation.newest_us > now_us - self.age_us]
        while kept and sum(len(generation.keys) for generation in kept) > self.count:
            kept.pop(0)
        if len(kept) == len(self._generations):
            return
        self._generations = kept
        oldest_us = min((generation.oldest_us for generation in kept), default=now_us)
        self._sieves = [sieve for sieve in self._sieves if sieve.newest_us >= oldest_us]
        first = kept[0].first_place if kept else self._first_newest_place
        self._places = {number: place for number, place in self._places.items() if number >= first}

    def _freeze(self) -> None:
        order = np.argsort(self._newest_keys, kind="stable")
        self._generations.append(
            _Generation(
                self._newest_keys[order],
                self._newest_places[order],
                self._oldest_us,
                self._newest_us,
                self._first_newest_place,
            )
        )
        self._newest_count = 0
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
