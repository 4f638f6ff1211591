"""Reserve: disk space set aside so that a full disk can still keep its own alert."""

import os
from pathlib import Path
from typing import Final

from weft.log.settings import LogSettings

_BLOCK: Final = 1024 * 1024


class Reserve:
    """A file of real blocks, given up when the disk is full and filled again when there is space."""

    def __init__(self, path: Path, settings: LogSettings) -> None:
        self._path = path
        self._size_bytes = settings.reserve_bytes
        self._min_free_bytes = settings.min_free_bytes

    def free_bytes(self) -> int:
        """Free space on the disk of the log."""
        figures = os.statvfs(self._path.parent)
        return figures.f_bavail * figures.f_frsize

    def is_short(self) -> bool:
        """Whether events are to be refused because the disk is nearly full."""
        return self.free_bytes() < self._min_free_bytes

    def release(self) -> None:
        """Give the space up."""
        self._path.unlink(missing_ok=True)

    def fill(self) -> None:
        """Take the space again if there is plenty."""
        if self._size_bytes == 0 or self.free_bytes() < self._min_free_bytes + 2 * self._size_bytes:
            return
        if self._path.exists() and self._path.stat().st_size == self._size_bytes:
            return
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, self._size_bytes)
        except OSError:
            self._path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)
