"""Unique: finds the events of a batch that are in the log already. The index gives hints; the texts decide."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from weft.core.batch import Batch, LogBatch
from weft.core.repeat import NO_KEY
from weft.log.sqlite.group import Stored
from weft.log.sqlite.repeats import Place, RepeatIndex

ReadBatch = Callable[[Place], "LogBatch | None"]
"""Reads one stored batch again, or None where it is gone."""


class _Sourced(msgspec.Struct, gc=False):
    source: str


_SOURCED: Final = msgspec.json.Decoder(list[_Sourced])


class _Texts:
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

    def __init__(self, index: RepeatIndex, read_batch: ReadBatch) -> None:
        self.index = index
        self._read_batch = read_batch
        self._pending: dict[int, tuple[_Texts, ...]] = {}
        self._read: dict[Place, _Texts | None] = {}

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
        texts = _Texts(batch)
        places = self.index.find(salted)
        distinct = dict.fromkeys(keys, (texts,))
        distinct.pop(NO_KEY, None)
        given = len(keys) - keys.count(NO_KEY)
        if not places and len(distinct) == given and self._pending.keys().isdisjoint(distinct):
            self._pending.update(distinct)
            return []
        return self._compared(keys, texts, places)

    def stored(self, items: Sequence[Stored]) -> None:
        """The group is durable: remember it."""
        for item in items:
            if item.keys is not None:
                header = item.frame.header
                place = Place(item.topic, header.first_offset)
                self.index.add(place, RepeatIndex.salted(item.topic, item.keys), header.received_last_us)

    def _compared(self, keys: Sequence[int], texts: _Texts, places: dict[int, list[Place]]) -> list[int]:
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
        if any(texts.has(pair) for texts in self._pending.get(key, ())):
            return True
        return any(texts is not None and texts.has(pair) for texts in map(self._stored_texts, places))

    def _stored_texts(self, place: Place) -> _Texts | None:
        if place not in self._read:
            batch = self._read_batch(place)
            self._read[place] = None if batch is None else _Texts(batch)
        return self._read[place]
