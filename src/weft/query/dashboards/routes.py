"""Routes of saved dashboards."""

import re
from typing import Annotated, Final, Literal, Self, cast

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from weft.api.paging import MAX_LIMIT, Skip, SkippedRows
from weft.auth.signature import DashboardWriter, EventsReader, ProofOf
from weft.core import times
from weft.core.errors import Invalid, NotAllowed
from weft.core.principal import Principal, Scope
from weft.query.dashboards.catalogue import Dashboard, Dashboards, Viewer
from weft.query.dashboards.draft import Draft, Panels

router = APIRouter(tags=["dashboards"])

_TAG: Final = re.compile(r'(?:W/)?"([1-9][0-9]{0,9})"', re.ASCII)


class DashboardRead(BaseModel):
    """A dashboard. `mine` says whether you may change it; the one that comes with Weft has no owner and is nobody's."""

    id: str
    name: str
    description: str
    shared: bool
    panels: Panels
    version: int
    owner_id: str | None
    mine: bool
    created_at: str | None
    updated_at: str | None

    @classmethod
    def of(cls, dashboard: Dashboard, viewer: Viewer) -> Self:
        """As one viewer sees it."""
        draft = dashboard.draft
        return cls(
            id=dashboard.id,
            name=draft.name,
            description=draft.description,
            shared=draft.shared,
            panels=draft.panels,
            version=dashboard.version,
            owner_id=dashboard.owner_id,
            mine=dashboard.owner_id is not None and (viewer.is_admin or dashboard.owner_id == viewer.account_id),
            created_at=_text(dashboard.created_at_us),
            updated_at=_text(dashboard.updated_at_us),
        )


class Export(BaseModel):
    """A dashboard as a file: what belongs to it and nothing of this installation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weft_dashboard: Literal[1] = Field(description="The version of this form.")
    dashboard: Draft


async def _viewer_reading(principal: EventsReader, proof: ProofOf) -> Viewer:
    return _viewer(principal, proof.subject_id)


async def _viewer_writing(principal: DashboardWriter, proof: ProofOf) -> Viewer:
    return _viewer(principal, proof.subject_id)


def _viewer(principal: Principal, account_id: str | None) -> Viewer:
    if account_id is None:
        raise NotAllowed("a dashboard needs an account that it belongs to")
    return Viewer(account_id=account_id, is_admin=principal.may(Scope.USERS_MANAGE))


def _dashboards(request: Request) -> Dashboards:
    return cast("Dashboards", request.app.state.dashboards)


Reading = Annotated[Viewer, Depends(_viewer_reading)]
Writing = Annotated[Viewer, Depends(_viewer_writing)]
Catalogue = Annotated[Dashboards, Depends(_dashboards)]
DashboardId = Annotated[str, Path(min_length=1, max_length=64, description="The dashboard; `default` comes with Weft.")]
Rows = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows on a page.")]
IfMatch = Annotated[
    str | None,
    Header(max_length=64, description="The ETag of the version you have read, or `*` for whatever it is."),
]


@router.get("/api/v1/dashboards", summary="Your dashboards and the shared ones; for administrators all")
async def list_dashboards(
    viewer: Reading, dashboards: Catalogue, skip: Skip = 0, limit: Rows = 100
) -> SkippedRows[DashboardRead]:
    """The one that comes with Weft first, the others by name."""
    found, total = await dashboards.list_visible(viewer, skip=skip, limit=limit)
    items = [DashboardRead.of(dashboard, viewer) for dashboard in found]
    return SkippedRows[DashboardRead](items=items, total=total, skip=skip, limit=limit)


@router.post("/api/v1/dashboards", status_code=201, summary="Save a dashboard")
async def create_dashboard(body: Draft, viewer: Writing, dashboards: Catalogue, response: Response) -> DashboardRead:
    """Every panel's question is checked like the question itself; what is wrong is told with the panel and the field."""
    return _shown(await dashboards.create(body, viewer), viewer, response)


@router.post("/api/v1/dashboards/import", status_code=201, summary="Save a dashboard from a file")
async def import_dashboard(body: Export, viewer: Writing, dashboards: Catalogue, response: Response) -> DashboardRead:
    """What `export` gave, here or elsewhere; it becomes a new dashboard of yours."""
    return _shown(await dashboards.create(body.dashboard, viewer), viewer, response)


@router.get("/api/v1/dashboards/{dashboard_id}", summary="One dashboard")
async def show_dashboard(
    dashboard_id: DashboardId, viewer: Reading, dashboards: Catalogue, response: Response
) -> DashboardRead:
    """Its ETag is what a change has to name in `If-Match`."""
    return _shown(await dashboards.get(dashboard_id, viewer), viewer, response)


@router.get("/api/v1/dashboards/{dashboard_id}/export", summary="A dashboard as a file")
async def export_dashboard(dashboard_id: DashboardId, viewer: Reading, dashboards: Catalogue, response: Response) -> Export:
    """What `import` takes, here or elsewhere."""
    dashboard = await dashboards.get(dashboard_id, viewer)
    response.headers["Content-Disposition"] = f'attachment; filename="dashboard-{dashboard.id}.json"'
    return Export(weft_dashboard=1, dashboard=dashboard.draft)


@router.put("/api/v1/dashboards/{dashboard_id}", summary="Change a dashboard")
async def change_dashboard(
    dashboard_id: DashboardId, body: Draft, viewer: Writing, dashboards: Catalogue, response: Response, if_match: IfMatch = None
) -> DashboardRead:
    """`If-Match` names the version you have read: where somebody was quicker the answer is 409 and nothing is lost."""
    if if_match is None:
        raise Invalid('name the version you have read, such as If-Match: "3", or * for whatever it is', field="If-Match")
    changed = await dashboards.change(dashboard_id, body, viewer, version=_version(if_match))
    return _shown(changed, viewer, response)


@router.delete("/api/v1/dashboards/{dashboard_id}", status_code=204, summary="Delete a dashboard")
async def remove_dashboard(
    dashboard_id: DashboardId, viewer: Writing, dashboards: Catalogue, if_match: IfMatch = None
) -> Response:
    """With `If-Match`, only where it is still that version."""
    await dashboards.remove(dashboard_id, viewer, version=None if if_match is None else _version(if_match))
    return Response(status_code=204)


def _version(if_match: str) -> int | None:
    if if_match.strip() == "*":
        return None
    matched = _TAG.fullmatch(if_match.strip())
    if matched is None:
        raise Invalid(f"'{if_match[:32]}' is no ETag of a dashboard, such as \"3\"", field="If-Match")
    return int(matched[1])


def _shown(dashboard: Dashboard, viewer: Viewer, response: Response) -> DashboardRead:
    response.headers["ETag"] = f'"{dashboard.version}"'
    response.headers["Cache-Control"] = "no-store"
    return DashboardRead.of(dashboard, viewer)


def _text(time_us: int | None) -> str | None:
    return None if time_us is None else times.to_text(time_us)
