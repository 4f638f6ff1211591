"""The cursor of a page: opaque to clients, checked when it comes back."""

import base64
import binascii
from typing import Literal

import msgspec
import xxhash

from weft.core.errors import Invalid


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """The last event of a page and the order the page was in."""

    order: Literal["asc", "desc"]
    topic: str
    time_us: int
    id: str
    source: str


def encode(cursor: Cursor) -> str:
    """The text of a cursor."""
    body = msgspec.msgpack.encode(cursor)
    return base64.urlsafe_b64encode(xxhash.xxh3_64_digest(body) + body).decode().rstrip("=")


def decode(text: str, *, order: str, topic: str) -> Cursor:
    """The cursor of a text. Raises Invalid for a text that `encode` did not make, or made for another order or topic."""
    try:
        raw = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        body = raw[8:]
        if xxhash.xxh3_64_digest(body) != raw[:8]:
            raise Invalid("the cursor was changed or cut; take it unchanged from the page before", field="cursor")
        cursor = msgspec.msgpack.decode(body, type=Cursor)
    except (binascii.Error, UnicodeError, msgspec.MsgspecError) as unreadable:
        raise Invalid("this is not a cursor; take it unchanged from the page before", field="cursor") from unreadable
    if (cursor.order, cursor.topic) != (order, topic):
        raise Invalid(f"the cursor belongs to topic '{cursor.topic}' in order '{cursor.order}'", field="cursor")
    return cursor
