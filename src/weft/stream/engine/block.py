"""Block: the answers of one query about one window, as columns; results are made of it when somebody looks."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, overload

from weft.core.batch import Int64s
from weft.stream.column import Column
from weft.stream.engine.keys import Key
from weft.stream.engine.taken import Result
from weft.stream.query import Query


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One window of one query. All columns have one row for each key; `keys` are numbers in `key_values`.

    `places` has for each partition the first and the last offset; the last is -1 where a key had no event in it.
    """

    query: Query
    version: int
    starts_us: Int64s | int
    ends_us: Int64s | int
    is_final: bool
    key_values: Sequence[Key]
    keys: Int64s
    revisions: Int64s
    events: Int64s
    values: dict[str, Column]
    places: list[tuple[int, Int64s, Int64s]]

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[Result]:
        return map(self.result, range(len(self.keys)))

    def result(self, at: int) -> Result:
        """One row."""
        key = self.key_values[int(self.keys[at])]
        places = [(partition, int(first[at]), int(last[at])) for partition, first, last in self.places if last[at] >= 0]
        return Result(
            query=self.query.name,
            version=self.version,
            key=dict(zip(self.query.key, key if isinstance(key, tuple) else (key,), strict=True)),
            start_us=self.starts_us if isinstance(self.starts_us, int) else int(self.starts_us[at]),
            end_us=self.ends_us if isinstance(self.ends_us, int) else int(self.ends_us[at]),
            revision=int(self.revisions[at]),
            final=self.is_final,
            values={name: _value(column, at) for name, column in self.values.items()},
            events=int(self.events[at]),
            first_offsets={partition: first for partition, first, _ in places},
            last_offsets={partition: last for partition, _, last in places},
        )


class Results(Sequence[Result]):
    """The rows of blocks, one after the other."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.blocks = blocks
        self._ends = list(accumulate(map(len, blocks)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[Result]:
        for block in self.blocks:
            yield from block

    @overload
    def __getitem__(self, index: int) -> Result: ...
    @overload
    def __getitem__(self, index: slice) -> list[Result]: ...
    def __getitem__(self, index: int | slice) -> Result | list[Result]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        number = bisect_right(self._ends, at)
        return self.blocks[number].result(at - (self._ends[number - 1] if number else 0))


def _value(column: Column, at: int) -> Any:
    if column.known is not None and not column.known[at]:
        return None
    if column.words is not None:
        return column.words[int(column.values[at])]
    return column.values[at].item()
