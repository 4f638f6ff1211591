"""Any bytes at any decoder: our errors or good events, never anything else, and never more memory than the body warrants.

What is taken is compared with a plain reference: the standard library's parser and a Pydantic model.
"""

import json
import math
import tracemalloc
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError, field_validator, model_validator

from weft.core.errors import WeftError
from weft.core.event import EventRow
from weft.core.event_types import BUILT_IN
from weft.core.times import from_datetime, to_datetime
from weft.ingest.decode import Decoder
from weft.ingest.intake import Intake
from weft.ingest.rules import Rules, read_catalogue
from weft.ingest.settings import IngestSettings
from weft.testing.clock import ManualClock

CLOCK = ManualClock()
SETTINGS = IngestSettings(topics=("events", "lab"), nesting=6, event_bytes=4096, events_per_batch=60)
DECODER = Decoder(Rules.of(SETTINGS, read_catalogue(SETTINGS)), CLOCK)

Text = Annotated[StrictStr, Field(min_length=1, max_length=256)]
Long = Annotated[StrictStr, Field(min_length=1, max_length=1024)]


class Reference(BaseModel):
    """What an event is, written down a second time in the plainest way."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Literal[BUILT_IN]  # type: ignore[valid-type]  # the catalogue's names
    source: Long
    id: Text | None = None
    subject: Long | None = None
    time: StrictStr | None = None
    timestamp: StrictStr | None = None
    severity: Literal["low", "medium", "high", "critical"] = "medium"
    user_id: Text | None = None
    session_id: Text | None = None
    correlation_id: Text | None = None
    tags: Annotated[list[Annotated[StrictStr, Field(max_length=256)]], Field(max_length=64)] = []
    data: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    topic: Literal["events", "lab"] | None = None

    @field_validator("time", "timestamp")
    @classmethod
    def _is_time(cls, text: str | None) -> str | None:
        if text is not None:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None or moment > to_datetime(CLOCK.now_us()) + timedelta(minutes=5):
                raise ValueError(text)
        return text

    @model_validator(mode="after")
    def _is_whole(self) -> "Reference":
        if self.time is not None and self.timestamp is not None:
            raise ValueError("both")
        texts = [self.source, self.id, self.subject, self.user_id, self.session_id, self.correlation_id, *self.tags]
        if any("\0" in text for text in texts if text):
            raise ValueError("NUL")
        if not is_bounded(self.data, 6) or not is_bounded(self.metadata, 6):
            raise ValueError("bounds")
        if self.type == "metric" and not is_metric(self.data):
            raise ValueError("metric")
        return self


def is_bounded(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        return levels > 0 and all(is_bounded(inner, levels - 1) for inner in value.values())
    if isinstance(value, list):
        return levels > 0 and all(is_bounded(inner, levels - 1) for inner in value)
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            float(value)
        except OverflowError:
            return False
    return not isinstance(value, float) or math.isfinite(value)


def is_metric(data: dict[str, Any]) -> bool:
    value = data.get("value")
    return (
        bool(data.get("name"))
        and isinstance(data["name"], str)
        and isinstance(value, int | float)
        and not isinstance(value, bool)
        and data.get("type", "gauge") in ("counter", "gauge", "histogram", "timer")
    )


def is_acceptable(text: str) -> bool:
    """Whether the reference takes one event."""
    try:
        if len(text.encode()) > SETTINGS.event_bytes:
            return False
        Reference.model_validate(json.loads(text, parse_constant=lambda name: 1 / 0))
    except (ValueError, ValidationError, ZeroDivisionError, RecursionError):
        return False
    return True


TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=6) | st.sampled_from(
    ["a\0b", '"', "\\", "{}[]", "\n", "1e999", ""]
)
NUMBERS = (
    st.sampled_from([0, 1, -2.5, 1e308, 2**70, 10**308]) | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
JSONS = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=10,
)
OBJECTS = st.dictionaries(TEXTS, JSONS, max_size=4)
TIMES = st.sampled_from(
    [
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00.123456Z",
        "2026-01-31T12:00:00.123+01:00",
        "2026-02-30T12:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:00:00",
        "20260131T120000Z",
        "2026-W05-6T12:00:00Z",
        "2026-01-31 12:00:00Z",
        "9999-01-01T00:00:00Z",
        "noon",
        "",
    ]
)
ODD = st.sampled_from([None, 1, True, [], {}, "", "x" * 257, "x" * 1025])
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from([*BUILT_IN, "no.such", "weft.tick", "Custom"]),
    "source": st.sampled_from(["s", "web-app", "ü"]) | TEXTS,
    "id": TEXTS,
    "subject": TEXTS,
    "time": TIMES,
    "timestamp": TIMES,
    "severity": st.sampled_from(["low", "medium", "high", "critical", "fatal"]),
    "user_id": TEXTS,
    "session_id": TEXTS,
    "correlation_id": TEXTS,
    "tags": st.lists(TEXTS, max_size=3),
    "data": OBJECTS | OBJECTS | JSONS | st.fixed_dictionaries({"name": TEXTS, "value": NUMBERS}),
    "metadata": OBJECTS,
    "topic": st.sampled_from(["events", "lab", "other"]),
    "more": st.just(1),
}
GOOD = st.fixed_dictionaries(
    {"type": st.sampled_from(["custom", "web.click"]), "source": st.just("s")},
    optional={"data": OBJECTS, "timestamp": st.just("2026-01-31T12:00:00Z"), "tags": st.lists(st.just("t"), max_size=2)},
)


@st.composite
def wild(draw: st.DrawFn) -> dict[str, Any]:
    event = draw(GOOD)
    for name in draw(st.lists(st.sampled_from(list(FIELDS)), max_size=3)):
        event[name] = draw(FIELDS[name] | ODD)
    if draw(st.booleans()) and draw(st.booleans()):
        event.pop(draw(st.sampled_from(["type", "source"])), None)
    return event


def written(draw: st.DrawFn, event: dict[str, Any]) -> str:
    text = json.dumps(
        event, ensure_ascii=draw(st.booleans()), separators=draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,", " : ")]))
    )
    for before, after in draw(st.lists(st.sampled_from(TRICKS), max_size=1)):
        text = text.replace(before, after, 1)
    return text


TRICKS = [
    (": 1", ": 1e999"),
    (":1", ":1e309"),
    (":0", ":-0.0e-999"),
    (":2", ":" + "2" * 400),
    (":true", ":NaN"),
    ('"s"', '"\\ud800"'),
    ('"s"', '"\\ud83d\\ude00"'),
    ("{", '{"data":{"a":[[[[[[[1]]]]]]]},'),
    ("{", '{"data":5,'),
    ("}", ",}"),
    ("]", ""),
    ('"', "'"),
    ("t", "\\u0074"),
]


@st.composite
def texts(draw: st.DrawFn) -> str:
    return written(draw, draw(wild()))


def taken(intake: Intake) -> dict[int, EventRow]:
    """The good events by their place, as who reads the log will decode them."""
    found: dict[int, EventRow] = {}
    for share in intake.shares:
        rows = msgspec.json.decode(b"[" + share.rows + b"]", type=list[EventRow])
        assert len(rows) == len(share.indices) == len(share.events) == len(share.times_us)
        assert [row.type for row in rows] == [event.type for event in share.events]
        for index, row, time_us in zip(share.indices, rows, share.times_us.tolist(), strict=True):
            assert (row.topic or "events") == share.topic
            text = row.time or row.timestamp
            assert time_us == (CLOCK.now_us() if text is None else from_datetime(datetime.fromisoformat(text)))
            found[index] = row
    return found


CALM = [HealthCheck.too_slow, HealthCheck.data_too_large]
SHORT = settings(max_examples=100, suppress_health_check=CALM, deadline=None)
LONG = settings(max_examples=20_000, suppress_health_check=CALM, deadline=None)


def hides_depth(text: str) -> bool:
    """Whether a value that the parser forgot is nested deeper than the bound: we refuse it, the reference cannot see it."""
    return "[[[[[[[" in text


def is_json(body: str) -> bool:
    try:
        json.loads(body, parse_constant=int)
    except (ValueError, RecursionError):
        return False
    return True


READERS = [DECODER.read_one, DECODER.read_batch, DECODER.read_lines, DECODER.read_cloudevent, DECODER.read_cloudevents]


MANY = st.lists(texts(), min_size=1, max_size=4)
FORMS = st.sampled_from(["list", "envelope", "lines"])


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    body = draw(st.binary(max_size=300) | texts().map(str.encode))
    place = draw(st.integers(0, len(body)))
    return draw(
        st.sampled_from([body, body[:place], body[place:], body[:place] + b"\xff" + body[place:], body * 2, b"[%b]" % body])
    )


def one_event_agrees(text: str) -> None:
    try:
        DECODER.read_one(text.encode())
    except WeftError:
        assert not is_acceptable(text) or hides_depth(text)
    else:
        assert is_acceptable(text)


def many_events_agree(some: list[str], more: int, form: str) -> None:
    pieces = [*some, *['{"type":"custom","source":"s","timestamp":"2026-01-31T12:00:00Z"}'] * more]
    expected = {index for index, piece in enumerate(pieces) if is_acceptable(piece) and not hides_depth(piece)}
    body = {"list": f"[{','.join(pieces)}]", "envelope": f'{{"events":[{", ".join(pieces)}]}}', "lines": "\n".join(pieces)}[
        form
    ]
    read = DECODER.read_lines if form == "lines" else DECODER.read_batch
    try:
        intake = read(body.encode())
    except WeftError:
        assert not is_json(body) or "\\ud800" in body  # the body as a whole is none, or none in UTF-8
        return
    assert set(taken(intake)) == expected
    assert {bad.index for bad in intake.rejections} == set(range(len(pieces))) - expected


def only_our_errors(body: bytes) -> None:
    for read in READERS:
        with suppress(WeftError):
            read(body)


@given(texts())
@SHORT
def test_one_event_is_taken_exactly_when_the_reference_takes_it(text: str) -> None:
    one_event_agrees(text)


@given(MANY, st.integers(0, 16), FORMS)
@SHORT
def test_of_many_events_exactly_those_are_taken_that_the_reference_takes(some: list[str], more: int, form: str) -> None:
    many_events_agree(some, more, form)


@given(spoiled())
@SHORT
def test_torn_and_spoiled_bytes_bring_our_errors_alone(body: bytes) -> None:
    only_our_errors(body)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@given(MANY, st.integers(0, 16), FORMS, spoiled())
@LONG
def test_the_long_form_of_all_three(some: list[str], more: int, form: str, body: bytes) -> None:
    one_event_agrees(some[0])
    many_events_agree(some, more, form)
    only_our_errors(body)


MEGABYTE = 1024 * 1024


@pytest.mark.parametrize(
    "body",
    [
        b"[" * MEGABYTE,
        b"[" + b"{}," * (MEGABYTE // 3) + b"{}]",
        b"[" + b"0," * (MEGABYTE // 2) + b"0]",
        b'{"type":"custom","source":"s","data":{"x":' + b"9" * MEGABYTE + b"}}",
        b'{"type":"custom","source":"s","tags":[' + b'"",' * (MEGABYTE // 3) + b'""]}',
        b'{"type":"custom","source":"' + b"x" * MEGABYTE + b'"}',
        b'{"events":[' + b'{"type":"custom","source":"s"},' * (MEGABYTE // 31) + b'{"type":"x","source":"s"}]}',
        b"\n" * MEGABYTE,
        b"x\n" * (MEGABYTE // 2),
        b'{"type":"custom","source":"s","data":{"' + b"\\u0000" * (MEGABYTE // 6) + b'":1}}',
    ],
    ids=range(10),
)
def test_memory_stays_in_proportion_to_the_body(body: bytes) -> None:
    tracemalloc.start()
    try:
        for read in READERS:
            with suppress(WeftError):
                read(body)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 40 * len(body)
