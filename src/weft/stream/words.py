"""Words: the different texts of a column as decoding leaves them, side by side in one buffer."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Final, cast, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from weft.core.batch import Int64s, UInt64s

_compute: Any = pyarrow.compute

Spelled = Sequence[UInt64s]

MOST_BYTES: Final = 64
"""Words of so many bytes or more are not spelled; a multiple of eight."""
_AT_A_TIME: Final = 8
_KEPT: Final = np.array([(1 << 8 * count) - 1 for count in range(_AT_A_TIME + 1)], dtype=np.uint64)
"""What keeps so many bytes of eight."""
_ENDS: Final = np.array([0, *(0xFF << 8 * count for count in range(_AT_A_TIME)), 0], dtype=np.uint64)
"""The byte FF, which is in no UTF-8 text, after -1 bytes, which is nowhere, after 0, 1 … 7, and nowhere after eight."""


class Words(Sequence[str]):
    """Texts. Python strings are made of them when somebody looks at one: thousands of those cost more than a window does."""

    def __init__(self, texts: pa.StringArray) -> None:
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        return self._strings[index]

    def __iter__(self) -> Iterator[str]:
        return iter(self._strings)

    @cached_property
    def _strings(self) -> list[str]:
        return cast("list[str]", self._texts.to_pylist())

    def only(self, places: Int64s) -> list[str]:
        """The words at these places; no strings are made of the others."""
        return cast("list[str]", _compute.take(self._texts, pa.array(places)).to_pylist())

    @cached_property
    def spelled(self) -> Spelled:
        """The bytes of each word and FF after the last one, then zeros, eight to a number, in columns.

        Words that are too long are all zeros, which is no word. There are as many columns as the longest of the others needs.
        """
        ends = self._buffer(1, np.int32)[self._texts.offset :][: len(self) + 1].astype(np.int64)
        starts, lengths = ends[:-1], np.diff(ends)
        letters = self._buffer(2, np.uint8)
        padded = np.zeros(len(letters) + _AT_A_TIME, dtype=np.uint8)
        padded[: len(letters)] = letters
        from_each = np.ndarray(len(letters) + 1, "<u8", padded.data, 0, (1,))  # the eight bytes that begin at each one
        is_long = lengths >= MOST_BYTES
        columns: list[UInt64s] = []
        for first in range(0, min(int(lengths.max(initial=0)) + 1, MOST_BYTES), _AT_A_TIME):
            left = lengths - first
            column = from_each[np.minimum(starts + first, len(letters))]
            column &= _KEPT.take(left, mode="clip")
            column |= _ENDS.take(left + 1, mode="clip")
            column[is_long] = 0
            columns.append(column)
        return columns

    def _buffer(self, number: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        buffer = cast("Any", self._texts.buffers()[number])
        return np.zeros(0, dtype=dtype) if buffer is None else np.frombuffer(buffer, dtype=dtype)
