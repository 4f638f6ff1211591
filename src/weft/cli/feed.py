"""Reads a topic in the order of the log: what is there, or the live feed."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import quote

from weft.cli.connect import Server
from weft.cli.output import write_note
from weft.core.errors import Unavailable

_PAGE: Final = 1000


def read_what_is_there(server: Server, topic: str, start: str) -> Iterator[dict[str, Any]]:
    """Every event from `start` (`earliest`, `latest` or a place such as 0:1041) to the log's end, partition by partition."""
    path = f"/api/v1/topics/{quote(topic, safe='')}"
    for partition in server.ask("GET", path)["partitions"]:
        number, end = partition["partition"], partition["end_offset"]
        offset = max(_first_offset(start, number, end), partition["start_offset"])
        while offset < end:
            page = server.ask("GET", f"{path}/events", params={"partition": number, "offset": offset, "limit": _PAGE})
            yield from page["data"]
            if page["next_offset"] <= offset:
                break
            offset = page["next_offset"]


def follow_feed(server: Server, topic: str, start: str) -> Iterator[dict[str, Any]]:
    """The live feed from `start` on, without end. Raises Unavailable, with the place to go on from, when the server ends it."""
    path = f"/api/v1/topics/{quote(topic, safe='')}/stream"
    with server.stream(path, params={"from": start}, headers={"Accept": "text/event-stream"}) as answer:
        for kind, data in _messages(answer.iter_lines()):
            if kind == "message":
                yield data
            elif kind == "gap":
                write_note(f"gap: {json.dumps(data)}")
            elif kind == "cut":
                raise Unavailable(f"the feed ended: {data.get('reason', '')}; go on with --from {data.get('from', '')}")


def _first_offset(start: str, partition: int, end: int) -> int:
    if start == "latest":
        return end
    for part in start.split(","):
        number, separator, offset = part.partition(":")
        if separator and number.strip() == str(partition) and offset.strip().isdigit():
            return int(offset)
    return 0


def _messages(lines: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Server-sent events as kind and data; comments and ids are not needed here."""
    kind, data = "message", ""
    for line in lines:
        if line.startswith("event:"):
            kind = line[6:].strip()
        elif line.startswith("data:"):
            data += line[5:].strip()
        elif not line:
            if data:
                yield kind, json.loads(data)
            kind, data = "message", ""
