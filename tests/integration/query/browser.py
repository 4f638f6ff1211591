"""Who reads feeds in tests: a browser with server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any


@dataclass
class Message:
    """One server-sent event, as a browser dispatches it."""

    kind: str
    id: str
    data: Any


class Browser:
    """Reads server-sent events as the standard says, and remembers the last event id."""

    def __init__(self, lab: Any, path: str, last_id: str = "") -> None:
        self.lab, self.path, self.last_id = lab, path, last_id
        self.comments = 0

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[AsyncIterator[Message]]:
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        async with self.lab.client.stream("GET", self.path, headers=headers) as answer:
            assert answer.status_code == 200, await answer.aread()
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield self._messages(answer.aiter_lines())

    async def _messages(self, lines: AsyncIterator[str]) -> AsyncIterator[Message]:
        kind, data, last_id = "message", [], self.last_id
        async for line in lines:
            name, _, value = line.partition(": ")
            if line.startswith(":"):
                self.comments += 1
            elif name == "id":
                last_id = value
            elif name == "event":
                kind = value
            elif name == "data":
                data.append(value)
            elif line == "":
                self.last_id = last_id
                if data:
                    yield Message(kind, last_id, json.loads("\n".join(data)))
                kind, data = "message", []

    async def take(self, count: int) -> list[Message]:
        """Connect, take so many messages, and break off."""
        found: list[Message] = []
        async with asyncio.timeout(20), self.connected() as messages:
            async for message in messages:
                found.append(message)
                if len(found) == count:
                    break
        return found


STREAM = "/api/v1/topics/events/stream"


def numbers(messages: list[Message]) -> list[int]:
    return [message.data["data"]["number"] for message in messages]


async def comes_true(condition: Callable[[], bool]) -> bool:
    """Whether something another task does happens within some seconds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nothing in the product announces it
            await asyncio.sleep(0.01)
    return True


async def none_left(lab: Any) -> bool:
    """Whether every reader leaves within some seconds."""
    return await comes_true(lambda: lab.parts.feeds.readers == 0)
