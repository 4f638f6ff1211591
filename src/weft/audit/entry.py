"""What the ledger says, as values: an entry, the head of the chain, the root of a day. Their bytes are hashed and signed.

Those bytes are a JSON array of the fields in the order below, led by the name of the format, in UTF-8 without spaces: anybody
can make them again with any JSON library and check the ledger without Weft.
"""

import hashlib
from typing import Final

import msgspec

ENTRY_FORMAT: Final = "weft.audit.entry.1"
ROOT_FORMAT: Final = "weft.audit.root.1"
GENESIS: Final = hashlib.sha256(ENTRY_FORMAT.encode()).hexdigest()
"""What the first entry has for its `previous`."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, tag_field="line", tag="entry", forbid_unknown_fields=True):
    """One deed. `number` counts from 1 without a gap; `changes` is the JSON text `{field: {before, after}}`, or None."""

    number: int
    previous: str
    at_us: int
    actor_kind: str
    actor_id: str | None
    actor_name: str
    address: str | None
    action: str
    entity_type: str
    entity_id: str | None
    changes: str | None
    hash: str = ""

    def digest(self) -> str:
        """SHA-256 over everything but `hash`, as 64 hexadecimal digits."""
        return hashlib.sha256(msgspec.json.encode((ENTRY_FORMAT, *msgspec.structs.astuple(self)[:-1]))).hexdigest()

    def sealed(self) -> "Entry":
        """The same with its hash."""
        return msgspec.structs.replace(self, hash=self.digest())


class Head(msgspec.Struct, frozen=True, kw_only=True, tag_field="line", tag="head", forbid_unknown_fields=True):
    """The end of the chain: the number and the hash of the last entry."""

    number: int
    hash: str


class Root(msgspec.Struct, frozen=True, kw_only=True, tag_field="line", tag="root", forbid_unknown_fields=True):
    """The end of the chain when a UTC day was over, signed with Ed25519. It covers every entry up to `number`."""

    day: str
    number: int
    hash: str
    signed_at_us: int
    key_id: str
    signature: str = ""

    def statement(self) -> bytes:
        """What is signed: everything but the signature."""
        return msgspec.json.encode((ROOT_FORMAT, *msgspec.structs.astuple(self)[:-1]))


Line = Entry | Root | Head
"""One line of an export. Entries in their order, each root behind the entry it covers last, the head at the end."""
