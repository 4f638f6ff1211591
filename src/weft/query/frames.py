"""What a feed's reader gets to see: server-sent events, or WebSocket frames.

Both carry the same events and the same notices: `gap` (offsets that are not there any more or cannot be read), and at the end
`cut` with the place to resume from. The texts of the events were made once; here they are only joined.
"""

from typing import Any, Final

import msgspec

from weft.core.errors import WeftError
from weft.query import resume
from weft.query.feed import Reader
from weft.query.live.update import Events, Gap, Update
from weft.query.piece import Piece
from weft.query.wanted import Wanted

_encode: Final = msgspec.json.Encoder().encode


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


def socket_frames(update: Update | None, place: str) -> list[bytes]:
    """An update as the frames of a topic's socket (a gap, the events), each with the place to resume from; without an update a
    frame that says: still here, and so far."""
    if not isinstance(update, Events):
        return [_encode({"type": "heartbeat", "from": place})]
    frames: list[bytes] = []
    if update.gap is not None:
        frames += [_encode({"type": "gap", **notice}) for notice in _notices(update.gap)]
    if update.lines:
        head = _encode({"type": "events", "from": update.cursor})[:-1]
        frames.append(head + b',"events":[' + b",".join(update.lines) + b"]}")
    return frames


def socket_cut(place: str, reason: WeftError) -> bytes:
    """The last frame of a feed."""
    return _encode({"type": "cut", "reason": reason.message, "from": place})


def _notices(gap: Gap) -> list[dict[str, Any]]:
    """A gap, partition by partition."""
    begin, end = resume.from_text(gap.start), resume.from_text(gap.end)
    return [
        _notice(partition, begin.get(partition, 0), offset, gap.message or gap.reason)
        for partition, offset in end.items()
        if offset > begin.get(partition, 0)
    ]


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
