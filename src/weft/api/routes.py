"""The operator's paths: health, readiness, metrics, the OpenAPI document and its page."""

import asyncio
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from starlette.exceptions import HTTPException

from weft.api.docs_page import router as docs_page
from weft.api.errors import JSON
from weft.api.parts import api_parts

_EXPOSITION: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"application/openmetrics-text": {"schema": {"type": "string"}}}}
}

router = APIRouter(tags=["operations"])
router.include_router(docs_page)


def _json(answer: tuple[int, dict[str, Any]]) -> Response:
    status, body = answer
    return Response(msgspec.json.encode(body), status, media_type=JSON, headers={"Cache-Control": "no-store"})


@router.get("/health", summary="Is this process healthy, and are the things it needs there?")
@router.get("/healthz", include_in_schema=False)
@router.get("/api/v1/health", summary="The same as /health")
async def show_health(request: Request) -> Response:
    """200 when healthy or degraded, 503 when unhealthy."""
    return _json(await api_parts(request).health.look())


@router.get("/ready", summary="Does this process take requests now?")
@router.get("/readyz", include_in_schema=False)
async def show_readiness(request: Request) -> Response:
    """503 until the start is complete, while draining, and when unhealthy."""
    return _json(await api_parts(request).health.ready())


@router.get("/metrics", summary="Metrics for Prometheus", response_class=PlainTextResponse, responses=_EXPOSITION)
async def show_metrics(request: Request) -> Response:
    """Text exposition; OpenMetrics for who accepts it."""
    parts = api_parts(request)
    if not parts.settings.metrics_enabled:
        raise HTTPException(404)
    text, content_type = parts.metrics.exposition(request.headers.get("accept", ""))
    return Response(text, headers={"Content-Type": content_type})


@router.get("/openapi.json", include_in_schema=False)
@router.get("/api/v1/openapi.json", include_in_schema=False)
async def show_openapi(request: Request) -> Response:
    """The OpenAPI document."""
    openapi = api_parts(request).openapi
    # Made at the first question, which takes long enough to hold up everybody else.
    return Response(await asyncio.to_thread(lambda: openapi.encoded), media_type=JSON)
