"""Doubles of registration agencies on loopback. Handwritten: they answer as the agencies' documents say, and nobody has held
them against the real ones.

Each keeps what it was told, asks for its password, and can be silent, fail or be away.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import unquote, urlsplit

PASSWORD = "correct-horse"


@dataclass
class AgencyDouble:
    """What both doubles share. `failing` is a status every request is answered with; `asked` is every method and path."""

    asked: list[str] = field(default_factory=list)
    names: dict[str, dict[str, Any]] = field(default_factory=dict)
    failing: int | None = None
    silent: bool = False
    lag_s: float = 0.0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    user: str = ""
    _server: asyncio.Server | None = None
    _open: dict[asyncio.StreamWriter, asyncio.Task[None]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections from now on."""
        if self._server is None:
            return
        self._server.close()
        serving = list(self._open.values())
        for writer in list(self._open):
            writer.transport.abort()
        await asyncio.gather(*serving)
        await self._server.wait_closed()
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open[writer] = cast("asyncio.Task[None]", asyncio.current_task())
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            method, target, _ = head[0].split(" ")
            self.asked.append(f"{method} {target}")
            self.arrived.set()
            if self.silent:
                await reader.read()
            await asyncio.sleep(self.lag_s)
            status, answer = self._answer(method, target, headers, body)
            content = b"" if answer is None else json.dumps(answer).encode()
            lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(content)}", "Connection: close"]
            writer.write("\r\n".join([*lines, "Content-Type: application/json", "", ""]).encode() + content)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            del self._open[writer]

    def _answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        if self.failing is not None:
            return self.failing, self.error(self.failing)
        kind, _, given = headers.get("authorization", "").partition(" ")
        shown = unquote(base64.b64decode(given).decode()) if kind == "Basic" else ""
        return self.judge(
            method,
            unquote(urlsplit(target).path),
            shown == f"{self.user}:{PASSWORD}",
            body,
            overwrite="overwrite=true" in target,
        )

    def error(self, status: int) -> Any:
        raise NotImplementedError

    def judge(self, method: str, path: str, is_known: bool, body: bytes, *, overwrite: bool) -> tuple[int, Any]:
        raise NotImplementedError


@dataclass
class DataCiteDouble(AgencyDouble):
    """The REST API for one DOI: GET, PUT (which makes or changes), DELETE of drafts; events publish, register and hide."""

    user: str = "LAB.ONE"

    def error(self, status: int) -> Any:
        return {"errors": [{"status": str(status), "title": f"double says {status}"}]}

    def judge(self, method: str, path: str, is_known: bool, body: bytes, *, overwrite: bool) -> tuple[int, Any]:
        doi = path.removeprefix("/dois/")
        known = self.names.get(doi)
        if not is_known and (method != "GET" or (known is not None and known["state"] == "draft")):
            return 401, {"errors": [{"status": "401", "title": "Bad credentials."}]}
        if method == "PUT":
            return self._put(doi, json.loads(body)["data"]["attributes"])
        if known is None:
            return 404, {"errors": [{"status": "404", "title": "The resource you are looking for doesn't exist."}]}
        if method == "GET":
            return 200, {"data": {"id": doi, "type": "dois", "attributes": known}}
        if known["state"] != "draft":
            return 405, {"errors": [{"status": "405", "title": "Method not allowed"}]}
        del self.names[doi]
        return 204, None

    def _put(self, doi: str, attributes: dict[str, Any]) -> tuple[int, Any]:
        if not doi.startswith("10.5072/"):
            return 403, {"errors": [{"status": "403", "title": "You are not authorized to perform this action."}]}
        event = attributes.pop("event", None)
        before = self.names.get(doi, {}).get("state", "draft")
        if event == "publish" and not (attributes["url"] and attributes["creators"] and attributes["publicationYear"]):
            return 422, {"errors": [{"source": "metadata", "title": "Can't be blank"}]}
        after = {"publish": "findable", "register": "registered", "hide": "registered"}.get(event or "", before)
        status = 200 if doi in self.names else 201
        self.names[doi] = {**attributes, "state": after}
        return status, {"data": {"id": doi, "type": "dois", "attributes": self.names[doi]}}


@dataclass
class HandleDouble(AgencyDouble):
    """A Handle server's REST API: GET and PUT of one Handle."""

    user: str = "300:21.T12345/USER01"

    def error(self, status: int) -> Any:
        return {"responseCode": 2, "message": f"double says {status}"}

    def judge(self, method: str, path: str, is_known: bool, body: bytes, *, overwrite: bool) -> tuple[int, Any]:
        handle = path.removeprefix("/api/handles/")
        known = self.names.get(handle)
        if method == "GET":
            if known is None:
                return 404, {"responseCode": 100, "handle": handle}
            return 200, {"responseCode": 1, "handle": handle, "values": list(known.values())}
        if not is_known:
            return 401, {"responseCode": 402, "handle": handle}
        if known is not None and not overwrite:
            return 409, {"responseCode": 101, "handle": handle}
        values = json.loads(body)["values"]
        self.names[handle] = {str(value["index"]): {**value, "data": _data(value["data"])} for value in values}
        return (201 if known is None else 200), {"responseCode": 1, "handle": handle}


def _data(given: Any) -> Any:
    return given if isinstance(given, dict) else {"format": "string", "value": given}


@asynccontextmanager
async def answering(double: AgencyDouble) -> AsyncIterator[None]:
    """Let a double answer while the block runs."""
    await double.start()
    try:
        yield
    finally:
        await double.stop()
