"""Routes of requests for instruments."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from weft.api.paging import Skip, SkippedRows
from weft.auth.account_routes import person
from weft.auth.proof import Proof
from weft.auth.signature import InventoryManager, KnownReader, ProofOf
from weft.core.principal import Scope
from weft.inventory.name import Line, Prose
from weft.inventory.request import Status
from weft.inventory.routes.answer import AS_IT_IS, DEFAULT_ROWS, Id, Parts, Rows, Sent, page, shown
from weft.inventory.tables import RequestRow

router = APIRouter(tags=["instrument requests"])

Words = Annotated[Prose, Field(min_length=1)]


class RequestCreate(Sent):
    """A wish that an instrument be harvested."""

    name: Line
    location: Line
    harvest_frequency: Annotated[Line, Field(description="In words, such as hourly, every_4h, daily, weekly or not_sure.")]
    justification: Words
    description: Prose | None = None


class RequestDecision(Sent):
    """What was decided; what is left out stays."""

    status: Status = AS_IT_IS
    admin_notes: Prose | None = None


class RequestRead(BaseModel):
    """A request, and what was decided."""

    id: str
    requester_id: str
    requester_email: str | None
    name: str
    location: str
    harvest_frequency: str
    justification: str
    description: str | None
    status: Status
    admin_notes: str | None
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, row: RequestRow, email: str | None) -> "RequestRead":
        """The request as it is shown."""
        names = cls.model_fields.keys() - {"requester_email"}
        return cls(requester_email=email, **{name: shown(row, name) for name in names})


@router.post("/api/instrument-requests", status_code=201, summary="Ask that an instrument be harvested")
async def create_request(body: RequestCreate, _: KnownReader, proof: ProofOf, parts: Parts) -> RequestRead:
    """Every administrator is told."""
    row = await parts.requests.submit(body.values(), requester_id=person(proof))
    return await _shown(parts, row)


@router.get("/api/instrument-requests", summary="Your requests, for administrators all; the newest first")
async def list_requests(
    _: KnownReader, proof: ProofOf, parts: Parts, skip: Skip = 0, limit: Rows = DEFAULT_ROWS
) -> SkippedRows[RequestRead]:
    """What was asked, and what was decided."""
    rows, total = await parts.requests.list_page(_only_own(proof), skip=skip, limit=limit)
    emails = await parts.requests.emails(rows)
    items = [RequestRead.of(row, emails.get(row.requester_id)) for row in rows]
    return page(items, total=total, skip=skip, limit=limit)


@router.get("/api/instrument-requests/{request_id}", summary="One request")
async def read_request(request_id: Id, _: KnownReader, proof: ProofOf, parts: Parts) -> RequestRead:
    """403 for somebody else's."""
    return await _shown(parts, await parts.requests.get(str(request_id), viewer_id=_only_own(proof)))


@router.patch("/api/instrument-requests/{request_id}", summary="Decide on a request")
async def decide_request(request_id: Id, body: RequestDecision, _: InventoryManager, parts: Parts) -> RequestRead:
    """Who asked is told. Nothing is made by it: add the instrument yourself."""
    return await _shown(parts, await parts.requests.decide(str(request_id), body.changes()))


def _only_own(proof: Proof) -> str | None:
    """The account whose requests may be seen; None for all. Raises NotAllowed for a key that may not see all."""
    return None if proof.principal.may(Scope.INVENTORY_MANAGE) else person(proof)


async def _shown(parts: Parts, row: RequestRow) -> RequestRead:
    return RequestRead.of(row, (await parts.requests.emails([row])).get(row.requester_id))
