"""Handles: registered at the site's Handle server, by its REST API."""

from typing import Any, Final, cast
from urllib.parse import quote

from weft.core.errors import Conflict, Refused, Unavailable
from weft.identifiers.ask import Asker
from weft.identifiers.port import Agency, Registered
from weft.identifiers.record import PUBLIC, TOMBSTONE, Record, State
from weft.identifiers.settings import IdentifiersSettings
from weft.identifiers.where import Where

_OURS: Final = "WEFT_ID"
"""The type of the value that says which identifier of ours a Handle is, so that nobody else's is ever written over."""
_STATE: Final = "WEFT_STATE"
_DONE: Final = 1
_ADMIN_MAY: Final = "011111110011"
"""What the administrator of a Handle may do to it; all but to make and delete prefixes."""
_HINT: Final = "look at identifiers.handle.username, password and prefix"


class HandleAgency(Agency):
    """The world sees a Handle as soon as it exists, so a reserved one is not told. A withdrawn one leads to its tombstone."""

    scheme = "handle"

    def __init__(self, settings: IdentifiersSettings, where: Where) -> None:
        handle = settings.handle
        password = "" if handle.password is None else handle.password.get_secret_value()
        # Index and Handle of the user have a colon between them, which would end the name in HTTP's basic authentication.
        sign_in = (quote(handle.username, safe="/"), quote(password, safe="")) if handle.username else None
        self._where = where
        self._username = handle.username
        self._asker = Asker(
            handle.server_url or "", sign_in=sign_in, kind="application/json", timeout_s=settings.timeout_s, hint=_HINT
        )

    async def reserve(self, record: Record) -> str:
        return "nothing is told before it is public"

    async def publish(self, record: Record) -> str:
        return await self._write(record, PUBLIC)

    async def withdraw(self, record: Record) -> str:
        if await self._read(record) is None:
            return "the Handle server never heard of it"
        return await self._write(record, TOMBSTONE)

    async def find(self, record: Record) -> Registered | None:
        values = await self._read(record)
        if values is None:
            return None
        return Registered(state=TOMBSTONE if values.get(_STATE) == TOMBSTONE else PUBLIC, url=values.get("URL"))

    async def close(self) -> None:
        await self._asker.close()

    async def _write(self, record: Record, state: State) -> str:
        before = await self._read(record)
        if before is not None and before.get(_OURS) != record.id:
            raise Conflict(f"the Handle {record.bare_name} exists already and is not ours", name=record.name)
        # Without `overwrite` a Handle that somebody made since we looked is refused, not written over.
        overwrite = "false" if before is None else "true"
        status, answer = await self._asker.ask(
            "PUT", f"{_path(record)}?overwrite={overwrite}", {"values": self._values(record, state)}
        )
        if answer.get("responseCode") != _DONE:
            raise Refused(f"{self._asker.host} answered {status} with the code {answer.get('responseCode')}")
        return "the Handle is made" if before is None else "the Handle is changed"

    def _values(self, record: Record, state: State) -> list[dict[str, Any]]:
        index, _, administrator = self._username.partition(":")
        admin = {"handle": administrator, "index": int(index) if index.isdecimal() else 0, "permissions": _ADMIN_MAY}
        texts = {
            "URL": self._where.find_url(record),
            _OURS: record.id,
            _STATE: state,
            "DESC": record.reason or record.description.what,
        }
        values: list[dict[str, Any]] = [
            {"index": place, "type": kind, "data": {"format": "string", "value": text}}
            for place, (kind, text) in enumerate(texts.items(), 1)
        ]
        return [*values, {"index": 100, "type": "HS_ADMIN", "data": {"format": "admin", "value": admin}}]

    async def _read(self, record: Record) -> dict[str, str] | None:
        """The texts of a Handle by their type; None where there is none. Asked at the server that keeps it, not at a copy."""
        status, answer = await self._asker.ask("GET", f"{_path(record)}?auth=true", accept=404)
        code, values = answer.get("responseCode"), answer.get("values")
        if status == 404 and code == 100:
            return None
        if code != _DONE or not isinstance(values, list):
            raise Unavailable(f"{self._asker.host} answered something else than a Handle")
        data = [(value["type"], value["data"]) for value in cast("list[dict[str, Any]]", values)]
        return {kind: str(text["value"]) for kind, text in data if text.get("format") == "string"}


def _path(record: Record) -> str:
    return f"/api/handles/{quote(record.bare_name, safe='/')}"
