"""A repeat: the same `source` and `id` seen again. Its key is what the log remembers of an event."""

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt
import xxhash

NO_KEY: Final = 0
"""Stands for an event whose id no client gave: it cannot repeat."""


def repeat_key(source: str, event_id: str) -> int:
    """64 bits of XXH3 over source and id, never 0. Equal keys are only a hint; whoever acts on one compares the texts."""
    return xxhash.xxh3_64_intdigest(f"{source}\0{event_id}".encode()) or 1


def repeat_keys(sources: Iterable[str], ids: Iterable[str]) -> npt.NDArray[np.uint64]:
    """`repeat_key` of many events at once."""
    texts = map("\0".join, zip(sources, ids, strict=True))
    digests = b"".join(map(xxhash.xxh3_64_digest, map(str.encode, texts)))
    keys = np.frombuffer(digests, dtype=">u8").astype(np.uint64)
    keys[keys == NO_KEY] = 1
    return keys
