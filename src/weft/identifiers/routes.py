"""Routes of identifiers: to mint, look after and list them, and to resolve them."""

from typing import Annotated, Literal, Self

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from weft.api.paging import PagedRows, PageLimit, PageNumber, paginate
from weft.auth.signature import IdentifierReader, IdentifierWriter
from weft.core.errors import NotFound
from weft.core.times import to_text
from weft.identifiers import resolver_routes
from weft.identifiers.description import Description
from weft.identifiers.listing import Filter, Listed, list_identifiers, show
from weft.identifiers.mint import MAX_REASON_CHARS, Wanted, get_row
from weft.identifiers.name import Scheme, read_name
from weft.identifiers.parts import IdentifierParts
from weft.identifiers.record import State
from weft.identifiers.registrations import retry_refused
from weft.identifiers.request import Parts

router = APIRouter(tags=["identifiers"])
router.include_router(resolver_routes.router)

IdentifierId = Annotated[str, Path(min_length=1, max_length=64, description="The id of the identifier, which is not its name.")]
Progress = Literal["waiting", "registered", "refused"]
NameText = Annotated[str, Field(min_length=1, max_length=1024)]


def _filter(
    scheme: Annotated[Scheme | None, Query(description="Only of this scheme.")] = None,
    state: Annotated[State | None, Query(description="Only in this state.")] = None,
    name: Annotated[str | None, Query(max_length=1024, description="Only this one, however it is written.")] = None,
    target_kind: Annotated[str | None, Query(max_length=32, description="Only of things of this kind.")] = None,
    target_id: Annotated[str | None, Query(max_length=255, description="Only of this thing.")] = None,
    registration: Annotated[Progress | None, Query(description="Only where the agency is this far.")] = None,
) -> Filter:
    return Filter(
        scheme=scheme,
        state=state,
        name=None if name is None else read_name(name).canonical,
        target_kind=target_kind,
        target_id=target_id,
        registration=registration,
    )


FilterOf = Annotated[Filter, Depends(_filter)]


class MintBody(BaseModel):
    """What is to get a name."""

    model_config = ConfigDict(extra="forbid")

    target_kind: Annotated[str, Field(max_length=32, description="What kind of thing it is, such as file or dataset.")]
    target_id: Annotated[str, Field(max_length=255, description="Which one: its id where it is kept.")]
    metadata: Description
    scheme: Annotated[Scheme | None, Field(description="ark, doi or handle; null: as the settings say.")] = None
    reserve: Annotated[bool, Field(description="Only keep the name; nobody outside is told before it is published.")] = False
    version_of: Annotated[NameText | None, Field(description="The name of what this is a later version of.")] = None


