"""Where a feed goes on, as text: `partition:offset`, several joined by commas, such as `0:1041,1:17`.

Two meanings, told apart by their names: *from* holds the next offset to send; an *event id* of a feed holds the last offset
sent of each partition, so that a browser's `Last-Event-ID` resumes exactly. A partition that is not named begins at 0: it did
not exist when the text was made. Where there was none at all, the text is `earliest`.
"""

import re
from collections.abc import Mapping
from typing import Final

from weft.core.errors import Invalid

EARLIEST: Final = "earliest"
_PART: Final = re.compile(r"([0-9]{1,9}):(-1|[0-9]{1,18})", re.ASCII)


def parse_start(text: str) -> str | dict[int, int]:
    """Where a feed begins: `latest`, `earliest`, or next offsets by partition. Raises Invalid."""
    return text if text in {"latest", EARLIEST} else from_text(text)


def from_text(text: str) -> dict[int, int]:
    """Next offsets by partition. Raises Invalid for a text that is no place."""
    found: dict[int, int] = {}
    for part in text.split(",") if text != EARLIEST else ():
        matched = _PART.fullmatch(part.strip())
        if matched is None or matched[2] == "-1" or int(matched[1]) in found:
            raise _wrong(text)
        found[int(matched[1])] = int(matched[2])
    return found


def from_event_id(text: str) -> dict[int, int]:
    """Next offsets by partition, after the event with this id. Raises Invalid for a text that is no such id."""
    found: dict[int, int] = {}
    for part in text.split(",") if text != EARLIEST else ():
        matched = _PART.fullmatch(part.strip())
        if matched is None or int(matched[1]) in found:
            raise _wrong(text)
        found[int(matched[1])] = int(matched[2]) + 1
    return found


def to_text(positions: Mapping[int, int]) -> str:
    """The place as `from` takes it."""
    return ",".join(f"{partition}:{offset}" for partition, offset in sorted(positions.items())) or EARLIEST


def to_event_id(positions: Mapping[int, int]) -> str:
    """The place as an event id: the offset before each next one, -1 where nothing came yet."""
    return ",".join(f"{partition}:{offset - 1}" for partition, offset in sorted(positions.items())) or EARLIEST


def _wrong(text: str) -> Invalid:
    return Invalid(
        f"'{text[:64]}' is no place in a topic; write latest, earliest, or partition:offset such as 0:1041", field="from"
    )
