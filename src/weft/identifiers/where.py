"""Where names lead: always to pages of this installation."""

from urllib.parse import quote

from weft.identifiers.record import Record
from weft.identifiers.settings import IdentifiersSettings


class Where:
    """The addresses of one installation."""

    def __init__(self, settings: IdentifiersSettings) -> None:
        self._public_url = (settings.public_url or "").rstrip("/")
        self._landing = settings.landing

    def find_url(self, record: Record) -> str | None:
        """The address that names this record to the world; None where this installation has no public one."""
        return f"{self._public_url}/{record.name}" if self._public_url else None

    def find_landing_path(self, record: Record, suffix: str = "") -> str | None:
        """The page about what a record names; None where its kind has none. `suffix` is a part of it that was asked for."""
        path = self._landing.get(record.target_kind)
        if path is None:
            return None
        # What is filled in is quoted, so it can neither end the path nor begin another address.
        filled = path.replace("{name}", quote(record.name, safe="")).replace("{id}", quote(record.target_id, safe=""))
        kept = quote(suffix, safe="/.%")
        return filled.replace("{suffix}", kept) if "{suffix}" in path else filled + kept
