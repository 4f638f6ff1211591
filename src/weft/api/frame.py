"""Frame: one JSON message of a WebSocket client."""

from typing import Final

import msgspec

from weft.api.nesting import is_deeper_than
from weft.core.errors import Invalid, Malformed, TooLarge
from weft.core.event import EMPTY_OBJECT


class Frame(msgspec.Struct, frozen=True, gc=False):
    """Its type, its `data` undecoded, and the token where it is an auth frame."""

    type: str = ""
    data: msgspec.Raw = EMPTY_OBJECT
    token: str | None = None


_FRAME: Final = msgspec.json.Decoder(Frame)


def decode_frame(text: bytes, *, max_bytes: int, max_depth: int) -> Frame:
    """A frame from its text. Raises TooLarge, Invalid or Malformed."""
    if len(text) > max_bytes:
        raise TooLarge(f"a frame may have at most {max_bytes} bytes", limit=max_bytes, unit="bytes")
    if is_deeper_than(text, max_depth):
        raise Invalid(f"a frame may be nested at most {max_depth} levels deep", limit=max_depth, unit="levels")
    try:
        return _FRAME.decode(text)
    except msgspec.ValidationError as wrong:
        raise Invalid(f'a frame is a JSON object with a "type": {wrong}') from wrong
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as unreadable:
        raise Malformed(f"the frame is not JSON: {unreadable}") from unreadable
