"""A repeat: the same `source` and `id` seen again. Its key is what the log remembers of an event."""

from typing import Final

import xxhash

NO_KEY: Final = 0
"""Stands for an event whose id no client gave: it cannot repeat."""


def repeat_key(source: str, event_id: str) -> int:
    """64 bits of XXH3 over source and id, never 0. Equal keys are only a hint; whoever acts on one compares the texts."""
    return xxhash.xxh3_64_intdigest(f"{source}\0{event_id}".encode()) or 1
