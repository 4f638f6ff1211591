"""What an engine answers to a batch: results of windows, and the events that came too late for a query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import msgspec

from weft.stream.query import RESULTS

Value = int | float | str | bool | None
KeyValues = tuple[str | None, ...]

_BETWEEN = "\x1f"
_NULL = "\x00"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What one query says about one key in one window.

    `revision` counts from 1. `events` is how many events count; `first_offsets` and `last_offsets` say, for each partition
    that had some, where they lie, so that one can look them up.
    """

    query: str
    version: int
    key: dict[str, str | None]
    start_us: int
    end_us: int
    revision: int
    final: bool
    values: dict[str, Value]
    events: int
    first_offsets: dict[int, int]
    last_offsets: dict[int, int]

    @property
    def id(self) -> str:
        """The id of its event: the same for the same result however often it is computed."""
        return result_id(self.query, self.version, self.start_us, self.end_us, self.revision, tuple(self.key.values()))

    @property
    def topic(self) -> str:
        """The topic of its event."""
        return RESULTS + self.query


class Late(msgspec.Struct, frozen=True, kw_only=True):
    """An event that came after every window it belongs to was over, and the queries that would have counted it."""

    topic: str
    partition: int
    offset: int
    time_us: int
    queries: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What came out of one batch.

    `results` are in the order of the ends of their windows for each query; they are made when they are looked at, so that an
    engine costs nothing for what nobody reads. `refused` counts, for each query, events left out because its memory is full.
    """

    results: Sequence[Result]
    late: Sequence[Late]
    refused: Mapping[str, int]


def result_id(query: str, version: int, start_us: int, end_us: int, revision: int, key: KeyValues) -> str:
    """32 hexadecimal digits, a function of what is asked and of the window, key and revision alone."""
    values = _BETWEEN.join(_NULL if value is None else value for value in key)
    return sha256(f"{query}|{version}|{start_us}|{end_us}|{revision}|{values}".encode()).hexdigest()[:32]
