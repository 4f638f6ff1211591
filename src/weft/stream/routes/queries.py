"""Routes of continuous queries: what is asked, in which versions, how far it is answered, and the answers."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from weft.api.paging import Cursor, PageLimit, Skip, SkippedRows
from weft.auth.signature import QueryReader, QueryWriter
from weft.core import times
from weft.core.principal import Principal
from weft.store.query import Filter, Select
from weft.stream.catalogue import StoredQuery
from weft.stream.parts import Parts, StreamParts
from weft.stream.progress import Progress, progress_of
from weft.stream.query import RESULTS
from weft.stream.routes.body import QueryBody
from weft.stream.trial import check

router = APIRouter(tags=["queries"])

Name = Annotated[str, Path(min_length=1, max_length=100, description="The name of the query.")]
Owner = Annotated[str | None, Query(max_length=128, description="Only those of this owner: `built-in`, `user:…`, `rule:…`.")]
From = Annotated[str | None, Query(max_length=128, alias="from", description="Only those that read this topic.")]
Moment = Annotated[str | None, Query(max_length=64, description="ISO 8601 with an offset, such as 2026-01-31T12:00:00Z.")]


class QueryRead(BaseModel):
    """A query, and how far it is answered."""

    name: str
    version: int
    owner: str
    created_at: str
    changed_at: str
    made_by: str
    results_topic: str
    definition: dict[str, Any]
    state: Progress | None = Field(default=None, description="How far it is answered; null before it has begun.")


class VersionRead(BaseModel):
    """One version of a query."""

    version: int
    made_at: str
    made_by: str
    definition: dict[str, Any]


class VersionList(BaseModel):
    """Every version, newest first."""

    items: list[VersionRead]


class ResultRead(BaseModel):
    """What a query answered for one window and key."""

    query: str
    version: int
    key: dict[str, str | None]
    window: dict[str, Any]
    revision: int
    final: bool
    events: int
    values: dict[str, Any]


class ResultPage(BaseModel):
    """Results, those of the newest windows first."""

    items: list[ResultRead]
    next_cursor: str | None


@router.get("/api/v1/queries", summary="The continuous queries")
async def list_queries(
    parts: Parts, principal: QueryReader, owner: Owner = None, topic: From = None, skip: Skip = 0, limit: PageLimit = 100
) -> SkippedRows[QueryRead]:
    """By name, each with how far it is answered."""
    stored, total = await parts.catalogue.list(owner=owner, topic=topic, skip=skip, limit=limit)
    return SkippedRows(items=await _read(parts, *stored), total=total, skip=skip, limit=limit)


@router.post("/api/v1/queries", status_code=201, summary="Add a query")
async def add_query(body: QueryBody, parts: Parts, principal: QueryWriter) -> QueryRead:
    """It answers windows that begin from now on, or everything the log still holds where `start` is `earliest`."""
    return await _put(parts, body, principal, only_new=True)


@router.get("/api/v1/queries/{name}", summary="One query, and how far it is answered")
async def show_query(name: Name, parts: Parts, principal: QueryReader) -> QueryRead:
    """Its definition in the newest version, watermark, lag, keys and counts."""
    (shown,) = await _read(parts, await parts.catalogue.get(name))
    return shown


@router.put("/api/v1/queries/{name}", summary="Replace a query, or add it")
async def put_query(name: Name, body: QueryBody, parts: Parts, principal: QueryWriter) -> QueryRead:
    """A new version. Windows that have begun are still answered by the version before; none is lost or answered twice."""
    body.check_name(name)
    return await _put(parts, body, principal, only_new=False)


@router.delete("/api/v1/queries/{name}", status_code=204, summary="Remove a query")
async def remove_query(name: Name, parts: Parts, principal: QueryWriter) -> Response:
    """Its open windows are not answered; its results stay."""
    await parts.catalogue.remove(name, owner=_owner(principal))
    return Response(status_code=204)


@router.get("/api/v1/queries/{name}/versions", summary="Every version of a query")
async def list_versions(name: Name, parts: Parts, principal: QueryReader) -> VersionList:
    """Newest first, those of a removed query too."""
    rows = await parts.catalogue.versions(name)
    return VersionList(
        items=[
            VersionRead(version=version, made_at=times.to_text(made_at_us), made_by=made_by, definition=definition)
            for version, made_at_us, made_by, definition in rows
        ]
    )


@router.get("/api/v1/queries/{name}/results", summary="What a query has answered")
async def list_results(
    name: Name,
    parts: Parts,
    principal: QueryReader,
    start: Moment = None,
    end: Moment = None,
    subject: Annotated[str | None, Query(max_length=1024, description="Only this key: its values joined by `/`.")] = None,
    limit: PageLimit = 100,
    cursor: Cursor = None,
) -> ResultPage:
    """By the end of the window, newest first; those of removed queries too. Without `start`, of the last day."""
    end_us = None if end is None else times.parse(end, field="end")
    if start is not None:
        start_us = times.parse(start, field="start")
    else:
        start_us = (end_us or parts.clock.now_us()) - parts.settings.result_max_age_s * times.SECOND_US
    wanted = Filter(topic=RESULTS + name, start_us=start_us, end_us=end_us, subject=subject)
    page = await parts.store.select(Select(filter=wanted, limit=limit, after=cursor))
    return ResultPage(items=[ResultRead.model_validate(event.data) for event in page.events], next_cursor=page.cursor)


async def _put(parts: StreamParts, body: QueryBody, principal: Principal, *, only_new: bool) -> QueryRead:
    query = check(body.query())
    await parts.catalogue.put(query, _owner(principal), made_by=principal.name, only_new=only_new)
    (shown,) = await _read(parts, await parts.catalogue.get(query.name))
    return shown


async def _read(parts: StreamParts, *stored: StoredQuery) -> list[QueryRead]:
    progress = await progress_of(parts, stored)
    return [
        QueryRead(
            name=one.query.name,
            version=one.version,
            owner=one.owner,
            created_at=times.to_text(one.created_at_us),
            changed_at=times.to_text(one.changed_at_us),
            made_by=one.made_by,
            results_topic=one.query.results_topic,
            definition=one.query.written(),
            state=progress.get(one.query.name),
        )
        for one in stored
    ]


def _owner(principal: Principal) -> str:
    return f"user:{principal.id}"
