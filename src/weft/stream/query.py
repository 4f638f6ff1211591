"""Query: a question over a topic that is answered as events arrive. It is data, and this is its definition.

`{name, from, where, key, window, lateness, select, having, emit, every, start, description}`. Every fault is an Invalid that
names its field, so that a form can show it where it belongs.

What the words mean, pinned for every engine:

- **lateness**: a tumbling or sliding window [s, e) takes an event unless `e - 1 µs + lateness ≤ watermark` before it in its
  partition; a session takes it unless `time + lateness ≤ watermark`. An event that no window of a query takes is late for it.
- **final** (the default): one answer for each window, revision 1, when the least watermark of the partitions has passed
  `e - 1 µs + lateness`; of a session `e + lateness`, since an event exactly at its end still prolongs it.
- **revisions**: an answer at the end of the window, further ones after every slide in which late events changed it, and one
  marked final when lateness is over (without lateness the first one is it). What an answer at moment m holds is a function of
  the log alone: the events whose own partition's watermark was below m - 1 µs before them.
- **every**: such answers at every multiple of that interval while the window is open (it divides the slide), where something
  changed since the last.
- **having** judges each revision by itself.
- **start**: with `latest`, windows that began at or before the largest event time ahead of the activation are not answered.
- **revision** counts from 1 for each key and window.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, cast, get_args

import msgspec

from weft.core.errors import Invalid
from weft.core.interval import parse_interval
from weft.stream.window import Window

Emit = Literal["final", "revisions"]
Start = Literal["latest", "earliest"]

MOST_KEYS: Final = 8
MOST_SELECTED: Final = 64
LONGEST_DESCRIPTION: Final = 1_000
RESULTS: Final = "analytics."
"""How the topic of a query's results begins; the name of the query follows."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}", re.ASCII)
_TOPIC: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}", re.ASCII)
_VALUE_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,63}", re.ASCII)
_MEMBERS: Final = (
    "name",
    "from",
    "where",
    "key",
    "window",
    "lateness",
    "select",
    "having",
    "emit",
    "every",
    "start",
    "description",
)


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A checked definition. `read_query` makes one; `written` gives it back as it is stored and shown."""

    name: str
    topic: str
    window: Window
    select: dict[str, str]
    where: str | None = None
    key: tuple[str, ...] = ()
    lateness: str = "0s"
    having: str | None = None
    emit: Emit = "final"
    every: str | None = None
    start: Start = "latest"
    description: str = ""

    @property
    def lateness_us(self) -> int:
        """How long after its end a window still takes events."""
        return _lateness_us(self.lateness)

    @property
    def every_us(self) -> int | None:
        """How often open windows are answered; None where they are not."""
        return None if self.every is None else parse_interval(self.every)

    @property
    def results_topic(self) -> str:
        """Where its results go."""
        return RESULTS + self.name

    def written(self) -> dict[str, Any]:
        """The definition as JSON values; what was not said is left out."""
        members: dict[str, Any] = {"name": self.name, "from": self.topic}
        optional: dict[str, tuple[object, object]] = {
            "where": (self.where, None),
            "key": (list(self.key), []),
            "window": (self.window.written(), None),
            "lateness": (self.lateness, "0s"),
            "select": (self.select, None),
            "having": (self.having, None),
            "emit": (self.emit, "final"),
            "every": (self.every, None),
            "start": (self.start, "latest"),
            "description": (self.description, ""),
        }
        return members | {name: value for name, (value, unsaid) in optional.items() if value != unsaid}


def read_query(written: Mapping[str, object]) -> Query:
    """A query from JSON values. Raises Invalid that names the field which is wrong."""
    for name in written:
        if name not in _MEMBERS:
            raise Invalid(f"a query has no '{str(name)[:64]}'; it has: {', '.join(_MEMBERS)}", field=str(name)[:64])
    window = Window.read(_needed(written, "window"))
    query = Query(
        name=_matching(written, "name", _NAME, "small letters, digits, '.', '_' and '-', at most 100, such as errors-by-room"),
        topic=_matching(written, "from", _TOPIC, "the name of a topic, such as events"),
        where=_text(written, "where"),
        key=_keys(written.get("key", ())),
        window=window,
        lateness=_text(written, "lateness") or "0s",
        select=_selected(_needed(written, "select")),
        having=_text(written, "having"),
        emit=cast("Emit", _one_of(written, "emit", get_args(Emit))),
        every=_text(written, "every"),
        start=cast("Start", _one_of(written, "start", get_args(Start))),
        description=_text(written, "description") or "",
    )
    _check_together(query)
    return query


def _check_together(query: Query) -> None:
    _lateness_us(query.lateness)
    if query.topic == query.results_topic:
        raise Invalid(f"the query '{query.name}' would read its own results", field="from")
    if len(query.description) > LONGEST_DESCRIPTION:
        raise Invalid(
            f"the description has {len(query.description)} characters, at most {LONGEST_DESCRIPTION} are allowed",
            field="description",
            limit=LONGEST_DESCRIPTION,
        )
    if query.window.kind == "session":
        if query.emit != "final":
            raise Invalid("a session is answered once, when it is over: emit must be final", field="emit")
        if query.every is not None:
            raise Invalid("a session is answered once, when it is over: leave 'every' out", field="every")
    if query.every is not None:
        every_us = parse_interval(query.every, field="every")
        slide = query.window.slide or query.window.length
        if query.window.slide_us % every_us:
            raise Invalid(f"'every' must divide {slide}, which {query.every} does not", field="every")


def _lateness_us(text: str) -> int:
    return 0 if text in {"0s", "0"} else parse_interval(text, field="lateness")


def _needed(written: Mapping[str, object], name: str) -> object:
    value = written.get(name)
    if value is None:
        raise Invalid(f"a query needs '{name}'", field=name)
    return value


def _text(written: Mapping[str, object], name: str) -> str | None:
    value = written.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise Invalid(f"'{name}' is a text, not {type(value).__name__}", field=name)
    if not value.strip() and name != "description":
        raise Invalid(f"'{name}' is empty; leave it out instead", field=name)
    return value


def _matching(written: Mapping[str, object], name: str, form: re.Pattern[str], allowed: str) -> str:
    value = _needed(written, name)
    if not isinstance(value, str) or not form.fullmatch(value):
        raise Invalid(f"'{name}' is {allowed}; this is '{str(value)[:64]}'", field=name)
    return value


def _one_of(written: Mapping[str, object], name: str, allowed: tuple[str, ...]) -> str:
    value = written.get(name)
    if value is None:
        return allowed[0]
    if value not in allowed:
        raise Invalid(f"'{name}' is {' or '.join(allowed)}, not '{str(value)[:64]}'", field=name, allowed=list(allowed))
    return cast("str", value)


def _keys(written: object) -> tuple[str, ...]:
    if isinstance(written, str):
        return (written,)
    if not isinstance(written, Sequence) or not all(isinstance(name, str) for name in cast("Sequence[object]", written)):
        raise Invalid("'key' is a list of names, such as [source, data.room]", field="key")
    names = tuple(cast("Sequence[str]", written))
    if len(set(names)) != len(names):
        raise Invalid("'key' names one name twice", field="key")
    if len(names) > MOST_KEYS:
        raise Invalid(f"'key' has {len(names)} names, at most {MOST_KEYS} are allowed", field="key", limit=MOST_KEYS)
    return names


def _selected(written: object) -> dict[str, str]:
    if not isinstance(written, Mapping) or not written:
        raise Invalid("'select' names one value or more, such as {errors: count where severity == 'high'}", field="select")
    members = cast("Mapping[object, object]", written)
    if len(members) > MOST_SELECTED:
        raise Invalid(
            f"'select' has {len(members)} values, at most {MOST_SELECTED} are allowed", field="select", limit=MOST_SELECTED
        )
    selected: dict[str, str] = {}
    for name, text in members.items():
        if not isinstance(name, str) or not _VALUE_NAME.fullmatch(name):
            raise Invalid(
                f"'{str(name)[:64]}' cannot name a value; use small letters, digits and '_', such as error_rate", field="select"
            )
        if not isinstance(text, str) or not text.strip():
            raise Invalid(f"'select.{name}' is an aggregate, such as avg(temperature)", field=f"select.{name}")
        selected[name] = text
    return selected
