"""What the columns cannot hold as it is, and how it comes back exactly all the same.

jsonb knows no NUL character, no half surrogate pairs and no difference between 1e30 and a whole number of 31 digits; an index
takes at most 2,704 bytes. Where an event holds such a thing, the columns hold the nearest they can (questions work on that) and
`as_given` holds what was sent. All other events, nearly all there ever are, pay a quick look.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec
import numpy as np
import pyarrow as pa

from weft.store.asking import TEXT_FIELDS

INDEXED_MAX_BYTES: Final = 2_000
_KEPT_CHARACTERS: Final = 400
_WHOLE_MAX: Final = 2**64
_LONG_NUMBER: Final = re.compile(r"[0-9]{20}")
_LONG_NUMBER_BYTES: Final = re.compile(rb"[0-9]{20}")
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_NUL: Final = b"\\u0000"
_HALF: Final = re.compile("[\ud800-\udfff]")

_AS_IN_COLUMN: Final = msgspec.Raw(b"null")


class AsGiven(msgspec.Struct, omit_defaults=True):
    """What was sent, of the fields that a column could not hold."""

    data: msgspec.Raw = _AS_IN_COLUMN
    metadata: msgspec.Raw = _AS_IN_COLUMN
    texts: dict[str, str] = {}
    tags: tuple[str, ...] | None = None


_AS_GIVEN: Final = msgspec.json.Decoder(AsGiven)


@dataclass(frozen=True, slots=True)
class Adapted:
    """Columns as PostgreSQL can hold them, and `as_given` for each event."""

    columns: dict[str, list[Any]]
    as_given: list[str | None]


def column_text(text: str) -> str:
    """A text as a column holds it. Different texts stay different, so that questions about equality stay exact."""
    if "\0" not in text and (len(text) * 4 <= INDEXED_MAX_BYTES or len(text.encode()) <= INDEXED_MAX_BYTES):
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{_plain(text)[:_KEPT_CHARACTERS]}…{digest}"


def fits(columns: pa.RecordBatch, rows: bytes) -> bool:
    """Whether every value can be stored as it is, as far as a quick look can tell."""
    if b"\\u" in rows and (_NUL in rows or _SURROGATE.search(rows) is not None):
        return False
    if _holds_long_number(rows):
        return False
    return len(rows) <= INDEXED_MAX_BYTES or _longest(columns.column("source")) <= INDEXED_MAX_BYTES


def _holds_long_number(rows: bytes) -> bool:
    """Whether there is a run of twenty digits. Only characters that stand five apart are looked at, then what is near four of
    them in a row: every such run has them."""
    characters = np.frombuffer(rows, dtype=np.uint8)
    is_digit = (characters[::5] - np.uint8(ord("0"))) < 10
    near = np.flatnonzero(is_digit[:-3] & is_digit[1:-2] & is_digit[2:-1] & is_digit[3:]) * 5
    between = (characters[near[:, None] + np.arange(16)] - np.uint8(ord("0"))) < 10
    return any(_LONG_NUMBER_BYTES.search(rows, max(at - 5, 0), at + 25) for at in near[between.all(axis=1)].tolist())


def adapt(columns: pa.RecordBatch, *, doubted: bool = False) -> Adapted:
    """The columns with whatever does not fit replaced. `doubted` where PostgreSQL has refused something unknown in them."""
    values = columns.to_pydict()
    as_given: list[str | None] = []
    for index in range(columns.num_rows):
        kept = AsGiven(texts={})
        for name in TEXT_FIELDS:
            text: str | None = values[name][index]
            if text is not None and (fitting := column_text(text)) != text:
                kept.texts[name] = text
                values[name][index] = fitting
        tags: list[str] = values["tags"][index]
        if any("\0" in tag for tag in tags):
            kept.tags = tuple(tags)
            values["tags"][index] = [column_text(tag) for tag in tags]
        for name in ("data", "metadata"):
            raw: str = values[name][index]
            if (fitting := _fitting_json(raw, doubted)) is not None:
                setattr(kept, name, msgspec.Raw(raw.encode()))
                values[name][index] = fitting
        as_given.append(None if kept == AsGiven(texts={}) else msgspec.json.encode(kept).decode())
    return Adapted(values, as_given)


def restored(fields: dict[str, Any], as_given: str) -> None:
    """Put what was sent back over what the columns hold."""
    kept = _AS_GIVEN.decode(as_given)
    fields.update(kept.texts)
    if kept.tags is not None:
        fields["tags"] = kept.tags
    for name, raw in (("data", kept.data), ("metadata", kept.metadata)):
        if bytes(raw) != b"null":
            try:
                fields[name] = msgspec.json.decode(raw)
            except (msgspec.MsgspecError, UnicodeError):
                continue  # half a surrogate pair is no text for anybody; the column has the rest


def from_jsonb(text: str) -> Any:
    """The value of a jsonb. Numbers beyond 64 bits were written with an exponent, else `as_given` has them."""
    value = msgspec.json.decode(text)
    return _with_floats(value) if _LONG_NUMBER.search(text) is not None else value


def _with_floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_floats(part) for name, part in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_with_floats(part) for part in cast("list[Any]", value)]
    if isinstance(value, int) and not -_WHOLE_MAX < value < _WHOLE_MAX:
        return float(value)
    return value


def _fitting_json(raw: str, doubted: bool) -> str | None:
    """JSON that jsonb can hold in place of `raw`, or None where `raw` itself will do."""
    text = raw.encode()
    has_odd_text = _NUL in text or _SURROGATE.search(text) is not None
    if not (has_odd_text or doubted or _LONG_NUMBER.search(raw)):
        return None
    if not has_odd_text and not doubted:
        return raw
    value = _plain_value(json.loads(raw))
    fitting = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if has_odd_text and not doubted and value == json.loads(raw):
        return None  # an escaped backslash before u0000, or whole surrogate pairs
    return fitting


def _plain_value(value: Any) -> Any:
    if isinstance(value, str):
        return _plain(value)
    if isinstance(value, dict):
        return {_plain(name): _plain_value(part) for name, part in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_plain_value(part) for part in cast("list[Any]", value)]
    if isinstance(value, int) and not isinstance(value, bool) and not -_WHOLE_MAX < value < _WHOLE_MAX:
        value = float(value) if abs(value) < 10**308 else None
    if isinstance(value, float):
        return value if abs(value) <= 1.7976931348623157e308 else None
    return value


def _plain(text: str) -> str:
    return _HALF.sub("\ufffd", text.replace("\0", "\ufffd"))


def _longest(texts: Any) -> int:
    import pyarrow.compute

    compute: Any = pyarrow.compute
    return compute.max(compute.binary_length(texts)).as_py() or 0
