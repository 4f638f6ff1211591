"""Names: what an expression may speak of, and of what kind it is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from weft.stream.column import Kind
from weft.stream.expression.fault import did_you_mean, nearest_to
from weft.stream.expression.write import write_name

ATTRIBUTES: Final[dict[str, tuple[Kind, str]]] = {
    "id": ("text", "what names the event at its source"),
    "type": ("text", "the kind of event, such as error"),
    "source": ("text", "who says it"),
    "subject": ("text", "what it is about"),
    "time": ("number", "when it happened, in seconds since 1970"),
    "received_at": ("number", "when it arrived, in seconds since 1970"),
    "severity": ("text", "low, medium, high or critical"),
    "user_id": ("text", "whose event it is"),
    "session_id": ("text", "the session it belongs to"),
    "correlation_id": ("text", "what it belongs together with"),
    "tags": ("texts", 'its tags, asked as in "night" in tags'),
    "topic": ("text", "the topic it stands in"),
}
"""The attributes every event has. Everything else an event says is in `data` and `metadata`."""

OBJECTS: Final = ("data", "metadata")


class Found(NamedTuple):
    """What a name stands for. Without a `kind` what it is used with decides."""

    path: tuple[str, ...]
    kind: Kind | None

    @property
    def name(self) -> str:
        """The whole name."""
        return write_name(self.path)


class Candidate(NamedTuple):
    """A name that could stand somewhere."""

    name: str
    kind: Kind | None
    sentence: str


class Names(Protocol):
    """The names one expression may use."""

    def find(self, path: tuple[str, ...]) -> Found | None:
        """What a name, as written, stands for; None where there is no such name."""
        ...

    def hint(self, path: tuple[str, ...]) -> str:
        """What to say after a name that was not found, or that few would write on purpose; often nothing."""
        ...

    def candidates(self) -> Iterable[Candidate]:
        """Every name worth offering, most useful first."""
        ...


@dataclass(frozen=True, slots=True)
class EventNames:
    """The names of single events: attributes, and fields of `data` and `metadata`, of which a bare one is of `data`.

    `fields` are whole names that were seen or are declared (`data.temperature`) with their kind. They serve suggestions
    only: an expression means the same whatever was seen so far, and a field that is not among them may be named all the same.
    """

    fields: Mapping[str, Kind] = field(default_factory=dict[str, Kind])

    def find(self, path: tuple[str, ...]) -> Found | None:
        """An attribute, or a field of any name."""
        first, inner = path[0], path[1:]
        if first in ATTRIBUTES:
            return None if inner else Found(path, ATTRIBUTES[first][0])
        if first in OBJECTS:
            if not inner:
                return None
        else:
            path = ("data", *path)
        return Found(path, None)

    def hint(self, path: tuple[str, ...]) -> str:
        """A known name that is nearly the one written."""
        first, inner = path[0], path[1:]
        if first in ATTRIBUTES and inner:
            return f"; {first} has no fields, write {write_name(('data', *path))} for a field of data"
        if first in OBJECTS and not inner:
            return f"; name a field of it, as in {first}.temperature"
        whole = write_name(path if first in OBJECTS else ("data", *path))
        if whole in self.fields:
            return ""
        near = nearest_to(whole, self.fields) or (None if inner else nearest_to(first, ATTRIBUTES))
        return f"; did you mean {near}?" if near else ""

    def candidates(self) -> Iterable[Candidate]:
        """Fields that were seen, then the attributes."""
        for name, kind in self.fields.items():
            yield Candidate(name, kind, "a field of the events")
        for name, (kind, sentence) in ATTRIBUTES.items():
            yield Candidate(name, kind, sentence)


@dataclass(frozen=True, slots=True)
class ResultNames:
    """The names of a query's results, and nothing else."""

    kinds: Mapping[str, Kind] = field(default_factory=dict[str, Kind])
    sentences: Mapping[str, str] = field(default_factory=dict[str, str])

    def find(self, path: tuple[str, ...]) -> Found | None:
        """A value of the result."""
        kind = self.kinds.get(path[0]) if len(path) == 1 else None
        return None if kind is None else Found(path, kind)

    def hint(self, path: tuple[str, ...]) -> str:
        """A value that is nearly called so, or all there are."""
        near = did_you_mean(write_name(path), self.kinds)
        return near or (f"; there are {', '.join(list(self.kinds)[:12])}" if self.kinds else "")

    def candidates(self) -> Iterable[Candidate]:
        """Every value of the result."""
        for name, kind in self.kinds.items():
            yield Candidate(name, kind, self.sentences.get(name, "a value of the result"))
