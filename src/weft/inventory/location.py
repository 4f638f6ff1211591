"""Storage locations: their connection checked for their type, its secrets apart, under the cipher."""

from typing import Any, Final

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from weft.auth.secrets import MASK, Cipher
from weft.core.errors import Invalid
from weft.inventory.change import Units
from weft.inventory.connection import SECRETS, check_base_path, read_connection
from weft.inventory.shelf import Shelf, fill_plainly
from weft.inventory.tables import LocationRow

_TEXTS: Final = msgspec.json.Decoder(dict[str, str])


class Locations:
    """The places for files. `shelf` lists, makes, changes, deletes and restores them."""

    def __init__(self, units: Units, cipher: Cipher) -> None:
        self.shelf = Shelf(LocationRow, units, self._fill)
        self._cipher = cipher

    async def renew(self, session: AsyncSession) -> None:
        """Put every secret under the newest key. Raises Corrupt where a key is missing."""
        sealed = select(LocationRow).where(LocationRow.secrets.is_not(None)).with_for_update()
        for row in await session.scalars(sealed):
            row.secrets = self._cipher.rotate(row.secrets or "")

    async def _fill(self, session: AsyncSession, row: LocationRow, values: dict[str, Any]) -> None:
        kind, stored_kind = values.get("type", row.type), row.type
        config = values.get("connection_config")
        plain = {name: value for name, value in values.items() if name != "connection_config"}
        await fill_plainly(session, row, plain)
        check_base_path(kind, row.base_path)
        if kind == stored_kind and config is None:
            return
        # What was given for another type is not carried over: under other names its secrets would not be hidden.
        kept = dict(row.connection_config) if kind == stored_kind else {}
        secrets = self._open(row) if kind == stored_kind else {}
        self._connect(row, read_connection(kind, _unmasked({**kept, **(config or {})}, secrets)), secrets)

    def _connect(self, row: LocationRow, config: dict[str, Any], stored: dict[str, str]) -> None:
        secrets = {name: config[name] for name in SECRETS if name in config}
        row.connection_config = {name: MASK if name in secrets else value for name, value in config.items()}
        if secrets != stored or not secrets:
            row.secrets = self._cipher.encrypt(msgspec.json.encode(secrets).decode()) if secrets else None

    def _open(self, row: LocationRow) -> dict[str, str]:
        return _TEXTS.decode(self._cipher.decrypt(row.secrets)) if row.secrets else {}


def _unmasked(config: dict[str, Any], secrets: dict[str, str]) -> dict[str, Any]:
    """The mask stands for the stored secret. Raises Invalid where none is stored."""
    for name in SECRETS:
        if config.get(name) == MASK:
            if name not in secrets:
                place = f"connection_config.{name}"
                raise Invalid(f"{place} is '{MASK}', which means the stored one, and none is stored", field=place)
            config[name] = secrets[name]
    return config
