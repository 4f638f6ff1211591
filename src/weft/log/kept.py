"""Kept repeats: what stays of events with ids of their own when their segment is trimmed inside the horizon.

The texts are gone then, so 128 bits of them decide, beside the 64 of the key.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import xxhash

from weft.core.batch import UInt64s

_WIDTH: Final = 3


def digest(source: str, event_id: str) -> tuple[int, int]:
    """128 bits of source and id."""
    both = xxhash.xxh3_128_intdigest(f"{source}\0{event_id}".encode())
    return both >> 64, both & 0xFFFF_FFFF_FFFF_FFFF


@dataclass(frozen=True, slots=True)
class KeptRepeats:
    """Salted keys in order and the digests beside them, of one trimmed segment."""

    received_last_us: int
    table: UInt64s

    @classmethod
    def collect(cls, received_last_us: int, entries: Iterable[tuple[int, str, str]]) -> Self:
        """From (salted key, source, id)."""
        flat = [number for key, source, event_id in entries for number in (key, *digest(source, event_id))]
        table = np.array(flat, dtype=np.uint64).reshape(-1, _WIDTH)
        return cls(received_last_us, table[np.argsort(table[:, 0])])

    @classmethod
    def from_bytes(cls, received_last_us: int, packed: bytes) -> Self:
        """As it stands in the ledger."""
        return cls(received_last_us, np.frombuffer(packed, dtype=np.uint64).reshape(-1, _WIDTH))

    def to_bytes(self) -> bytes:
        """For the ledger."""
        return self.table.tobytes()

    def suspects(self, keys: UInt64s) -> list[int]:
        """The indices of keys that stand here."""
        known = self.table[:, 0]
        at = np.searchsorted(known, keys)
        at[at == len(known)] = 0
        return np.flatnonzero(known[at] == keys).tolist() if len(known) else []

    def has(self, key: int, pair: tuple[str, str]) -> bool:
        """Whether this very event is among them."""
        known = self.table[:, 0]
        first, last = np.searchsorted(known, np.uint64(key), "left"), np.searchsorted(known, np.uint64(key), "right")
        wanted = digest(*pair)
        return any((int(row[1]), int(row[2])) == wanted for row in self.table[first:last])


def within(kept: Sequence[KeptRepeats], oldest_us: int) -> list[KeptRepeats]:
    """Those still inside the horizon."""
    return [part for part in kept if part.received_last_us > oldest_us]
