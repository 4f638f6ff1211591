"""The trace this code works for, if any. Cheap: it knows nothing of collectors."""

from typing import Final

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

PROPAGATOR: Final = TraceContextTextMapPropagator()


def trace_headers() -> dict[str, str]:
    """The headers that let another service continue the current trace; empty where there is none."""
    carrier: dict[str, str] = {}
    PROPAGATOR.inject(carrier)
    return carrier


def trace_id() -> str | None:
    """The id of the current trace as 32 hex digits, None where there is none."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None
