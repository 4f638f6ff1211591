"""What queries answer, computed by brute force over the whole set of events, as the design says it.

Nothing here goes through the events as they come: each event gets the watermark that its log gives it, each window the set of
events that it takes, and each aggregate is computed over that set at once.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.conformance.stream.reference_aggregate import aggregate
from tests.conformance.stream.reference_expression import Value, as_number, evaluate, is_number, parse, to_text
from tests.conformance.stream.transcript import Answers, Entry, Late, Transcript, result_id
from weft.core import times
from weft.core.times import SECOND_US

AHEAD_US: Final = 300 * SECOND_US
BEGINNING_US: Final = -(2**62)
_UNITS_US: Final = {"s": SECOND_US, "m": 60 * SECOND_US, "h": 3600 * SECOND_US, "d": 86400 * SECOND_US}


@dataclass(frozen=True, slots=True)
class Seen:
    """An event and the watermark before it."""

    entry: Entry
    watermark_us: int


@dataclass(frozen=True, slots=True)
class Moment:
    """A point of event time at which a window is answered, with whoever came before it."""

    at_us: int
    is_final: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """The window of a query, in microseconds."""

    kind: str
    size_us: int
    slide_us: int
    lateness_us: int

    def starts(self, time_us: int) -> list[int]:
        """Where the tumbling or sliding windows that hold a time begin."""
        last = time_us // self.slide_us * self.slide_us
        return [start for start in range(last, last - self.size_us, -self.slide_us) if start <= time_us < start + self.size_us]

    def takes(self, seen: Seen, start_us: int | None) -> bool:
        """Whether a window, or a session where there is no start, takes an event."""
        closing_us = seen.entry.time_us if start_us is None else start_us + self.size_us - 1
        return not closing_us + self.lateness_us <= seen.watermark_us

    def moments(self, query: Mapping[str, Any], start_us: int, end_us: int) -> list[Moment]:
        """When a window is answered. At exactly the gap a session still goes on, so it is over a microsecond later."""
        final = Moment(end_us + self.lateness_us + (self.kind == "session"), True)
        every_us = interval_us(query["every"]) if "every" in query else None
        early = [] if every_us is None else range((start_us // every_us + 1) * every_us, end_us, every_us)
        after = range(end_us, final.at_us, self.slide_us) if query.get("emit") == "revisions" else []
        return [*(Moment(at_us, False) for at_us in (*early, *after)), final]


def answer(transcript: Transcript) -> Answers:
    """What all queries of a transcript answer."""
    seen, watermark_us = _watermarks(transcript)
    results: dict[str, list[dict[str, Any]]] = {}
    late: dict[tuple[int, int], list[str]] = defaultdict(list)
    for query in transcript.queries:
        shape = shape_of(query)
        begun = _begun(transcript, query["name"])
        wanted = [event for event in seen if begun.counts(event.entry) and _is_wanted(query, event.entry)]
        found: list[dict[str, Any]] = []
        for window, events in _windows(shape, query, wanted).items():
            if begun.answers(window[1]):
                found += _revisions(query, shape, window, events, watermark_us)
        results[query["name"]] = sorted(found, key=order)
        for event in wanted:
            if _is_late(shape, event):
                late[event.entry.partition, event.entry.offset].append(query["name"])
    return Answers(results, [Late(*place, tuple(sorted(names))) for place, names in sorted(late.items())])


@dataclass(frozen=True, slots=True)
class Begun:
    """Where in the log a query began, and the largest time ahead of that."""

    offsets: Mapping[int, int]
    newest_us: int

    def counts(self, entry: Entry) -> bool:
        """Whether an event came after that."""
        return entry.offset >= self.offsets.get(entry.partition, 0)

    def answers(self, start_us: int) -> bool:
        """Whether a window began after that."""
        return start_us > self.newest_us


def _begun(transcript: Transcript, query: str) -> Begun:
    offsets = transcript.activations.get(query, {})
    ahead = [
        entry
        for entries in transcript.partitions.values()
        for entry in entries
        if entry.offset < offsets.get(entry.partition, 0)
    ]
    return Begun(offsets, max((entry.time_us for entry in ahead if _moves_time(entry)), default=BEGINNING_US))


def _moves_time(entry: Entry) -> bool:
    return entry.row is None or entry.time_us <= entry.received_at_us + AHEAD_US


def is_over(transcript: Transcript, query: Mapping[str, Any], result: Mapping[str, Any]) -> bool:
    """Whether at the end of the log no event can come into a window any more."""
    _, watermark_us = _watermarks(transcript)
    start_us, end_us = times.parse(result["start"]), times.parse(result["end"])
    return shape_of(query).moments(query, start_us, end_us)[-1].at_us - 1 <= watermark_us


def _revisions(
    query: Mapping[str, Any], shape: Shape, window: tuple[tuple[Value, ...], int, int], taken: Sequence[Seen], watermark_us: int
) -> Iterator[dict[str, Any]]:
    """The answers about one key and window: each holds who came while the watermark before it was below the moment."""
    key, start_us, end_us = window
    before: list[Seen] = []
    revision = 0
    for moment in shape.moments(query, start_us, end_us):
        events = [event for event in taken if event.watermark_us < moment.at_us - 1]
        if moment.at_us - 1 > watermark_us or (len(events) == len(before) and not moment.is_final):
            continue
        before, revision = events, revision + 1
        result = _result(query, key, start_us, end_us, events) | {"revision": revision, "final": moment.is_final}
        if _holds(query, result):
            yield result | {"id": result_id(query["name"], result)}


def _holds(query: Mapping[str, Any], result: Mapping[str, Any]) -> bool:
    having = query.get("having")
    return having is None or evaluate(parse(having), result["values"].__getitem__) is True


def order(result: Mapping[str, Any]) -> tuple[object, ...]:
    """By key, start, revision; unknown keys first."""
    key = tuple((value is not None, str(value)) for value in result["key"].values())
    return key, times.parse(result["start"]), result["revision"]


def shape_of(query: Mapping[str, Any]) -> Shape:
    """The window a query asks for."""
    window = query["window"]
    lateness_us = interval_us(query.get("lateness", "0s"))
    if isinstance(window, str):
        window = {"tumbling": window}
    if "session" in window:
        return Shape("session", interval_us(window["session"]), 0, lateness_us)
    if "sliding" in window:
        return Shape("sliding", interval_us(window["sliding"]), interval_us(window["slide"]), lateness_us)
    return Shape("tumbling", interval_us(window["tumbling"]), interval_us(window["tumbling"]), lateness_us)


def interval_us(text: str) -> int:
    """Microseconds of a text such as 5m."""
    return int(text[:-1]) * _UNITS_US[text[-1]]


def _watermarks(transcript: Transcript) -> tuple[list[Seen], int]:
    """Every event with the watermark before it, and the least watermark of all partitions at the end."""
    seen: list[Seen] = []
    ends: list[int] = []
    for entries in transcript.partitions.values():
        newest_us = BEGINNING_US
        for entry in entries:
            if entry.row is not None:
                seen.append(Seen(entry, newest_us - transcript.bound_us))
            if _moves_time(entry):
                newest_us = max(newest_us, entry.time_us)
        ends.append(newest_us - transcript.bound_us)
    return seen, min(ends)


def _is_wanted(query: Mapping[str, Any], entry: Entry) -> bool:
    condition = query.get("where")
    return condition is None or evaluate(parse(condition), lambda name: value_of(entry, name)) is True


def value_of(entry: Entry, name: str) -> Value:
    """What a name stands for in an event."""
    row = entry.row or {}
    if name in ("time", "received_at"):
        return (entry.time_us if name == "time" else entry.received_at_us) / SECOND_US
    if name in _ATTRIBUTES:
        found = row.get(name, _ATTRIBUTES[name])
        return tuple(found) if isinstance(found, list) else found
    parts = name.replace('["', ".").replace('"]', "").split(".")
    found = row if parts[0] in ("data", "metadata") else row.get("data", {})
    for part in parts:
        found = found.get(part) if isinstance(found, dict) else None
    return as_number(found) if is_number(found) else found


_ATTRIBUTES: Final[Mapping[str, Value]] = {
    "id": None,
    "type": None,
    "source": None,
    "subject": None,
    "severity": "medium",
    "user_id": None,
    "session_id": None,
    "correlation_id": None,
    "tags": (),
    "topic": None,
}


def _key(query: Mapping[str, Any], entry: Entry) -> tuple[Value, ...]:
    return tuple(to_text(value_of(entry, name)) for name in key_names(query))


def key_names(query: Mapping[str, Any]) -> list[str]:
    """The names a query groups by."""
    key = query.get("key", [])
    return [key] if isinstance(key, str) else list(key)


Windows = dict[tuple[tuple[Value, ...], int, int], list[Seen]]


def _windows(shape: Shape, query: Mapping[str, Any], wanted: Sequence[Seen]) -> Windows:
    if shape.kind == "session":
        return _sessions(shape, query, [event for event in wanted if shape.takes(event, None)])
    taken: Windows = defaultdict(list)
    for event in wanted:
        for start_us in shape.starts(event.entry.time_us):
            if shape.takes(event, start_us):
                taken[_key(query, event.entry), start_us, start_us + shape.size_us].append(event)
    return taken


def _sessions(shape: Shape, query: Mapping[str, Any], taken: Sequence[Seen]) -> Windows:
    by_key: dict[tuple[Value, ...], list[Seen]] = defaultdict(list)
    for event in taken:
        by_key[_key(query, event.entry)].append(event)
    return {
        (key, run[0].entry.time_us, run[-1].entry.time_us + shape.size_us): run
        for key, events in by_key.items()
        for run in _runs(sorted(events, key=lambda event: event.entry.time_us), shape.size_us)
    }


def _runs(events: Sequence[Seen], gap_us: int) -> Iterator[list[Seen]]:
    run: list[Seen] = []
    for event in events:
        if run and event.entry.time_us - run[-1].entry.time_us > gap_us:
            yield run
            run = []
        run.append(event)
    yield run


def _is_late(shape: Shape, event: Seen) -> bool:
    """Late is who no window takes."""
    if shape.kind == "session":
        return not shape.takes(event, None)
    return not any(shape.takes(event, start_us) for start_us in shape.starts(event.entry.time_us))


def _result(
    query: Mapping[str, Any], key: tuple[Value, ...], start_us: int, end_us: int, events: Sequence[Seen]
) -> dict[str, Any]:
    entries = sorted((event.entry for event in events), key=lambda entry: (entry.time_us, entry.partition, entry.offset))
    seconds = (end_us - start_us) / SECOND_US
    return {
        "key": dict(zip(key_names(query), key, strict=True)),
        "start": times.to_text(start_us),
        "end": times.to_text(end_us),
        "events": len(entries),
        "values": {name: aggregate(text, entries, value_of, seconds) for name, text in query["select"].items()},
    }
