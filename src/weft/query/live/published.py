"""Published: the newest updates of a view, by the cursor before each, so that who is a little behind gets the same bytes."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from weft.query.live.update import Events

_COPIES: Final = 6  # of an update's text: its events, the text, and frames of some ids


class Next(NamedTuple):
    """An update, and where one is after it."""

    update: Events
    positions: Mapping[int, int]


class Published:
    """The newest updates, bounded in bytes."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._after: dict[str, Next] = {}
        self._size_bytes = 0

    def add(self, cursor: str, update: Events, positions: Mapping[int, int]) -> None:
        """Keep what follows a cursor; the oldest are let go where there is no room."""
        self._after[cursor] = Next(update, positions)
        self._size_bytes += len(update.tail) * _COPIES
        while self._size_bytes > self._limit_bytes:
            self._size_bytes -= len(self._after.pop(next(iter(self._after))).update.tail) * _COPIES

    def after(self, cursor: str) -> Next | None:
        """What follows a cursor, where it is still here."""
        return self._after.get(cursor)

    def clear(self) -> None:
        """Forget everything, after an erasure."""
        self._after.clear()
        self._size_bytes = 0
