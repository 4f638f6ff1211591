"""Unique: finds the events of a batch that are in the log already. The index gives hints; the texts decide."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from weft.core.batch import Batch, LogBatch
from weft.core.repeat import NO_KEY
from weft.log.group import Stored
from weft.log.kept import KeptRepeats, within
from weft.log.repeats import Place, RepeatIndex

ReadPlace = Callable[[Place], Sequence[LogBatch]]
"""Reads what is left of a stored batch."""


class _Sourced(msgspec.Struct, gc=False):
    source: str


_SOURCED: Final = msgspec.json.Decoder(list[_Sourced])


class Texts:
    """The (source, id) pairs of a batch, decoded when first asked for."""

    def __init__(self, batch: Batch | LogBatch) -> None:
        self._batch = batch
        self._pairs: list[tuple[str, str]] | None = None
        self._known: set[tuple[str, str]] = set()

    def pairs(self) -> list[tuple[str, str]]:
        """In the order of the events."""
        if self._pairs is None:
            sources = _SOURCED.decode(b"[" + self._batch.rows + b"]")
            self._pairs = [(row.source, text) for row, text in zip(sources, self._batch.ids, strict=True)]
            self._known = set(self._pairs)
        return self._pairs

    def has(self, pair: tuple[str, str]) -> bool:
        """Whether an event with this source and id is among them."""
        self.pairs()
        return pair in self._known


class Unique:
    """Repeats of one partition. For one thread."""

    def __init__(self, index: RepeatIndex, read_place: ReadPlace) -> None:
        self.index = index
        self._read_place = read_place
        self._kept: list[KeptRepeats] = []
        self._pending: dict[int, tuple[Texts, ...]] = {}
        self._read: dict[Place, list[Texts]] = {}

    def restore(self, kept: Sequence[KeptRepeats]) -> None:
        """What stays of segments that were trimmed before."""
        self._kept = list(kept)

    def begin(self) -> None:
        """A new group: what it holds is compared too, though it is not stored yet."""
        self._pending = {}
        self._read = {}

    def repeats(self, batch: Batch) -> list[int]:
        """The indices of events that are in the log, in this group, or earlier in this batch already."""
        if batch.repeat_keys is None:
            return []
        salted = RepeatIndex.salted(batch.topic, batch.repeat_keys)
        keys: list[int] = salted.tolist()
        texts = Texts(batch)
        places = self.index.find(salted)
        for kept in self._kept:
            for index in kept.suspects(salted):
                places.setdefault(index, [])
        distinct = dict.fromkeys(keys, (texts,))
        distinct.pop(NO_KEY, None)
        given = len(keys) - keys.count(NO_KEY)
        if not places and len(distinct) == given and self._pending.keys().isdisjoint(distinct):
            self._pending.update(distinct)
            return []
        return self._compared(keys, texts, places)

    def keep(self, kept: KeptRepeats, oldest_us: int) -> None:
        """A segment is about to be trimmed: these are what stays of it."""
        self._kept = [*within(self._kept, oldest_us), kept]

    def stored(self, items: Sequence[Stored], now_us: int) -> None:
        """The group is durable: remember it."""
        for item in items:
            if item.keys is not None:
                header = item.frame.header
                place = Place(item.topic, header.first_offset, header.next_offset)
                self.index.add(place, RepeatIndex.salted(item.topic, item.keys), header.received_last_us, now_us)

    def _compared(self, keys: Sequence[int], texts: Texts, places: dict[int, list[Place]]) -> list[int]:
        repeats: list[int] = []
        seen: set[tuple[str, str]] = set()
        for index, (key, pair) in enumerate(zip(keys, texts.pairs(), strict=True)):
            if key == NO_KEY:
                continue
            if pair in seen or self._is_known(key, pair, places.get(index, ())):
                repeats.append(index)
            else:
                seen.add(pair)
        for index, key in enumerate(keys):
            if key != NO_KEY and index not in repeats:
                self._pending[key] = (*self._pending.get(key, ()), texts)
        return repeats

    def _is_known(self, key: int, pair: tuple[str, str], places: Sequence[Place]) -> bool:
        return (
            any(texts.has(pair) for texts in self._pending.get(key, ()))
            or any(texts.has(pair) for place in places for texts in self._stored_texts(place))
            or any(kept.has(key, pair) for kept in self._kept)
        )

    def _stored_texts(self, place: Place) -> list[Texts]:
        if place not in self._read:
            self._read[place] = [Texts(batch) for batch in self._read_place(place)]
        return self._read[place]
