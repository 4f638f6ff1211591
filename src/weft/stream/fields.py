"""Fields: takes the values that queries ask for out of a batch, in one pass over its rows, as columns.

A row is decoded into exactly the members asked for. Where a value somewhere has another type than those asked for, the batch is
decoded once more without types, and such values are unknown.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, reduce
from itertools import repeat
from operator import attrgetter
from typing import Any, Final, cast

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from weft.core.batch import LogBatch
from weft.core.errors import Corrupt
from weft.core.event import DEFAULT_SEVERITY
from weft.core.times import SECOND_US
from weft.stream.column import Column, Field, Kind, Known, Reading
from weft.stream.words import Words

Values = Sequence[Any]
Path = tuple[str, ...]

_DEFAULTS: Final[Mapping[Path, object]] = {("severity",): DEFAULT_SEVERITY, ("tags",): ()}
_TYPES: Final[Mapping[Reading, Any]] = {
    "integer": int,
    "number": float,
    "text": str,
    "boolean": bool,
    "texts": tuple[str, ...],
    "present": Any,
}
_KEPT_LAYOUTS: Final = 256
_LEAST_INTEGER, _MOST_INTEGER = -(2**63), 2**63 - 1


def extract(batch: LogBatch, fields: Iterable[Field]) -> dict[Field, Column]:
    """The column of each field. Raises Corrupt where the rows cannot be read or their number is wrong."""
    columns: dict[Field, Column] = {}
    inside: list[Field] = []
    for field in fields:
        beside = _beside(batch, field)
        if beside is None:
            inside.append(field)
        else:
            columns[field] = beside
    if inside:
        layout = _layout(frozenset(inside))
        for path, values in _values(batch, layout).items():
            columns |= {field: _COLUMNS[field.reading](values) for field in layout.by_path[path]}
    return columns


def _beside(batch: LogBatch, field: Field) -> Column | None:
    """The column of what stands beside the rows, not in them."""
    match field.name:
        case "time":
            return Column("number", batch.times_us / SECOND_US)
        case "received_at":
            return Column("number", batch.received_at_us / SECOND_US)
        case "id":
            return Column("text", np.arange(batch.count, dtype=np.int32), words=batch.ids)
        case "topic":
            return Column("text", np.zeros(batch.count, dtype=np.int32), words=(batch.topic,))
        case _:
            return None


def _values(batch: LogBatch, layout: "_Layout") -> dict[Path, Values]:
    """The values under each path, for every event."""
    rows = b"[" + batch.rows + b"]"
    try:
        found = layout.read(rows)
    except (ValueError, RecursionError) as unreadable:  # msgspec's and json's errors and UnicodeError are ValueErrors
        raise _corrupt(batch, f"cannot be read: {unreadable}") from unreadable
    count = len(next(iter(found.values())))
    if count != batch.count:
        raise _corrupt(batch, f"holds {count} events, its header says {batch.count}")
    return found


def _corrupt(batch: LogBatch, what: str) -> Corrupt:
    place = {"topic": batch.topic, "partition": batch.partition, "offset": batch.first_offset}
    return Corrupt(f"the batch at {batch.topic}/{batch.partition}/{batch.first_offset} {what}", **place)


class _Layout:
    """How to take certain fields out of rows."""

    def __init__(self, fields: frozenset[Field]) -> None:
        self.by_path: dict[Path, list[Field]] = {}
        for field in sorted(fields):
            self.by_path.setdefault(field.path, []).append(field)
        self._attributes: dict[Path, Path] = {}
        self._typed = self._typed_decoder()
        members = {path[0] for path in self.by_path}
        loose = msgspec.defstruct("Loose", [(name, Any, _DEFAULTS.get((name,))) for name in sorted(members)], gc=False)
        self._loose = msgspec.json.Decoder(list[loose])

    def read(self, rows: bytes) -> dict[Path, Values]:
        """The values under each path. Raises ValueError where the rows are no JSON objects."""
        if self._typed is not None:
            try:
                decoded = self._typed.decode(rows)
            except msgspec.ValidationError:
                pass  # a value of another type than asked for
            else:
                return {path: _members(decoded, attributes) for path, attributes in self._attributes.items()}
        try:
            decoded = self._loose.decode(rows)
        except msgspec.ValidationError:  # a number beyond all floats
            decoded = json.loads(rows)
            if not all(isinstance(row, dict) for row in decoded):
                raise ValueError("a row is no JSON object") from None
            return {path: [_follow(row, path) for row in decoded] for path in self.by_path}
        return {path: [_follow(getattr(row, path[0]), path[1:]) for row in decoded] for path in self.by_path}

    def _typed_decoder(self) -> "msgspec.json.Decoder[Any] | None":
        """A decoder for what is asked for and nothing else; None where one field is asked for and another one inside it."""
        paths = set(self.by_path)
        if any(path[:length] in paths for path in paths for length in range(1, len(path))):
            return None
        return msgspec.json.Decoder(list[self._struct((), ())])

    def _struct(self, within: Path, attributes: Path) -> Any:
        """The struct of what is asked for inside of `within`, which stands under these attributes."""
        depth = len(within)
        members = dict.fromkeys(path[depth] for path in self.by_path if path[:depth] == within)
        names = {f"m{number}": member for number, member in enumerate(members)}
        fields: list[tuple[str, Any, Any]] = []
        for name, member in names.items():
            path = (*within, member)
            if path in self.by_path:
                self._attributes[path] = (*attributes, name)
                kind = _type_of(self.by_path[path])
            else:
                kind = self._struct(path, (*attributes, name)) | None
            fields.append((name, kind, _DEFAULTS.get(path)))
        return msgspec.defstruct("Typed", fields, rename=names, gc=False)


_layout: Final = lru_cache(maxsize=_KEPT_LAYOUTS)(_Layout)


def _type_of(fields: Iterable[Field]) -> Any:
    """What a value may be to satisfy these readings, or null."""
    kinds = dict.fromkeys(_TYPES[field.reading] for field in fields)
    return Any if Any in kinds else reduce(lambda union, kind: union | kind, kinds, None)


def _members(rows: Sequence[Any], attributes: Path) -> Values:
    """What stands under the attributes of each row; None where a struct on the way is missing."""
    try:
        return list(map(attrgetter(".".join(attributes)), rows))
    except AttributeError:  # None is on the way, which has none
        values: Values = rows
        for attribute in attributes:
            values = [None if value is None else getattr(value, attribute) for value in values]
        return values


def _follow(value: Any, path: Path) -> Any:
    """What stands under a path in JSON objects; None where there is nothing."""
    for part in path:
        if not isinstance(value, dict):
            return None
        value = cast("dict[str, Any]", value).get(part)
    return value


def _numbers(values: Values) -> Column:
    kinds = set(map(type, values))
    if not kinds <= {float, type(None)}:
        values = [_number(value) for value in values]
    numbers = np.array(values, dtype=np.float64)
    numbers += 0.0  # so that there is one zero
    return _column("number", numbers, np.isfinite(numbers))


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def _integers(values: Values) -> Column:
    known = [type(value) is int and _LEAST_INTEGER <= value <= _MOST_INTEGER for value in values]
    chosen = [value if is_known else 0 for value, is_known in zip(values, known, strict=True)]
    return _column("integer", np.array(chosen, dtype=np.int64), np.array(known, dtype=np.bool_))


def _truths(values: Values) -> Column:
    count = len(values)
    known = np.fromiter(map(isinstance, values, repeat(bool)), np.bool_, count)
    return _column("boolean", np.fromiter((value is True for value in values), np.bool_, count), known)


def _present(values: Values) -> Column:
    return Column("boolean", np.fromiter((value is not None for value in values), np.bool_, len(values)))


def _texts(values: Values) -> Column:
    if not set(map(type, values)) <= {str, type(None)}:
        values = [value if isinstance(value, str) else None for value in values]
    encoded = cast("Any", pa.array(values, pa.string())).dictionary_encode()
    codes = encoded.indices
    known = None if codes.null_count == 0 else codes.is_valid().to_numpy(zero_copy_only=False)
    numbers = (codes if known is None else codes.fill_null(0)).to_numpy(zero_copy_only=False)
    return Column("text", cast("npt.NDArray[np.int32]", numbers), known, words=Words(encoded.dictionary))


def _lists(values: Values) -> Column:
    codes: dict[tuple[str, ...], int] = {}
    known = np.ones(len(values), dtype=np.bool_)
    numbers = np.zeros(len(values), dtype=np.int32)
    for place, value in enumerate(values):
        if isinstance(value, list | tuple) and all(isinstance(text, str) for text in cast("Values", value)):
            numbers[place] = codes.setdefault(tuple(cast("Values", value)), len(codes))
        else:
            known[place] = False
    return Column("texts", numbers, None if known.all() else known, lists=tuple(codes))


def _column(kind: Kind, values: npt.NDArray[Any], known: Known) -> Column:
    return Column(kind, values, None if known.all() else known)


_COLUMNS: Final[Mapping[Reading, Callable[[Values], Column]]] = {
    "integer": _integers,
    "number": _numbers,
    "text": _texts,
    "boolean": _truths,
    "texts": _lists,
    "present": _present,
}
