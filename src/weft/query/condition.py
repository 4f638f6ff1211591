"""Condition: an expression over events, looked up for a whole piece of a feed at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Self

import msgspec
import numpy as np

from weft.core.batch import LogBatch
from weft.core.errors import Invalid
from weft.query.piece import Piece
from weft.stream.expression.bind import bind_condition
from weft.stream.expression.evaluate import select
from weft.stream.expression.typed import Expression
from weft.stream.fields import extract


class _Identified(msgspec.Struct):
    id: str


_IDS: Final = msgspec.json.Decoder(list[_Identified])


@dataclass(frozen=True, slots=True)
class Condition:
    """Which events an expression is true of. Conditions of the same text are equal."""

    text: str
    _expression: Expression = field(compare=False, repr=False)

    @classmethod
    def of(cls, text: str) -> Self:
        """From its text. Raises Invalid with the column where it is wrong."""
        try:
            return cls(text.strip(), bind_condition(text))
        except Invalid as wrong:
            raise Invalid(wrong.message, field="filter", **wrong.details) from wrong

    def indices(self, piece: Piece) -> Sequence[int]:
        """The indices of the events of a piece of which it is true; where it is unknown it is not true."""
        fields = self._expression.fields
        columns = extract(_batch(piece, with_ids=any(each.name == "id" for each in fields)), fields)
        found: list[int] = np.flatnonzero(select(self._expression, columns, len(piece.lines))).tolist()
        return found


def _batch(piece: Piece, *, with_ids: bool) -> LogBatch:
    """The events of a piece as a batch: its texts hold every field that rows of the log do."""
    rows = b",".join(piece.lines)
    return LogBatch(
        topic=piece.topic,
        partition=piece.partition,
        first_offset=piece.first_offset,
        rows=rows,
        ids=[event.id for event in _IDS.decode(b"[" + rows + b"]")] if with_ids else (),
        times_us=piece.times_us,
        received_at_us=piece.received_at_us,
        max_time_before_us=None,
    )
