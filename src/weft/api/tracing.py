"""Traces: one OpenTelemetry span for each request, sent to a collector when one is set. Without one nothing here runs.

The caller's trace is continued (W3C `traceparent`), and the answer names the span, so a client can look it up.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, Status, StatusCode

from weft.api.exchange import ROUTE_KEY
from weft.api.settings import ApiSettings
from weft.api.trace_context import PROPAGATOR, trace_headers
from weft.api.uvicorn_protocol import CONNECTION

App = Callable[[Any, Any, Any], Awaitable[None]]

_FAILED_FROM: Final = 500


class Tracing:
    """The edge with a span round each request. Made only where `otlp_endpoint` is set; `close` sends what is left."""

    def __init__(self, app: App, *, settings: ApiSettings, service: str, version: str) -> None:
        if settings.otlp_endpoint is None:
            raise ValueError("tracing needs api.otlp_endpoint")
        self._app = app
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": service, "service.version": version}),
            sampler=ParentBased(TraceIdRatioBased(settings.trace_sample_ratio)),
            shutdown_on_exit=False,
        )
        endpoint = f"{settings.otlp_endpoint.rstrip('/')}/v1/traces"
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, timeout=5)))
        self._tracer = self._provider.get_tracer("weft")

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        kind = scope["type"]
        if kind not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        method = scope.get("method", "WEBSOCKET")
        with self._tracer.start_as_current_span(
            method,
            context=PROPAGATOR.extract(carrier),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "url.path": scope["path"], "url.scheme": scope["scheme"]},
        ) as span:
            headers = [(name.encode(), value.encode()) for name, value in trace_headers().items()]

            async def send_traced(message: Any) -> None:
                if message["type"] in {"http.response.start", "websocket.accept", "websocket.http.response.start"}:
                    message = {**message, "headers": [*message.get("headers", ()), *headers]}
                    status = message.get("status", 101)
                    span.set_attribute("http.response.status_code", status)
                    if status >= _FAILED_FROM:
                        span.set_status(Status(StatusCode.ERROR))
                await send(message)

            # The server's short way of answering would go past `send_traced`.
            state = {key: value for key, value in scope.get("state", {}).items() if key != CONNECTION}
            inner = {**scope, "state": state}
            try:
                await self._app(inner, receive, send_traced)
            finally:
                if route := inner.get(ROUTE_KEY):
                    span.update_name(f"{method} {route}")
                    span.set_attribute("http.route", route)

    def close(self) -> None:
        """Send the spans that wait and stop. Blocks for at most a few seconds."""
        self._provider.shutdown()
