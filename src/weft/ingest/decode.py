"""From a body to events: decoded once, checked, and kept as the bytes that arrived.

The usual case is one decode of the whole body, one sweep over its columns, and a slice of the body as the batch's rows. Only
where that leaves doubt are the events taken one by one, so that each bad one is named and the good ones are kept.

A key that stands twice in an event counts as its last value, as in every JSON parser here. Nothing is ever re-encoded.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from weft.core.clock import Clock
from weft.core.errors import Invalid, Malformed, TooLarge, WeftError
from weft.core.event import EventRow
from weft.ingest import cloudevents
from weft.ingest.check import check_event, check_size, decode_event
from weft.ingest.intake import Checked, Intake, Rejection, Share
from weft.ingest.rules import Rules
from weft.ingest.sweep import Columns, sweep

Piece = bytes | msgspec.Raw
"""The JSON of one event."""


class Envelope(msgspec.Struct, forbid_unknown_fields=True):
    """`{"events": […]}`, the list undecoded."""

    events: msgspec.Raw


_ROWS: Final = msgspec.json.Decoder(list[EventRow])
_PIECES: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ANYTHING: Final = msgspec.json.Decoder(msgspec.Raw)
_ENVELOPE: Final = msgspec.json.Decoder(Envelope)
_HEAD: Final = re.compile(rb'[ \t\r\n]*+(\{[ \t\r\n]*+"events"[ \t\r\n]*+:[ \t\r\n]*+)?(?=\[)')
_TAIL: Final = re.compile(rb"\][ \t\r\n]*\}[ \t\r\n]*\Z")
_LIST_TAIL: Final = re.compile(rb"\][ \t\r\n]*\Z")
_TAIL_REACH: Final = 64
_BLANK: Final = b" \t\r\n"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

_MOST_VALUES: Final = 500_000
"""A body with more commas than this is not taken apart event by event: the pieces alone would need too much memory."""


class Decoder:
    """Reads bodies by the rules of one door."""

    def __init__(self, rules: Rules, clock: Clock) -> None:
        self._rules = rules
        self._clock = clock

    def read_one(self, body: bytes) -> Checked:
        """One event. Raises Malformed, Invalid or TooLarge for what is wrong with it."""
        text = without_mark(body).strip(_BLANK)
        row, time_us = self.examine(text, self._clock.now_us())
        has_time = row.time is not None or row.timestamp is not None
        return Checked(row.topic or self._rules.default_topic, text, row, time_us if has_time else None)

    def read_batch(self, body: bytes) -> Intake:
        """Many events: `{"events": […]}` or a bare list. Raises Malformed, Invalid or TooLarge for the body as a whole."""
        now_us = self._clock.now_us()
        body = without_mark(body)
        place = find_list(body)
        if place is not None:
            text = memoryview(body)[place[0] : place[1]]
            intake = self._read_at_once(text, body[place[0] + 1 : place[1] - 1].strip(_BLANK), now_us)
            if intake is not None:
                return intake
        is_list = body.lstrip(_BLANK).startswith(b"[")
        return self.read_each(self._split(body if is_list else _unwrap(body)), now_us)

    def read_lines(self, body: bytes) -> Intake:
        """Many events, one on each line (NDJSON); blank lines do not count."""
        now_us = self._clock.now_us()
        body = without_mark(body).strip(_BLANK)
        rows = body.replace(b"\n", b",")
        intake = self._read_at_once(b"[%b]" % rows, rows, now_us)
        # One event a line is what this must be; the same number of both tells it from one event spread over several lines.
        if intake is not None and intake.count == body.count(b"\n") + 1:
            return intake
        if body.count(b"\n") >= self._rules.events_per_batch * 2:
            raise self._too_many(body.count(b"\n") + 1)
        return self.read_each([line for line in body.split(b"\n") if line.strip(_BLANK)], now_us)

    def read_cloudevent(self, body: bytes) -> Checked:
        """One CloudEvent in structured mode."""
        return self.read_one(cloudevents.read_structured(without_mark(body)))

    def read_cloudevent_headers(self, headers: Mapping[bytes, bytes], body: bytes) -> Checked:
        """One CloudEvent in binary mode."""
        return self.read_one(cloudevents.read_binary(headers, body))

    def read_cloudevents(self, body: bytes) -> Intake:
        """Many CloudEvents: a JSON list of them, which may be empty."""
        now_us = self._clock.now_us()
        pieces = self._split(without_mark(body))
        return self.read_each(pieces, now_us, convert=cloudevents.read_structured)

    def read_each(self, pieces: Sequence[Piece], now_us: int, *, convert: Callable[[Piece], Piece] | None = None) -> Intake:
        """Many events, each by itself: the good ones and what is wrong with the others."""
        if len(pieces) > self._rules.events_per_batch:
            raise self._too_many(len(pieces))
        rejections: list[Rejection] = []
        good: dict[str, list[tuple[int, EventRow, bytes, int]]] = {}
        for index, piece in enumerate(pieces):
            try:
                event = piece if convert is None else convert(piece)
                row, time_us = self.examine(event, now_us)
            except WeftError as error:
                rejections.append(reject(index, error))
            else:
                good.setdefault(row.topic or self._rules.default_topic, []).append((index, row, bytes(event), time_us))
        shares = [_share(topic, entries) for topic, entries in good.items()]
        return Intake(count=len(pieces), received_at_us=now_us, shares=shares, rejections=rejections)

    def examine(self, piece: Piece, now_us: int) -> tuple[EventRow, int]:
        """One event and its time, checked exactly. Raises Malformed, Invalid or TooLarge."""
        check_size(len(piece), self._rules)
        try:
            text = bytes(piece)
            if not text.isascii():
                text.decode()
            row = decode_event(text)
        except (msgspec.DecodeError, UnicodeDecodeError) as unreadable:
            raise unreadable_body(unreadable) from unreadable
        return row, check_event(row, text, self._rules, now_us)

    def _read_at_once(self, text: bytes | memoryview, rows: bytes, now_us: int) -> Intake | None:
        """The usual case, or None where events have to be looked at one by one. `text` is `rows` in brackets."""
        try:
            if not rows.isascii():
                rows.decode()
            events = _ROWS.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if len(events) > self._rules.events_per_batch:
            raise self._too_many(len(events))
        if not events:
            raise Invalid("the body holds no event", field="events")
        if len(text) > self._rules.event_bytes and max(map(len, _PIECES.decode(text))) > self._rules.event_bytes:
            return None
        columns = sweep(events, rows, self._rules, now_us)
        if columns is None:
            return None
        shares = self._shares(events, text, rows, columns)
        return Intake(count=len(events), received_at_us=now_us, shares=shares)

    def _shares(self, events: Sequence[EventRow], text: bytes | memoryview, rows: bytes, columns: Columns) -> Sequence[Share]:
        if columns.topics is None:
            return (Share(self._rules.default_topic, rows, events, range(len(events)), columns.times_us),)
        if len(set(columns.topics)) == 1:
            return (Share(columns.topics[0], rows, events, range(len(events)), columns.times_us),)
        pieces = _PIECES.decode(text)
        good: dict[str, list[tuple[int, EventRow, bytes, int]]] = {}
        for index, (topic, event, piece, time_us) in enumerate(
            zip(columns.topics, events, pieces, columns.times_us.tolist(), strict=True)
        ):
            good.setdefault(topic, []).append((index, event, bytes(piece), time_us))
        return [_share(topic, entries) for topic, entries in good.items()]

    def _split(self, text: bytes) -> Sequence[msgspec.Raw]:
        """The events of a list, undecoded. Raises Malformed where it is no JSON list."""
        if text.count(b",") > _MOST_VALUES:
            raise TooLarge(
                "one of the events is wrong, and the body holds too many values to look for it; send smaller batches",
                limit=_MOST_VALUES,
                unit="values",
            )
        try:
            if not text.isascii():
                text.decode()
            return _PIECES.decode(_ANYTHING.decode(text))
        except msgspec.ValidationError as wrong:
            raise no_batch(wrong) from None
        except RecursionError:
            raise Malformed("the body is nested too deep to be read") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as unreadable:
            raise unreadable_body(unreadable) from unreadable

    def _too_many(self, count: int) -> TooLarge:
        limit = self._rules.events_per_batch
        return TooLarge(f"a batch may hold {limit} events, this one has {count}; send several", limit=limit, unit="events")


def without_mark(body: bytes) -> bytes:
    """The body without the byte order mark that some Windows programs put first."""
    return body[3:] if body.startswith(_BYTE_ORDER_MARK) else body


def find_list(body: bytes) -> tuple[int, int] | None:
    """Where the list is in a body that seems to be nothing but `{"events": […]}` or `[…]`, brackets included."""
    head = _HEAD.match(body)
    if head is None:
        return None
    tail = (_TAIL if head.group(1) else _LIST_TAIL).search(body, max(head.end(), len(body) - _TAIL_REACH))
    return None if tail is None else (head.end(), tail.start() + 1)


def _unwrap(body: bytes) -> bytes:
    """The list inside `{"events": […]}`. Raises Malformed or Invalid."""
    try:
        try:
            return bytes(_ENVELOPE.decode(body).events)
        except msgspec.ValidationError as wrong:
            _ANYTHING.decode(body)  # what is no JSON at all is that before it is anything else
            raise no_batch(wrong) from None
    except RecursionError:
        raise Malformed("the body is nested too deep to be read") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as unreadable:
        raise unreadable_body(unreadable) from unreadable


def no_batch(wrong: msgspec.ValidationError) -> Invalid:
    """What to say of JSON that is no batch."""
    reason = str(wrong).replace("`", "")
    return Invalid(f'a batch is {{"events": […]}} or a list of events: {reason}', field="events")


def unreadable_body(unreadable: Exception) -> Malformed:
    """What to say of bytes that are no JSON."""
    if isinstance(unreadable, UnicodeDecodeError):
        return Malformed(f"the body is not UTF-8: byte {unreadable.start} cannot be read")
    return Malformed(f"the body is not JSON: {str(unreadable).removeprefix('JSON is malformed: ')}")


def reject(index: int, error: WeftError) -> Rejection:
    """An error about one event as an entry of the answer."""
    details = {name: value for name, value in error.details.items() if name != "field"}
    return Rejection(index=index, reason=error.message, field=error.details.get("field"), details=details)


def _share(topic: str, entries: Sequence[tuple[int, EventRow, bytes, int]]) -> Share:
    return Share(
        topic=topic,
        rows=b",".join(piece for _, _, piece, _ in entries),
        events=[row for _, row, _, _ in entries],
        indices=[index for index, _, _, _ in entries],
        times_us=np.array([time_us for _, _, _, time_us in entries], dtype=np.int64),
    )
