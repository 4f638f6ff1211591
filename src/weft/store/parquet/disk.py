"""The few things the store does to files. In one place, so that a test can make a disk that fails."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any


class Disk:
    """A folder on a real disk. Every failure is an OSError."""

    def write(self, path: Path, fill: Callable[[IO[bytes]], Any]) -> int:
        """Make a file that is either complete and durable under its name or not there at all; returns its size in bytes."""
        self._make_folder(path.parent)
        unfinished = path.with_name(path.name + ".tmp")
        try:
            with unfinished.open("wb") as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
                size_bytes = file.tell()
            unfinished.replace(path)
            self.sync_folder(path.parent)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        return size_bytes

    def remove(self, path: Path) -> None:
        """Remove a file; one that is gone already is fine."""
        path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        """Make the names in a folder durable."""
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _make_folder(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        self.sync_folder(folder.parent)
