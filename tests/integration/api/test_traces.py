"""Spans arrive at a collector over OTLP, continue the caller's trace, and name the route."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from weft.api.settings import ApiSettings
from weft.api.trace_context import trace_headers, trace_id
from weft.api.tracing import Tracing
from weft.testing.server import serving

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Collector:
    """A tiny OTLP/HTTP receiver."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.resources: list[dict[str, str]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert (scope["method"], scope["path"]) == ("POST", "/v1/traces")
        body = b""
        while True:
            message = await receive()
            body += message["body"]
            if not message["more_body"]:
                break
        if (b"content-encoding", b"gzip") in scope["headers"]:
            import gzip

            body = gzip.decompress(body)
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            self.resources.append({pair.key: pair.value.string_value for pair in resource.resource.attributes})
            self.spans.extend(span for scope_spans in resource.scope_spans for span in scope_spans.spans)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})


def attributes(span: Any) -> dict[str, Any]:
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in span.attributes}


@asynccontextmanager
async def collected(start: Any, **options: Any) -> AsyncIterator[tuple[Any, Collector, Tracing]]:
    collector = Collector()

    async def http_only(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await collector(scope, receive, send)

    async with serving(http_only) as address:
        made: list[Tracing] = []

        def wrap(edge: Any) -> Tracing:
            settings = ApiSettings(otlp_endpoint=f"http://{address}/", **options)
            made.append(Tracing(edge, settings=settings, service="ingestion", version="0.1.0"))
            return made[0]

        async with start(rate_limit_enabled=False, wrap=wrap) as site:
            yield site, collector, made[0]
            await asyncio.to_thread(made[0].close)


@pytest.mark.contract("SF-18", "SF-306")
async def test_spans_arrive_with_route_status_and_the_caller_s_trace(start: Any) -> None:
    async with collected(start) as (site, collector, tracing):
        hot = await site.http.post("/hot", content=b"x", headers={"Authorization": "Bearer alice", "traceparent": PARENT})
        await site.http.get("/things/7")
        await site.http.get("/fail/runtime")
        await asyncio.to_thread(tracing.close)
        by_name = {span.name: span for span in collector.spans}
    assert set(by_name) == {"POST /hot", "GET /things/{thing_id}", "GET /fail/{name}"}
    span = by_name["POST /hot"]
    assert span.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert span.parent_span_id.hex() == "b7ad6b7169203331"
    assert attributes(span) == {
        "http.request.method": "POST",
        "url.path": "/hot",
        "url.scheme": "http",
        "http.response.status_code": 201,
        "http.route": "/hot",
    }
    assert hot.headers["traceparent"] == f"00-0af7651916cd43dd8448eb211c80319c-{span.span_id.hex()}-01"
    assert by_name["GET /fail/{name}"].status.code == 2
    assert by_name["GET /things/{thing_id}"].status.code == 0
    assert collector.resources[0]["service.name"] == "ingestion"


async def test_a_socket_is_one_span(start: Any) -> None:
    from websockets.asyncio.client import connect

    async with collected(start) as (site, collector, tracing):
        async with connect(f"{site.ws}/ws", proxy=None, additional_headers={"Authorization": "Bearer alice"}) as socket:
            await socket.send("ping")
            await socket.recv()
            assert socket.response is not None
            assert "traceparent" in socket.response.headers
        async with asyncio.timeout(5):
            while site.sockets.count:  # noqa: ASYNC110 - the server notices by itself
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.01)
        await asyncio.to_thread(tracing.close)
        assert [span.name for span in collector.spans] == ["WEBSOCKET /ws"]


async def test_only_the_asked_share_is_sampled(start: Any) -> None:
    async with collected(start, trace_sample_ratio=0) as (site, collector, tracing):
        for _ in range(5):
            assert (await site.http.get("/things/7")).status_code == 200
        await asyncio.to_thread(tracing.close)
        assert collector.spans == []


async def test_a_collector_that_is_away_hurts_nobody(start: Any, free_port: int) -> None:
    settings = ApiSettings(otlp_endpoint=f"http://127.0.0.1:{free_port}")
    made: list[Tracing] = []

    def wrap(edge: Any) -> Tracing:
        made.append(Tracing(edge, settings=settings, service="x", version="0"))
        return made[0]

    async with start(rate_limit_enabled=False, wrap=wrap) as site:
        assert (await site.http.get("/things/7")).status_code == 200
        async with asyncio.timeout(20):
            await asyncio.to_thread(made[0].close)


def test_without_a_trace_there_is_nothing_to_tell() -> None:
    assert trace_headers() == {}
    assert trace_id() is None
    with pytest.raises(ValueError, match="otlp_endpoint"):
        Tracing(None, settings=ApiSettings(), service="x", version="0")  # pyright: ignore[reportArgumentType]
