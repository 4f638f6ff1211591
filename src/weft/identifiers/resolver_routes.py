"""The routes that resolve names: open to everybody, as names are."""

from typing import Annotated, Any, Final
from urllib.parse import quote

import msgspec
from fastapi import APIRouter, Path, Request, Response

from weft.auth.signature import PublicReading
from weft.core.errors import Gone
from weft.core.times import to_text
from weft.identifiers.erc import promise, write_erc
from weft.identifiers.name import MAX_CHARS, read_name
from weft.identifiers.parts import IdentifierParts
from weft.identifiers.record import TOMBSTONE
from weft.identifiers.request import Parts
from weft.identifiers.resolve import Found

router = APIRouter(tags=["identifiers"], dependencies=[PublicReading])

_INFO: Final = frozenset({b"info", b"info=", b"?"})
"""`?info`, and `??` of earlier drafts. A lone `?` cannot be told from none: servers hand on neither."""
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The description.", "content": {"text/plain": {}, "application/json": {}}},
    302: {"description": "The page about it."},
    400: {"description": "It is no such name."},
    404: {"description": "It was never minted here; `details` may say what was meant, or who may know it."},
    410: {"description": "It was withdrawn; the message says why."},
}

Rest = Annotated[str, Path(max_length=MAX_CHARS, description="The rest of the name, with or without a suffix.")]


@router.get("/ark:{name:path}", summary="Resolve an ARK", response_class=Response, responses=_ANSWERS)
@router.get("/ARK:{name:path}", include_in_schema=False)
async def resolve_ark(name: Rest, request: Request, parts: Parts) -> Response:
    """To the page about what it names, or to its description: with `?info`, where a program asks for JSON, and where there is
    no page. The description is an ERC record as text, or JSON by `Accept`."""
    return await _resolve(parts, request, f"ark:{quote(name)}")


@router.get("/doi:{name:path}", summary="Resolve a DOI of this installation", response_class=Response, responses=_ANSWERS)
@router.get("/DOI:{name:path}", include_in_schema=False)
async def resolve_doi(name: Rest, request: Request, parts: Parts) -> Response:
    """As for an ARK. DataCite leads here."""
    return await _resolve(parts, request, f"doi:{quote(name)}")


@router.get("/hdl:{name:path}", summary="Resolve a Handle of this installation", response_class=Response, responses=_ANSWERS)
@router.get("/HDL:{name:path}", include_in_schema=False)
async def resolve_handle(name: Rest, request: Request, parts: Parts) -> Response:
    """As for an ARK. The Handle server leads here."""
    return await _resolve(parts, request, f"hdl:{quote(name)}")


async def _resolve(parts: IdentifierParts, request: Request, text: str) -> Response:
    found = await parts.resolver.resolve(read_name(text))
    record = found.record
    headers = {"Link": _links(found), "Cache-Control": "no-cache", "Vary": "Accept"}
    wants_json = _prefers_json(request.headers.get("accept", ""))
    asks_info = request.scope["query_string"] in _INFO
    if record.state == TOMBSTONE and not asks_info:
        raise Gone(
            f"{record.name} was withdrawn: {record.reason}",
            name=record.name,
            reason=record.reason,
            withdrawn_at=to_text(record.changed_at_us),
        )
    landing = parts.where.find_landing_path(record, found.suffix)
    if landing is not None and not asks_info and not wants_json:
        return Response(status_code=302, headers={**headers, "Location": landing})
    url = parts.where.find_url(record)
    if wants_json:
        return Response(msgspec.json.encode(_described(found, parts, url)), headers=headers, media_type="application/json")
    text = write_erc(found, url=url, commitment=parts.settings.commitment)
    return Response(text, headers=headers, media_type="text/plain; charset=utf-8")


def _described(found: Found, parts: IdentifierParts, url: str | None) -> dict[str, Any]:
    record = found.record
    return {
        "identifier": record.name,
        "scheme": record.scheme,
        "state": record.state,
        "reason": record.reason,
        "metadata": record.description.model_dump(mode="json"),
        "suffix": found.suffix,
        "version": record.version,
        "version_of": record.version_of,
        "newer": found.newer,
        "persistent": record.is_persistent,
        "commitment": promise(is_persistent=record.is_persistent, commitment=parts.settings.commitment),
        "url": url,
        "landing": parts.where.find_landing_path(record, found.suffix),
        "created_at": to_text(record.created_at_us),
        "changed_at": to_text(record.changed_at_us),
    }


def _links(found: Found) -> str:
    """Where its description is, and its other versions (RFC 5829)."""
    links = [f'</{found.record.name}?info>; rel="describedby"']
    if found.newer is not None:
        links.append(f'</{found.newer}>; rel="successor-version"')
    if found.record.version_of is not None:
        links.append(f'</{found.record.version_of}>; rel="version-history"')
    return ", ".join(links)


def _prefers_json(accept: str) -> bool:
    """Whether a program asks for JSON by name. Browsers ask for HTML, and most programs for anything."""
    kinds = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return any(kind in {"application/json", "application/ld+json"} for kind in kinds) and "text/html" not in kinds
