"""Selection: the events that count for some queries of a pass, and what is kept of them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from weft.core.batch import Int64s
from weft.stream.aggregate.catalogue import COUNT, new_tally
from weft.stream.aggregate.count import Count
from weft.stream.aggregate.offsets import Offsets
from weft.stream.aggregate.tally import Chosen, Occurrences, Tally
from weft.stream.column import Column
from weft.stream.engine.plan import Need
from weft.stream.engine.rows import Mask, Rows
from weft.stream.expression.typed import Expression

_OFFSETS: Final = "offsets"


@dataclass(frozen=True, slots=True)
class _Kept:
    """A tally and what it takes."""

    tally: Tally
    need: Need


class Selection:
    """The events of which `where` is true; all where there is none. Each tally is kept once, whoever needs it."""

    def __init__(self, where: Expression | None) -> None:
        self.where = where
        self.count = Count()
        self.offsets = Offsets()
        self._kept: dict[str, _Kept] = {}

    def need(self, needs: Iterable[Need]) -> None:
        """Keep what these aggregates are worked out from and nothing else; what is there of it stays."""
        self._kept = {
            need.tally: self._kept.get(need.tally) or _Kept(new_tally(need.family, need.kind), need)
            for need in needs
            if need.tally != COUNT
        }

    def need_also(self, needs: Iterable[Need]) -> list[Tally]:
        """Keep what these aggregates are worked out from too; returns what was not kept before."""
        new = {need.tally: need for need in needs if need.tally != COUNT and need.tally not in self._kept}
        kept = {name: _Kept(new_tally(need.family, need.kind), need) for name, need in new.items()}
        self._kept |= kept
        return [one.tally for one in kept.values()]

    def tallies(self) -> dict[str, Tally]:
        """Everything that is kept, by name."""
        return {COUNT: self.count, _OFFSETS: self.offsets} | {name: kept.tally for name, kept in self._kept.items()}

    def read(self, need: Need, cells: Int64s, length_us: int | Int64s) -> Column:
        """What an aggregate says about cells."""
        tally = self.count if need.tally == COUNT else self._kept[need.tally].tally
        return tally.read(need.aggregate.function, cells, length_us)

    def add(self, rows: Rows, cells: Int64s, placed: Mask | None) -> None:
        """Take in the events of a batch, each in its cell; where `placed` is not None only those it says."""
        chosen = _choose(rows, cells, _and(placed, None if self.where is None else rows.select(self.where)))
        self.count.add(chosen.events)
        self.offsets.add(chosen.events)
        narrowed: dict[int, _Chosen] = {}
        for kept in self._kept.values():
            of_need, where = chosen, kept.need.where
            if where is not None:
                if id(where) not in narrowed:
                    narrowed[id(where)] = _choose(rows, cells, _and(chosen.mask, rows.select(where)))
                of_need = narrowed[id(where)]
            kept.tally.add(of_need.with_values(rows, cells, kept.need.argument))


class _Chosen:
    """Some events of a batch; None as mask and places is all of them."""

    def __init__(self, mask: Mask | None, places: Int64s | None, events: Chosen) -> None:
        self.mask = mask
        self._places = places
        self.events = events

    def with_values(self, rows: Rows, cells: Int64s, argument: Expression | None) -> Chosen:
        """Those in which what the aggregate takes is known, with it."""
        if argument is None:
            return self.events
        column = rows.evaluate(argument)
        if column.known is not None and not column.known.all():
            return _choose(rows, cells, _and(self.mask, column.known)).with_column(column)
        return self.with_column(column)

    def with_column(self, column: Column) -> Chosen:
        """Each with its value, which is known."""
        values = column.values if self._places is None else column.values[self._places]
        return replace(self.events, column=Column(column.kind, values, None, column.words, column.lists))


def _choose(rows: Rows, cells: Int64s, mask: Mask | None) -> _Chosen:
    if mask is None:
        return _Chosen(None, None, Chosen(cells, rows.times_us, rows.partition, rows.offsets, Occurrences(cells)))
    places = np.flatnonzero(mask)
    chosen = cells[places]
    events = Chosen(chosen, rows.times_us[places], rows.partition, rows.offsets[places], Occurrences(chosen))
    return _Chosen(mask, places, events)


def _and(one: Mask | None, other: Mask | None) -> Mask | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other
