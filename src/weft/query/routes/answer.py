"""Answers: encoded once by msgspec, described in OpenAPI from the same types, streamed where they have no end."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final, cast

import msgspec
from fastapi import Response
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
SSE: Final = "text/event-stream"

_NO_STORE: Final = {"Cache-Control": "no-store"}


def answer(body: Any, *, media_type: str = JSON, status: int = 200) -> Response:
    """A body, as bytes that are JSON already or anything msgspec can encode."""
    encoded = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Response(encoded, status, _NO_STORE, media_type)


def described(shape: Any, description: str, *, others: Mapping[str, Any] | None = None) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that answers 200 with this shape, and with `others` (schemas by media type)."""
    content = {JSON: {"schema": schema_of(shape)}, **{kind: {"schema": schema} for kind, schema in (others or {}).items()}}
    return {200: {"description": description, "content": content}}


def schema_of(shape: Any) -> dict[str, Any]:
    """The JSON Schema of a type, self-contained."""
    (schema,), components = msgspec.json.schema_components([shape], ref_template="{name}")
    return cast("dict[str, Any]", _resolved(schema, components))


def preferred(accept: str, offered: Sequence[str]) -> str:
    """The first of the offered media types that an Accept header names, else the first offered."""
    named = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    return next((kind for kind in offered if kind in named), offered[0])


async def begun(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """A stream whose first piece is there already: what is wrong with the question was answered with a status before."""
    try:
        yield first
        async for piece in rest:
            yield piece
    finally:
        await rest.aclose()


class Stream(StreamingResponse):
    """An answer in pieces. A client that takes nothing for `timeout_s` is cut off; what it was sent is whole."""

    def __init__(self, pieces: AsyncGenerator[bytes], *, media_type: str, timeout_s: float) -> None:
        super().__init__(pieces, headers={**_NO_STORE, "X-Accel-Buffering": "no"}, media_type=media_type)
        self._pieces = pieces
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(self._timeout_s):
                await send(message)

        try:
            await super().__call__(scope, receive, send_in_time)
        except (TimeoutError, ClientDisconnect):
            logger.info("stream_cut", extra={"path": scope["path"], "timeout_s": self._timeout_s})
        finally:
            await self._pieces.aclose()


def _resolved(schema: Any, components: Mapping[str, Any]) -> Any:
    if isinstance(schema, dict):
        found = cast("dict[str, Any]", schema)
        if "$ref" in found:
            return _resolved(components[found["$ref"]], components)
        return {key: _resolved(value, components) for key, value in found.items()}
    if isinstance(schema, list):
        return [_resolved(entry, components) for entry in cast("list[Any]", schema)]
    return schema
