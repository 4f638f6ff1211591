"""What a feed's reader gets to see: server-sent events, or WebSocket frames.

Both carry the same events and the same notices: `gap` (offsets that are not there any more or cannot be read), and at the end
`cut` with the place to resume from. The texts of the events were made once; here they are only joined.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import msgspec

from weft.core.errors import WeftError
from weft.query import resume
from weft.query.feed import Reader
from weft.query.piece import Piece

_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events a reader wants to see; None means all."""

    types: Collection[str] | None = None
    sources: Collection[str] | None = None

    @classmethod
    def of(cls, types: Sequence[str] | None, sources: Sequence[str] | None) -> Self:
        """From the lists of a question."""
        return cls(None if types is None else frozenset(types), None if sources is None else frozenset(sources))

    def indices(self, piece: Piece) -> Sequence[int]:
        """The indices of the events of a piece that are wanted."""
        if self.types is None and self.sources is None:
            return range(len(piece.lines))
        return [
            index
            for index, (event_type, source) in enumerate(piece.names)
            if (self.types is None or event_type in self.types) and (self.sources is None or source in self.sources)
        ]


def sse_begin(reader: Reader) -> bytes:
    """The first words of a feed: come back after a second if it breaks, and from here if nothing was sent by then."""
    return b"retry: 1000\nid: %b\n\n" % resume.to_event_id(reader.positions).encode()


def sse_chunk(reader: Reader, piece: Piece, wanted: Wanted) -> bytes:
    """A piece as server-sent events, each with the id to resume after it. The reader's place moves on."""
    notice = _gap(reader, piece)
    before, after = _around(reader, piece.partition)
    reader.passed(piece)
    text = piece.joined((before, after, wanted), lambda: _sse_events(piece, wanted, before, after))
    return text if notice is None else b"event: gap\ndata: %b\n\n%b" % (_encode(notice), text)


def _sse_events(piece: Piece, wanted: Wanted, before: bytes, after: bytes) -> bytes:
    return b"".join(
        [
            b"id: %b%d:%d%b\ndata: %b\n\n" % (before, piece.partition, piece.first_offset + index, after, piece.lines[index])
            for index in wanted.indices(piece)
        ]
    )


def sse_heartbeat(reader: Reader) -> bytes:
    """A comment that keeps the connection open, and the place so far, which a browser remembers without an event."""
    return b": heartbeat\nid: %b\n\n" % resume.to_event_id(reader.positions).encode()


def sse_cut(reader: Reader, reason: WeftError) -> bytes:
    """The last words of a feed."""
    return b"event: cut\nid: %b\ndata: %b\n\n" % (
        resume.to_event_id(reader.positions).encode(),
        _encode({"reason": reason.message, "from": resume.to_text(reader.positions)}),
    )


def socket_frames(reader: Reader, piece: Piece, wanted: Wanted) -> list[bytes]:
    """A piece as WebSocket frames (a gap, the events), each with the place to resume from. The reader's place moves on."""
    frames: list[bytes] = []
    if (notice := _gap(reader, piece)) is not None:
        frames.append(_encode({"type": "gap", **notice}))
    reader.passed(piece)
    place = resume.to_text(reader.positions)
    events = piece.joined((place, wanted), lambda: _socket_events(piece, wanted, place))
    return [*frames, events] if events else frames


def _socket_events(piece: Piece, wanted: Wanted, place: str) -> bytes:
    lines = [piece.lines[index] for index in wanted.indices(piece)]
    head = _encode({"type": "events", "from": place})[:-1]
    return head + b',"events":[' + b",".join(lines) + b"]}" if lines else b""


def socket_heartbeat(reader: Reader) -> bytes:
    """A frame that says: still here, and so far."""
    return _encode({"type": "heartbeat", "from": resume.to_text(reader.positions)})


def socket_cut(reader: Reader, reason: WeftError) -> bytes:
    """The last frame of a feed."""
    return _encode({"type": "cut", "reason": reason.message, "from": resume.to_text(reader.positions)})


def _gap(reader: Reader, piece: Piece) -> dict[str, Any] | None:
    """Which offsets a reader will never see, or None."""
    expected = reader.positions.get(piece.partition, 0)
    if piece.reason is not None:
        return _notice(piece.partition, expected, piece.next_offset, piece.reason)
    if piece.first_offset > expected:
        return _notice(piece.partition, expected, piece.first_offset, "erased, or older than the log keeps")
    return None


def _notice(partition: int, start_offset: int, end_offset: int, reason: str) -> dict[str, Any]:
    return {"partition": partition, "start_offset": start_offset, "end_offset": end_offset, "reason": reason}


def _around(reader: Reader, partition: int) -> tuple[bytes, bytes]:
    """The event id's parts for the partitions before and after this one, commas included."""
    others = sorted((number, offset) for number, offset in reader.positions.items() if number != partition)
    before = "".join(f"{number}:{offset - 1}," for number, offset in others if number < partition)
    after = "".join(f",{number}:{offset - 1}" for number, offset in others if number > partition)
    return before.encode(), after.encode()
