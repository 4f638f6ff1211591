"""An identifier as it stands: what routes show, resolvers answer and agencies are told."""

from typing import Final, Literal

import msgspec

from weft.identifiers.description import Description
from weft.identifiers.name import LABEL_OF, Scheme
from weft.identifiers.settings import TEST_NAAN
from weft.identifiers.tables import IdentifierRow

State = Literal["reserved", "public", "tombstone"]

RESERVED: Final = "reserved"
"""It will name its target for ever; nobody outside is told yet."""
PUBLIC: Final = "public"
TOMBSTONE: Final = "tombstone"
"""Its target was withdrawn. The name stays, and says why."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One identifier. `version_of` is the name of the first version, where this is a later one."""

    id: str
    scheme: Scheme
    name: str
    target_kind: str
    target_id: str
    description: Description
    state: State
    reason: str | None
    version: int
    version_of: str | None
    revision: int
    created_at_us: int
    changed_at_us: int

    @property
    def bare_name(self) -> str:
        """The name without its label, as agencies write it."""
        return self.name.removeprefix(LABEL_OF[self.scheme])

    @property
    def is_persistent(self) -> bool:
        """Whether it may be relied upon: what stands under the NAAN for trying may not."""
        return not self.name.startswith(f"ark:{TEST_NAAN}/")


def read_row(row: IdentifierRow, *, version_of: str | None = None) -> Record:
    """The record a row holds."""
    return Record(
        id=row.id,
        scheme=row.scheme,  # pyright: ignore[reportArgumentType] - what stands there was one when it was written
        name=row.name,
        target_kind=row.target_kind,
        target_id=row.target_id,
        description=Description.model_validate_json(row.described),
        state=row.state,  # pyright: ignore[reportArgumentType]
        reason=row.reason,
        version=row.version,
        version_of=version_of,
        revision=row.revision,
        created_at_us=row.created_at_us,
        changed_at_us=row.changed_at_us,
    )
