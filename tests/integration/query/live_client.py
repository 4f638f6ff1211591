"""A client of live sockets, for tests."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from weft.core.principal import Scope


class Client:
    """A client of a socket. Frames of each subscription are kept apart, as an application would."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def ask(self, op: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"op": op, **fields}))

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(15):
            return json.loads(await self.socket.recv())

    async def subscribe(self, name: str = "a", feed: str = "events", **fields: Any) -> dict[str, Any]:
        await self.ask("subscribe", id=name, feed=feed, **fields)
        frame = await self.hear()
        assert (frame["type"], frame.get("id")) == ("subscribed", name), frame
        return frame

    async def numbers(self, count: int) -> list[int]:
        """The numbers of the next events of updates."""
        found: list[int] = []
        while len(found) < count:
            frame = await self.hear()
            assert frame["type"] == "update", frame
            assert "gap" not in frame, frame["gap"]
            found += [event["data"]["number"] for event in frame["events"]]
            self.cursor = frame["cursor"]
        return found


@asynccontextmanager
async def client(lab: Any, path: str = "/ws/live", key: str | None = None, **options: Any) -> AsyncIterator[Client]:
    shown = {"X-API-Key": key or lab.key}
    async with connect(f"ws://{lab.address}{path}", additional_headers=shown, proxy=None, **options) as socket:
        yield Client(socket)


async def key_of(lab: Any, *scopes: Scope) -> str:
    """A new key with these scopes."""
    auth = lab.app.state.auth
    owner = (await auth.accounts.list_accounts(skip=0, limit=1))[0][0]
    _, key = await auth.api_keys.create(owner_id=owner.id, name="key", scopes=frozenset(scopes), may_give=Scope)
    return key
