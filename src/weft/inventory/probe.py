"""Looks whether a location can be used: a file is written in it, read back and removed."""

import asyncio
import os
import secrets
from pathlib import Path
from typing import Final

from weft.core.errors import TimedOut, Unavailable, Unsupported
from weft.inventory.tables import LocationRow

PATIENCE_S: Final = 10.0

_LATER: Final = frozenset({"s3", "cifs"})
_WRITTEN: Final = b"weft was here\n"


async def probe(location: LocationRow, *, patience_s: float = PATIENCE_S) -> None:
    """Return where a location can be used by this process.

    Raises Unavailable with the reason where it cannot, TimedOut where its disk does not answer, Unsupported for a type that
    nothing here can reach yet.
    """
    if location.type in _LATER:
        raise Unsupported(
            f"'{location.name}' cannot be tested: this Weft moves no files over {location.type} yet", type=location.type
        )
    try:
        async with asyncio.timeout(patience_s):
            await asyncio.to_thread(_look, Path(location.base_path), needs_mount=location.type == "nfs")
    except TimeoutError as silent:  # the thread ends when the disk answers; nobody waits for it
        raise TimedOut(f"{location.base_path} did not answer within {patience_s:g} s") from silent


def _look(folder: Path, *, needs_mount: bool) -> None:
    try:
        if needs_mount and not folder.is_mount():
            raise Unavailable(f"nothing is mounted at {folder}")
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _write_and_read(handle)
        finally:
            os.close(handle)
    except OSError as refused:
        raise Unavailable(f"{folder}: {refused.strerror}") from refused


def _write_and_read(folder: int) -> None:
    """Through the folder's own handle, so that all of it happens in the one folder that was looked at."""
    os.listdir(folder)
    name = f".weft-{secrets.token_hex(8)}.test"
    file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
    try:
        os.write(file, _WRITTEN)
        os.fsync(file)
        if os.pread(file, len(_WRITTEN), 0) != _WRITTEN:
            raise Unavailable("what was written was not what was read back")
    finally:
        os.close(file)
        os.unlink(name, dir_fd=folder)
