"""Rows: the events of one batch as a pass takes them, with everything that was worked out about them so far."""

from collections.abc import Mapping
from typing import Self

import numpy as np
import numpy.typing as npt

from weft.core.batch import Int64s, LogBatch
from weft.core.watermark import watermarks_us
from weft.stream.column import Column, Field
from weft.stream.expression.evaluate import evaluate, select
from weft.stream.expression.typed import Expression

Mask = npt.NDArray[np.bool_]


class Rows:
    """Events of a batch. An expression is evaluated once; it is the same where it is the same object."""

    def __init__(
        self,
        batch: LogBatch,
        columns: Mapping[Field, Column],
        bound_us: int,
        newest_us: int,
        places: slice | Int64s,
        offsets: Int64s,
    ) -> None:
        self.partition = batch.partition
        self.times_us = batch.times_us[places]
        self.offsets = offsets
        self._batch = batch
        self._bound_us = bound_us
        self._newest_us = newest_us
        self._places = places
        self._columns = columns
        self._reached_us: Int64s | None = None
        self._evaluated: dict[int, Column] = {}
        self._selected: dict[int, Mask | None] = {}

    @classmethod
    def of(cls, batch: LogBatch, columns: Mapping[Field, Column], bound_us: int, newest_us: int, first: int = 0) -> Self:
        """The events of a batch from `first` on; `newest_us` is the largest time that counts, up to the end of the batch."""
        offsets = np.arange(batch.first_offset + first, batch.first_offset + batch.count, dtype=np.int64)
        places = slice(first, None)
        part = columns if not first else {field: _part(column, places) for field, column in columns.items()}
        return cls(batch, part, bound_us, newest_us, places, offsets)

    def only(self, condition: Expression) -> "Rows":
        """Those of which a condition is true."""
        mask = self.select(condition)
        if mask is None:
            return self
        chosen = np.flatnonzero(mask)
        columns = {field: _part(column, chosen) for field, column in self._columns.items()}
        places = np.arange(self._batch.count, dtype=np.int64)[self._places][chosen]
        return Rows(self._batch, columns, self._bound_us, self._newest_us, places, self.offsets[chosen])

    @property
    def count(self) -> int:
        """How many events."""
        return len(self.times_us)

    @property
    def reached_us(self) -> Int64s:
        """For each event the first microsecond that its partition's watermark had not passed before it; it never falls."""
        if self._reached_us is None:
            self._reached_us = watermarks_us(self._batch, self._bound_us)[self._places] + 1
        return self._reached_us

    @property
    def most_reached_us(self) -> int:
        """No event's `reached_us` is larger."""
        return self._newest_us - self._bound_us + 1

    def evaluate(self, expression: Expression) -> Column:
        """Its value for each event."""
        found = self._evaluated.get(id(expression))
        if found is None:
            found = self._evaluated[id(expression)] = evaluate(expression, self._columns, self.count)
        return found

    def select(self, condition: Expression) -> Mask | None:
        """The events of which it is true; None where it is true of all."""
        if id(condition) not in self._selected:
            mask = select(condition, self._columns, self.count)
            self._selected[id(condition)] = None if mask.all() else mask
        return self._selected[id(condition)]


def _part(column: Column, places: slice | Int64s) -> Column:
    known = None if column.known is None else column.known[places]
    return Column(column.kind, column.values[places], known, column.words, column.lists)
