"""Update: what a subscriber is told at a time, written down once for all who see the same."""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from weft.api.broadcast import encode_frame

Reason = Literal["conflated", "trimmed", "damaged", "erased"]

_FRAMES_MOST: Final = 4  # a client of its own taste in ids costs an encoding, not memory

_encode: Final = msgspec.json.Encoder().encode


class Gap(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Events between two cursors that are not sent; `from` is included, `to` is not.

    `conflated`: the client was behind, or asked for a slower rate, and gets the newest event of each type, source and subject
    instead; what was left out is still in the log. `trimmed`: older than the log keeps. `damaged`: cannot be read.
    `erased`: removed for good. `events` says how many, where that is known.
    """

    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    reason: Reason
    events: int | None = None
    message: str | None = None


class Update:
    """One frame: its type, what is the same in it for everybody (JSON from the first comma on), and how many events."""

    __slots__ = ("_frames", "count", "tail", "type")

    def __init__(self, kind: str, tail: bytes, count: int = 0) -> None:
        self.type = kind
        self.tail = tail
        self.count = count
        self._frames: dict[str, bytes] = {}

    def text(self, name: str | None) -> bytes:
        """The JSON of it for the subscription of a name; without a name it carries none."""
        head = b'{"type":"%b"' % self.type.encode()
        return head + self.tail if name is None else b'%b,"id":%b%b' % (head, _encode(name), self.tail)

    def frame(self, name: str) -> bytes:
        """The text as a WebSocket frame, the same bytes for all subscriptions of this name."""
        frame = self._frames.get(name)
        if frame is None:
            frame = encode_frame(self.text(name))
            if len(self._frames) < _FRAMES_MOST:
                self._frames[name] = frame
        return frame


PROGRESS: Final = Update("progress", b"")
"""Nothing to tell yet, but there is more to read. Never sent."""


class Events(Update):
    """Some events, perhaps a gap before them, and the cursor from which to go on after them."""

    __slots__ = ("cursor", "gap", "lines")

    def __init__(
        self, cursor: str, lines: Sequence[bytes] = (), gap: Gap | None = None, *, kind: str = "update", more: bool = False
    ) -> None:
        self.cursor = cursor
        self.lines = lines
        self.gap = gap
        told = b"" if gap is None else b',"gap":%b' % _encode(gap)
        follows = b',"more":true' if more else b""
        tail = b',"cursor":%b%b%b,"events":[%b]}' % (_encode(cursor), told, follows, b",".join(lines))
        super().__init__(kind, tail, len(lines))


def heartbeat(cursor: str) -> Update:
    """Nothing happened for a while, and this far we are."""
    return Update("heartbeat", b',"cursor":%b}' % _encode(cursor))
