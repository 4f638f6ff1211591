"""Wanted: which events of a topic a reader wants to see."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from weft.query.condition import Condition
from weft.query.piece import Pace, Piece


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events; None means all. Equal ones are looked up once per piece, however many readers want the same."""

    types: frozenset[str] | None = None
    sources: frozenset[str] | None = None
    condition: Condition | None = None

    @classmethod
    def of(
        cls, types: Sequence[str] | None = None, sources: Sequence[str] | None = None, expression: str | None = None
    ) -> Self:
        """From the lists and the expression of a question. Raises Invalid for an expression that is none."""
        return cls(
            None if types is None else frozenset(types),
            None if sources is None else frozenset(sources),
            None if expression is None else Condition.of(expression),
        )

    def indices(self, piece: Piece) -> Sequence[int]:
        """The indices of the events of a piece that are wanted."""
        if not piece.lines or self == _EVERYTHING:
            return range(len(piece.lines))
        return piece.chosen(self, lambda: self._find(piece))

    async def indices_paced(self, piece: Piece, pace: Pace) -> Sequence[int]:
        """The same; where an expression has to be evaluated first, at the pace of preparing pieces."""
        if self.condition is None or not piece.lines or piece.has_chosen(self):
            return self.indices(piece)
        async with pace.turn():
            return self.indices(piece)

    def _find(self, piece: Piece) -> Sequence[int]:
        among = range(len(piece.lines)) if self.condition is None else self.condition.indices(piece)
        if self.types is None and self.sources is None:
            return among
        return [index for index in among if self._names(*piece.names[index][:2])]

    def _names(self, event_type: str, source: str) -> bool:
        return (self.types is None or event_type in self.types) and (self.sources is None or source in self.sources)


_EVERYTHING = Wanted()
