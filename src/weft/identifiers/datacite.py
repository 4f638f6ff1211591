"""DOIs: registered at DataCite, by its REST API."""

from typing import Any, Final

from weft.core.errors import Unavailable
from weft.identifiers.ask import Asker
from weft.identifiers.port import Agency, Registered
from weft.identifiers.record import TOMBSTONE, Record, State
from weft.identifiers.settings import IdentifiersSettings
from weft.identifiers.where import Where

_HINT: Final = "look at identifiers.doi.repository, password and prefix"
_STATE_OF: Final[dict[str, State]] = {"draft": "reserved", "findable": "public", "registered": "tombstone"}
"""DataCite's states in our words: a DOI that was findable and is hidden stays registered, for ever."""


class DataCiteAgency(Agency):
    """A draft is a reserved DOI, findable a public one; a withdrawn one is hidden and leads to its tombstone here, and a draft
    that is withdrawn is deleted there, as DataCite allows for drafts alone."""

    scheme = "doi"

    def __init__(self, settings: IdentifiersSettings, where: Where) -> None:
        doi = settings.doi
        password = "" if doi.password is None else doi.password.get_secret_value()
        self._publisher = doi.publisher
        self._where = where
        self._asker = Asker(
            doi.api_url,
            sign_in=(doi.repository, password) if doi.repository else None,
            kind="application/vnd.api+json",
            timeout_s=settings.timeout_s,
            hint=_HINT,
        )

    async def reserve(self, record: Record) -> str:
        return await self._put(record)

    async def publish(self, record: Record) -> str:
        return await self._put(record, event="publish")

    async def withdraw(self, record: Record) -> str:
        known = await self.find(record)
        if known is None:
            return "DataCite never heard of it"
        if known.state == "reserved":
            await self._asker.ask("DELETE", _path(record))
            return "the draft is deleted"
        return await self._put(record, event="hide")

    async def find(self, record: Record) -> Registered | None:
        status, answer = await self._asker.ask("GET", _path(record), accept=404)
        if status == 404:
            return None
        attributes = answer.get("data", {}).get("attributes", {})
        state = _STATE_OF.get(attributes.get("state", ""))
        if state is None:
            raise Unavailable(f"{self._asker.host} answered something else than a DOI")
        return Registered(state=state, url=attributes.get("url"))

    async def close(self) -> None:
        await self._asker.close()

    async def _put(self, record: Record, event: str | None = None) -> str:
        attributes = self._attributes(record) | ({} if event is None else {"event": event})
        body = {"data": {"id": record.bare_name, "type": "dois", "attributes": attributes}}
        status, answer = await self._asker.ask("PUT", _path(record), body)
        return f"{status}, {answer.get('data', {}).get('attributes', {}).get('state', 'no state told')}"

    def _attributes(self, record: Record) -> dict[str, Any]:
        """What DataCite's kernel asks for."""
        description = record.description
        attributes: dict[str, Any] = {
            "doi": record.bare_name,
            "url": self._where.find_url(record),
            "creators": [{"name": who} for who in description.who],
            "titles": [{"title": description.what}],
            "publisher": description.publisher or self._publisher or None,
            "publicationYear": description.year,
            "dates": [] if description.when is None else [{"date": description.when, "dateType": "Created"}],
            "types": {"resourceTypeGeneral": description.resource_type},
            "version": str(record.version),
            "identifiers": [{"identifierType": "Weft", "identifier": record.id}],
            "relatedIdentifiers": _related(record),
        }
        if record.state == TOMBSTONE:
            attributes["descriptions"] = [{"description": f"Withdrawn: {record.reason}", "descriptionType": "Other"}]
        return attributes


def _path(record: Record) -> str:
    return f"/dois/{record.bare_name}"


def _related(record: Record) -> list[dict[str, str]]:
    parts = [("HasPart", name) for name in record.description.parts]
    versions = [] if record.version_of is None else [("IsVersionOf", record.version_of.removeprefix("doi:"))]
    return [
        {"relationType": relation, "relatedIdentifier": name, "relatedIdentifierType": _kind_of(name)}
        for relation, name in parts + versions
    ]


def _kind_of(name: str) -> str:
    if name.lower().startswith("ark:"):
        return "ARK"
    if name.lower().startswith("hdl:"):
        return "Handle"
    return "URL" if "://" in name else "DOI"
