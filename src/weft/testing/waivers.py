"""What each adapter declares that it cannot do, and why. Its conformance test takes `lacks` from here; there is no other list."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from weft.testing.cache_suite import Lack as CacheLack

WAIVERS: Final[Mapping[str, Mapping[StrEnum, str]]] = {
    "cache/memory": {
        CacheLack.SHARING: "it lives inside one process; processes that shall share limits and revocations need Redis",
    },
}
"""Reasons by promise, for each adapter: its room and its scheme."""