class WithdrawBody(BaseModel):
    """Why a name is withdrawn."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(min_length=1, max_length=MAX_REASON_CHARS, description="Shown for ever to whoever asks.")]


class RegistrationRead(BaseModel):
    """How far an agency is."""

    state: Progress
    attempts: int
    said: str = Field(description="What the agency said the last time.")


class IdentifierRead(BaseModel):
    """An identifier as those see it who look after it."""

    id: str
    identifier: str
    scheme: Scheme
    state: State
    reason: str | None
    target_kind: str
    target_id: str
    metadata: Description
    version: int
    version_of: str | None
    newer: str | None
    persistent: bool
    url: str | None
    registration: RegistrationRead | None = Field(description="null for an ARK: minting registers it.")
    created_at: str
    changed_at: str

    @classmethod
    def of(cls, listed: Listed, parts: IdentifierParts) -> Self:
        """Everything that is known of it."""
        record, registration = listed.record, listed.registration
        return cls(
            id=record.id,
            identifier=record.name,
            scheme=record.scheme,
            state=record.state,
            reason=record.reason,
            target_kind=record.target_kind,
            target_id=record.target_id,
            metadata=record.description,
            version=record.version,
            version_of=record.version_of,
            newer=listed.newer,
            persistent=record.is_persistent,
            url=parts.where.find_url(record),
            registration=None if registration is None else RegistrationRead.model_validate(registration, from_attributes=True),
            created_at=to_text(record.created_at_us),
            changed_at=to_text(record.changed_at_us),
        )


class AtAgency(BaseModel):
    """What an agency says when it is asked now. All null: it never heard of the name."""

    state: State | None
    url: str | None


class Retried(BaseModel):
    """How many registrations are tried again."""

    retried: int


@router.post("/api/v1/identifiers", status_code=201, summary="Mint an identifier")
async def mint_identifier(body: MintBody, parts: Parts, principal: IdentifierWriter) -> IdentifierRead:
    """A target that has an identifier of this scheme keeps it: the answer is that one, as it stands."""
    wanted = Wanted(
        target_kind=body.target_kind,
        target_id=body.target_id,
        description=body.metadata,
        scheme=body.scheme,
        is_public=not body.reserve,
        version_of=None if body.version_of is None else read_name(body.version_of).canonical,
    )
    async with parts.database.writing() as session:
        minted = await parts.minter.mint(session, wanted)
    return await _read(parts, minted.id)


@router.get("/api/v1/identifiers", summary="Identifiers")
async def show_identifiers(
    parts: Parts, principal: IdentifierReader, wanted: FilterOf, page: PageNumber = 1, limit: PageLimit = 100
) -> PagedRows[IdentifierRead]:
    """Newest first, reserved ones and tombstones too."""
    async with parts.database.reading() as session:
        rows, total = await list_identifiers(session, wanted, skip=(page - 1) * limit, limit=limit)
    data = [IdentifierRead.of(row, parts) for row in rows]
    return PagedRows(data=data, pagination=paginate(page=page, limit=limit, total=total))


@router.post("/api/v1/identifiers/retry", summary="Try refused registrations again")
async def retry_registrations(parts: Parts, principal: IdentifierWriter) -> Retried:
    """After what an agency objected to was put right, such as a password."""
    async with parts.database.writing() as session:
        return Retried(retried=await retry_refused(session, now_us=parts.clock.now_us()))


@router.get("/api/v1/identifiers/{identifier_id}", summary="One identifier")
async def show_identifier(identifier_id: IdentifierId, parts: Parts, principal: IdentifierReader) -> IdentifierRead:
    """With how far its registration is."""
    return await _read(parts, identifier_id)


@router.get("/api/v1/identifiers/{identifier_id}/agency", summary="What the agency knows of an identifier")
async def ask_agency(identifier_id: IdentifierId, parts: Parts, principal: IdentifierReader) -> AtAgency:
    """Asked now, at the agency itself; for an ARK that is this installation."""
    async with parts.database.reading() as session:
        record = (await show(session, await get_row(session, identifier_id))).record
    agency = parts.agencies.get(record.scheme)
    if agency is None:
        raise NotFound(f"no agency is set up for {record.scheme}; see identifiers.{record.scheme}.prefix")
    known = await agency.find(record)
    return AtAgency(state=None, url=None) if known is None else AtAgency(state=known.state, url=known.url)


@router.put("/api/v1/identifiers/{identifier_id}/metadata", summary="Describe what an identifier names")
async def describe_identifier(
    identifier_id: IdentifierId, body: Description, parts: Parts, principal: IdentifierWriter
) -> IdentifierRead:
    """The name and its target stay; agencies are told."""
    async with parts.database.writing() as session:
        await parts.minter.describe(session, identifier_id, body)
    return await _read(parts, identifier_id)


@router.post("/api/v1/identifiers/{identifier_id}/publish", summary="Make a reserved identifier public")
async def publish_identifier(identifier_id: IdentifierId, parts: Parts, principal: IdentifierWriter) -> IdentifierRead:
    """From now on it resolves. There is no way back but to withdraw it."""
    async with parts.database.writing() as session:
        await parts.minter.publish(session, identifier_id)
    return await _read(parts, identifier_id)


@router.post("/api/v1/identifiers/{identifier_id}/withdraw", summary="Withdraw an identifier")
async def withdraw_identifier(
    identifier_id: IdentifierId, body: WithdrawBody, parts: Parts, principal: IdentifierWriter
) -> IdentifierRead:
    """It becomes a tombstone, which says why for ever; the name is never given to anything else."""
    async with parts.database.writing() as session:
        await parts.minter.withdraw(session, identifier_id, body.reason)
    return await _read(parts, identifier_id)


async def _read(parts: IdentifierParts, key: str) -> IdentifierRead:
    async with parts.database.reading() as session:
        return IdentifierRead.of(await show(session, await get_row(session, key)), parts)
