"""Window: the stretches of event time a query answers for. Half-open, aligned to the epoch, in microseconds.

Tumbling and sliding windows are made of panes as long as the slide; a session lasts until its key was silent for longer than
the gap, and ends at its last event plus the gap.
"""

from collections.abc import Mapping
from typing import Final, Literal, Self, cast, get_args

import msgspec

from weft.core.errors import Invalid
from weft.core.interval import parse_interval

WindowKind = Literal["tumbling", "sliding", "session"]

MOST_PANES: Final = 1_440
"""How many slides the size of a window may be: a day in minutes."""

_KINDS: Final[tuple[WindowKind, ...]] = get_args(WindowKind)
_FIELD: Final = "window"
_FORMS: Final = 'write "5m", {tumbling: 5m}, {sliding: 10m, slide: 1m} or {session: 30s}'


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """What kind of window, and how long. The texts are kept as they were written."""

    kind: WindowKind
    length: str
    """The size of a tumbling or sliding window, the gap of a session."""
    slide: str | None = None

    @property
    def size_us(self) -> int:
        """How long a window is; of a session the gap."""
        return parse_interval(self.length)

    @property
    def slide_us(self) -> int:
        """From the start of a window to the start of the next one; of a tumbling window its size, of a session the gap."""
        return parse_interval(self.slide or self.length)

    @property
    def panes(self) -> int:
        """How many slides a window is long."""
        return self.size_us // self.slide_us

    def written(self) -> str | dict[str, str]:
        """How a definition says it."""
        if self.kind == "tumbling":
            return self.length
        written = {str(self.kind): self.length}
        return written if self.slide is None else written | {"slide": self.slide}

    @classmethod
    def read(cls, written: object) -> Self:
        """From a text (a tumbling window) or an object with one kind. Raises Invalid that names the field."""
        if isinstance(written, str):
            return cls._checked("tumbling", written, None)
        if not isinstance(written, Mapping):
            raise Invalid(f"a window is a length or an object; {_FORMS}", field=_FIELD)
        members = dict(cast("Mapping[str, object]", written))
        kinds: list[WindowKind] = [kind for kind in _KINDS if kind in members]
        if len(kinds) != 1:
            raise Invalid(f"a window has one kind, this one has {len(kinds)}; {_FORMS}", field=_FIELD)
        kind = kinds[0]
        length, slide = members.pop(kind), members.pop("slide", None)
        if members:
            raise Invalid(f"a window has no '{next(iter(members))}'; {_FORMS}", field=_FIELD)
        if not isinstance(length, str) or not isinstance(slide, str | None):
            raise Invalid(f"the lengths of a window are texts such as 5m; {_FORMS}", field=_FIELD)
        return cls._checked(kind, length, slide)

    @classmethod
    def _checked(cls, kind: WindowKind, length: str, slide: str | None) -> Self:
        size_us = parse_interval(length, field=f"{_FIELD}.{kind}")
        if (slide is not None) != (kind == "sliding"):
            raise Invalid(f"a sliding window has a slide, the others have none; {_FORMS}", field=f"{_FIELD}.slide")
        if slide is not None:
            slide_us = parse_interval(slide, field=f"{_FIELD}.slide")
            if size_us % slide_us:
                raise Invalid(f"the slide {slide} does not divide the size {length}", field=f"{_FIELD}.slide")
            if size_us // slide_us > MOST_PANES:
                raise Invalid(
                    f"{length} is {size_us // slide_us} slides of {slide}; at most {MOST_PANES} are allowed",
                    field=f"{_FIELD}.slide",
                    limit=MOST_PANES,
                )
        return cls(kind=kind, length=length, slide=slide)
